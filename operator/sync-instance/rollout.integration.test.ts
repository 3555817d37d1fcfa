import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kubePrograms } from '#test/services/kube-programs.ts';
import type { KubeObject } from '../kube/contract.ts';
import { DEPLOYMENTS, JOBS, SERVICES, SYNC_INSTANCES } from '../kube/resource-types.ts';
import { createSecrets, instanceObject, startCluster, type Cluster } from '../testing/cluster.ts';
import { createRunning, createWorld, name, type World } from '../testing/world.ts';
import type { LiveDeployment } from './observed.ts';

// The API server is a real one. There is no kubelet and there are no controllers: operator/testing plays them, and the data plane.
const programs = await kubePrograms();
const missing = typeof programs === 'string' ? ` (${programs})` : '';
let cluster: Cluster;

beforeAll(async () => {
  if (missing === '') cluster = await startCluster();
});
afterAll(() => cluster?.close());

const patchSpec = (world: World, spec: object): Promise<KubeObject> =>
  cluster.kube.patch(SYNC_INSTANCES, { namespace: world.namespace, name }, { spec });

const api = (world: World): Promise<LiveDeployment | null> =>
  cluster.kube.get<LiveDeployment>(DEPLOYMENTS, { namespace: world.namespace, name: `${name}-api` });

describe.skipIf(missing !== '')(`roll-outs${missing}`, () => {
  test('an upgrade migrates, then replaces the replicators, then the API workers; a failed migration stops it', async () => {
    await using world = await createRunning(cluster);
    const imagesOf = async (): Promise<Record<string, string | undefined>> => {
      const { items } = await cluster.kube.list(DEPLOYMENTS, { namespace: world.namespace });
      return Object.fromEntries(
        (items as readonly LiveDeployment[]).map(({ metadata, spec }) => [
          metadata.name,
          spec.template?.spec?.containers?.[0]?.image,
        ]),
      );
    };
    const [old, next] = ['registry.example.com/millrace:1', 'registry.example.com/millrace:2'];
    world.kubelet.outcomeOf = (job) =>
      job.metadata.labels?.['app.kubernetes.io/component'] === 'migration' ? 'Failed' : 'Complete';
    await patchSpec(world, { image: { tag: '2' } });
    let ahead = 0;
    const stepper = world.stepper({ aheadMs: () => ahead });
    await world.settle(stepper);
    expect(await imagesOf()).toEqual({ 'demo-api': old, 'demo-replicator-default': old });
    expect(await world.condition('StorageReady')).toMatchObject({ status: 'False', reason: 'MigrationFailed' });
    expect(await world.condition('Progressing')).toMatchObject({ status: 'False', reason: 'MigrationFailed' });
    expect(await world.condition('Ready')).toMatchObject({ status: 'True' });

    // A minute later it is tried again. Replicators do not get ready: workers wait.
    world.kubelet.outcomeOf = () => 'Complete';
    world.kubelet.isReady = ({ metadata }) => metadata.name !== 'demo-replicator-default';
    ahead = 120_000;
    await world.settle(stepper);
    expect(await imagesOf()).toEqual({ 'demo-api': old, 'demo-replicator-default': next });
    expect(await world.condition('Progressing')).toMatchObject({ status: 'True', reason: 'RollingOut' });
    // Meanwhile the workers still follow their number.
    await patchSpec(world, { api: { replicas: 3 } });
    await world.settle(stepper);
    expect((await api(world))?.spec.replicas).toBe(3);
    expect((await imagesOf())['demo-api']).toBe(old);

    world.kubelet.isReady = () => true;
    await world.settle(stepper);
    expect(await imagesOf()).toEqual({ 'demo-api': next, 'demo-replicator-default': next });
    expect((await world.instance()).status).toMatchObject({ image: next, storage: { migratedImage: next } });
    const jobs = (await cluster.kube.list(JOBS, { namespace: world.namespace })).items;
    expect(jobs.length).toBe(1);
  });

  test('paused: nothing is changed, the status goes on', async () => {
    await using world = await createRunning(cluster);
    await patchSpec(world, { paused: true, api: { replicas: 5 } });
    world.writes.length = 0;
    await world.settle(world.running);
    expect(world.writes.filter((write) => !/SyncInstance|Event/.test(write))).toEqual([]);
    expect(await world.condition('Progressing')).toMatchObject({ status: 'False', reason: 'Paused' });
    await patchSpec(world, { paused: false });
    await world.settle(world.running);
    expect((await api(world))?.spec.replicas).toBe(5);
  });

  test('what the cluster has no API for (Gateway, Prometheus operator) is left out, and named', async () => {
    const httpRoute = { parentRefs: [{ name: 'gateway' }] };
    await using world = await createRunning(cluster, {
      api: { httpRoute },
      telemetry: { podMonitor: { enabled: true } },
    });
    expect(await world.condition('Ready')).toMatchObject({ status: 'True' });
    expect(await world.condition('Progressing')).toMatchObject({
      status: 'False',
      reason: 'KindNotServed',
      message: expect.stringContaining('HTTPRoute demo-api (and 1 more)'),
    });
  });

  test('a foreign object of equal name is left alone, and named', async () => {
    await using world = await createWorld(cluster);
    const foreign = {
      metadata: { namespace: world.namespace, name: 'demo-api' },
      spec: { ports: [{ port: 1234 }], selector: { app: 'other' } },
    } as KubeObject;
    await cluster.kube.create(SERVICES, foreign);
    const before = await cluster.kube.get(SERVICES, { namespace: world.namespace, name: 'demo-api' });
    await createSecrets(cluster.kube, world.namespace);
    await cluster.kube.create(SYNC_INSTANCES, instanceObject(world.namespace, name));
    const stepper = world.stepper();
    await world.settle(stepper);
    expect(await cluster.kube.get(SERVICES, { namespace: world.namespace, name: 'demo-api' })).toEqual(before);
    expect(await world.condition('Progressing')).toMatchObject({
      status: 'False',
      reason: 'NameTaken',
      message: expect.stringContaining('Service demo-api'),
    });
    await cluster.kube.delete(SYNC_INSTANCES, { namespace: world.namespace, name }, { propagation: 'Background' });
    await world.settle(stepper);
    expect(await cluster.kube.get(SERVICES, { namespace: world.namespace, name: 'demo-api' })).toEqual(before);
  });
});
