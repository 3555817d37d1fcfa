/** Facts about the values that instances refer to. Contents are read when the object has changed, and only of what is referred to. */
import { createHash } from 'node:crypto';
import type { Kube, KubeObject, Place } from '../kube/contract.ts';
import { CONFIG_MAPS, SECRETS } from '../kube/resource-types.ts';
import type { ValueFact } from './observed.ts';

export interface ReferencedObject {
  readonly facts: ReadonlyMap<string, ValueFact>;
  /** Of the keys whose text was asked for. */
  readonly texts: ReadonlyMap<string, string>;
}

export interface ReferencedValues {
  /**
   * Null: there is no such object.
   *
   * @param version of the object as the watch of metadata shows it; null: not there
   * @param textKeys keys whose text is needed, not only facts
   */
  read(
    kind: 'Secret' | 'ConfigMap',
    place: Place,
    version: string | null,
    textKeys: readonly string[],
  ): Promise<ReferencedObject | null>;
}

interface DataObject extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
}

const MOST_REMEMBERED = 5000;

export function createReferencedValues(kube: Pick<Kube, 'get'>): ReferencedValues {
  const known = new Map<string, { readonly version: string; readonly value: ReferencedObject }>();
  return {
    async read(kind, place, version, textKeys) {
      if (version === null) return null;
      const key = JSON.stringify([kind, place, textKeys]);
      const present = known.get(key);
      if (present?.version === version) return present.value;
      const object = await kube.get<DataObject>(kind === 'Secret' ? SECRETS : CONFIG_MAPS, place);
      known.delete(key);
      if (object === null) return null;
      const value = valueOf(kind, object, textKeys);
      // What was read may be newer than what the watch has shown; then it is read once more, which does no harm.
      known.set(key, { version: versionOf(object), value });
      if (known.size > MOST_REMEMBERED) known.delete(known.keys().next().value!);
      return value;
    },
  };
}

export function digestOf(value: string | Buffer): string {
  return createHash('sha256').update(value).digest('base64');
}

/** Another object of the same name is another version. */
export function versionOf({ metadata }: KubeObject): string {
  return `${metadata.uid}/${metadata.resourceVersion}`;
}

function valueOf(
  kind: 'Secret' | 'ConfigMap',
  { data, binaryData }: DataObject,
  textKeys: readonly string[],
): ReferencedObject {
  const encoding = kind === 'Secret' ? 'base64' : 'utf8';
  const entries = [
    ...Object.entries(data ?? {}).map(([key, text]): [string, Buffer] => [key, Buffer.from(text, encoding)]),
    ...Object.entries(binaryData ?? {}).map(([key, text]): [string, Buffer] => [key, Buffer.from(text, 'base64')]),
  ];
  const facts = entries.map(([key, value]): [string, ValueFact] => [
    key,
    { digest: digestOf(value), bytes: value.length },
  ]);
  const texts = entries
    .filter(([key]) => textKeys.includes(key))
    .map(([key, value]): [string, string] => [key, value.toString('utf8')]);
  return { facts: new Map(facts), texts: new Map(texts) };
}
