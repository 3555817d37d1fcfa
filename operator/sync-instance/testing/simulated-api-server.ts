/** The objects of one instance, as an API server would keep them. Part of simulated-cluster.ts. */
import type { KubeObject, ResourceType } from '../../kube/contract.ts';
import type { WantedObject } from '../decision.ts';
import type { LiveDeployment, LiveJob, OwnedObject } from '../observed.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Named = Pick<OwnedObject, 'type' | 'object'>;

export interface SimulatedApiServer {
  /** As they are now; the list itself lives on. */
  readonly objects: readonly OwnedObject[];
  of(type: ResourceType): KubeObject[];
  /** By kind and name. */
  find(item: Named): OwnedObject | undefined;
  /** Creates or replaces the object; status and uid stay, the generation grows. */
  put(item: WantedObject): void;
  /** Of a Deployment that is there. */
  scale(deployment: Named, replicas: number): void;
  remove(item: Named): void;
}

/** @param nextNumber never gives the same twice */
export function simulateApiServer(nextNumber: () => number): SimulatedApiServer {
  const objects: Mutable<OwnedObject>[] = [];

  const indexOf = ({ type, object }: Named): number =>
    objects.findIndex((item) => item.type === type && item.object.metadata.name === object.metadata.name);
  const find = (item: Named): Mutable<OwnedObject> | undefined => objects[indexOf(item)];

  return {
    objects,
    of: (type) => objects.filter((item) => item.type === type).map(({ object }) => object),
    find,
    put({ type, object }) {
      const live = find({ type, object });
      const { generation = 0, uid = `uid-${nextNumber()}` } = live?.object.metadata ?? {};
      const found: LiveJob | undefined = live?.object;
      const status = found?.status;
      const next = { ...structuredClone(object), ...(status === undefined ? {} : { status }) };
      Object.assign(next, { metadata: { ...next.metadata, uid, generation: generation + 1 } });
      if (live === undefined) objects.push({ type, object: next });
      else live.object = next;
    },
    scale(deployment, replicas) {
      const { metadata, spec } = find(deployment)!.object as LiveDeployment;
      Object.assign(find(deployment)!.object, {
        metadata: { ...metadata, generation: metadata.generation! + 1 },
        spec: { ...spec, replicas },
      });
    },
    remove(item) {
      const at = indexOf(item);
      if (at >= 0) objects.splice(at, 1);
    },
  };
}
