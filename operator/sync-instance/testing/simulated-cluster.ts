/**
 * A cluster and a data plane in memory, for the pure parts: what `decide` asks for is done at once, everything else happens when a test says so, in any
 * order. Nothing depends on time or chance but what is passed in.
 */
import { syncConfigRevision } from '#core/platform/status/revision.ts';
import type { SourcePartStatus, SyncConfigPartStatus } from '#core/platform/status/contract.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { DEPLOYMENTS, JOBS, SECRETS } from '../../kube/resource-types.ts';
import type { Decision, WantedObject } from '../decision.ts';
import { adminSecret, requiredValues } from '../desired/desired.ts';
import { LABEL_SOURCE } from '../desired/labels.ts';
import { names } from '../desired/names.ts';
import { FINALIZER } from '../finalizer.ts';
import { valueSource, type KubeCondition, type Memory, type ObservedPod } from '../observed.ts';
import type { LiveDeployment, LiveJob, Observed, OwnedObject, ValueFact } from '../observed.ts';
import { isCurrent } from '../workloads.ts';
import { iso, lookAt, NOON, partStatus, playedPod, sourcePart, versionOf } from './played-pods.ts';

export interface SimulationOptions {
  readonly instance: SyncInstance;
  /** So many Jobs fail before one succeeds, and so many deployments of a sync config are refused before one is accepted. */
  readonly jobFailures: number;
  readonly refusals: number;
  /** Clients of all API workers together. */
  readonly clients: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Template = Required<LiveDeployment['spec']>['template'] & { metadata: { labels: Record<string, string> } };

interface SimulatedPod {
  readonly name: string;
  readonly owner: string;
  readonly template: Template;
  /** Of the template: pods of equal templates are of one revision. */
  readonly revision: string;
  isReady: boolean;
  /** It has an address and answers. */
  answers: boolean;
}

export interface SimulatedCluster {
  now: number;
  instance: SyncInstance;
  readonly owned: readonly OwnedObject[];
  observe(memory: Memory): Observed;
  /** Does what is decided. Tells what was written (and asked of the data plane), and what the next look has to know. */
  carryOut(observed: Observed, decision: Decision): { readonly writes: readonly string[]; readonly memory: Memory };
  /** What may happen by itself now, each as something that makes it happen. In one order. */
  possible(): readonly (() => void)[];
}

/** The states of a source on the way; storage knows how far it is. */
const WAY: readonly SourcePartStatus['state'][] = ['Pending', 'Copying', 'CatchingUp', 'Streaming'];

export function simulateCluster(options: SimulationOptions): SimulatedCluster {
  const objects: Mutable<OwnedObject>[] = [];
  let pods: SimulatedPod[] = [];
  let versions: SyncConfigPartStatus[] = [];
  let { jobFailures, refusals } = options;
  let count = 0;
  const missing = new Set(sourcesOf(options.instance));
  const progress = new Map<string, number>();

  const find = ({ type, object }: Pick<WantedObject, 'type' | 'object'>) =>
    objects.find((item) => item.type === type && item.object.metadata.name === object.metadata.name);
  const put = ({ type, object }: WantedObject): void => {
    const live = find({ type, object });
    const { generation = 0, uid = `uid-${++count}` } = live?.object.metadata ?? {};
    const found: LiveJob | undefined = live?.object;
    const status = found?.status;
    const next = { ...structuredClone(object), ...(status === undefined ? {} : { status }) };
    Object.assign(next, { metadata: { ...next.metadata, uid, generation: generation + 1 } });
    if (live === undefined) objects.push({ type, object: next });
    else live.object = next;
  };
  const drop = (name: string | undefined, kind: string): void => {
    const at = objects.findIndex(({ type, object }) => type.kind === kind && object.metadata.name === name);
    if (at >= 0) objects.splice(at, 1);
    pods = pods.filter(({ owner }) => owner !== name);
  };

  const observedPod = ({ name, owner, template, isReady, answers }: SimulatedPod): ObservedPod => {
    const component = template.metadata.labels['app.kubernetes.io/component'] ?? '';
    const source = template.metadata.labels[LABEL_SOURCE] ?? '';
    const alike = pods.filter((pod) => pod.owner === owner);
    const workers = alike.filter((pod) => pod.answers).length;
    const connections = component === 'api' ? options.clients / Math.max(1, workers) : 0;
    const isLeader = alike.find((pod) => pod.answers)?.name === name;
    const step = progress.get(source) ?? 0;
    const status = partStatus({
      ...{ role: component === 'api' ? 'api' : 'sync', observedAt: iso(cluster.now), syncConfig: versions },
      storage: { reachable: true, error: null, observedAt: iso(cluster.now) },
      api: component === 'api' ? { connections, connectionLimit: 10_000, draining: false } : null,
      sources: component === 'api' ? [] : [sourcePart({ tag: source, leader: isLeader, state: WAY[step]! })],
    });
    return playedPod({
      ...{ name, component, source, isReady, report: answers ? { status } : null, cpuShare: answers ? 0.5 : null },
      pod: {
        metadata: { name, labels: template.metadata.labels },
        spec: template.spec as never,
        status: { phase: answers ? 'Running' : 'Pending', ...(answers ? { podIP: '10.0.0.1' } : {}) },
      },
    });
  };

  const deploy = ({ text, revision }: NonNullable<Decision['deploy']>): void => {
    if (syncConfigRevision(text) !== revision) throw new Error('the revision is that of another text');
    const version = versionOf(cluster.instance, text, { version: ++count, state: 'processing' });
    versions = [version, ...versions.filter(({ state }) => state === 'active')];
  };

  const cluster: SimulatedCluster = {
    ...{ now: NOON, instance: options.instance, owned: objects },
    observe(memory) {
      const { instance } = cluster;
      const secret = objects.some(({ type }) => type === SECRETS);
      const values = valuesOf(instance, missing);
      return lookAt(instance, {
        ...{ now: cluster.now, values, memory, adminToken: { token: 'token', exists: secret } },
        ...{ owned: structuredCloneOf(objects), pods: pods.map(observedPod) },
      });
    },
    carryOut(observed, decision) {
      const writes: string[] = [];
      const { apply, create, scale, remove } = decision;
      if (decision.finalizer === 'add') {
        writes.push('finalizer');
        const { metadata } = cluster.instance;
        cluster.instance = { ...cluster.instance, metadata: { ...metadata, finalizers: [FINALIZER] } };
      }
      if (decision.storesToken) {
        writes.push('token');
        const object = adminSecret(cluster.instance, observed.adminToken.token) as never;
        put({ type: SECRETS, object, hash: '' });
      }
      const fresh = [
        ...apply.filter((item) => !isCurrent(find(item)?.object ?? null, item)),
        ...create.filter((item) => find(item) === undefined),
      ];
      for (const item of fresh) {
        writes.push(`apply ${item.type.kind} ${item.object.metadata.name}`);
        put(item);
      }
      for (const { type, object, replicas } of scale) {
        writes.push(`scale ${object.metadata.name}`);
        const live = objects.find((item) => item.type === type && item.object.metadata.name === object.metadata.name)!;
        const { metadata, spec } = live.object as LiveDeployment;
        Object.assign(live.object, {
          metadata: { ...metadata, generation: metadata.generation! + 1 },
          spec: { ...spec, replicas },
        });
      }
      for (const { type, object } of remove) {
        writes.push(`remove ${type.kind} ${object.metadata.name}`);
        drop(object.metadata.name, type.kind);
      }
      let { memory } = decision;
      if (decision.deploy !== null) {
        writes.push('deploy');
        const { revision } = decision.deploy;
        if (refusals-- > 0) {
          const failure = { revision, code: null, message: 'It did not answer.', atMs: cluster.now };
          memory = { ...memory, deployFailure: failure };
        } else {
          deploy(decision.deploy);
          memory = { ...memory, deployed: { revision, atMs: cluster.now }, deployFailure: null };
        }
      }
      if (JSON.stringify(cluster.instance.status) !== JSON.stringify(decision.status)) {
        writes.push('status');
        cluster.instance = { ...cluster.instance, status: structuredClone(decision.status) };
      }
      return { writes, memory };
    },
    possible: () => [
      ...[...missing].map((source) => () => void missing.delete(source)),
      ...objects.filter(({ type }) => type === DEPLOYMENTS).flatMap(({ object }) => rollOut(object as LiveDeployment)),
      ...objects.filter(({ type }) => type === JOBS).flatMap(({ object }) => end(object as LiveJob)),
      ...pods.filter(({ answers }) => !answers).map((pod) => () => void (pod.answers = true)),
      ...copy(),
    ],
  };

  /** First the controller sees what is desired and makes pods, then they become ready, and then the old ones go. */
  function rollOut(live: LiveDeployment): (() => void)[] {
    const { name = '', generation } = live.metadata;
    const { replicas = 1, template } = live.spec;
    const key = JSON.stringify(template);
    const isNew = (pod: SimulatedPod): boolean => pod.revision === key;
    const own = pods.filter(({ owner }) => owner === name);
    const current = own.filter(isNew);
    const report = (): void => {
      const now = pods.filter(({ owner }) => owner === name);
      const ready = now.filter(({ isReady }) => isReady).length;
      const status = {
        observedGeneration: generation,
        replicas: now.length,
        updatedReplicas: now.filter(isNew).length,
      };
      Object.assign(live, { status: { ...status, readyReplicas: ready, availableReplicas: ready } });
    };
    if (live.status?.observedGeneration !== generation || current.length < replicas)
      return [
        () => {
          for (let more = current.length; more < replicas; more++)
            pods.push({
              ...{ name: `${name}-${++count}`, owner: name, template: template as Template, revision: key },
              ...{ isReady: false, answers: false },
            });
          report();
        },
      ];
    const waiting = current.find(({ isReady }) => !isReady);
    if (waiting !== undefined)
      return [
        () => {
          waiting.isReady = true;
          report();
        },
      ];
    const surplus = [...own.filter((pod) => !isNew(pod)), ...current.slice(replicas)];
    if (surplus.length === 0) return [];
    return [
      () => {
        pods = pods.filter((pod) => !surplus.includes(pod));
        report();
      },
    ];
  }

  function end(job: LiveJob): (() => void)[] {
    if (job.status !== undefined) return [];
    return [
      () => {
        const type = jobFailures-- > 0 ? 'Failed' : 'Complete';
        const condition: KubeCondition = { type, status: 'True', lastTransitionTime: iso(cluster.now) };
        Object.assign(job, { status: { conditions: [condition] } });
      },
    ];
  }

  /** A version becomes active when all sources have copied; a source goes on when a pod of it answers. */
  function copy(): (() => void)[] {
    const sources = cluster.instance.spec.sources.map(({ name }) => name);
    const led = sources.filter((name) =>
      pods.some(({ answers, owner }) => answers && owner === names.replicator(cluster.instance.metadata.name, name)),
    );
    const [newest] = versions;
    const last = newest === undefined ? 0 : newest.state === 'processing' ? 2 : 3;
    const steps = led
      .filter((name) => (progress.get(name) ?? 0) < last)
      .map((name) => () => void progress.set(name, (progress.get(name) ?? 0) + 1));
    const isCopied = newest?.state === 'processing' && sources.every((name) => (progress.get(name) ?? 0) >= 2);
    const activate = (): void => {
      versions = [{ ...newest!, state: 'active' }];
    };
    return isCopied ? [...steps, activate] : steps;
  }

  return cluster;
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
