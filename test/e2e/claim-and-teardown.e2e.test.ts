/** Bucket storage belongs to one instance (O-69), from `migrate up --instance` to `teardown` (O-7), whatever happens in between. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProtocolClient } from '../client/protocol-client.ts';
import { startTcpProxy, type TcpProxy } from '../client/tcp-proxy.ts';
import { until, type Service } from '../instance/instance.ts';
import { postgres } from '../services/postgres.ts';
import { addressThrough, createFixture, type Fixture } from './fixture.ts';

const ITEMS = {
  schema: `CREATE TABLE items (id text PRIMARY KEY); INSERT INTO items VALUES ('1'); CREATE PUBLICATION powersync FOR TABLE items`,
  syncConfig: `config: { edition: 3 }
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items
`,
};
const SLOTS = 'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()';
const slots = async (fixture: Fixture): Promise<string[]> =>
  (await fixture.sql<{ slot_name: string }>(SLOTS)).map(({ slot_name }) => slot_name);

async function sqlOf<T>(url: string, text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as T[];
  } finally {
    await client.end();
  }
}

describe.each(['mongodb', 'postgresql'] as const)('%s', (storage) => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await createFixture({
      storage,
      ...ITEMS,
      extraYaml: 'migrations: {disable_auto_migration: true}',
      metrics: true,
    });
  });
  afterAll(() => fixture?.close());

  /** Starts as an instance, waits until a client has these rows. */
  const serve = async (instance: string, ids: readonly string[]): Promise<Service> => {
    const service = await fixture.instance.start('unified', null, ['--instance', instance]);
    await fixture.instance.untilActive(service);
    const token = await fixture.instance.token('ann');
    const client = createProtocolClient({ endpoint: service.endpoint, token, clientId: 'ann-1' });
    await client.connect();
    const has = (id: string): boolean => [...client.visible.keys()].some((key) => key.includes(id));
    await client.until(() => client.visible.size === ids.length && ids.every(has), `rows ${ids.join(', ')}`);
    client.disconnect();
    return service;
  };

  test('a process that starts before the migration waits for it, and is not ready meanwhile (O-79)', async () => {
    const early = await fixture.instance.start('sync', null, ['--instance', 'one']);
    const isStarted = async (): Promise<boolean> => (await fetch(`${early.metricsUrl}/probes/startup`)).ok;
    await until(
      'it waits',
      () => early.output().includes('Waiting up to'),
      30_000,
      () => early.output(),
    );
    expect(await isStarted()).toBe(false);
    const { code, output } = await fixture.instance.run('migrate', 'up', '--instance', 'one');
    expect(output).toContain('Migrated the storage schema');
    expect(code).toBe(0);
    await until('it goes on', isStarted, 30_000, () => early.output());
    expect(await early.stop()).toBe(0);
  });

  test('the first instance claims; another is refused, so is one that does not say which it is', async () => {
    expect((await fixture.instance.run('migrate', 'up', '--instance', 'one')).code).toBe(0);
    for (const words of [
      ['migrate', 'up', '--instance', 'two'],
      ['migrate', 'up'],
      ['start', '-r', 'sync', '--instance', 'two'],
      ['start', '-r', 'api'],
      ['teardown', 'TEARDOWN', '--instance', 'two'],
      ['teardown', 'TEARDOWN'],
    ]) {
      const { code, output } = await fixture.instance.run(...words);
      expect([words, code]).toEqual([words, 1]);
      expect(output).toMatch(/PSYNC_S0106.*the instance one/);
    }
  });

  test('with --keep-storage slots and claim go; the next instance copies again beside what is served, and misses nothing', async () => {
    const one = await serve('one', ['1']);
    expect(await slots(fixture)).toHaveLength(1);
    expect(await one.stop()).toBe(0);
    const kept = await fixture.instance.run('teardown', 'TEARDOWN', '--keep-storage', '--instance', 'one');
    expect(kept.code).toBe(0);
    expect(kept.output).toContain('free to be claimed');
    expect(await slots(fixture)).toEqual([]);
    // what nobody's slot has seen
    await fixture.sql(`INSERT INTO items VALUES ('2'); DELETE FROM items WHERE id = '1'`);
    expect((await fixture.instance.run('migrate', 'up', '--instance', 'two')).code).toBe(0);
    const two = await serve('two', ['2']);
    expect(await two.stop()).toBe(0);
  });

  test('a teardown that is killed goes on the next time, and does no harm when nothing is left (O-7)', async () => {
    const cut = await fixture.instance.command('teardown', 'TEARDOWN', '--instance', 'two');
    await until('the slot is gone', () => cut.output().includes('Dropped a replication slot'), 30_000, cut.output);
    await cut.kill();
    for (let turn = 0; turn < 2; turn++) {
      const { code, output } = await fixture.instance.run('teardown', 'TEARDOWN', '--instance', 'two');
      expect(output).toContain('Removed bucket storage');
      expect(code).toBe(0);
    }
    expect(await slots(fixture)).toEqual([]);
    // free for anybody
    expect((await fixture.instance.run('migrate', 'up', '--instance', 'three')).code).toBe(0);
  });
});

test('a source that does not answer: the rest is removed in time, and the slots that are left are named', async () => {
  const other = await (await postgres()).createDatabase();
  const proxy: TcpProxy = await startTcpProxy({ target: () => Number(new URL(other.url).port) });
  const fixture = await createFixture({
    storage: 'mongodb',
    ...ITEMS,
    otherSources: { sales: addressThrough(proxy, other.url) },
    syncConfig: `${ITEMS.syncConfig}  deals:\n    query: SELECT * FROM "sales.public".deals\n`,
  });
  try {
    await sqlOf(other.url, 'CREATE TABLE deals (id text PRIMARY KEY); CREATE PUBLICATION powersync FOR TABLE deals');
    const service = await fixture.instance.start('unified');
    await fixture.instance.untilActive(service);
    await service.stop();
    await proxy.close();
    // as the operator does it: nothing is lost that a second attempt needs
    for (const attempt of [1, 2]) {
      const first = await fixture.instance.run('teardown', 'TEARDOWN', '--slots-first', '--timeout', '6');
      expect([attempt, first.code]).toEqual([attempt, 1]);
      expect(first.output).toMatch(/PSYNC_S1120.*\(sales\).*left as it is/);
    }
    const startedMs = performance.now();
    const { code, output } = await fixture.instance.run('teardown', 'TEARDOWN', '--timeout', '10');
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    expect(code).toBe(1);
    const [left] = await sqlOf<{ slot_name: string }>(other.url, SLOTS);
    expect(output).toContain(`PSYNC_S1120`);
    expect(output).toContain(`${left!.slot_name} (sales)`);
    expect(await slots(fixture)).toEqual([]);
    expect((await fixture.instance.run('teardown', 'TEARDOWN', '--timeout', '10')).code).toBe(0);
    await sqlOf(other.url, `SELECT pg_drop_replication_slot('${left!.slot_name}')`);
  } finally {
    await fixture.close();
    await other.drop();
  }
});
