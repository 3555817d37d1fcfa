import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kubePrograms } from '#test/services/kube-programs.ts';
import type { KubeObject } from '../kube/contract.ts';
import { EVENTS, SYNC_INSTANCES } from '../kube/resource-types.ts';
import { instanceObject, readInstance, startCluster, type Cluster } from '../testing/cluster.ts';
import { createRunning, createWorld, name, versions, type World } from '../testing/world.ts';

// The API server is a real one. There is no kubelet and there are no controllers: operator/testing plays them, and the data plane.
const programs = await kubePrograms();
const missing = typeof programs === 'string' ? ` (${programs})` : '';
let cluster: Cluster;

beforeAll(async () => {
  if (missing === '') cluster = await startCluster();
});
afterAll(() => cluster?.close());

describe.skipIf(missing !== '')(`deletion${missing}`, () => {
  const remove = (world: World): Promise<void> =>
    cluster.kube.delete(SYNC_INSTANCES, { namespace: world.namespace, name }, { propagation: 'Background' });
  const isGone = async (world: World): Promise<boolean> =>
    (await readInstance(cluster.kube, world.namespace, name)) === null;
  const isTeardown = (job: KubeObject): boolean => job.metadata.name === 'demo-teardown';

  test('stops everything, then tears down, then goes; nothing is left', async () => {
    await using world = await createRunning(cluster);
    let podsAtTeardown: number | null = null;
    world.kubelet.outcomeOf = (job) => {
      if (isTeardown(job)) podsAtTeardown = world.plane.pods.size;
      return 'Complete';
    };
    await remove(world);
    await world.settle(world.running);
    expect(await isGone(world)).toBe(true);
    expect(podsAtTeardown).toBe(0);
    const left = Object.keys(await versions(cluster, world));
    expect(left.filter((key) => !/^Secret\/(pg|storage)$/.test(key))).toEqual([]);
  });

  test('a teardown that does not end is given up after its time, with a warning', async () => {
    await using world = await createRunning(cluster, { deletion: { timeoutSeconds: 60 } });
    world.kubelet.outcomeOf = (job) => (isTeardown(job) ? 'running' : 'Complete');
    let ahead = 0;
    const stepper = world.stepper({ aheadMs: () => ahead });
    await remove(world);
    await world.settle(stepper);
    expect(await isGone(world)).toBe(false);
    expect(await world.condition('Ready')).toMatchObject({ reason: 'Deleting' });
    ahead = 61_000;
    await world.settle(stepper);
    expect(await isGone(world)).toBe(true);
    const events = (await cluster.kube.list(EVENTS, { namespace: world.namespace })).items as readonly {
      reason?: string;
      type?: string;
      note?: string;
    }[];
    expect(events.find(({ reason }) => reason === 'TeardownTimedOut')).toMatchObject({
      type: 'Warning',
      note: expect.stringContaining('may be left behind'),
    });
  });

  test('the annotation skips it; an instance that never began has nothing to tear down', async () => {
    await using world = await createRunning(cluster);
    const jobs: string[] = [];
    world.kubelet.outcomeOf = (job) => {
      jobs.push(job.metadata.name!);
      return 'Complete';
    };
    const annotations = { 'millrace.dev/skip-teardown': 'true' };
    await cluster.kube.patch(SYNC_INSTANCES, { namespace: world.namespace, name }, { metadata: { annotations } });
    await remove(world);
    await world.settle(world.running);
    expect(await isGone(world)).toBe(true);

    await using other = await createWorld(cluster);
    await cluster.kube.create(SYNC_INSTANCES, instanceObject(other.namespace, name));
    const stepper = other.stepper();
    await other.settle(stepper);
    await remove(other);
    await other.settle(stepper);
    expect(await isGone(other)).toBe(true);
    expect(jobs).toEqual([]);
  });
});
