/** What becomes of objects whose owner is gone, and of those that wait for a finalizer of Kubernetes' own. */
import type { KubeObject, ResourceType } from '../kube/contract.ts';
import { PODS, SYNC_INSTANCES } from '../kube/resource-types.ts';
import type { LivePod } from '../sync-instance/observed.ts';
import { SERVED_TYPES } from './cluster.ts';
import type { Node } from './node.ts';

interface Item {
  readonly type: ResourceType;
  readonly object: KubeObject;
}

/** One round; true when something was changed. */
export async function collectGarbage(
  node: Node,
  list: (type: ResourceType) => Promise<readonly KubeObject[]>,
  pods: readonly LivePod[],
): Promise<boolean> {
  const owned = (
    await Promise.all(SERVED_TYPES.map(async (type) => (await list(type)).map((object): Item => ({ type, object }))))
  ).flat();
  const instances = await list(SYNC_INSTANCES);
  const alive = new Set([...instances, ...owned.map(({ object }) => object)].map(({ metadata }) => metadata.uid));
  let changed = false;
  for (const item of [...owned, ...pods.map((object): Item => ({ type: PODS, object }))])
    changed = (await collect(node, item, alive)) || changed;
  return changed;
}

async function collect(node: Node, { type, object }: Item, alive: ReadonlySet<string | undefined>): Promise<boolean> {
  const { name, deletionTimestamp, finalizers = [], ownerReferences = [] } = object.metadata;
  const place = { namespace: node.namespace, name: name! };
  if (deletionTimestamp !== undefined && finalizers.length > 0) {
    await node.kube.patch(type, place, { metadata: { finalizers: null } });
    return true;
  }
  const [owner] = ownerReferences;
  if (owner === undefined || alive.has(owner.uid)) return false;
  if (type === PODS) await node.stopPod(object);
  else await node.kube.delete(type, place, { propagation: 'Background' });
  return true;
}
