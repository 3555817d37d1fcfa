import type { KubeObject, Place } from './contract.ts';

/** Where an object stands. */
export function placeOf({ metadata }: KubeObject): Place {
  return { namespace: metadata.namespace ?? null, name: metadata.name ?? '' };
}

/** `namespace/name`; `/name` for kinds without one. */
export function keyOf({ namespace, name }: Place): string {
  return `${namespace ?? ''}/${name}`;
}

/** The place of a key that `keyOf` has made of one with a namespace. */
export function placeOfKey(key: string): Place {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
