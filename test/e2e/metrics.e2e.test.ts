/** Every metric that docs/metrics.md promises of API workers and replicators is really there once there is something to tell (O-172…O-185). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { METRICS, type MetricDefinition } from '#core/platform/metrics.ts';
import { startTcpProxy, type TcpProxy } from '../client/tcp-proxy.ts';
import { createProtocolClient } from '../client/protocol-client.ts';
import { createInstance, until, type Instance, type Service } from '../instance/instance.ts';
import { addressThrough, createFixture, type Fixture } from './fixture.ts';

let fixture: Fixture;
let storage: TcpProxy;
let storageIsThere = true;
let instance: Instance;
let service: Service;

beforeAll(async () => {
  // the fixture gives source and storage; the instance reaches the storage by a way that can be cut
  fixture = await createFixture({
    ...{ storage: 'postgresql', syncConfig: null },
    schema: `CREATE TABLE items (id text PRIMARY KEY, owner text); CREATE TABLE owners (id text PRIMARY KEY, person text);
      INSERT INTO items SELECT i::text, 'o' FROM generate_series(1, 200) i; INSERT INTO owners VALUES ('o', 'ann');
      CREATE PUBLICATION powersync FOR TABLE items, owners`,
  });
  const { port } = new URL(fixture.storageUrl);
  storage = await startTcpProxy({ target: () => (storageIsThere ? Number(port) : undefined) });
  instance = await createInstance({
    ...{ sourceUrl: fixture.sourceUrl, metrics: true },
    storage: { type: 'postgresql', url: addressThrough(storage, fixture.storageUrl) },
    syncConfig: `config: { edition: 3 }
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner IN (SELECT id FROM owners WHERE person = auth.user_id())
`,
  });
  service = await instance.start('unified');
  await instance.untilActive(service);
});
afterAll(async () => {
  await instance?.close();
  await storage?.close();
  await fixture?.close();
});

const scrape = async (): Promise<string[]> => {
  const response = await fetch(`${service.metricsUrl}/metrics`);
  expect(response.status).toBe(200);
  return (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
};
/** The value of the first sample of a metric, of the count of a histogram; undefined: there is none. */
const valueOf = (lines: readonly string[], name: string): number | undefined => {
  const { kind } = METRICS[name as keyof typeof METRICS] as MetricDefinition;
  const shown = kind === 'histogram' ? `${name}_count` : name;
  const line = lines.find((text) => text.startsWith(`${shown} `) || text.startsWith(`${shown}{`));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
};

test('after a copy, changes, clients, a refused token and outages every one has a sample, the sizes and counts a real one', async () => {
  const client = createProtocolClient({
    endpoint: service.endpoint,
    token: await instance.token('ann'),
    clientId: 'ann-1',
  });
  await client.connect();
  await client.until(() => client.visible.size === 200, 'all rows');
  await fixture.sql(`INSERT INTO items VALUES ('new', 'o')`);
  await client.until(() => client.visible.size === 201, 'the new row');
  const names = Object.entries<MetricDefinition>(METRICS).filter(([, { owner }]) => owner !== 'compactor');
  expect(
    (await fetch(`${service.endpoint}/sync/stream`, { method: 'POST', headers: { authorization: 'Bearer no' } }))
      .status,
  ).toBe(401);
  client.disconnect();
  await fixture.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender' AND datname = current_database()`,
  );
  storageIsThere = false;
  storage.cut();
  await until(
    'an error of storage',
    async () => valueOf(await scrape(), 'millrace_storage_errors_total') !== undefined,
  );
  storageIsThere = true;
  const missing = async (): Promise<string[]> => {
    const lines = await scrape();
    return names.map(([name]) => name).filter((name) => valueOf(lines, name) === undefined);
  };
  let last: string[] = [];
  await until(
    'all samples',
    async () => (last = await missing()).length === 0,
    60_000,
    () => last.join(' '),
  );

  const positive = [
    'powersync_data_synced_bytes_total',
    'powersync_data_sent_bytes_total',
    'powersync_operations_synced_total',
    'powersync_data_replicated_bytes_total',
    'powersync_rows_replicated_total',
    'powersync_transactions_replicated_total',
    'powersync_chunks_replicated_total',
    'powersync_replication_storage_size_bytes',
    'powersync_operation_storage_size_bytes',
    'powersync_parameter_storage_size_bytes',
    'millrace_snapshot_rows_total',
    'millrace_connection_limit',
  ];
  await until(
    'real figures',
    async () => {
      const lines = await scrape();
      last = positive.filter((name) => !((valueOf(lines, name) ?? 0) > 0));
      return last.length === 0;
    },
    60_000,
    () => last.join(' '),
  );
});
