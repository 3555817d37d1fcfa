import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { postgres, startPostgres } from '#test/services/postgres.ts';
import { createCopyChannel } from './copy-channel.ts';
import { newCursor, openTestSource, record, session } from './testing.ts';

const signal = new AbortController().signal;

describe.each([15, 18])('slots, Postgres %i', (version) => {
  test('a slot whose log was removed is lost, before and while streaming (R-108, R-106)', async () => {
    await using server = await startPostgres({
      version,
      durable: false,
      settings: { max_slot_wal_keep_size: '1MB', min_wal_size: '32MB', max_wal_size: '32MB', wal_keep_size: '0' },
    });
    await using database = await server.createDatabase();
    await using app = await session(database.url);
    await app.query('CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION powersync FOR ALL TABLES');
    const source = openTestSource(database.url);
    const cursor = newCursor(source);
    const snapshot = await source.createCursor(cursor, signal);
    await snapshot.close();
    expect(await source.status(cursor)).toMatchObject({
      slot: cursor,
      walStatus: 'reserved',
      maxWalBytes: 1024 * 1024,
    });

    // A stream that is held back, while much more log is written than may be kept.
    const stream = record(source, cursor, snapshot.position, { onEvent: () => new Promise<void>(() => undefined) });
    await app.query(`INSERT INTO t VALUES (0, '')`);
    await stream.until((events) => events.length > 0);
    for (let n = 0; (await source.status(cursor)).walStatus !== 'lost'; n += 1) {
      if (n === 60) throw new Error('the slot was never invalidated');
      await app.query(
        `INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(${n * 2000 + 1}, ${n * 2000 + 2000}) n`,
      );
      await app.query('SELECT pg_switch_wal()');
      await app.query('CHECKPOINT');
    }
    expect(await source.status(cursor)).toMatchObject({ lagBytes: expect.any(Number), safeWalBytes: null });
    expect(await source.cursorState(cursor)).toMatchObject({
      kind: 'lost',
      code: 'PSYNC_S1146',
      reason: expect.stringContaining('wal_removed'),
    });
    await stream.stop();
    const again = record(source, cursor, snapshot.position);
    expect(await again.ended).toMatchObject({ code: 'PSYNC_S1146' });
    // The way out: another slot.
    await source.dropCursor(cursor);
    const next = newCursor(source);
    await (await source.createCursor(next, signal)).close();
    expect(await source.cursorState(next)).toEqual({ kind: 'ok' });
    await source.dropCursor(next);
    await source.close();
  });

  test('all slots in use: named as such, with the query that lists them; works once one is free (R-83, R-84)', async () => {
    await using server = await startPostgres({ version, durable: false, settings: { max_replication_slots: '2' } });
    await using database = await server.createDatabase();
    await using app = await session(database.url);
    await app.query('CREATE PUBLICATION powersync FOR ALL TABLES');
    await app.query(`SELECT pg_create_physical_replication_slot('one'), pg_create_physical_replication_slot('two')`);
    const source = openTestSource(database.url);
    expect(await source.check()).toMatchObject({ ok: true, findings: [{ level: 'warning', code: 'PSYNC_S1174' }] });
    const cursor = newCursor(source);
    await expect(source.createCursor(cursor, signal)).rejects.toMatchObject({
      code: 'PSYNC_S1174',
      message: expect.stringContaining('SELECT slot_name, active'),
    });
    // A later snapshot needs no slot.
    await (await source.openSnapshot(signal)).close();
    await app.query(`SELECT pg_drop_replication_slot('one')`);
    await (await source.createCursor(cursor, signal)).close();
    await source.dropCursor(cursor);
    await source.close();
  });

  test('a slot is dropped while its stream runs; a name that is taken is not', async () => {
    await using database = await (await postgres({ version })).createDatabase();
    await using app = await session(database.url);
    await app.query('CREATE PUBLICATION powersync FOR ALL TABLES');
    const source = openTestSource(database.url);
    const cursor = newCursor(source);
    const snapshot = await source.createCursor(cursor, signal);
    await snapshot.close();
    await expect(source.createCursor(cursor, signal)).rejects.toMatchObject({
      message: expect.stringContaining('already exists'),
    });
    expect(await source.cursorState(cursor)).toEqual({ kind: 'ok' });
    const stream = record(source, cursor, snapshot.position);
    await stream.passed(await source.head());
    await source.dropCursor(cursor);
    expect(await stream.ended).toMatchObject({ code: 'PSYNC_S1170' });
    expect((await app.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [cursor])).rowCount).toBe(0);
    expect(await source.status(cursor)).toMatchObject({ slot: null });
    await source.close();
  });

  test('a slot in use by someone else is not taken from them', async () => {
    await using database = await (await postgres({ version })).createDatabase();
    await using app = await session(database.url);
    await app.query('CREATE PUBLICATION powersync FOR ALL TABLES');
    const source = openTestSource(database.url);
    const cursor = newCursor(source);
    const snapshot = await source.createCursor(cursor, signal);
    await snapshot.close();
    // Our own role, but another application.
    const other = new pg.Client({
      connectionString: database.url,
      application_name: 'somebody else',
      replication: 'database',
    } as pg.ClientConfig);
    other.on('error', () => undefined);
    await other.connect();
    const channel = createCopyChannel(other);
    const held = channel
      .run(`START_REPLICATION SLOT "${cursor}" LOGICAL 0/0 (proto_version '1', publication_names 'powersync')`, {
        data: () => undefined,
      })
      .catch(() => undefined);
    const holder = async (): Promise<number | null> =>
      (await app.query(`SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1`, [cursor])).rows[0]
        .active_pid;
    let pid: number | null = null;
    while (pid === null) pid = await holder();
    const stream = record(source, cursor, snapshot.position);
    // Long enough for several attempts.
    await delay(1000);
    expect(await holder()).toBe(pid);
    expect(stream.events).toEqual([]);
    // Once it is free the stream begins.
    channel.abandon();
    await held;
    await other.end();
    await stream.passed(await source.head());
    expect(await holder()).not.toBe(pid);
    await stream.stop();
    await source.dropCursor(cursor);
    await source.close();
  });

  test('a slot that was confirmed past our position is of no use (restored storage)', async () => {
    await using database = await (await postgres({ version })).createDatabase();
    await using app = await session(database.url);
    await app.query('CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION powersync FOR ALL TABLES');
    const source = openTestSource(database.url);
    const cursor = newCursor(source);
    const snapshot = await source.createCursor(cursor, signal);
    await snapshot.close();
    await app.query('INSERT INTO t VALUES (1)');
    await app.query(`SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())`, [cursor]);
    expect(await source.cursorState(cursor)).toEqual({ kind: 'ok' });
    expect(await source.cursorState(cursor, snapshot.position)).toMatchObject({
      kind: 'lost',
      reason: expect.stringContaining('confirmed past'),
    });
    expect(await record(source, cursor, snapshot.position).ended).toMatchObject({ code: 'PSYNC_S1146' });
    expect(await source.cursorState(cursor, 'FFFFFFFF/00000000')).toMatchObject({
      kind: 'lost',
      reason: expect.stringContaining('log ends before'),
    });
    await source.dropCursor(cursor);
    await source.close();
  });

  test('creating a cursor waits for open transactions, and can be given up', async () => {
    // A server of its own: open transactions of other tests would be waited for too.
    await using server = await startPostgres({ version, durable: false });
    await using database = await server.createDatabase();
    await using app = await session(database.url);
    await app.query('CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION powersync FOR ALL TABLES');
    await app.query('BEGIN; INSERT INTO t VALUES (1)');
    const source = openTestSource(database.url);
    const abort = new AbortController();
    const cursor = newCursor(source);
    const creating = source.createCursor(cursor, abort.signal);
    await expect(Promise.race([creating, delay(300, 'waiting')])).resolves.toBe('waiting');
    abort.abort(new Error('enough'));
    await expect(creating).rejects.toThrow('enough');
    expect(await source.cursorState(cursor)).toMatchObject({ kind: 'lost' });
    // A snapshot of what is visible now need not wait.
    await (await source.openSnapshot(signal)).close();
    const second = newCursor(source);
    const waiting = source.createCursor(second, signal);
    await delay(100);
    await app.query('COMMIT');
    const snapshot = await waiting;
    expect(snapshot.tables.map(({ table }) => table.name)).toEqual(['t']);
    await snapshot.close();
    await source.dropCursor(second);
    await source.close();
  });

  test('names (R-100)', () => {
    const source = openTestSource('postgresql://u:p@127.0.0.1:5432/d', {
      connection: { slotNamePrefix: 'My-Prefix.' },
    });
    expect(source.cursorName(1, 'c3c8cf21')).toBe('my_prefix_1_c3c8cf21');
    const long = openTestSource('postgresql://u:p@127.0.0.1:5432/d', {
      connection: { slotNamePrefix: 'p'.repeat(80) },
    });
    expect(long.cursorName(123, 'c3c8cf21')).toBe(`${'p'.repeat(63 - 12)}123_c3c8cf21`);
  });
});
