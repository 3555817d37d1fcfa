/** Carrying a decision out: the only place that changes anything. */
import type { Log } from '#core/platform/log.ts';
import { conditionTypes } from '#crds/sync-instance/status.ts';
import type { SyncInstance, SyncInstanceStatus } from '#crds/sync-instance/sync-instance.ts';
import type { Kube, KubeObject, Place, ResourceType } from '../kube/contract.ts';
import type { EventRecorder } from '../kube/event-recorder.ts';
import { isKubeError } from '../kube/kube-error.ts';
import { SECRETS, SYNC_INSTANCES } from '../kube/resource-types.ts';
import type { Decision, Unwanted, WantedObject } from './decision.ts';
import type { DeployToWorker } from './deploy-request.ts';
import { adminSecret } from './desired/desired.ts';
import { LABEL_INSTANCE, MANAGER } from './desired/labels.ts';
import { FINALIZER } from './finalizer.ts';
import type { Memory, Observed } from './observed.ts';
import { isDeployTarget } from './policy/sync-config.ts';
import { ordered, projection } from './projection.ts';

export interface ApplierOptions {
  readonly kube: Kube;
  /** Shows what was written before the watch does. */
  readonly seen: (type: ResourceType, object: KubeObject) => void;
  readonly deployToWorker: DeployToWorker;
  readonly events: EventRecorder;
  readonly now: () => number;
  readonly log: Log;
}

export interface Applier {
  /**
   * Does what is decided, in order, and writes nothing that is so already. Resolves with what the next look has to know; rejects at the first step that
   * fails, and then the steps before it stand.
   */
  carryOut(observed: Observed, decision: Decision): Promise<Memory>;
  /** The instance is gone. */
  forget(uid: string): void;
}

/** What this process has applied, and what it was like then. */
interface Applied {
  readonly hash: string;
  readonly projection: string;
}

const APPLY = { fieldManager: MANAGER, force: true } as const;

export function createApplier(options: ApplierOptions): Applier {
  const { kube, seen, log } = options;
  const applied = new Map<string, Map<string, Applied>>();

  /** Null when somebody else has the name. */
  const holderOf = async (
    observed: Observed,
    { type, object }: WantedObject,
  ): Promise<KubeObject | 'nobody' | null> => {
    const { name } = object.metadata;
    const live = observed.owned.find((item) => item.type === type && item.object.metadata.name === name)?.object;
    const present = live ?? (await kube.get(type, placeOf(object)));
    if (present === null) return 'nobody';
    return isOurs(present, observed.instance) ? present : null;
  };

  const applyOne = async (observed: Observed, item: WantedObject): Promise<boolean> => {
    const { instance, owned } = observed;
    const { type, object, hash } = item;
    const records = applied.get(instance.metadata.uid) ?? new Map<string, Applied>();
    applied.set(instance.metadata.uid, records);
    const key = `${type.kind}/${object.metadata.name}`;
    const live = owned.find(
      (other) => other.type === type && other.object.metadata.name === object.metadata.name,
    )?.object;
    const record = records.get(key);
    if (live !== undefined && record?.hash === hash && record.projection === projection(live, object)) return true;
    const holder = await holderOf(observed, item);
    if (holder === null) return false;
    // With the uid a name that has changed hands since is a conflict, and a deleted object does not come back half.
    const uid = holder === 'nobody' ? {} : { uid: holder.metadata.uid! };
    log.debug({ kind: type.kind, name: object.metadata.name, isNew: holder === 'nobody' }, 'Applying');
    const written = await kube.apply(type, { ...object, metadata: { ...object.metadata, ...uid } }, APPLY);
    records.set(key, { hash, projection: projection(written, object) });
    seen(type, written);
    return true;
  };

  const createOne = async (observed: Observed, item: WantedObject): Promise<boolean> => {
    try {
      seen(item.type, await kube.create(item.type, item.object));
      return true;
    } catch (error) {
      if (!isKubeError(error, 'AlreadyExists')) throw error;
      return (await holderOf(observed, item)) !== null;
    }
  };

  const applyAll = async (observed: Observed, { apply, create }: Decision): Promise<string[]> => {
    const taken: string[] = [];
    const nameOf = ({ type, object }: WantedObject): string => `${type.kind} ${object.metadata.name}`;
    for (const item of apply) if (!(await applyOne(observed, item))) taken.push(nameOf(item));
    for (const item of create) if (!(await createOne(observed, item))) taken.push(nameOf(item));
    const records = applied.get(observed.instance.metadata.uid);
    const names = new Set(apply.map(({ type, object }) => `${type.kind}/${object.metadata.name}`));
    for (const key of records?.keys() ?? []) if (!names.has(key)) records?.delete(key);
    return taken;
  };

  return {
    async carryOut(observed, decision) {
      const { instance } = observed;
      if (decision.finalizer === 'add') await addFinalizer(options, instance);
      if (decision.storesToken) {
        const secret = adminSecret(instance, observed.adminToken.token) as unknown as KubeObject;
        seen(SECRETS, await kube.create(SECRETS, secret));
      }
      const taken = await applyAll(observed, decision);
      for (const item of decision.scale) await scale(options, item);
      for (const item of decision.remove) await remove(options, item);
      const memory = await deploy(options, observed, decision);
      await writeStatus(options, instance, decision.status);
      for (const note of decision.events) await options.events.record(instance, note);
      if (decision.finalizer === 'remove') await removeFinalizer(options, instance);
      return { ...memory, taken: instance.metadata.deletionTimestamp === undefined ? taken : [] };
    },
    forget: (uid) => void applied.delete(uid),
  };
}

function placeOf({ metadata }: KubeObject): Place {
  return { namespace: metadata.namespace ?? null, name: metadata.name ?? '' };
}

/** The instance controls it; or nobody does, and it has our labels: an orphan, such as one restored from a backup. */
function isOurs({ metadata }: KubeObject, instance: SyncInstance): boolean {
  const controller = metadata.ownerReferences?.find((reference) => reference.controller === true);
  if (controller !== undefined) return controller.uid === instance.metadata.uid;
  const labels = metadata.labels ?? {};
  return labels['app.kubernetes.io/managed-by'] === MANAGER && labels[LABEL_INSTANCE] === instance.metadata.name;
}

async function addFinalizer({ kube, seen }: ApplierOptions, { metadata }: SyncInstance): Promise<void> {
  const { name, namespace, uid } = metadata;
  seen(
    SYNC_INSTANCES,
    await kube.apply(SYNC_INSTANCES, { metadata: { name, namespace, uid, finalizers: [FINALIZER] } }, APPLY),
  );
}

/** By a patch: whoever applied a manifest with our finalizer in it would own it too, and it would stay. */
async function removeFinalizer({ kube }: ApplierOptions, { metadata }: SyncInstance): Promise<void> {
  const live = await kube.get(SYNC_INSTANCES, metadata);
  if (live?.metadata.uid !== metadata.uid || live.metadata.finalizers?.includes(FINALIZER) !== true) return;
  const finalizers = live.metadata.finalizers.filter((name) => name !== FINALIZER);
  const { resourceVersion } = live.metadata;
  await kube.patch(SYNC_INSTANCES, metadata, { metadata: { resourceVersion, finalizers } });
}

async function scale(
  { kube, seen, log }: ApplierOptions,
  { type, object, replicas }: Decision['scale'][number],
): Promise<void> {
  log.debug({ kind: type.kind, name: object.metadata.name, replicas }, 'Scaling');
  const { uid } = object.metadata;
  seen(type, await kube.patch(type, placeOf(object), { metadata: { uid }, spec: { replicas } }));
}

async function remove({ kube, log }: ApplierOptions, { type, object, because }: Unwanted): Promise<void> {
  const { uid, name } = object.metadata;
  log.info({ kind: type.kind, name, because }, 'Removing an object');
  try {
    await kube.delete(type, placeOf(object), { ...(uid === undefined ? {} : { uid }), propagation: 'Background' });
  } catch (error) {
    // Another object has the name by now.
    if (!isKubeError(error, 'Conflict')) throw error;
  }
}

async function deploy(
  { deployToWorker, now, log }: ApplierOptions,
  observed: Observed,
  decision: Decision,
): Promise<Memory> {
  const { memory } = decision;
  if (decision.deploy === null) return memory;
  const { revision, text } = decision.deploy;
  // The newest: after an upgrade it knows what the others do not.
  const target = observed.pods
    .filter(isDeployTarget)
    .toSorted((a, b) => ((a.pod.metadata.creationTimestamp ?? '') < (b.pod.metadata.creationTimestamp ?? '') ? 1 : -1))
    .at(0);
  if (target?.pod.status?.podIP === undefined) return memory;
  const result = await deployToWorker({ address: target.pod.status.podIP, token: observed.adminToken.token, text });
  if (result === null) {
    log.info({ revision }, 'An API worker has accepted the sync config');
    return { ...memory, deployed: { revision, atMs: now() }, deployFailure: null };
  }
  log.warn({ revision, code: result.code }, 'An API worker refused the sync config');
  return { ...memory, deployFailure: { revision, ...result, atMs: now() } };
}

async function writeStatus(
  { kube, seen }: ApplierOptions,
  instance: SyncInstance,
  status: SyncInstanceStatus,
): Promise<void> {
  if (isSameStatus(instance.status, status)) return;
  const { name, namespace, uid } = instance.metadata;
  try {
    const object = { metadata: { name, namespace, uid }, status: ownStatus(status) };
    seen(SYNC_INSTANCES, await kube.apply(SYNC_INSTANCES, object, { ...APPLY, subresource: 'status' }));
  } catch (error) {
    if (!isKubeError(error, 'NotFound')) throw error;
  }
}

function isSameStatus(a: SyncInstanceStatus | undefined, b: SyncInstanceStatus): boolean {
  return a !== undefined && JSON.stringify(ordered(ownStatus(a))) === JSON.stringify(ordered(ownStatus(b)));
}

/** Conditions of others are theirs to write. */
function ownStatus(status: SyncInstanceStatus): SyncInstanceStatus {
  const ours = new Set<string>(conditionTypes);
  return { ...status, conditions: (status.conditions ?? []).filter(({ type }) => ours.has(type)) };
}
