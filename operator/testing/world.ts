/** One instance in a namespace of a real API server, with everything around it played; every request of the operator is counted and may be its last. */
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import type { Kube } from '../kube/contract.ts';
import { KubeError } from '../kube/kube-error.ts';
import { SYNC_INSTANCES } from '../kube/resource-types.ts';
import { createSecrets, instanceObject, readInstance, SERVED_TYPES, type Cluster } from './cluster.ts';
import { startDataPlane, type DataPlane } from './data-plane.ts';
import { createKubelet, type Kubelet } from './kubelet.ts';
import { createStepper, type Stepper, type StepperOptions } from './stepper.ts';

export const name = 'demo';

export interface World {
  readonly namespace: string;
  readonly plane: DataPlane;
  readonly kubelet: Kubelet;
  readonly writes: string[];
  /** Counts writes; throws before or after the request that `cutAt` names. */
  readonly kube: Kube;
  cutAt: { readonly request: number; readonly when: 'before' | 'after' } | null;
  requests: number;
  stepper(options?: Partial<StepperOptions>): Stepper;
  instance(): Promise<SyncInstance>;
  condition(type: string): Promise<{ status: string; reason: string; message: string } | undefined>;
  /** Looks and plays until nothing changes any more. */
  settle(stepper: Stepper): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** All requests of one process of the operator. */
function watched(kube: Kube, world: Pick<World, 'writes' | 'cutAt' | 'requests'>): Kube {
  const cut = async <T>(send: () => Promise<T>): Promise<T> => {
    const number = ++world.requests;
    const { request, when } = world.cutAt ?? { request: -1, when: 'before' };
    if (number === request && when === 'before') throw new KubeError('Unreachable', 'killed before');
    const answer = await send();
    if (number === request) throw new KubeError('Unreachable', 'killed after');
    return answer;
  };
  const write = <T>(what: string, send: () => Promise<T>): Promise<T> =>
    cut(() => {
      world.writes.push(what);
      return send();
    });
  return {
    get: (type, place) => cut(() => kube.get(type, place)),
    list: (type, selection) => kube.list(type, selection),
    watch: (type, selection) => kube.watch(type, selection),
    create: (type, object) => write(`create ${type.kind}`, () => kube.create(type, object)),
    replace: (type, object) => write(`replace ${type.kind}`, () => kube.replace(type, object)),
    apply: (type, object, options) =>
      write(`apply ${type.kind} ${object.metadata.name}`, () => kube.apply(type, object, options)),
    patch: (type, place, patch) => write(`patch ${type.kind}`, () => kube.patch(type, place, patch)),
    delete: (type, place, options) =>
      write(`delete ${type.kind} ${place.name}`, () => kube.delete(type, place, options)),
  };
}

export async function createWorld(cluster: Cluster): Promise<World> {
  const namespace = await cluster.namespace();
  const plane = await startDataPlane();
  const kubelet = createKubelet(cluster.kube, namespace, plane);
  const world: World = {
    ...{ namespace, plane, kubelet, writes: [], cutAt: null, requests: 0 },
    kube: null as never,
    stepper: (options) => createStepper({ kube: world.kube, namespace, plane, ...options }),
    async instance() {
      const found = await readInstance(cluster.kube, namespace, name);
      if (found === null) throw new Error('the instance is gone');
      return found;
    },
    condition: async (type) => (await world.instance()).status?.conditions?.find((item) => item.type === type),
    async settle(stepper) {
      for (let round = 0; round < 40; round++) {
        const before = world.writes.length;
        await stepper.look(name);
        const played = await kubelet.play();
        if (!played && world.writes.length === before) return;
      }
      throw new Error(`does not settle; the last writes: ${world.writes.slice(-12).join(', ')}`);
    },
    [Symbol.asyncDispose]: () => plane.close(),
  };
  Object.assign(world, { kube: watched(cluster.kube, world) });
  return world;
}

/** Everything of the operator's that is there, with versions. */
export async function versions(cluster: Cluster, { namespace }: World): Promise<Record<string, string>> {
  const types = [...SERVED_TYPES, SYNC_INSTANCES];
  const found = await Promise.all(
    types.map(async (type) =>
      (await cluster.kube.list(type, { namespace })).items.map(({ metadata }) => [
        `${type.kind}/${metadata.name}`,
        metadata.resourceVersion!,
      ]),
    ),
  );
  return Object.fromEntries(found.flat());
}

export async function createRunning(cluster: Cluster, spec: object = {}): Promise<World & { running: Stepper }> {
  const world = await createWorld(cluster);
  await createSecrets(cluster.kube, world.namespace);
  await cluster.kube.create(SYNC_INSTANCES, instanceObject(world.namespace, name, spec));
  const running = world.stepper();
  await world.settle(running);
  return Object.assign(world, { running });
}
