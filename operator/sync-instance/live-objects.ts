/** What several decisions ask of objects that are there. */
import type { KubeObject, ResourceType } from '../kube/contract.ts';
import type { KubeCondition, LivePod, ObservedPod, OwnedObject } from './observed.ts';

/** The object of this kind and name. */
export function ownedObject(
  owned: readonly OwnedObject[],
  type: ResourceType,
  name: string | undefined,
): KubeObject | undefined {
  return owned.find((item) => item.type === type && item.object.metadata.name === name)?.object;
}

/** The condition, if it is `True`. */
export function trueCondition(
  conditions: readonly KubeCondition[] | undefined,
  type: string,
): KubeCondition | undefined {
  return conditions?.find((condition) => condition.type === type && condition.status === 'True');
}

/** None of its containers runs any more; an evicted pod stays so for a while. */
export function hasEnded({ status }: LivePod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

/** By the time at which they were made; those of unknown age come last. */
export function newestFirst(pods: readonly ObservedPod[]): ObservedPod[] {
  const madeAt = ({ pod }: ObservedPod): string => pod.metadata.creationTimestamp ?? '';
  return pods.toSorted((a, b) => (madeAt(a) < madeAt(b) ? 1 : -1));
}
