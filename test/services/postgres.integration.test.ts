import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PrivatePostgres } from './contract.ts';
import { postgres, startPostgres } from './postgres.ts';

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

const setting = async (url: string, name: string) =>
  (await query(url, `select current_setting('${name}') as value`))[0]?.['value'];

describe('the shared Postgres', () => {
  test('is one server, ready for logical replication', async () => {
    const server = await postgres();
    expect((await postgres()).url).toBe(server.url);
    expect(await setting(server.url, 'wal_level')).toBe('logical');
    expect(Number(await setting(server.url, 'max_replication_slots'))).toBeGreaterThanOrEqual(60);
    expect(await setting(server.url, 'server_encoding')).toBe('UTF8');
    expect(await setting(server.url, 'fsync')).toBe('on');
  });

  test('gives each test a database of its own', async () => {
    const server = await postgres();
    await using one = await server.createDatabase();
    await using two = await server.createDatabase();
    await query(one.url, 'create table lists (id int)');
    expect(await query(two.url, `select to_regclass('lists') as found`)).toEqual([{ found: null }]);
    expect(await query(one.url, 'select current_database() as name')).toEqual([{ name: one.name }]);
  });

  test('drops a database that has a slot and open connections', async () => {
    const server = await postgres();
    const database = await server.createDatabase();
    await query(database.url, `select pg_create_logical_replication_slot('${database.name}', 'pgoutput')`);
    const open = new pg.Client({ connectionString: database.url });
    const ended = new Promise<void>((resolve) => void open.on('error', () => {}).on('end', () => resolve()));
    await open.connect();
    await database.drop();
    await ended;
    expect(await query(server.url, `select 1 from pg_database where datname = '${database.name}'`)).toEqual([]);
    expect(await query(server.url, `select 1 from pg_replication_slots where database = '${database.name}'`)).toEqual(
      [],
    );
  });

  test('comes in an older major version too', { timeout: 300_000 }, async () => {
    const older = await postgres({ version: 15 });
    expect(older.version).toBe(15);
    expect(String(await setting(older.url, 'server_version_num'))).toMatch(/^15/);
    expect(await setting(older.url, 'wal_level')).toBe('logical');
  });
});

describe('a private Postgres', () => {
  let server: PrivatePostgres;
  beforeAll(async () => {
    server = await startPostgres({
      settings: { max_slot_wal_keep_size: '1MB' },
      files: { 'pg_hba.conf': 'host all all 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 reject\n' },
    });
  });
  afterAll(() => server.close());

  test('takes settings and files', async () => {
    expect(await setting(server.url, 'max_slot_wal_keep_size')).toBe('1MB');
    const rules = await query(server.url, 'select auth_method from pg_hba_file_rules order by line_number');
    expect(rules.map((rule) => rule['auth_method'])).toEqual(['scram-sha-256', 'reject']);
  });

  test.each(['stop', 'kill'] as const)('keeps port and committed rows over %s and start', async (end) => {
    await query(server.url, `create table ${end}_rows as select 1 as id`);
    const busy = query(server.url, 'select pg_sleep(600)').catch((error: unknown) => error);
    await server[end]();
    expect(await busy).toBeInstanceOf(Error);
    await expect(query(server.url, 'select 1')).rejects.toThrow(/ECONNREFUSED/);
    await server.start();
    expect(await query(server.url, `select * from ${end}_rows`)).toEqual([{ id: 1 }]);
  });

  test('is fast and forgetful only when asked', async () => {
    await using fast = await startPostgres({ durable: false });
    expect(await setting(fast.url, 'fsync')).toBe('off');
    expect(await setting(server.url, 'fsync')).toBe('on');
  });

  test('that cannot start says why', async () => {
    await expect(startPostgres({ settings: { no_such_setting: '1' }, files: {} })).rejects.toThrow(
      /postgres did not start[^]*no_such_setting/,
    );
  });
});
