/** Pods on a node that is played: each has an address at which the played data plane answers. */
import type { Kube, KubeObject, ResourceType } from '../kube/contract.ts';
import { PODS } from '../kube/resource-types.ts';
import { secondsOf } from '../sync-instance/conditions.ts';
import { LABEL_SOURCE } from '../sync-instance/desired/labels.ts';
import type { KubeCondition, LivePod } from '../sync-instance/observed.ts';
import { leaseOf, type DataPlane } from './data-plane.ts';

export interface PodTemplate {
  readonly metadata: KubeObject['metadata'];
  readonly spec: object;
}

export interface Node {
  readonly kube: Kube;
  readonly namespace: string;
  /** A pod that runs and is ready at once. */
  startPod(name: string, owner: KubeObject, type: ResourceType, template: PodTemplate): Promise<void>;
  stopPod(pod: LivePod): Promise<void>;
}

export function createNode(kube: Kube, namespace: string, plane: DataPlane): Node {
  let address = 1;
  return {
    kube,
    namespace,
    async startPod(name, owner, type, template) {
      const { labels, annotations } = template.metadata;
      const metadata = {
        ...{ name, namespace, ownerReferences: [controllerOf(type, owner)] },
        ...(labels ? { labels } : {}),
        ...(annotations ? { annotations } : {}),
      };
      const pod = await kube.create(PODS, { metadata, spec: template.spec } as KubeObject);
      const ip = `127.9.${Math.floor(address / 250)}.${(address++ % 250) + 1}`;
      const component = labels?.['app.kubernetes.io/component'] ?? '';
      plane.pods.set(ip, { name, component, source: labels?.[LABEL_SOURCE] ?? '' });
      const conditions = [conditionNow('Ready')];
      await writeStatus(kube, PODS, pod, { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions });
    },
    async stopPod({ metadata, status }) {
      const ip = status?.podIP;
      const played = ip === undefined ? undefined : plane.pods.get(ip);
      if (ip !== undefined) plane.pods.delete(ip);
      if (played !== undefined && plane.leaders.get(leaseOf(played.name)) === played.name)
        plane.leaders.delete(leaseOf(played.name));
      await kube.delete(PODS, { namespace, name: metadata.name! }, { propagation: 'Background' });
    },
  };
}

/** As a controller or the kubelet writes it. */
export async function writeStatus(kube: Kube, type: ResourceType, object: KubeObject, status: object): Promise<void> {
  const { name, namespace } = object.metadata;
  const patched = { metadata: { name: name!, namespace: namespace! }, status };
  await kube.apply(type, patched, { fieldManager: 'kubelet', force: true, subresource: 'status' });
}

/** One that has just come to hold. */
export function conditionNow(type: string): KubeCondition {
  return { type, status: 'True', lastTransitionTime: secondsOf(Date.now()) };
}

function controllerOf({ apiVersion, kind }: ResourceType, { metadata }: KubeObject) {
  return { apiVersion, kind, name: metadata.name!, uid: metadata.uid!, controller: true };
}
