import { describe, expect, test } from 'vitest';
import { postgres } from '#test/services/postgres.ts';
import { asObject, copyAll, openTestSource, record, session } from './testing.ts';

describe.each([15, 18])('Postgres %i', (version) => {
  test('copy and stream join', async () => {
    await using database = await (await postgres({ version })).createDatabase();
    await using app = await session(database.url);
    await app.query(`CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 1000) n; CREATE PUBLICATION powersync FOR ALL TABLES`);
    const source = openTestSource(database.url);
    expect(await source.check()).toMatchObject({ ok: true, findings: [] });
    const cursor = source.cursorName(1, 'c3c8cf21');
    const snapshot = await source.createCursor(cursor, new AbortController().signal);
    await app.query(`INSERT INTO t VALUES (1001, E'x\\ty'); UPDATE t SET v = 'changed' WHERE id = 1; DELETE FROM t WHERE id = 2`);
    const rows = (await copyAll(snapshot)).get('t')!;
    expect(rows).toHaveLength(1000);
    await snapshot.close();
    const recording = record(source, cursor, snapshot.position, { acknowledge: true });
    await recording.passed(await source.head());
    const changes = recording.events.flatMap((e) => (e.kind === 'insert' || e.kind === 'update' ? [[e.kind, asObject(e.table, e.after)]] : [e.kind]));
    expect(changes.filter((c) => c !== 'keepalive')).toEqual([
      'begin', 'table', ['insert', { id: 1001n, v: 'x\ty' }], ['update', { id: 1n, v: 'changed' }], 'delete', 'commit',
    ]);
    await recording.stop();
    expect(await source.cursorState(cursor)).toEqual({ kind: 'ok' });
    expect(await source.status(cursor)).toMatchObject({ slot: cursor, walStatus: 'reserved' });
    await source.dropCursor(cursor);
    expect(await source.cursorState(cursor)).toMatchObject({ kind: 'lost' });
    await source.close();
  });
});
