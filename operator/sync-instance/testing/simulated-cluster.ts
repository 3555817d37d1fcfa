/**
 * A cluster and a data plane in memory, for the pure parts: what `decide` asks for is done at once, everything else happens when a test says so, in any
 * order. Nothing depends on time or chance but what is passed in.
 */
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { DEPLOYMENTS, JOBS, SECRETS } from '../../kube/resource-types.ts';
import type { Decision } from '../decision.ts';
import { adminSecret, requiredValues } from '../desired/desired.ts';
import { names } from '../desired/names.ts';
import { FINALIZER } from '../finalizer.ts';
import { valueSource, type KubeCondition, type Memory, type ObservedPod } from '../observed.ts';
import type { LiveDeployment, LiveJob, Observed, OwnedObject, ValueFact } from '../observed.ts';
import { isCurrent } from '../workloads.ts';
import { iso, lookAt, NOON, playedPod } from './played-pods.ts';
import { simulateApiServer, type SimulatedApiServer } from './simulated-api-server.ts';
import { simulateDataPlane, type SimulatedDataPlane } from './simulated-data-plane.ts';
import { simulatePods, type Happening, type SimulatedPod, type SimulatedPods } from './simulated-pods.ts';

export interface SimulationOptions {
  readonly instance: SyncInstance;
  /** So many Jobs fail before one succeeds, and so many deployments of a sync config are refused before one is accepted. */
  readonly jobFailures: number;
  readonly refusals: number;
  /** Clients of all API workers together. */
  readonly clients: number;
}

export interface SimulatedCluster {
  now: number;
  instance: SyncInstance;
  readonly owned: readonly OwnedObject[];
  observe(memory: Memory): Observed;
  /** Does what is decided. Tells what was written (and asked of the data plane), and what the next look has to know. */
  carryOut(observed: Observed, decision: Decision): { readonly writes: readonly string[]; readonly memory: Memory };
  /** What may happen by itself now. In one order. */
  possible(): readonly Happening[];
}

/** Everything behind the one instance. */
interface Parts {
  readonly api: SimulatedApiServer;
  readonly pods: SimulatedPods;
  readonly plane: SimulatedDataPlane;
}

export function simulateCluster(options: SimulationOptions): SimulatedCluster {
  let count = 0;
  const nextNumber = (): number => ++count;
  const api = simulateApiServer(nextNumber);
  const pods = simulatePods(nextNumber);
  const plane = simulateDataPlane({ ...options, pods, nextNumber });
  const parts: Parts = { api, pods, plane };
  const missing = new Set(sourcesOf(options.instance));
  let { jobFailures } = options;

  const cluster: SimulatedCluster = {
    ...{ now: NOON, instance: options.instance, owned: api.objects },
    observe(memory) {
      const { instance, now } = cluster;
      const adminToken = { token: 'token', exists: api.of(SECRETS).length > 0 };
      return lookAt(instance, {
        ...{ now, memory, adminToken, values: valuesOf(instance, missing) },
        ...{ owned: structuredCloneOf(api.objects), pods: pods.all().map((pod) => observedPod(parts, pod, now)) },
      });
    },
    carryOut(observed, decision) {
      const writes = [...writeFinalizer(cluster, decision), ...writeObjects(parts, observed, decision)];
      if (decision.deploy !== null) writes.push('deploy');
      const memory = deploy(parts, cluster, decision);
      if (JSON.stringify(cluster.instance.status) !== JSON.stringify(decision.status)) {
        writes.push('status');
        cluster.instance = { ...cluster.instance, status: structuredClone(decision.status) };
      }
      return { writes, memory };
    },
    possible: () => [
      ...[...missing].map((source) => () => void missing.delete(source)),
      ...api.of(DEPLOYMENTS).flatMap((object) => pods.rollOut(object as LiveDeployment)),
      ...api.of(JOBS).flatMap((object) => end(object as LiveJob)),
      ...pods.begin(),
      ...plane.copy(cluster.instance),
    ],
  };

  const end = (job: LiveJob): Happening[] => {
    if (job.status !== undefined) return [];
    return [
      () => {
        const type = jobFailures-- > 0 ? 'Failed' : 'Complete';
        const condition: KubeCondition = { type, status: 'True', lastTransitionTime: iso(cluster.now) };
        Object.assign(job, { status: { conditions: [condition] } });
      },
    ];
  };

  return cluster;
}

function observedPod({ plane }: Parts, pod: SimulatedPod, now: number): ObservedPod {
  const { name, component, source, template, isReady, answers } = pod;
  const report = answers ? { status: plane.statusOf(pod, now) } : null;
  return playedPod({
    ...{ name, component, source, isReady, report, cpuShare: answers ? 0.5 : null },
    pod: {
      metadata: { name, labels: template.metadata.labels },
      spec: template.spec as never,
      status: { phase: answers ? 'Running' : 'Pending', ...(answers ? { podIP: '10.0.0.1' } : {}) },
    },
  });
}

function writeFinalizer(cluster: SimulatedCluster, { finalizer }: Decision): string[] {
  if (finalizer !== 'add') return [];
  const { metadata } = cluster.instance;
  cluster.instance = { ...cluster.instance, metadata: { ...metadata, finalizers: [FINALIZER] } };
  return ['finalizer'];
}

function writeObjects({ api, pods }: Parts, { instance, adminToken }: Observed, decision: Decision): string[] {
  const { storesToken, apply, create, scale, remove } = decision;
  const writes: string[] = [];
  if (storesToken) {
    writes.push('token');
    api.put({ type: SECRETS, object: adminSecret(instance, adminToken.token) as never, hash: '' });
  }
  const fresh = [
    ...apply.filter((item) => !isCurrent(api.find(item)?.object ?? null, item)),
    ...create.filter((item) => api.find(item) === undefined),
  ];
  for (const item of fresh) {
    writes.push(`apply ${item.type.kind} ${item.object.metadata.name}`);
    api.put(item);
  }
  for (const item of scale) {
    writes.push(`scale ${item.object.metadata.name}`);
    api.scale(item, item.replicas);
  }
  for (const item of remove) {
    const { name = '' } = item.object.metadata;
    writes.push(`remove ${item.type.kind} ${name}`);
    api.remove(item);
    pods.removeOf(name);
  }
  return writes;
}

function deploy({ plane }: Parts, { instance, now }: SimulatedCluster, decision: Decision): Memory {
  const { memory } = decision;
  if (decision.deploy === null) return memory;
  const { revision } = decision.deploy;
  return plane.deploy(instance, decision.deploy)
    ? { ...memory, deployed: { revision, atMs: now }, deployFailure: null }
    : { ...memory, deployFailure: { revision, code: null, message: 'It did not answer.', atMs: now } };
}

/** Secrets and ConfigMaps that the user has yet to make, but the operator's own. */
function sourcesOf(instance: SyncInstance): string[] {
  const admin = valueSource('Secret', names.adminSecret(instance.metadata.name));
  return requiredValues(instance)
    .map(({ kind, name }) => valueSource(kind, name))
    .filter((source) => source !== admin);
}

function valuesOf(instance: SyncInstance, missing: ReadonlySet<string>): Observed['values'] {
  const values = new Map<string, Map<string, ValueFact> | null>();
  for (const { kind, name, key } of requiredValues(instance)) {
    const source = valueSource(kind, name);
    const keys = values.get(source) ?? new Map<string, ValueFact>();
    values.set(source, missing.has(source) ? null : keys.set(key, { digest: `${source}/${key}`, bytes: 10 }));
  }
  return values;
}

/** What was seen does not change afterwards. */
const structuredCloneOf = (objects: readonly OwnedObject[]): OwnedObject[] =>
  objects.map(({ type, object }) => ({ type, object: structuredClone(object) }));
