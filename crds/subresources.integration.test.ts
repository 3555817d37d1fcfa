import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PrivateKubeApiserver } from '#test/services/contract.ts';
import { startKubeApiserver } from '#test/services/kube-apiserver.ts';
import { kubePrograms } from '#test/services/kube-programs.ts';
import { type KubeRequest, kubeRequest } from '#test/services/kube-request.ts';
import { syncInstanceSchema } from './definition.ts';
import type { SyncInstance, SyncInstanceStatus } from './sync-instance/sync-instance.ts';
import { definedFields, touched, validExamples } from './testing/examples.ts';
import { installSyncInstances } from './testing/install.ts';

const programs = await kubePrograms();
const missing = typeof programs === 'string' ? ` (${programs})` : '';
const collection = '/apis/millrace.dev/v1alpha1/namespaces/default/syncinstances';
const quickStart = (await validExamples()).find(({ name }) => name === 'quick-start.yaml')!.manifest;
const path = `${collection}/${quickStart.metadata.name}`;
const at = '2026-11-22T00:00:00Z';

const fullStatus = {
  observedGeneration: 1,
  conditions: [
    {
      type: 'Ready',
      status: 'False',
      observedGeneration: 1,
      lastTransitionTime: at,
      reason: 'SourcesCopying',
      message: 'The initial copy of source default is at 40 %.',
    },
    { type: 'SecretsResolved', status: 'True', lastTransitionTime: at, reason: 'AllFound', message: '' },
  ],
  image: 'ghcr.io/millrace/millrace:0.1.0',
  version: '0.1.0',
  sources: [
    {
      name: 'default',
      state: 'Copying',
      leader: 'demo-replicator-default-5c9f-abcde',
      readyReplicas: 2,
      lagBytes: 9_007_199_254_740_991,
      lagSeconds: 7,
      snapshot: { rowsCopied: 4000, rowsEstimated: 10_000, percent: 40, secondsRemaining: 12 },
      log: { retainedBytes: 1_000_000, limitBytes: 2_000_000, hoursUntilLoss: 30 },
      error: { code: 'PSYNC_S1002', message: 'A row is too large.' },
      observedAt: at,
    },
  ],
  sourcesReady: '0/1',
  lagSeconds: 7,
  syncConfig: {
    active: { revision: 'a1', version: 3, label: 'three' },
    deploying: { revision: 'b2', version: 4, percent: 40 },
    pending: { revision: 'c3' },
    error: { code: 'PSYNC_S2305', line: 3, column: 14, message: 'Unknown column.' },
    plan: { revision: 'c3', rowsToCopy: 100, streams: [{ name: 'todos', action: 'Copied', rows: 100 }] },
  },
  api: { replicas: 3, readyReplicas: 2, desiredReplicas: 3, connections: 150, selector: 'millrace.dev/instance=demo' },
  storage: { migratedImage: 'ghcr.io/millrace/millrace:0.1.0' },
  compaction: { lastSuccessTime: at, lastFailureTime: at },
  endpoints: { service: 'http://demo-api.default.svc:80', external: 'https://sync.example.com' },
} satisfies SyncInstanceStatus;

describe.skipIf(missing !== '')(`subresources and columns of a SyncInstance${missing}`, () => {
  let server: PrivateKubeApiserver;
  let request: KubeRequest;

  beforeAll(async () => {
    server = await startKubeApiserver();
    request = kubeRequest(server.kubeconfig);
    await installSyncInstances(request);
  });
  afterAll(() => server?.close());
  beforeEach(async () => {
    await request('DELETE', path);
    const { status, body } = await request('POST', collection, quickStart);
    if (status !== 201) throw new Error(JSON.stringify(body));
  });

  async function read(): Promise<SyncInstance> {
    const { body } = await request('GET', path);
    return body as SyncInstance;
  }

  test('the example of a status has all its fields', () => {
    const schema = syncInstanceSchema().properties!['status']!;
    const { fields } = touched(fullStatus, schema);
    expect([...definedFields(schema)].filter(([identity]) => !fields.has(identity)).map(([, path]) => path)).toEqual(
      [],
    );
  });

  test('the status is written without loss and does not touch the spec, nor the other way round', async () => {
    const present = await read();
    const spec = { ...present.spec, paused: true };
    const written = await request('PUT', `${path}/status`, { ...present, spec, status: fullStatus });
    expect(written.status).toBe(200);
    const afterStatus = await read();
    expect(afterStatus.status).toEqual(fullStatus);
    expect(afterStatus.spec).toEqual(present.spec);
    expect(afterStatus.metadata.generation).toBe(1);

    expect((await request('PUT', path, { ...afterStatus, spec, status: {} })).status).toBe(200);
    const afterSpec = await read();
    expect(afterSpec.status).toEqual(fullStatus);
    expect(afterSpec.spec.paused).toBe(true);
    expect(afterSpec.metadata.generation).toBe(2);
  });

  test('the scale subresource reads and sets the API workers, as an HPA does', async () => {
    await request('PATCH', `${path}/status`, { status: fullStatus });
    const { body: scale } = await request('GET', `${path}/scale`);
    expect(scale['spec']).toEqual({ replicas: 2 });
    expect(scale['status']).toEqual({ replicas: 3, selector: 'millrace.dev/instance=demo' });

    expect((await request('PATCH', `${path}/scale`, { spec: { replicas: 5 } })).status).toBe(200);
    expect((await read()).spec.api.replicas).toBe(5);
    expect((await request('PATCH', `${path}/scale`, { spec: { replicas: 101 } })).status).toBe(422);
  });

  test('who scales by hand while the operator does is told so', async () => {
    await request('PATCH', path, { spec: { api: { autoscaling: {} } } });
    const { status, body } = await request('PATCH', `${path}/scale`, { spec: { replicas: 5 } });
    expect(status).toBe(422);
    expect(body['message']).toContain('api.autoscaling sets the number of API workers');
    expect((await read()).spec.api.replicas).toBe(2);
  });

  test('kubectl get answers the first questions', async () => {
    await request('PATCH', `${path}/status`, { status: fullStatus });
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const { body } = await request('GET', collection, undefined, { accept });
    const columns = body['columnDefinitions'] as { name: string; priority: number }[];
    const [row] = body['rows'] as { cells: unknown[] }[];
    const shown = Object.fromEntries(columns.map(({ name }, index) => [name, row!.cells[index]]));
    expect(shown).toEqual({
      Name: 'demo',
      Ready: 'False',
      Sources: '0/1',
      Lag: 7,
      Config: 3,
      Workers: 2,
      Clients: 150,
      Age: expect.stringMatching(/^\d+[smh]/),
      Image: 'ghcr.io/millrace/millrace:0.1.0',
      Reason: 'SourcesCopying',
    });
    expect(columns.filter(({ priority }) => priority > 0).map(({ name }) => name)).toEqual(['Image', 'Reason']);
  });

  test('it is known as si, and with all others in the category all', async () => {
    const { body } = await request('GET', '/apis/millrace.dev/v1alpha1');
    const resources = body['resources'] as { name: string; shortNames?: string[]; categories?: string[] }[];
    expect(resources.map(({ name }) => name).toSorted()).toEqual([
      'syncinstances',
      'syncinstances/scale',
      'syncinstances/status',
    ]);
    const main = resources.find(({ name }) => name === 'syncinstances');
    expect(main).toMatchObject({ shortNames: ['si'], categories: ['all'], namespaced: true });
  });
});
