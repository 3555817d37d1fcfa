/**
 * What controllers and kubelet would do: there are none behind a bare API server. Plays the part that the operator sees: Deployments get pods and
 * status, Jobs end, owned objects of deleted owners go.
 */
import type { Kube, KubeObject, ResourceType } from '../kube/contract.ts';
import { DEPLOYMENTS, JOBS, OWNED_TYPES, PODS, SYNC_INSTANCES } from '../kube/resource-types.ts';
import { LABEL_SOURCE } from '../sync-instance/desired/labels.ts';
import type { LiveDeployment, LiveJob, LivePod } from '../sync-instance/observed.ts';
import { leaseOf, type DataPlane } from './data-plane.ts';

export type JobOutcome = 'Complete' | 'Failed' | 'running';

export interface Kubelet {
  /** One round; true when something was changed. */
  play(): Promise<boolean>;
  /** How a Job ends. Default: well. */
  outcomeOf: (job: KubeObject) => JobOutcome;
  /** Whether pods of a Deployment become ready. Default: they do. */
  isReady: (deployment: KubeObject) => boolean;
}

interface Template extends KubeObject {
  readonly spec: LiveDeployment['spec'] & {
    readonly template: { readonly metadata: KubeObject['metadata']; readonly spec: object };
  };
}

export function createKubelet(kube: Kube, namespace: string, plane: DataPlane): Kubelet {
  let address = 1;
  const status = async (type: ResourceType, object: KubeObject, body: object): Promise<void> => {
    const { name } = object.metadata;
    const patched = { metadata: { name: name!, namespace }, status: body };
    await kube.apply(type, patched, { fieldManager: 'kubelet', force: true, subresource: 'status' });
  };

  const startPod = async (
    name: string,
    owner: KubeObject,
    template: Template['spec']['template'],
    type: ResourceType,
  ): Promise<void> => {
    const { uid } = owner.metadata;
    const ownerReferences = [
      { apiVersion: type.apiVersion, kind: type.kind, name: owner.metadata.name!, uid: uid!, controller: true },
    ];
    const { labels, annotations } = template.metadata;
    const metadata = {
      name,
      namespace,
      ownerReferences,
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
    };
    const pod = await kube.create(PODS, { ...{ metadata }, spec: template.spec } as KubeObject);
    const ip = `127.9.${Math.floor(address / 250)}.${(address++ % 250) + 1}`;
    const component = labels?.['app.kubernetes.io/component'] ?? '';
    plane.pods.set(ip, { name, component, source: labels?.[LABEL_SOURCE] ?? '' });
    await status(PODS, pod, { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [condition('Ready', true)] });
  };

  const stopPod = async (pod: LivePod): Promise<void> => {
    const ip = pod.status?.podIP;
    const played = ip === undefined ? undefined : plane.pods.get(ip);
    if (ip !== undefined) plane.pods.delete(ip);
    if (played !== undefined && plane.leaders.get(leaseOf(played.name)) === played.name)
      plane.leaders.delete(leaseOf(played.name));
    await kube.delete(PODS, { namespace, name: pod.metadata.name! }, { propagation: 'Background' });
  };

  const kubelet: Kubelet = {
    outcomeOf: () => 'Complete',
    isReady: () => true,
    async play() {
      const list = async (type: ResourceType): Promise<readonly KubeObject[]> =>
        (await kube.list(type, { namespace })).items;
      const pods = (await list(PODS)) as readonly LivePod[];
      let changed = false;
      for (const deployment of (await list(DEPLOYMENTS)) as readonly Template[])
        changed = (await playDeployment(deployment, pods)) || changed;
      for (const job of (await list(JOBS)) as readonly LiveJob[]) changed = (await playJob(job)) || changed;
      return (await collectGarbage(list, pods)) || changed;
    },
  };

  async function playDeployment(deployment: Template, pods: readonly LivePod[]): Promise<boolean> {
    const { name, uid, generation } = deployment.metadata;
    const wanted = deployment.spec.replicas ?? 1;
    const hash = templateHash(deployment.spec.template);
    const own = pods.filter(({ metadata }) => metadata.ownerReferences?.[0]?.uid === uid);
    const current = own.filter(({ metadata }) => metadata.name!.startsWith(`${name}-${hash}-`));
    const ready = kubelet.isReady(deployment);
    let changed = false;
    if (ready) {
      const names = Array.from({ length: wanted }, (_, index) => `${name}-${hash}-${index}`);
      for (const pod of own.filter(({ metadata }) => !names.includes(metadata.name!))) {
        await stopPod(pod);
        changed = true;
      }
      for (const missing of names.filter((name) => !current.some(({ metadata }) => metadata.name === name))) {
        await startPod(missing, deployment, deployment.spec.template, DEPLOYMENTS);
        changed = true;
      }
    }
    const count = ready ? wanted : own.length;
    const next = {
      observedGeneration: generation,
      ...{ replicas: count, updatedReplicas: ready ? wanted : 0, readyReplicas: count, availableReplicas: count },
    };
    const { observedGeneration, replicas, updatedReplicas, readyReplicas, availableReplicas } =
      (deployment as LiveDeployment).status ?? {};
    const before = {
      observedGeneration,
      replicas: replicas ?? 0,
      updatedReplicas: updatedReplicas ?? 0,
      readyReplicas: readyReplicas ?? 0,
      availableReplicas: availableReplicas ?? 0,
    };
    if (JSON.stringify(before) === JSON.stringify(next)) return changed;
    await status(DEPLOYMENTS, deployment, next);
    return true;
  }

  async function playJob(job: LiveJob): Promise<boolean> {
    if ((job.status?.conditions ?? []).length > 0) return false;
    const outcome = kubelet.outcomeOf(job);
    if (outcome === 'running') return false;
    const now = new Date().toISOString().replace(/\.\d+Z/, 'Z');
    const isGood = outcome === 'Complete';
    const before = isGood ? 'SuccessCriteriaMet' : 'FailureTarget';
    await status(JOBS, job, {
      startTime: now,
      ...(isGood ? { completionTime: now, succeeded: 1 } : { failed: 1 }),
      conditions: [
        condition(before, true),
        {
          ...condition(outcome, true),
          reason: isGood ? 'Done' : 'BackoffLimitExceeded',
          message: isGood ? '' : 'Job has reached the specified backoff limit',
        },
      ],
    });
    return true;
  }

  async function collectGarbage(
    list: (type: ResourceType) => Promise<readonly KubeObject[]>,
    pods: readonly LivePod[],
  ): Promise<boolean> {
    const types = OWNED_TYPES.filter(({ apiVersion }) => !/gateway|monitoring/.test(apiVersion));
    const owned = (
      await Promise.all(types.map(async (type) => (await list(type)).map((object) => ({ type, object }))))
    ).flat();
    const instances = await list(SYNC_INSTANCES);
    const alive = new Set([...instances, ...owned.map(({ object }) => object)].map(({ metadata }) => metadata.uid));
    let changed = false;
    for (const { type, object } of [
      ...owned,
      ...pods.map((object) => ({ type: PODS, object: object as KubeObject })),
    ]) {
      const [owner] = object.metadata.ownerReferences ?? [];
      const finalizers = object.metadata.finalizers ?? [];
      if (object.metadata.deletionTimestamp !== undefined && finalizers.length > 0) {
        await kube.patch(type, { namespace, name: object.metadata.name! }, { metadata: { finalizers: null } });
        changed = true;
      } else if (owner !== undefined && !alive.has(owner.uid)) {
        if (type === PODS) await stopPod(object);
        else await kube.delete(type, { namespace, name: object.metadata.name! }, { propagation: 'Background' });
        changed = true;
      }
    }
    return changed;
  }

  return kubelet;
}

const condition = (type: string, holds: boolean): object => ({
  type,
  status: holds ? 'True' : 'False',
  lastTransitionTime: new Date().toISOString().replace(/\.\d+Z/, 'Z'),
});

function templateHash(template: object): string {
  let hash = 0;
  for (const character of JSON.stringify(template)) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) >>> 0;
  return hash.toString(36);
}
