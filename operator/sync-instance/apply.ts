/** Carrying a decision out: here and in write-objects.ts everything is changed that is changed. */
import type { Log } from '#core/platform/log.ts';
import { conditionTypes } from '#crds/sync-instance/status.ts';
import type { SyncInstance, SyncInstanceStatus } from '#crds/sync-instance/sync-instance.ts';
import type { Kube, KubeObject, ResourceType } from '../kube/contract.ts';
import type { EventRecorder } from '../kube/event-recorder.ts';
import { isKubeError } from '../kube/kube-error.ts';
import { placeOf } from '../kube/place.ts';
import { SECRETS, SYNC_INSTANCES } from '../kube/resource-types.ts';
import type { Decision, Unwanted } from './decision.ts';
import type { DeployToWorker } from './deploy-request.ts';
import { adminSecret } from './desired/desired.ts';
import { FINALIZER } from './finalizer.ts';
import { newestFirst } from './live-objects.ts';
import type { Memory, Observed } from './observed.ts';
import { isDeployTarget } from './policy/sync-config.ts';
import { ordered } from './projection.ts';
import { APPLY, createObjectWriter, type LeftOut } from './write-objects.ts';

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

const NOTHING_LEFT_OUT: LeftOut = { taken: [], unserved: [] };

export function createApplier(options: ApplierOptions): Applier {
  const { kube, seen } = options;
  const writer = createObjectWriter(options);
  return {
    async carryOut(observed, decision) {
      const { instance } = observed;
      if (decision.finalizer === 'add') await addFinalizer(options, instance);
      if (decision.storesToken) {
        const secret = adminSecret(instance, observed.adminToken.token) as unknown as KubeObject;
        seen(SECRETS, await kube.create(SECRETS, secret));
      }
      const leftOut = await writer.write(observed, decision);
      for (const item of decision.scale) await scale(options, item);
      for (const item of decision.remove) await remove(options, item);
      const memory = await deploy(options, observed, decision);
      await writeStatus(options, instance, decision.status);
      for (const note of decision.events) await options.events.record(instance, note);
      if (decision.finalizer === 'remove') await removeFinalizer(options, instance);
      return { ...memory, ...(instance.metadata.deletionTimestamp === undefined ? leftOut : NOTHING_LEFT_OUT) };
    },
    forget: (uid) => writer.forget(uid),
  };
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
  const [target] = newestFirst(observed.pods.filter(isDeployTarget));
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
