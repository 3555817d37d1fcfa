/** Looking at one instance: everything that a decision may depend on, at one moment. Changes nothing. */
import { randomBytes } from 'node:crypto';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import type { Kube, KubeObject, Place } from '../kube/contract.ts';
import { isKubeError } from '../kube/kube-error.ts';
import { POD_METRICS } from '../kube/resource-types.ts';
import { instanceSelector, LABEL_SOURCE, selectorText } from './desired/labels.ts';
import { requiredValues } from './desired/desired.ts';
import { names } from './desired/names.ts';
import { ADMIN_TOKEN_KEY } from './desired/service-config.ts';
import { trueCondition } from './live-objects.ts';
import type {
  LiveJob,
  LivePod,
  Memory,
  Observed,
  ObservedPod,
  OwnedObject,
  SyncConfigText,
  ValueFact,
} from './observed.ts';
import { valueSource } from './observed.ts';
import type { PartReports } from './part-reports.ts';
import { cpuShares } from './pod-metrics.ts';
import { digestOf, type ReferencedObject, type ReferencedValues } from './referenced-values.ts';

/** What the watches show. */
export interface ClusterView {
  instance(place: Place): SyncInstance | undefined;
  /** Objects whose controller has this uid. */
  controlledBy(uid: string): readonly OwnedObject[];
  pods(namespace: string, instance: string): readonly LivePod[];
  /** Of a Secret or ConfigMap; null: there is none. */
  version(kind: 'Secret' | 'ConfigMap', place: Place): string | null;
}

export interface GatherOptions {
  readonly kube: Pick<Kube, 'list'>;
  readonly view: ClusterView;
  readonly values: ReferencedValues;
  readonly reports: PartReports;
  readonly now: () => number;
  readonly defaultImage: string;
  readonly operatorNamespace: string | null;
}

const TOKEN_BYTES = 32;

export async function gather(options: GatherOptions, instance: SyncInstance, memory: Memory): Promise<Observed> {
  const { view, now, defaultImage, operatorNamespace } = options;
  const { uid, namespace } = instance.metadata;
  const owned = view.controlledBy(uid);
  const [admin, values, syncConfig, pods] = await Promise.all([
    readAdminSecret(options, instance),
    readValues(options, instance),
    readSyncConfig(options, instance),
    observePods(options, instance),
  ]);
  const secret = valueSource('Secret', names.adminSecret(instance.metadata.name));
  const token = admin?.texts.get(ADMIN_TOKEN_KEY) ?? '';
  const adminToken =
    admin === null ? { token: randomBytes(TOKEN_BYTES).toString('base64url'), exists: false } : { token, exists: true };
  // One that is stored in a moment is no missing one.
  if (!adminToken.exists)
    values.set(secret, new Map([[ADMIN_TOKEN_KEY, { digest: digestOf(adminToken.token), bytes: TOKEN_BYTES }]]));
  const cronJobs = owned.filter(({ type }) => type.kind === 'CronJob');
  return {
    now: now(),
    instance,
    defaultImage,
    operatorNamespace,
    values,
    adminToken,
    syncConfig,
    owned,
    compactionJobs: cronJobs.flatMap(({ object }) =>
      view.controlledBy(object.metadata.uid ?? '').map((item) => item.object as LiveJob),
    ),
    pods: await withCpu(options, namespace, instance, pods),
    memory,
  };
}

function readAdminSecret(
  { view, values }: GatherOptions,
  { metadata }: SyncInstance,
): Promise<ReferencedObject | null> {
  const place = { namespace: metadata.namespace, name: names.adminSecret(metadata.name) };
  return values.read('Secret', place, view.version('Secret', place), [ADMIN_TOKEN_KEY]);
}

async function readValues(
  { view, values }: GatherOptions,
  instance: SyncInstance,
): Promise<Map<string, ReadonlyMap<string, ValueFact> | null>> {
  const references = requiredValues(instance);
  const found = new Map<string, ReadonlyMap<string, ValueFact> | null>();
  for (const { kind, name } of references) {
    if (found.has(valueSource(kind, name))) continue;
    const place = { namespace: instance.metadata.namespace, name };
    const object = await values.read(kind, place, view.version(kind, place), []);
    found.set(valueSource(kind, name), object?.facts ?? null);
  }
  return found;
}

async function readSyncConfig(
  { view, values }: GatherOptions,
  { metadata, spec }: SyncInstance,
): Promise<SyncConfigText> {
  const { inline, configMapRef } = spec.syncConfig;
  if (configMapRef === undefined) return { text: inline ?? '' };
  const place = { namespace: metadata.namespace, name: configMapRef.name };
  const object = await values.read('ConfigMap', place, view.version('ConfigMap', place), [configMapRef.key]);
  if (object === null) return { missing: 'ConfigMap' };
  const text = object.texts.get(configMapRef.key);
  return text === undefined ? { missing: 'Key' } : { text };
}

async function observePods({ view, reports }: GatherOptions, { metadata }: SyncInstance): Promise<ObservedPod[]> {
  const pods = view.pods(metadata.namespace, metadata.name);
  return Promise.all(
    pods.map(async (pod): Promise<ObservedPod> => {
      const labels = pod.metadata.labels ?? {};
      const component = labels['app.kubernetes.io/component'] ?? '';
      const isProcess = component === 'api' || component === 'replicator';
      return {
        pod,
        name: pod.metadata.name ?? '',
        component,
        source: labels[LABEL_SOURCE] ?? '',
        isReady: trueCondition(pod.status?.conditions, 'Ready') !== undefined,
        isTerminating: pod.metadata.deletionTimestamp !== undefined,
        report: isProcess ? await reports.read(pod) : null,
        cpuShare: null,
      };
    }),
  );
}

/** Only where the resource asks for it; without metrics-server nothing is known, and nothing is taken away. */
async function withCpu(
  { kube }: GatherOptions,
  namespace: string,
  { metadata, spec }: SyncInstance,
  pods: readonly ObservedPod[],
): Promise<readonly ObservedPod[]> {
  if (spec.api.autoscaling?.targetCPUPercent === undefined) return pods;
  const labelSelector = selectorText(instanceSelector(metadata.name));
  let measured: readonly KubeObject[] = [];
  try {
    ({ items: measured } = await kube.list(POD_METRICS, { namespace, labelSelector }));
  } catch (error) {
    if (!isKubeError(error)) throw error;
  }
  const shares = cpuShares(
    measured,
    pods.map(({ pod }) => pod),
  );
  return pods.map((pod) => ({ ...pod, cpuShare: shares.get(pod.name) ?? null }));
}
