import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kubePrograms } from '#test/services/kube-programs.ts';
import type { KubeObject } from '../kube/contract.ts';
import { CONFIG_MAPS, DEPLOYMENTS, JOBS, SECRETS, SERVICES, SYNC_INSTANCES } from '../kube/resource-types.ts';
import { createSecrets, instanceObject, startCluster, SYNC_CONFIG, type Cluster } from '../testing/cluster.ts';
import { createRunning, createWorld, name, versions, type World } from '../testing/world.ts';
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

describe.skipIf(missing !== '')(`reconciling${missing}`, () => {
  test('from kubectl apply to Ready; then no write at all (O-247)', async () => {
    await using world = await createRunning(cluster);
    const { status } = await world.instance();
    expect(
      status?.conditions?.filter(({ status }) => status !== 'True').map(({ type, reason }) => [type, reason]),
    ).toEqual([
      ['SourceLogSafe', 'NotKnown'],
      ['Progressing', 'Complete'],
    ]);
    expect(status).toMatchObject({
      observedGeneration: 1,
      sourcesReady: '1/1',
      // without Redis there is no lease, and so no standby
      sources: [{ name: 'default', state: 'Streaming', readyReplicas: 1 }],
      syncConfig: { active: { version: 1 } },
      api: { replicas: 2, readyReplicas: 2, desiredReplicas: 2 },
      storage: { migratedImage: 'registry.example.com/millrace:1' },
      endpoints: { service: `http://demo-api.${world.namespace}.svc` },
    });
    expect(world.plane.deployed).toEqual([SYNC_CONFIG]);

    const before = await versions(cluster, world);
    world.writes.length = 0;
    for (let look = 0; look < 5; look++) await world.running.look(name);
    expect(world.writes).toEqual([]);
    expect(await versions(cluster, world)).toEqual(before);

    // Another process applies once what it finds, which changes nothing.
    await world.settle(world.stepper());
    expect(await versions(cluster, world)).toEqual(before);
    expect(world.plane.deployed.length).toBe(1);
  });

  test('drift is repaired; what others add is left alone', async () => {
    await using world = await createRunning(cluster);
    const place = { namespace: world.namespace, name: `${name}-api` };
    type Graceful = KubeObject & { spec: { template: { spec: { terminationGracePeriodSeconds: number } } } };
    const { terminationGracePeriodSeconds } = ((await api(world)) as unknown as Graceful).spec.template.spec;
    await cluster.kube.patch(DEPLOYMENTS, place, {
      metadata: { annotations: { mine: 'kept' } },
      spec: { template: { spec: { terminationGracePeriodSeconds: terminationGracePeriodSeconds + 1 } } },
    });
    await cluster.kube.delete(SERVICES, place, { propagation: 'Background' });
    await world.settle(world.running);
    const repaired = (await api(world)) as unknown as Graceful;
    expect(repaired.spec.template.spec.terminationGracePeriodSeconds).toBe(terminationGracePeriodSeconds);
    expect(repaired.metadata.annotations?.['mine']).toBe('kept');
    expect(await cluster.kube.get(SERVICES, place)).not.toBeNull();
  });

  test('a missing Secret is named, and nothing that needs it is made before it is there', async () => {
    await using world = await createWorld(cluster);
    const stepper = world.stepper();
    await createSecrets(cluster.kube, world.namespace, ['storage']);
    await cluster.kube.create(SYNC_INSTANCES, instanceObject(world.namespace, name));
    await world.settle(stepper);
    expect(await world.condition('SecretsResolved')).toMatchObject({
      status: 'False',
      reason: 'SecretNotFound',
      message: `Secret pg is missing in namespace ${world.namespace}: create it with the key uri.`,
    });
    expect(await world.condition('Ready')).toMatchObject({ status: 'False' });
    expect(await api(world)).toBeNull();
    expect((await cluster.kube.list(JOBS, { namespace: world.namespace })).items).toEqual([]);

    await cluster.kube.create(SECRETS, {
      metadata: { namespace: world.namespace, name: 'pg' },
      data: { other: 'eA==' },
    } as KubeObject);
    await world.settle(stepper);
    expect(await world.condition('SecretsResolved')).toMatchObject({
      reason: 'KeyNotFound',
      message: 'Secret pg has no key uri: add it.',
    });

    await cluster.kube.patch(
      SECRETS,
      { namespace: world.namespace, name: 'pg' },
      { stringData: { uri: 'postgres://x' } },
    );
    await world.settle(stepper);
    expect(await world.condition('SecretsResolved')).toMatchObject({ status: 'True' });
    expect(await world.condition('Ready')).toMatchObject({ status: 'True' });
  });

  test('a rotated password rolls out by itself, after the migration has tried it; unchanged ones do not', async () => {
    await using world = await createRunning(cluster);
    const template = async (): Promise<string> => JSON.stringify((await api(world))?.spec.template);
    const before = await template();
    await cluster.kube.patch(
      SECRETS,
      { namespace: world.namespace, name: 'pg' },
      { metadata: { labels: { touched: 'yes' } } },
    );
    await world.settle(world.running);
    expect(await template()).toBe(before);
    await cluster.kube.patch(
      SECRETS,
      { namespace: world.namespace, name: 'pg' },
      { stringData: { uri: 'postgres://new' } },
    );
    await world.settle(world.running);
    expect(await template()).not.toBe(before);
    expect(JSON.stringify(await world.instance())).not.toContain('postgres://new');
    expect(await template()).not.toContain('postgres://new');
    expect(await world.condition('Ready')).toMatchObject({ status: 'True' });
  });

  test('an invalid sync config never leaves the operator: code, line and column in the status, the old one serves', async () => {
    await using world = await createRunning(cluster);
    const broken = SYNC_CONFIG.replace('FROM lists', 'FROM lists WHERE');
    await patchSpec(world, { syncConfig: { inline: broken } });
    await world.settle(world.running);
    const { status } = await world.instance();
    const error = status?.syncConfig?.error;
    expect(error).toMatchObject({ code: expect.stringMatching(/^PSYNC_R\d{4}$/), line: 6, column: expect.any(Number) });
    expect(await world.condition('SyncConfigValid')).toMatchObject({
      status: 'False',
      reason: 'Invalid',
      message: `[${error?.code}] line 6, column ${error?.column}: ${error?.message}`,
    });
    expect(await world.condition('SyncConfigDeployed')).toMatchObject({ status: 'False', reason: 'NotValid' });
    expect(await world.condition('Ready')).toMatchObject({ status: 'True' });
    expect(status?.syncConfig?.active).toMatchObject({ version: 1 });
    expect(world.plane.deployed).toEqual([SYNC_CONFIG]);

    await patchSpec(world, { syncConfig: { inline: SYNC_CONFIG } });
    await world.settle(world.running);
    expect((await world.instance()).status?.syncConfig).toMatchObject({ active: { version: 1 } });
    expect((await world.instance()).status?.syncConfig?.error).toBeUndefined();
  });

  test('a new sync config is planned, copied beside the old one and switched; no pod is restarted', async () => {
    await using world = await createRunning(cluster);
    const before = (await api(world))?.metadata.generation;
    world.plane.copies = true;
    const second = `${SYNC_CONFIG}  todos:\n    query: SELECT * FROM todos\n`;
    await patchSpec(world, { syncConfig: { inline: second } });
    await world.settle(world.running);
    const { status } = await world.instance();
    expect(await world.condition('SyncConfigDeployed')).toMatchObject({ status: 'False', reason: 'Copying' });
    expect(await world.condition('Ready')).toMatchObject({ status: 'True' });
    expect(status?.syncConfig).toMatchObject({
      active: { version: 1 },
      deploying: { version: 2 },
      plan: {
        streams: [
          { name: 'lists', action: 'Kept', rows: 0 },
          { name: 'todos', action: 'Copied' },
        ],
      },
    });
    world.plane.finishCopy();
    await world.settle(world.running);
    expect(await world.condition('SyncConfigDeployed')).toMatchObject({
      status: 'True',
      message: 'Version 2 is served.',
    });
    expect((await api(world))?.metadata.generation).toBe(before);
    expect(world.plane.deployed.length).toBe(2);
  });

  test('another comment is deployed once and makes no version; also a new process knows it (O-128)', async () => {
    await using world = await createRunning(cluster);
    await patchSpec(world, { syncConfig: { inline: `# why\n${SYNC_CONFIG}` } });
    await world.settle(world.running);
    // What the parts say has to be newer than the deployment.
    await world.settle(world.running);
    expect(await world.condition('SyncConfigDeployed')).toMatchObject({
      status: 'True',
      message: 'Version 1 is served.',
    });
    await world.settle(world.stepper());
    expect(world.plane.deployed.length).toBe(2);
  });

  test('Manual: waits for the approval of exactly this revision', async () => {
    await using world = await createRunning(cluster, { syncConfig: { inline: SYNC_CONFIG, approval: 'Manual' } });
    expect(await world.condition('SyncConfigDeployed')).toMatchObject({
      status: 'False',
      reason: 'WaitingForApproval',
    });
    expect(world.plane.deployed).toEqual([]);
    const revision = (await world.instance()).status?.syncConfig?.pending?.revision;
    await patchSpec(world, { syncConfig: { approvedRevision: 'another' } });
    await world.settle(world.running);
    expect(world.plane.deployed).toEqual([]);
    await patchSpec(world, { syncConfig: { approvedRevision: revision } });
    await world.settle(world.running);
    expect(await world.condition('SyncConfigDeployed')).toMatchObject({ status: 'True' });
  });

  test('a ConfigMap is followed, and missed by name', async () => {
    await using world = await createRunning(cluster, { syncConfig: { configMapRef: { name: 'streams' } } });
    expect(await world.condition('SyncConfigValid')).toMatchObject({
      reason: 'ConfigMapNotFound',
      message: `ConfigMap streams is missing in namespace ${world.namespace}: create it with the key sync-config.yaml.`,
    });
    const metadata = { namespace: world.namespace, name: 'streams' };
    await cluster.kube.create(CONFIG_MAPS, { metadata, data: { 'sync-config.yaml': SYNC_CONFIG } } as KubeObject);
    await world.settle(world.running);
    expect(await world.condition('SyncConfigDeployed')).toMatchObject({ status: 'True' });
  });

  test('what an API worker refuses is said, and tried again later', async () => {
    await using world = await createWorld(cluster);
    world.plane.refuses = { code: 'PSYNC_S2401', description: 'Storage is away' };
    await createSecrets(cluster.kube, world.namespace);
    await cluster.kube.create(SYNC_INSTANCES, instanceObject(world.namespace, name));
    let ahead = 0;
    const stepper = world.stepper({ aheadMs: () => ahead });
    await world.settle(stepper);
    expect(await world.condition('SyncConfigDeployed')).toMatchObject({
      reason: 'DeployFailed',
      message: 'An API worker refused the sync config: Storage is away',
    });
    world.plane.refuses = null;
    ahead = 60_000;
    await world.settle(stepper);
    expect(world.plane.deployed.length).toBe(1);
  });
});
