/**
 * What controllers and kubelet would do: there are none behind a bare API server. Plays the part that the operator sees: Deployments get pods and
 * status, Jobs end, owned objects of deleted owners go.
 */
import type { Kube, KubeObject, ResourceType } from '../kube/contract.ts';
import { DEPLOYMENTS, JOBS, PODS } from '../kube/resource-types.ts';
import { secondsOf } from '../sync-instance/conditions.ts';
import type { LiveDeployment, LiveJob, LivePod } from '../sync-instance/observed.ts';
import type { DataPlane } from './data-plane.ts';
import { collectGarbage } from './garbage-collector.ts';
import { conditionNow, createNode, writeStatus, type Node, type PodTemplate } from './node.ts';

export type JobOutcome = 'Complete' | 'Failed' | 'running';

export interface Kubelet {
  /** One round; true when something was changed. */
  play(): Promise<boolean>;
  /** How a Job ends. Default: well. */
  outcomeOf: (job: KubeObject) => JobOutcome;
  /** Whether pods of a Deployment become ready. Default: they do. */
  isReady: (deployment: KubeObject) => boolean;
}

interface PlayedDeployment extends LiveDeployment {
  readonly spec: LiveDeployment['spec'] & { readonly template: PodTemplate };
}

export function createKubelet(kube: Kube, namespace: string, plane: DataPlane): Kubelet {
  const node = createNode(kube, namespace, plane);
  const list = async (type: ResourceType): Promise<readonly KubeObject[]> =>
    (await kube.list(type, { namespace })).items;
  const kubelet: Kubelet = {
    outcomeOf: () => 'Complete',
    isReady: () => true,
    async play() {
      const pods = (await list(PODS)) as readonly LivePod[];
      let changed = false;
      for (const deployment of (await list(DEPLOYMENTS)) as readonly PlayedDeployment[])
        changed = (await playDeployment(node, deployment, pods, kubelet.isReady(deployment))) || changed;
      for (const job of (await list(JOBS)) as readonly LiveJob[])
        changed = (await playJob(kube, job, kubelet.outcomeOf)) || changed;
      return (await collectGarbage(node, list, pods)) || changed;
    },
  };
  return kubelet;
}

async function playDeployment(
  node: Node,
  deployment: PlayedDeployment,
  pods: readonly LivePod[],
  ready: boolean,
): Promise<boolean> {
  const { uid, generation } = deployment.metadata;
  const wanted = deployment.spec.replicas ?? 1;
  const own = pods.filter(({ metadata }) => metadata.ownerReferences?.[0]?.uid === uid);
  const changed = ready && (await replacePods(node, deployment, own, wanted));
  const count = ready ? wanted : own.length;
  const next = {
    observedGeneration: generation,
    ...{ replicas: count, updatedReplicas: ready ? wanted : 0, readyReplicas: count, availableReplicas: count },
  };
  const { status = {} } = deployment;
  const { observedGeneration, replicas = 0, updatedReplicas = 0, readyReplicas = 0, availableReplicas = 0 } = status;
  const before = { observedGeneration, replicas, updatedReplicas, readyReplicas, availableReplicas };
  if (JSON.stringify(before) === JSON.stringify(next)) return changed;
  await writeStatus(node.kube, DEPLOYMENTS, deployment, next);
  return true;
}

/** Pods of the present template in place of all others; true when there was something to do. */
async function replacePods(
  node: Node,
  deployment: PlayedDeployment,
  own: readonly LivePod[],
  wanted: number,
): Promise<boolean> {
  const { template } = deployment.spec;
  const hash = templateHash(template);
  const names = Array.from({ length: wanted }, (_, index) => `${deployment.metadata.name}-${hash}-${index}`);
  const surplus = own.filter(({ metadata }) => !names.includes(metadata.name!));
  const missing = names.filter((name) => !own.some(({ metadata }) => metadata.name === name));
  for (const pod of surplus) await node.stopPod(pod);
  for (const name of missing) await node.startPod(name, deployment, DEPLOYMENTS, template);
  return surplus.length + missing.length > 0;
}

async function playJob(kube: Kube, job: LiveJob, outcomeOf: Kubelet['outcomeOf']): Promise<boolean> {
  if ((job.status?.conditions ?? []).length > 0) return false;
  const outcome = outcomeOf(job);
  if (outcome === 'running') return false;
  const now = secondsOf(Date.now());
  const isGood = outcome === 'Complete';
  await writeStatus(kube, JOBS, job, {
    startTime: now,
    ...(isGood ? { completionTime: now, succeeded: 1 } : { failed: 1 }),
    conditions: [
      conditionNow(isGood ? 'SuccessCriteriaMet' : 'FailureTarget'),
      {
        ...conditionNow(outcome),
        reason: isGood ? 'Done' : 'BackoffLimitExceeded',
        message: isGood ? '' : 'Job has reached the specified backoff limit',
      },
    ],
  });
  return true;
}

function templateHash(template: object): string {
  let hash = 0;
  for (const character of JSON.stringify(template)) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) >>> 0;
  return hash.toString(36);
}
