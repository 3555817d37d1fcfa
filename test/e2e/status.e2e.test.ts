/** `GET /status` of real processes (docs/adr/0008-operator.md): replicators of one source each, their standby, an API worker. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PartStatus, SourcePartStatus } from '#core/platform/status/contract.ts';
import { readPartStatus } from '#core/platform/status/parse.ts';
import { syncConfigRevision } from '#core/platform/status/revision.ts';
import { until, type Service } from '../instance/instance.ts';
import type { TestDatabase } from '../services/contract.ts';
import { postgres } from '../services/postgres.ts';
import { createFixture, type Fixture } from './fixture.ts';

const SYNC_CONFIG = `config: { edition: 3 }
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items WHERE id IN (SELECT item FROM owners WHERE person = auth.user_id())
  deals:
    auto_subscribe: true
    query: SELECT * FROM "sales.public".deals
`;

const AS_DEMO = ['--instance', 'demo-uid'];

async function statusOf(service: Service): Promise<PartStatus> {
  const response = await fetch(`${service.metricsUrl}/status`);
  expect(response.status).toBe(200);
  const { status, problem } = readPartStatus(await response.text());
  expect(problem).toBeUndefined();
  return status!;
}
const sourceOf = async (service: Service): Promise<SourcePartStatus> => (await statusOf(service)).sources[0]!;

describe.each(['mongodb', 'postgresql'] as const)('%s', (storage) => {
  let other: TestDatabase;
  let sales: pg.Pool;
  let fixture: Fixture;
  let replicator: Service;
  let standby: Service;
  let ofSales: Service;
  let api: Service;

  beforeAll(async () => {
    other = await (await postgres()).createDatabase();
    sales = new pg.Pool({ connectionString: other.url, max: 2 });
    await sales.query(`CREATE TABLE deals (id text PRIMARY KEY); CREATE PUBLICATION powersync FOR TABLE deals;
      INSERT INTO deals SELECT i::text FROM generate_series(1, 70) i`);
    fixture = await createFixture({
      ...{ storage, syncConfig: SYNC_CONFIG, metrics: true, redis: true, otherSources: { sales: other.url } },
      schema: `CREATE TABLE items (id text PRIMARY KEY); CREATE TABLE owners (id text PRIMARY KEY, item text, person text);
        INSERT INTO items SELECT i::text FROM generate_series(1, 500) i; INSERT INTO owners VALUES ('o', '1', 'ann');
        CREATE PUBLICATION powersync FOR TABLE items, owners`,
    });
    replicator = await fixture.instance.start('sync', null, ['--source', 'default', ...AS_DEMO]);
    ofSales = await fixture.instance.start('sync', null, ['--source', 'sales', ...AS_DEMO]);
    api = await fixture.instance.start('api', null, AS_DEMO);
    await fixture.instance.untilActive(api);
    standby = await fixture.instance.start('sync', null, ['--source', 'default', ...AS_DEMO]);
    await until(
      'the standby',
      async () => (await fetch(`${standby.metricsUrl}/probes/startup`).catch(() => null))?.ok === true,
    );
  });
  afterAll(async () => {
    await fixture?.close();
    await sales?.end();
    await other?.drop();
  });

  test('each replicator tells of its own source: state, lag, log, and the whole sync config (O-163…O-168)', async () => {
    await until('streaming', async () => (await sourceOf(replicator)).log !== null, 60_000);
    const status = await statusOf(replicator);
    expect(status).toMatchObject({
      ...{ role: 'sync', instance: 'demo-uid', ready: true, api: null, cut: [] },
      storage: { reachable: true, error: null },
    });
    expect(status.sources).toMatchObject([
      { tag: 'default', leader: true, state: 'Streaming', snapshot: null, error: null, log: { limitBytes: null } },
    ]);
    const [source] = status.sources;
    expect(source!.lagBytes).toBeGreaterThanOrEqual(0);
    expect(source!.log!.retainedBytes).toBeGreaterThanOrEqual(source!.lagBytes!);
    expect(source!.lagSeconds).toBeLessThan(60);
    expect((await statusOf(ofSales)).sources).toMatchObject([{ tag: 'sales', leader: true, state: 'Streaming' }]);
    expect(status.syncConfig).toHaveLength(1);
    const [version] = status.syncConfig!;
    expect(version).toMatchObject({ state: 'active', revision: syncConfigRevision(SYNC_CONFIG), error: null });
    expect(version!.streams).toEqual(['items', 'deals']);
    expect(version!.tables.map(({ source: tag, name, rows }) => [tag, name, rows]).toSorted()).toEqual([
      ['default', 'items', 500],
      ['default', 'owners', 1],
      ['sales', 'deals', 70],
    ]);
    expect(
      version!.definitions.map(({ kind, streams, tables }) => [
        kind,
        streams,
        tables.map((at) => version!.tables[at]!.name),
      ]),
    ).toEqual([
      ['bucket', ['items'], ['items']],
      ['bucket', ['deals'], ['deals']],
      ['lookup', ['items'], ['owners']],
    ]);
    for (const service of [ofSales, standby, api])
      expect((await statusOf(service)).syncConfig![0]).toMatchObject({
        revision: version!.revision,
        tables: version!.tables,
      });
  });

  test('a standby tells what storage has, and takes over when the leader goes', async () => {
    expect(await sourceOf(standby)).toMatchObject({ leader: false, state: 'Streaming', lagBytes: null, error: null });
    await replicator.kill();
    await until(
      'the take-over',
      async () => (await sourceOf(standby)).state === 'Streaming' && (await sourceOf(standby)).leader,
      20_000,
    );
    await fixture.sql(`INSERT INTO items VALUES ('new')`);
  });

  test('an API worker tells of its connections, and that it drains (O-168)', async () => {
    expect((await statusOf(api)).api).toEqual({ connections: 0, connectionLimit: 20_000, draining: false });
    const token = await fixture.instance.token('ann');
    const cut = new AbortController();
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const stream = await fetch(`${api.endpoint}/sync/stream`, {
      method: 'POST',
      headers,
      body: '{"buckets":[]}',
      signal: cut.signal,
    });
    expect(stream.status).toBe(200);
    await until('one connection', async () => (await statusOf(api)).api?.connections === 1);
    cut.abort();
    await until('none', async () => (await statusOf(api)).api?.connections === 0);
    expect((await fetch(`${api.metricsUrl}/probes/readiness`)).status).toBe(200);
  });

  test('no process tells what is secret', async () => {
    for (const service of [standby, ofSales, api]) {
      const text = await (await fetch(`${service.metricsUrl}/status`)).text();
      for (const secret of [new URL(fixture.sourceUrl).password, 'test-admin', 'ann', 'postgresql://', 'mongodb://'])
        if (secret !== '') expect(text).not.toContain(secret);
    }
  });

  test('a source that is not there is named, with those that are', async () => {
    const { code, output } = await fixture.instance.run('start', '-r', 'sync', '--source', 'sells');
    expect(code).toBe(1);
    expect(output).toMatch(/PSYNC_S0105.*sells.*default, sales/);
    expect((await fixture.instance.run('start', '-r', 'api', '--source', 'sales')).output).toContain('PSYNC_S0105');
  });
});
