import { describe, expect, test } from 'vitest';
import { postgres } from '#test/services/postgres.ts';
import type { Change, RetainedValues, Source } from '../contract.ts';
import { asObject, newCursor, openTestSource, record, session } from './testing.ts';

type RowChange = Extract<Change, { kind: 'insert' | 'update' }>;

describe.each([15, 18])('values stored outside the row, Postgres %i (R-113)', (version) => {
  test('are filled in from what was retained, or fetched', async () => {
    await using t = await start(
      version,
      `CREATE TABLE toasty (id text PRIMARY KEY, big text, data jsonb, list int[], bin bytea, small int);
       ALTER TABLE toasty ALTER COLUMN big SET STORAGE EXTERNAL, ALTER COLUMN data SET STORAGE EXTERNAL, ALTER COLUMN list SET STORAGE EXTERNAL;
       INSERT INTO toasty SELECT 't1', string_agg(md5(n::text), ''), jsonb_agg(n), array_agg(n), decode(string_agg(md5(n::text), ''), 'hex'), 1
         FROM generate_series(1, 1000) n`,
    );
    const retained: RetainedValues[] = [];
    for (const { table, ranges } of t.snapshot.tables) {
      await t.snapshot.copy(
        ranges.map((range) => ({ table, range })),
        { rows: (_part, rows) => void retained.push(...rows.map((row) => row.retain!)), done: () => undefined },
        new AbortController().signal,
      );
    }
    expect(Object.keys(retained[0]!)).toEqual(['id', 'big', 'data', 'list', 'bin']);

    const [update] = await t.run(`UPDATE toasty SET small = 2`);
    const { rows } = await t.app.query(`SELECT big, data::text, list, bin FROM toasty`);
    const omitted = update!.omitted!.map((index) => update!.table.columns[index]);
    expect(omitted).toEqual(['big', 'data', 'list', 'bin']);
    expect(asObject(update!.table, update!.after)).toEqual({
      id: 't1',
      big: null,
      data: null,
      list: null,
      bin: null,
      small: 2n,
    });
    const filled = asObject(update!.table, t.source.fill(update!, retained[0]!));
    expect(filled).toEqual({
      id: 't1',
      big: rows[0].big,
      data: rows[0].data,
      list: JSON.stringify(rows[0].list),
      bin: rows[0].bin,
      small: 2n,
    });
    expect(asObject(update!.table, (await t.source.fetchRow(update!.table, 't1'))!)).toEqual(filled);

    const [changed] = await t.run(`UPDATE toasty SET big = 'short'`);
    expect(changed!.omitted!.map((index) => changed!.table.columns[index])).toEqual(['data', 'list', 'bin']);
    expect(changed!.after[1]).toBe('short');
    // What came now must be retained too: other columns show that the row has values outside.
    expect(changed!.retain).toEqual({ id: 't1', big: 'short' });
    await t.run(`DELETE FROM toasty`);
    expect(await t.source.fetchRow(update!.table, 't1')).toBeNull();
  });

  test('a changed key carries its values along; FULL never leaves anything out', async () => {
    const big = `string_agg(md5(n::text), '') FROM generate_series(1, 400) n`;
    await using t = await start(
      version,
      `CREATE TABLE a (id int PRIMARY KEY, big text); ALTER TABLE a ALTER COLUMN big SET STORAGE EXTERNAL;
       CREATE TABLE f (id int, big text); ALTER TABLE f ALTER COLUMN big SET STORAGE EXTERNAL; ALTER TABLE f REPLICA IDENTITY FULL;
       CREATE TABLE k (id text PRIMARY KEY, big text, v int); ALTER TABLE k ALTER COLUMN big SET STORAGE EXTERNAL, ALTER COLUMN id SET STORAGE EXTERNAL`,
    );
    await t.run(
      `INSERT INTO a SELECT 1, ${big}; INSERT INTO f SELECT 1, ${big}; INSERT INTO k SELECT repeat('k', 2500), ${big}`,
    );
    const changes = await t.run(`UPDATE a SET id = 2; UPDATE f SET id = 2; UPDATE k SET v = 1`);
    const [a, f, k] = changes as [RowChange, RowChange, RowChange];
    expect(a).toMatchObject({ key: '2', keyBefore: '1', omitted: [1] });
    expect(a.keyRowBefore).toEqual([1n, null]);
    expect(f.omitted).toBeNull();
    expect(f.before?.[1]).toBe(f.after[1]);
    expect(String(f.after[1])).toHaveLength(400 * 32);
    expect(f.keyBefore).not.toBe(f.key);
    // The key itself is stored outside: it is in the old row that comes with the change.
    expect(k).toMatchObject({ key: 'k'.repeat(2_500), keyBefore: null, omitted: [1] });
    expect(k.after[0]).toBe('k'.repeat(2_500));
  });

  test('whenever an update leaves something out, the last full version of the row was retained', async () => {
    await using t = await start(
      version,
      `CREATE TABLE r (id int PRIMARY KEY, a text, b jsonb, c int[], d numeric, e varchar, n int)`,
    );
    const sizes = [0, 10, 100, 200, 400, 1_000, 1_900, 2_100, 5_000];
    let id = 0;
    for (const storage of ['PLAIN', 'EXTERNAL', 'EXTENDED', 'MAIN']) {
      await t.app.query(
        ['a', 'b', 'c', 'e']
          .map(
            (column) =>
              `ALTER TABLE r ALTER COLUMN ${column} SET STORAGE ${storage === 'PLAIN' && column !== 'e' ? 'EXTERNAL' : storage}`,
          )
          .join(';'),
      );
      for (const size of sizes) {
        id += 1;
        await t.app.query(
          `INSERT INTO r SELECT ${id}, left(string_agg(md5(n::text), ''), ${size}), to_jsonb(array_agg(n) FILTER (WHERE n < ${size / 8})),
                  array_agg(n) FILTER (WHERE n < ${size / 8}), 1.5, left(string_agg(md5((-n)::text), ''), ${Math.floor(size / 2)}), 0 FROM generate_series(1, 1000) n`,
        );
      }
    }
    await t.run(`UPDATE r SET n = 1; UPDATE r SET a = 'x' WHERE id % 2 = 0; UPDATE r SET n = 2`);
    const state = new Map<string, RetainedValues>();
    let omissions = 0;
    for (const event of t.events) {
      if (event.kind !== 'insert' && event.kind !== 'update') continue;
      const former = state.get(event.key);
      for (const index of event.omitted ?? []) {
        omissions += 1;
        expect(former?.[event.table.columns[index]!], `${event.key} ${event.table.columns[index]}`).toBeTypeOf(
          'string',
        );
      }
      if (event.retain !== null || event.omitted !== null)
        state.set(event.key, { ...(event.omitted === null ? {} : former), ...event.retain });
      else state.delete(event.key);
    }
    expect(omissions).toBeGreaterThan(50);
    // And small rows cost nothing.
    expect(state.size).toBeLessThan(id);
  });
});

async function start(version: number, setup: string) {
  const database = await (await postgres({ version })).createDatabase();
  const app = await session(database.url);
  await app.query(setup);
  await app.query('CREATE PUBLICATION powersync FOR ALL TABLES');
  const source: Source = openTestSource(database.url);
  const cursor = newCursor(source);
  const snapshot = await source.createCursor(cursor, new AbortController().signal);
  const recording = record(source, cursor, snapshot.position);
  return {
    app,
    source,
    snapshot,
    events: recording.events,
    /** Inserts and updates that the SQL gave. */
    async run(sql: string): Promise<RowChange[]> {
      const seen = recording.events.length;
      await app.query(sql);
      await recording.passed(await source.head());
      return recording.events
        .slice(seen)
        .flatMap((event) => (event.kind === 'insert' || event.kind === 'update' ? [event] : []));
    },
    async [Symbol.asyncDispose]() {
      await recording.stop();
      await snapshot.close();
      await source.dropCursor(cursor);
      await source.close();
      await app.end();
      await database.drop();
    },
  };
}
