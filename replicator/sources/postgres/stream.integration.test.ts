import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PrivatePostgres } from '#test/services/contract.ts';
import { startPostgres } from '#test/services/postgres.ts';
import type { Position, Source, StreamEvent } from '../contract.ts';
import { positionOf } from './position.ts';
import { copyAll, newCursor, openTestSource, record, session } from './testing.ts';

setFlagsFromString('--expose-gc');
/** What is not collected yet would count as held. */
const collectGarbage = runInNewContext('gc') as () => void;

interface Prepared extends AsyncDisposable {
  readonly app: pg.Client;
  readonly url: string;
  readonly source: Source;
  readonly cursor: string;
  readonly start: Position;
}

describe.each([15, 18])('stream, Postgres %i', (version) => {
  let server: PrivatePostgres;
  beforeAll(async () => {
    // Short limits show what would take a minute otherwise.
    server = await startPostgres({
      version,
      durable: false,
      settings: { wal_sender_timeout: '2s', logical_decoding_work_mem: '64kB' },
    });
  });
  afterAll(() => server.close());

  async function prepare(setup: string): Promise<Prepared> {
    const database = await server.createDatabase();
    const app = await session(database.url);
    await app.query(setup);
    await app.query('CREATE PUBLICATION powersync FOR ALL TABLES');
    const source = openTestSource(database.url);
    const cursor = newCursor(source);
    const snapshot = await source.createCursor(cursor, new AbortController().signal);
    await snapshot.close();
    return {
      app,
      url: database.url,
      source,
      cursor,
      start: snapshot.position,
      async [Symbol.asyncDispose]() {
        await source.dropCursor(cursor);
        await source.close();
        await app.end();
        await database.drop();
      },
    };
  }
  const confirmed = async (app: pg.Client, cursor: string): Promise<Position> => {
    const { rows } = await app.query<{ lsn: string }>(
      'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
      [cursor],
    );
    return positionOf(rows[0]!.lsn);
  };
  const until = async (holds: () => Promise<boolean>): Promise<void> => {
    while (!(await holds())) await delay(20);
  };

  test('a handler slower than wal_sender_timeout does not end the connection', async () => {
    await using t = await prepare('CREATE TABLE t (id int PRIMARY KEY, v text)');
    let pause: Promise<void> | undefined = delay(5_000);
    const stream = record(t.source, t.cursor, t.start, {
      onEvent: (event) => {
        const wait = event.kind === 'insert' ? pause : undefined;
        if (wait !== undefined) pause = undefined;
        return wait;
      },
    });
    // More than socket buffers hold, so that the server is stuck while sending.
    await t.app.query(`INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 30000) n`);
    const backend = await t.app.query(`SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1`, [t.cursor]);
    await stream.passed(await t.source.head());
    expect(stream.events.filter(({ kind }) => kind === 'insert')).toHaveLength(30_000);
    expect(
      await t.app.query(`SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1`, [t.cursor]),
    ).toMatchObject({ rows: backend.rows });
    await stream.stop();
  });

  test('the walsender is ended in the middle of a transaction: resumed without gap and repetition', async () => {
    await using t = await prepare('CREATE TABLE t (id int PRIMARY KEY)');
    await t.app.query('INSERT INTO t VALUES (0)');
    const ids: number[] = [];
    let stored = t.start;
    let kills = 0;
    const streamOnce = async (killAt: number | null): Promise<unknown> => {
      let pending: number[] = [];
      const stream = record(t.source, t.cursor, stored, {
        onEvent: (event) => {
          if (event.kind === 'begin') pending = [];
          else if (event.kind === 'insert') {
            pending.push(Number(event.after[0]));
            if (pending.length === killAt) {
              kills += 1;
              return t.app
                .query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1`, [
                  t.cursor,
                ])
                .then(() => undefined);
            }
          } else if (event.kind === 'commit') {
            ids.push(...pending);
            stored = event.position;
          }
          return undefined;
        },
      });
      if (killAt !== null) return stream.ended;
      await stream.passed(await t.source.head());
      await stream.stop();
      return undefined;
    };
    await t.app.query('INSERT INTO t SELECT generate_series(1, 100000)');
    await t.app.query('INSERT INTO t VALUES (100001)');
    for (const at of [10, 20_000, 70_000]) expect(await streamOnce(at)).toMatchObject({ code: 'PSYNC_S1170' });
    await streamOnce(null);
    expect(kills).toBe(3);
    expect(ids).toEqual(Array.from({ length: 100_002 }, (_, n) => n));
  });

  test('only what was acknowledged is confirmed, at once and also when idle (G5, R-105)', async () => {
    await using t = await prepare('CREATE TABLE t (id int PRIMARY KEY)');
    const stream = record(t.source, t.cursor, t.start);
    const before = await confirmed(t.app, t.cursor);
    await t.app.query('INSERT INTO t VALUES (1)');
    await stream.passed(await t.source.head());
    // Longer than wal_sender_timeout: statuses went, and confirmed nothing.
    await delay(2_500);
    expect(await confirmed(t.app, t.cursor)).toBe(before);
    const commit = stream.events.find(({ kind }) => kind === 'commit') as Extract<StreamEvent, { kind: 'commit' }>;
    t.source.acknowledge(t.cursor, commit.position);
    await until(async () => (await confirmed(t.app, t.cursor)) === commit.position);
    // Going back is not possible.
    t.source.acknowledge(t.cursor, t.start);
    t.source.acknowledge('another', 'FFFFFFFF/FFFFFFFF');
    await stream.stop();
    expect(await confirmed(t.app, t.cursor)).toBe(commit.position);
  });

  test('writes to other databases and unwanted tables move the position (R-95, R-105)', async () => {
    await using t = await prepare('CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE unwanted (id int PRIMARY KEY)');
    t.source.want(({ name }) => name === 't');
    const stream = record(t.source, t.cursor, t.start, { acknowledge: true });
    await using elsewhere = await session(server.url);
    await elsewhere.query(`CREATE TABLE elsewhere_${t.cursor} AS SELECT generate_series(1, 1000)`);
    await t.app.query('INSERT INTO unwanted SELECT generate_series(1, 1000)');
    const { rows } = await t.app.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    const target = positionOf(rows[0]!.lsn);
    await stream.passed(target);
    expect(new Set(stream.events.map(({ kind }) => kind))).toEqual(new Set(['keepalive']));
    await until(async () => (await confirmed(t.app, t.cursor)) >= target);
    await elsewhere.query(`DROP TABLE elsewhere_${t.cursor}`);
    await stream.stop();
  });

  test('a large transaction arrives in bounded memory and as one (R-117)', async () => {
    await using t = await prepare('CREATE TABLE t (id int PRIMARY KEY, v text)');
    await t.app.query(`INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 60000) n`);
    const megabyte = 1024 * 1024;
    const received = (): number => {
      collectGarbage();
      return process.memoryUsage().arrayBuffers;
    };
    const before = received();
    let inserts = 0;
    let begins = 0;
    let most = 0;
    const abort = new AbortController();
    const done = Promise.withResolvers<void>();
    const running = t.source.stream({
      cursor: t.cursor,
      position: t.start,
      signal: abort.signal,
      handler: {
        event(event) {
          if (event.kind === 'begin') begins += 1;
          if (event.kind === 'commit') done.resolve();
          if (event.kind !== 'insert') return undefined;
          inserts += 1;
          if (inserts % 10_000 !== 0) return undefined;
          // The server has time to send everything, and must not be able to.
          return delay(300).then(() => {
            most = Math.max(most, received() - before);
          });
        },
        idle: () => undefined,
      },
    });
    await done.promise;
    abort.abort();
    await running;
    expect([begins, inserts]).toEqual([1, 60_000]);
    expect(most).toBeLessThan(20 * megabyte);
  });

  test('a subtransaction that is rolled back, savepoints and empty transactions give only what was committed', async () => {
    await using t = await prepare('CREATE TABLE t (id int PRIMARY KEY)');
    const stream = record(t.source, t.cursor, t.start);
    await t.app.query(
      'BEGIN; INSERT INTO t VALUES (1); SAVEPOINT s; INSERT INTO t VALUES (2); ROLLBACK TO s; INSERT INTO t VALUES (3); COMMIT',
    );
    await t.app.query('BEGIN; INSERT INTO t VALUES (4); ROLLBACK');
    await t.app.query('CREATE TABLE empty_one ()');
    await stream.passed(await t.source.head());
    await stream.stop();
    expect(stream.events.flatMap((event) => (event.kind === 'insert' ? [Number(event.after[0])] : []))).toEqual([1, 3]);
  });

  test('the server restarts: the stream ends with a code, and goes on afterwards (R-12)', async () => {
    await using t = await prepare('CREATE TABLE t (id int PRIMARY KEY)');
    const stream = record(t.source, t.cursor, t.start);
    await t.app.query('INSERT INTO t VALUES (1)');
    await stream.passed(await t.source.head());
    const committed = stream.events.findLast(({ kind }) => kind === 'commit') as Extract<
      StreamEvent,
      { kind: 'commit' }
    >;
    await server.stop();
    expect(await stream.ended).toMatchObject({ code: 'PSYNC_S1170' });
    await expect(t.source.head()).rejects.toMatchObject({ code: 'PSYNC_S1170' });
    await expect(t.source.check()).resolves.toMatchObject({ ok: false, findings: [{ code: 'PSYNC_S1170' }] });
    await server.start();
    await using app = await session(t.url);
    const again = record(t.source, t.cursor, committed.position);
    await app.query('INSERT INTO t VALUES (2)');
    await again.passed(await t.source.head());
    await again.stop();
    expect(again.events.flatMap((event) => (event.kind === 'insert' ? [Number(event.after[0])] : []))).toEqual([2]);
  });

  test('another replicator takes the slot over from one that does not answer', async () => {
    await using t = await prepare('CREATE TABLE t (id int PRIMARY KEY)');
    const first = record(t.source, t.cursor, t.start, {
      onEvent: (event) => (event.kind === 'insert' ? new Promise<void>(() => undefined) : undefined),
    });
    await t.app.query('INSERT INTO t VALUES (1)');
    await first.until((events) => events.some(({ kind }) => kind === 'insert'));
    const other = openTestSource(t.url);
    const second = record(other, t.cursor, t.start);
    await second.passed(await other.head());
    expect(second.events.filter(({ kind }) => kind === 'insert')).toHaveLength(1);
    await second.stop();
    await other.close();
    await first.stop();
  });

  test('a row above 15 MB is dropped with a logged error, the others go on (R-60)', async () => {
    const lines: { fields: object; message: string }[] = [];
    await using t = await prepare(
      'CREATE TABLE t (id int PRIMARY KEY, v text, b bytea); ALTER TABLE t ALTER COLUMN v SET STORAGE EXTERNAL',
    );
    const source = openTestSource(t.url, { lines: lines as never });
    await t.app.query(
      `INSERT INTO t VALUES (1, 'small', NULL), (2, repeat('x', 16 * 1024 * 1024), NULL), (3, 'b', decode(repeat('00', 9 * 1024 * 1024), 'hex'))`,
    );
    const snapshot = await source.openSnapshot(new AbortController().signal);
    const copied = (await copyAll(snapshot)).get('t')!.map(({ id }) => id as bigint);
    await snapshot.close();
    expect(copied.toSorted()).toEqual([1n, 3n]);
    const stream = record(source, t.cursor, t.start);
    await t.app.query(`UPDATE t SET v = repeat('y', 16 * 1024 * 1024) WHERE id = 1`);
    await t.app.query(`UPDATE t SET v = 'small again' WHERE id = 2`);
    await stream.passed(await source.head());
    await stream.stop();
    await source.close();
    const seen = stream.events.flatMap((event) => ('key' in event ? [`${event.kind} ${event.key}`] : []));
    expect(seen).toEqual(['insert 1', 'insert 3', 'delete 1', 'update 2']);
    expect(lines.map(({ fields }) => fields)).toEqual(
      Array(3).fill(expect.objectContaining({ code: 'PSYNC_S1002', table: 't' })),
    );
  });

  test('a row with JSON nested deeper than 20 levels is dropped with a logged error, the others go on (R-61, S-273)', async () => {
    const lines: { fields: object; message: string }[] = [];
    await using t = await prepare('CREATE TABLE t (id int PRIMARY KEY, v jsonb, w json)');
    const source = openTestSource(t.url, { lines: lines as never });
    const nested = (levels: number): string => '[ '.repeat(levels) + '"[[["' + ' ]'.repeat(levels);
    await t.app.query('INSERT INTO t VALUES (1, $1, NULL), (2, $2, NULL), (3, NULL, $2)', [nested(20), nested(21)]);
    const snapshot = await source.openSnapshot(new AbortController().signal);
    const copied = (await copyAll(snapshot)).get('t')!.map(({ id }) => id as bigint);
    const [found] = snapshot.tables;
    expect(await source.fetchRow(found!.table, '2')).toBeNull();
    expect(await source.fetchRow(found!.table, '1')).not.toBeNull();
    await snapshot.close();
    expect(copied).toEqual([1n]);
    const stream = record(source, t.cursor, t.start);
    await t.app.query('UPDATE t SET v = $1 WHERE id = 1', [nested(21)]);
    await t.app.query(`UPDATE t SET v = '{}' WHERE id = 2`);
    await stream.passed(await source.head());
    await stream.stop();
    await source.close();
    const seen = stream.events.flatMap((event) => ('key' in event ? [`${event.kind} ${event.key}`] : []));
    expect(seen).toEqual(['insert 1', 'delete 1', 'update 2']);
    expect(lines.map(({ fields }) => fields)).toEqual(
      ['v', 'w', 'v', 'v', 'w', 'v'].map((column) => ({ code: 'PSYNC_S1004', schema: 'public', table: 't', column })),
    );
  });
});
