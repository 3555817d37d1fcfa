/** Bringing objects to what is desired, and leaving alone what is so or belongs to somebody else. */
import type { Log } from '#core/platform/log.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import type { Kube, KubeObject, ResourceType } from '../kube/contract.ts';
import { isKubeError } from '../kube/kube-error.ts';
import { placeOf } from '../kube/place.ts';
import { OPTIONAL_TYPES } from '../kube/resource-types.ts';
import type { Decision, WantedObject } from './decision.ts';
import { LABEL_INSTANCE, MANAGER } from './desired/labels.ts';
import { ownedObject } from './live-objects.ts';
import type { Memory, Observed } from './observed.ts';
import { projection } from './projection.ts';

export interface ObjectWriterOptions {
  readonly kube: Pick<Kube, 'get' | 'apply' | 'create'>;
  /** Shows what was written before the watch does. */
  readonly seen: (type: ResourceType, object: KubeObject) => void;
  readonly now: () => number;
  readonly log: Log;
}

/** What was left out, as `Kind name`. */
export type LeftOut = Pick<Memory, 'taken' | 'unserved'>;

export interface ObjectWriter {
  /** Applies and creates what is not so already. Resolves with what it had to leave out; rejects at the first object that cannot be written. */
  write(observed: Observed, wanted: Pick<Decision, 'apply' | 'create'>): Promise<LeftOut>;
  /** The instance of this uid is gone. */
  forget(uid: string): void;
}

/** What this process has applied, and what it was like then. */
interface Applied {
  readonly hash: string;
  readonly projection: string;
}

/** By `nameOf`. */
type Records = Map<string, Applied>;

/** How the operator applies everything. */
export const APPLY = { fieldManager: MANAGER, force: true } as const;

/** A kind that the cluster does not serve is asked for again after this: its API may be installed later. */
const UNSERVED_MS = 60_000;

const nameOf = ({ type, object }: WantedObject): string => `${type.kind} ${object.metadata.name}`;

export function createObjectWriter({ kube, seen, now, log }: ObjectWriterOptions): ObjectWriter {
  /** By uid of the instance. */
  const applied = new Map<string, Records>();
  /** When the cluster was last found not to serve a kind. */
  const unservedAt = new Map<ResourceType, number>();

  /** False: somebody else has the name. */
  const apply = async (observed: Observed, records: Records, item: WantedObject): Promise<boolean> => {
    const { type, object, hash } = item;
    const live = ownedObject(observed.owned, type, object.metadata.name);
    const record = records.get(nameOf(item));
    if (live !== undefined && record?.hash === hash && record.projection === projection(live, object)) return true;
    const holder = await holderOf(kube, observed, item);
    if (holder === null) return false;
    // With the uid a name that has changed hands since is a conflict, and a deleted object does not come back half.
    const uid = holder === 'nobody' ? {} : { uid: holder.metadata.uid! };
    log.debug({ kind: type.kind, name: object.metadata.name, isNew: holder === 'nobody' }, 'Applying');
    const written = await kube.apply(type, { ...object, metadata: { ...object.metadata, ...uid } }, APPLY);
    records.set(nameOf(item), { hash, projection: projection(written, object) });
    seen(type, written);
    return true;
  };

  /** The same, but for kinds that a cluster may lack; null: it does. */
  const applyIfServed = async (observed: Observed, records: Records, item: WantedObject): Promise<boolean | null> => {
    if (!OPTIONAL_TYPES.has(item.type)) return apply(observed, records, item);
    if (now() - (unservedAt.get(item.type) ?? Number.NEGATIVE_INFINITY) < UNSERVED_MS) return null;
    unservedAt.delete(item.type);
    try {
      return await apply(observed, records, item);
    } catch (error) {
      if (!isKubeError(error, 'NotFound')) throw error;
      unservedAt.set(item.type, now());
      return null;
    }
  };

  /** False: somebody else has the name. */
  const create = async (observed: Observed, item: WantedObject): Promise<boolean> => {
    try {
      seen(item.type, await kube.create(item.type, item.object));
      return true;
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists')) throw error;
      return (await holderOf(kube, observed, item)) !== null;
    }
  };

  return {
    async write(observed, wanted) {
      const { uid } = observed.instance.metadata;
      const records: Records = applied.get(uid) ?? new Map<string, Applied>();
      applied.set(uid, records);
      const taken: string[] = [];
      const unserved: string[] = [];
      for (const item of wanted.apply) {
        const written = await applyIfServed(observed, records, item);
        if (written === null) unserved.push(nameOf(item));
        else if (!written) taken.push(nameOf(item));
      }
      for (const item of wanted.create) if (!(await create(observed, item))) taken.push(nameOf(item));
      const names = new Set(wanted.apply.map(nameOf));
      for (const name of records.keys()) if (!names.has(name)) records.delete(name);
      return { taken, unserved };
    },
    forget: (uid) => void applied.delete(uid),
  };
}

/** Null when somebody else has the name. */
async function holderOf(
  kube: Pick<Kube, 'get'>,
  { owned, instance }: Observed,
  { type, object }: WantedObject,
): Promise<KubeObject | 'nobody' | null> {
  const present = ownedObject(owned, type, object.metadata.name) ?? (await kube.get(type, placeOf(object)));
  if (present === null) return 'nobody';
  return isOurs(present, instance) ? present : null;
}

/** The instance controls it; or nobody does, and it has our labels: an orphan, such as one restored from a backup. */
function isOurs({ metadata }: KubeObject, instance: SyncInstance): boolean {
  const controller = metadata.ownerReferences?.find((reference) => reference.controller === true);
  if (controller !== undefined) return controller.uid === instance.metadata.uid;
  const labels = metadata.labels ?? {};
  return labels['app.kubernetes.io/managed-by'] === MANAGER && labels[LABEL_INSTANCE] === instance.metadata.name;
}
