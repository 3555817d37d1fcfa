import type { KubeObject, Place } from './contract.ts';
import { keyOf, placeOf } from './place.ts';
import { isOlder } from './resource-version.ts';

/** From an object to the values under which it is found. */
export type IndexBy<T> = Readonly<Record<string, (object: T) => readonly string[]>>;

/** What an informer knows of one kind. Objects in it are shared: nobody changes them. */
export interface ObjectCache<T extends KubeObject> {
  get(place: Place): T | undefined;
  all(): Iterable<T>;
  /** Those with this value in the named index; none for an unknown index. */
  by(index: string, value: string): readonly T[];
  /**
   * Takes an object in, unless a newer one of this name is there. Whoever has written an object does so with the answer, so that the next look does
   * not meet the state before. False: an older one, left out.
   */
  put(object: T): boolean;
}

export interface WritableCache<T extends KubeObject> extends ObjectCache<T> {
  /** Takes it out, unless a newer one of this name has come. Returns what was there. */
  remove(object: T): T | undefined;
  /** Takes out everything that is not in `objects`, and returns it. */
  retain(objects: readonly T[]): T[];
}

export function createObjectCache<T extends KubeObject>(indexes: IndexBy<T> = {}): WritableCache<T> {
  const objects = new Map<string, T>();
  /** Index name and value to keys of `objects`. */
  const found = new Map<string, Set<string>>();

  const entries = (object: T): string[] =>
    Object.entries(indexes).flatMap(([index, valuesOf]) => valuesOf(object).map((value) => `${index}\n${value}`));

  const drop = (key: string): T | undefined => {
    const present = objects.get(key);
    if (present === undefined) return undefined;
    objects.delete(key);
    for (const entry of entries(present)) {
      const keys = found.get(entry);
      keys?.delete(key);
      if (keys?.size === 0) found.delete(entry);
    }
    return present;
  };

  const add = (key: string, object: T): void => {
    objects.set(key, object);
    for (const entry of entries(object)) {
      const keys = found.get(entry);
      if (keys === undefined) found.set(entry, new Set([key]));
      else keys.add(key);
    }
  };

  return {
    get: (place) => objects.get(keyOf(place)),
    all: () => objects.values(),
    by: (index, value) => [...(found.get(`${index}\n${value}`) ?? [])].map((key) => objects.get(key)!),
    put(object) {
      const key = keyOfObject(object);
      const present = objects.get(key);
      if (present !== undefined && isOlder(object.metadata.resourceVersion, present.metadata.resourceVersion))
        return false;
      drop(key);
      add(key, object);
      return true;
    },
    remove(object) {
      const key = keyOfObject(object);
      const present = objects.get(key);
      if (isOlder(object.metadata.resourceVersion, present?.metadata.resourceVersion)) return undefined;
      return drop(key);
    },
    retain(kept) {
      const keys = new Set(kept.map(keyOfObject));
      return [...objects.keys()].filter((key) => !keys.has(key)).map((key) => drop(key)!);
    },
  };
}

function keyOfObject(object: KubeObject): string {
  return keyOf(placeOf(object));
}
