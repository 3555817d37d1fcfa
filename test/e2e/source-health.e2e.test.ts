/** What is wrong with the source: it is said, it is waited for, and what is there is served meanwhile (R-81… ). */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { createProtocolClient, type ProtocolClient } from '../client/protocol-client.ts';
import { ADMIN_TOKEN, type Diagnostics, until, type Service } from '../instance/instance.ts';
import type { PrivatePostgres } from '../services/contract.ts';
import { startPostgres } from '../services/postgres.ts';
import { createFixture, type Fixture, type FixtureOptions } from './fixture.ts';

const SYNC_CONFIG = `config:
  edition: 3
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items
  notes:
    auto_subscribe: true
    query: SELECT * FROM notes
`;
const TABLES = `
CREATE TABLE items (id text PRIMARY KEY, name text, n int);
CREATE TABLE notes (id text PRIMARY KEY, name text);
`;
const PUBLICATION = 'CREATE PUBLICATION powersync FOR TABLE items, notes;';

let fixture: Fixture;
let server: PrivatePostgres | null = null;
const clients: ProtocolClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  await fixture.close();
  await server?.close();
  server = null;
});

/** The source is looked at every 5 s. */
const create = async (options: Partial<FixtureOptions> = {}): Promise<void> => {
  fixture = await createFixture({
    storage: 'postgresql',
    schema: TABLES + PUBLICATION,
    syncConfig: SYNC_CONFIG,
    sourceKeys: { heartbeat_interval_seconds: 5 },
    ...options,
  });
};
const connect = async (service: Service, onComplete: () => void = () => undefined): Promise<ProtocolClient> => {
  const client = createProtocolClient({
    endpoint: service.endpoint,
    token: await fixture.instance.token('u'),
    onComplete,
  });
  clients.push(client);
  await client.connect();
  await client.until(() => client.completedOp !== null, 'the first checkpoint', 30_000);
  return client;
};
const diagnosed = (service: Service, what: string, holds: (found: Diagnostics) => boolean): Promise<void> =>
  until(
    what,
    async () => {
      const found = await fixture.instance.diagnostics(service).catch(() => null);
      return found !== null && holds(found);
    },
    40_000,
    () => service.output(),
  );
const sourceCodes = (found: Diagnostics): string[] => found.connections[0]!.errors.map(({ code }) => code ?? '');
const times = (service: Service, text: string): number => service.output().split(text).length - 1;
const inStorage = async (statement: string): Promise<void> => {
  const storage = new pg.Client(fixture.storageUrl);
  await storage.connect();
  await storage.query(statement);
  await storage.end();
};
const slots = (): Promise<{ slot_name: string; wal_status: string }[]> =>
  fixture.sql(`SELECT slot_name, wal_status FROM pg_replication_slots WHERE database = current_database()`);

describe('the publication', () => {
  test('replication waits for it, then copies and streams (R-92)', async () => {
    await create({ schema: `${TABLES} INSERT INTO items VALUES ('i1', 'one', 1);` });
    const service = await fixture.instance.start('unified');
    await diagnosed(service, 'PSYNC_S1141', (found) => sourceCodes(found).includes('PSYNC_S1141'));
    // Some more attempts, which say nothing new.
    await new Promise((resolve) => setTimeout(resolve, 4000));
    const waiting = await fixture.instance.diagnostics(service);
    expect(waiting).toMatchObject({ connections: [{ connected: false }], deploying_sync_rules: { errors: [] } });
    expect(waiting!.active_sync_rules).toBeUndefined();
    expect(await slots()).toEqual([]);
    expect(times(service, 'does not exist. Run CREATE PUBLICATION')).toBe(1);

    await fixture.sql(PUBLICATION);
    await fixture.instance.untilActive(service);
    const client = await connect(service);
    expect(client.visible.size).toBe(1);
    await diagnosed(service, 'no error', (found) => found.connections[0]!.errors.length === 0);
    expect((await fixture.instance.diagnostics(service))!.connections[0]).toMatchObject({ connected: true });
  });

  test('lost or limited while streams run: it is said, clients are served, and it goes on (R-93, R-98)', async () => {
    await create();
    const service = await fixture.instance.start('unified');
    await fixture.instance.untilActive(service);
    await fixture.sql(`INSERT INTO items VALUES ('i1', 'one', 1)`);
    await fixture.sql(`ALTER PUBLICATION powersync SET (publish = 'insert')`);
    await diagnosed(service, 'PSYNC_S1142', (found) => sourceCodes(found).includes('PSYNC_S1142'));
    const client = await connect(service);
    expect(client.visible.size).toBe(1);
    await fixture.sql(`ALTER PUBLICATION powersync SET (publish = 'insert, update, delete, truncate')`);
    await fixture.sql(`INSERT INTO items VALUES ('i2', 'two', 2)`);
    await client.until(() => client.visible.size === 2, 'what was written meanwhile', 40_000);
    await diagnosed(service, 'no error', (found) => found.connections[0]!.errors.length === 0);
  });
});

describe('a row filter of the publication', () => {
  test('that was changed after the copy is said, over a restart too, until the sync config is reprocessed (R-98)', async () => {
    await create({
      schema: `${TABLES} CREATE PUBLICATION powersync FOR TABLE items WHERE (n < 10), notes;
        INSERT INTO items VALUES ('i1', 'one', 1), ('i20', 'twenty', 20);`,
    });
    const messages = (found: Diagnostics): string[] =>
      found.active_sync_rules?.connections
        .flatMap(({ tables }) => tables.flatMap(({ errors }) => errors))
        .map((each) => each.message) ?? [];
    const isSaid = (found: Diagnostics): boolean => messages(found).some((each) => /since it was copied/.test(each));
    const first = await fixture.instance.start('unified');
    await fixture.instance.untilActive(first);
    expect(isSaid((await fixture.instance.diagnostics(first))!)).toBe(false);
    await fixture.sql('ALTER PUBLICATION powersync SET TABLE items, notes');
    await diagnosed(first, 'the changed filter', isSaid);
    await first.stop();

    const second = await fixture.instance.start('unified');
    await fixture.instance.untilActive(second);
    await diagnosed(second, 'the changed filter', isSaid);
    const client = await connect(second);
    expect(client.visible.size).toBe(1);
    await fetch(`${second.endpoint}/api/sync-rules/v1/reprocess`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      body: '{}',
    });
    await client.until(() => client.visible.size === 2, 'the row that was left out', 40_000);
    await diagnosed(
      second,
      'nothing',
      (found) => found.active_sync_rules !== undefined && messages(found).length === 0,
    );
  });
});

describe('tables that cannot be replicated', () => {
  const role = `millrace_${randomBytes(4).toString('hex')}`;
  const asRole = (url: string): string => Object.assign(new URL(url), { username: role, password: 'p' }).href;

  test('are logged once, stand in diagnostics of every process, and are copied once they can be (R-59, R-88)', async () => {
    await create({
      schema: `${TABLES} ${PUBLICATION}
        CREATE TABLE bare (id text, name text); ALTER PUBLICATION powersync ADD TABLE bare;
        ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY all_rows ON notes USING (true);
        CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'p'; GRANT SELECT ON notes, bare TO ${role};
        INSERT INTO items VALUES ('i1', 'one', 1), ('i2', 'two', 2); INSERT INTO notes VALUES ('n1', 'note');`,
      syncConfig: `${SYNC_CONFIG}  bare: {auto_subscribe: true, query: SELECT * FROM bare}\n  other: {auto_subscribe: true, query: SELECT * FROM elsewhere}\n`,
      loginUrl: asRole,
    });
    try {
      const codes = (found: Diagnostics): object =>
        Object.fromEntries(
          found.active_sync_rules?.connections[0]?.tables.map((table) => [
            table.name,
            table.errors.map((e) => e.code),
          ]) ?? [],
        );
      const problems = { items: ['PSYNC_S1152'], notes: ['PSYNC_S1145'], bare: ['PSYNC_S1150'], elsewhere: [] };
      const api = await fixture.instance.start('api');
      const first = await fixture.instance.start('sync');
      await fixture.instance.untilActive(api);
      const same = (found: Diagnostics): boolean =>
        Object.entries(problems).every(
          ([name, expected]) =>
            JSON.stringify((codes(found) as Record<string, string[]>)[name]) === JSON.stringify(expected),
        );
      await diagnosed(api, 'the problems of each table', same);
      for (const code of ['PSYNC_S1152', 'PSYNC_S1145', 'PSYNC_S1150']) expect(times(first, code)).toBe(1);
      // Test connections says the same.
      const tested = await fixture.instance.run('test-connections');
      for (const code of ['PSYNC_S1152', 'PSYNC_S1145', 'PSYNC_S1150']) expect(tested.output).toContain(code);
      expect(tested.code).toBe(1);

      await first.stop();
      const second = await fixture.instance.start('unified');
      await diagnosed(second, 'the problems of each table, after a restart', same);
      const notes = (await fixture.instance.diagnostics(second))!.active_sync_rules!.connections[0]!.tables;
      expect(notes.find(({ name }) => name === 'notes')!.replication_id).toEqual(['id']);

      const client = await connect(api);
      expect(client.visible.size).toBe(1);
      // Its changes are followed already; the rest comes with the permission, without another change.
      await fixture.sql(`UPDATE items SET n = 3 WHERE id = 'i2'`);
      await fixture.sql(`GRANT SELECT ON items TO ${role}`);
      await client.until(() => client.visible.size === 3, 'the rows of the table', 40_000);
      problems.items = [];
      await diagnosed(api, 'one problem less', same);
    } finally {
      await fixture.instance.close();
      await fixture.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});

describe.each([{ storage: 'mongodb' as const }, { storage: 'postgresql' as const }])('$storage', ({ storage }) => {
  test('test-connections before the first start (R-11)', async () => {
    await create({ storage });
    const { code, output } = await fixture.instance.run('test-connections');
    expect(output).toContain(`storage ${storage}: ok`);
    expect(code).toBe(0);
  });

  test('a slot past the stored position: everything is copied again while clients are served (R-72)', async () => {
    await create({ storage });
    await fixture.sql(`INSERT INTO items SELECT 'i' || n, 'item', n FROM generate_series(1, 50) n`);
    const api = await fixture.instance.start('api');
    const first = await fixture.instance.start('sync');
    await fixture.instance.untilActive(api);
    const client = await connect(api);
    await first.stop();
    const [former] = await slots();
    await fixture.sql(`DELETE FROM items WHERE id = 'i2'`);
    await fixture.sql(`SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())`, [former!.slot_name]);
    expect(client.visible.size).toBe(50);
    const second = await fixture.instance.start('sync');
    await client.until(() => client.visible.size === 49, 'the new copy', 40_000);
    await until('the former slot to go', async () => {
      const present = await slots();
      return present.length === 1 && present[0]!.slot_name !== former!.slot_name;
    });
    expect(times(second, 'confirmed past what is stored')).toBe(1);
  });
});

test('the log of the source ends before the stored position, as after restoring it from a backup (R-72)', async () => {
  await create();
  await fixture.sql(`INSERT INTO items VALUES ('i1', 'one', 1)`);
  const api = await fixture.instance.start('api');
  const first = await fixture.instance.start('sync');
  await fixture.instance.untilActive(api);
  const client = await connect(api);
  await first.stop();
  await inStorage(`UPDATE powersync.streams SET position = 'FFFFFFFF/00000000'`);
  await fixture.sql(`INSERT INTO items VALUES ('i2', 'two', 2)`);
  await fixture.instance.start('sync');
  await client.until(() => client.visible.size === 2, 'the new copy', 40_000);
});

test('values that nobody has any more: the row is gone, never shown with nulls (R-113)', async () => {
  await create({
    schema: `${TABLES} ${PUBLICATION}
      ALTER TABLE items ADD COLUMN more text;
      ALTER TABLE items ALTER COLUMN name SET STORAGE EXTERNAL, ALTER COLUMN more SET STORAGE EXTERNAL;
      INSERT INTO items (id, name, n) SELECT 'i' || n, repeat('x', 8000), n FROM generate_series(1, 20) n;`,
  });
  const api = await fixture.instance.start('api');
  const first = await fixture.instance.start('sync');
  await fixture.instance.untilActive(api);
  const nulls: string[] = [];
  let client: ProtocolClient | null = null;
  client = await connect(api, () => {
    for (const row of client?.visible.values() ?? [])
      if ((JSON.parse(row) as { name: string | null }).name === null) nulls.push(row);
  });
  await first.stop();
  // As if nothing had been retained.
  await inStorage('DELETE FROM powersync.row_states');
  for (let turn = 0; turn < 2; turn++) await fixture.sql(`UPDATE items SET n = n + 1`);
  // Enough for several flushes, so that there are checkpoints in between.
  for (const turn of ['a', 'b', 'c'])
    await fixture.sql(`INSERT INTO notes SELECT $1 || n, repeat(md5(n::text), 40) FROM generate_series(1, 8000) n`, [
      turn,
    ]);
  // What came with one change must not pass for all that the row has outside.
  await fixture.sql(`UPDATE items SET more = repeat('y', 7000) WHERE id = 'i3'`);
  await fixture.sql(`UPDATE items SET n = 9 WHERE id = 'i3'`);
  await fixture.sql(`DELETE FROM items WHERE id = 'i1'`);
  await fixture.sql(`UPDATE items SET id = 'other' WHERE id = 'i2'`);
  await fixture.instance.start('sync');
  await client.until(() => client.visible.size === 24_019, 'everything', 40_000);
  expect(nulls).toEqual([]);
  const numbers = [...client.visible.values()].map((row) => JSON.parse(row) as { id: string; n?: number });
  expect(numbers.find(({ id }) => id === 'other')).toMatchObject({ n: 4, name: 'x'.repeat(8000) });
  expect(numbers.find(({ id }) => id === 'i3')).toMatchObject({ n: 9, name: 'x'.repeat(8000), more: 'y'.repeat(7000) });
});

describe('a slot that is lost during the first copy (R-103, R-109)', () => {
  const role = 'reader';
  const loginUrl = (url: string): string => Object.assign(new URL(url), { username: role, password: 'p' }).href;
  /** Copying notes waits at a gate, without a transaction that would hold back the log for everybody. */
  const SCHEMA = `${TABLES} ${PUBLICATION} CREATE TABLE unseen (data text);
    CREATE FUNCTION gate() RETURNS boolean LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_advisory_lock_shared(1); PERFORM pg_advisory_unlock_shared(1); RETURN true; END $$;
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY gated ON notes USING (gate());
    CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'p'; GRANT SELECT ON items, notes TO ${role};
    INSERT INTO items SELECT 'i' || n, 'item', n FROM generate_series(1, 100) n; INSERT INTO notes VALUES ('n1', 'note');`;
  const closeGate = async (): Promise<() => Promise<void>> => {
    const keeper = new pg.Client(fixture.sourceUrl);
    await keeper.connect();
    await keeper.query('SELECT pg_advisory_lock(1)');
    return () => keeper.end();
  };
  const atGate = (service: Service): Promise<void> =>
    until(
      'the copy to wait',
      async () => (await fixture.sql(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)).length > 0,
      30_000,
      () => service.output(),
    );

  test('missing: it begins anew by itself', async () => {
    server = await startPostgres({ durable: false });
    await create({ server, schema: SCHEMA, loginUrl });
    const openGate = await closeGate();
    const first = await fixture.instance.start('sync');
    await atGate(first);
    await first.kill();
    await openGate();
    const [former] = await slots();
    await fixture.sql(`SELECT pg_drop_replication_slot($1)`, [former!.slot_name]);
    await fixture.sql(`DELETE FROM items WHERE n > 10`);
    const service = await fixture.instance.start('unified');
    await fixture.instance.untilActive(service);
    const client = await connect(service);
    expect(client.visible.size).toBe(11);
    expect(await slots()).toHaveLength(1);
  });

  test.each(['drop the slot', 'deploy again', 'reprocess'])(
    'given up by the source: it waits, the active version goes on; the way out: %s',
    async (wayOut) => {
      server = await startPostgres({ durable: false, settings: { max_slot_wal_keep_size: '64MB' } });
      await create({ server, schema: SCHEMA, loginUrl, syncConfig: null });
      const service = await fixture.instance.start('unified');
      const post = async (route: string, body: string, type = 'application/yaml'): Promise<void> => {
        const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': type };
        const response = await fetch(`${service.endpoint}/api/sync-rules/v1/${route}`, {
          method: 'POST',
          headers,
          body,
        });
        expect(response.status).toBe(200);
      };
      await post('deploy', 'config: {edition: 3}\nstreams: {n: {auto_subscribe: true, query: SELECT id FROM notes}}');
      await fixture.instance.untilActive(service);
      const [active] = await slots();
      const openGate = await closeGate();
      await post('deploy', SYNC_CONFIG);
      await atGate(service);
      const lost = async (): Promise<string | undefined> =>
        (await slots()).find((slot) => slot.wal_status === 'lost')?.slot_name;
      const warned = (found: Diagnostics): boolean =>
        found.deploying_sync_rules?.errors.some(({ code }) => code === 'PSYNC_S1178') ?? false;
      const write = (): Promise<unknown> =>
        fixture.sql(`INSERT INTO unseen SELECT repeat('x', 1000) FROM generate_series(1, 8000)`);
      for (let turn = 0; turn < 5; turn++) await write();
      if (wayOut === 'reprocess') await diagnosed(service, 'the warning of the budget (R-107)', warned);
      await until(
        'the slot of the copy to be lost',
        async () => {
          await write();
          await fixture.sql('SELECT pg_switch_wal()');
          await fixture.sql('CHECKPOINT');
          const behind = `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) < 32e6 AS ok FROM pg_replication_slots WHERE slot_name = $1`;
          await until('the active stream', async () => {
            const [row] = await fixture.sql<{ ok: boolean }>(behind, [active!.slot_name]);
            return row!.ok;
          });
          return (await lost()) !== undefined;
        },
        60_000,
      );
      await openGate();
      const stuck = (found: Diagnostics): boolean =>
        found.deploying_sync_rules?.errors.some(
          ({ code, message }) => code === 'PSYNC_S1146' && /does not begin again by itself/.test(message),
        ) ?? false;
      await diagnosed(service, 'what it waits for', stuck);
      const present = (await slots()).map(({ slot_name: name }) => name);
      const client = await connect(service);
      await fixture.sql(`INSERT INTO notes VALUES ('n2', 'note')`);
      await client.until(() => client.visible.size === 2, 'a change in the active version', 15_000);
      expect((await slots()).map(({ slot_name: name }) => name)).toEqual(present);
      expect(times(service, 'Replication stopped; it starts again')).toBe(0);

      const given = (await lost())!;
      if (wayOut === 'drop the slot') await fixture.sql(`SELECT pg_drop_replication_slot($1)`, [given]);
      else if (wayOut === 'deploy again') await post('deploy', SYNC_CONFIG);
      else await post('reprocess', '{}', 'application/json');
      await diagnosed(
        service,
        'the new version to be active',
        (found) => found.deploying_sync_rules === undefined && found.active_sync_rules!.errors.length === 0,
      );
      await client.until(() => client.visible.size === 102, 'all rows', 60_000);
      await until('the slots that are not needed to go', async () => (await slots()).length === 1);
    },
    180_000,
  );
});
