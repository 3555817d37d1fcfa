/** Finding one row for somebody who asks about it: what replication gives of the same row, whichever way it is named. */
import { describe, expect, test } from 'vitest';
import { postgres } from '#test/services/postgres.ts';
import type { CopiedRow, FoundRows, Source } from '../contract.ts';
import { findRows } from './find-rows.ts';
import { createLayouts } from './layouts.ts';
import { createSideQueries } from './side-queries.ts';
import { connectionOf, edition2, openTestSource, session } from './testing.ts';
import { createTypeCatalog } from './types/catalog.ts';

const SCHEMA = `
CREATE TYPE mood AS ENUM ('calm', 'rough');
CREATE TABLE boats (id uuid PRIMARY KEY, name text, at timestamptz, price numeric, fast bool, data jsonb, raw bytea, mood mood, list int[]);
INSERT INTO boats VALUES
  ('a0000000-0000-4000-8000-000000000001', 'Heron', '2026-01-02 03:04:05.678+02', 12.50, true, '{"a": [1, 2.0]}', '\\x00ff', 'calm', '{1,2}'),
  ('a0000000-0000-4000-8000-000000000002', 'it''s', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE berths (dock text, place int, note text, PRIMARY KEY (dock, place));
INSERT INTO berths VALUES ('A', 1, 'x'), ('A', 2, 'y'), ('["A","1"]', 3, 'z');
CREATE TABLE log (at int, line text);
ALTER TABLE log REPLICA IDENTITY FULL;
INSERT INTO log VALUES (1, 'one'), (2, 'one'), (NULL, NULL);
CREATE TABLE open_lists (id int PRIMARY KEY, archived bool);
INSERT INTO open_lists VALUES (1, false), (2, true);
CREATE TABLE hidden (id int PRIMARY KEY);
CREATE TABLE deep (id int PRIMARY KEY, data jsonb);
CREATE VIEW sights AS SELECT * FROM boats;
CREATE PUBLICATION powersync FOR TABLE boats, berths, log, deep, open_lists WHERE (archived = false);`;

async function prepare(version: 15 | 18) {
  const database = await (await postgres({ version })).createDatabase();
  const app = await session(database.url);
  await app.query(SCHEMA);
  await app.query('INSERT INTO deep VALUES (1, $1)', ['['.repeat(21) + ']'.repeat(21)]);
  const source = openTestSource(database.url);
  return {
    app,
    source,
    url: database.url,
    find: (name: string, text: string, ...columns: string[]): Promise<FoundRows> =>
      source.findRows!({ schema: 'public', name, text, columns }),
    async [Symbol.asyncDispose]() {
      await source.close();
      await app[Symbol.asyncDispose]();
      await database.drop();
    },
  };
}

async function copied(source: Source): Promise<Map<string, CopiedRow[]>> {
  const snapshot = await source.openSnapshot(new AbortController().signal);
  const found = new Map<string, CopiedRow[]>();
  const parts = snapshot.tables.flatMap(({ table, ranges }) => ranges.map((range) => ({ table, range })));
  const rows = (part: (typeof parts)[number], batch: readonly CopiedRow[]): void =>
    void found.set(part.table.name, [...(found.get(part.table.name) ?? []), ...batch]);
  await snapshot.copy(parts, { rows, done: () => undefined }, new AbortController().signal);
  await snapshot.close();
  return found;
}

describe.each([15, 18] as const)('finding a row, Postgres %i', (version) => {
  test('by its identity and by a column: key and values are those of a copy (R-256)', async () => {
    await using t = await prepare(version);
    const all = await copied(t.source);
    expect([...all].map(([name, rows]) => [name, rows.length]).toSorted()).toEqual([
      ['berths', 3],
      ['boats', 2],
      ['log', 3],
      ['open_lists', 1],
    ]);
    for (const name of ['boats', 'berths', 'open_lists']) {
      for (const { key, row } of all.get(name)!) {
        const { rows, report } = await t.find(name, key);
        expect(rows).toEqual([{ key, row, fault: null, shown: true, by: null }]);
        expect(report).toMatchObject({ schema: 'public', name });
      }
    }
    const heron = all.get('boats')!.find(({ row }) => row.includes('Heron'))!;
    const columns = ['nowhere', 'name', 'at', 'price', 'fast', 'mood'];
    for (const [text, by] of [
      ['Heron', 'name'],
      ['2026-01-02T01:04:05.678Z', 'at'],
      ['12.5', 'price'],
      ['1', 'fast'],
      ['calm', 'mood'],
    ] as const) {
      expect((await t.find('boats', text, ...columns)).rows).toEqual(
        [{ ...heron, by, shown: true, fault: null }].map(told),
      );
    }
    // identified by all columns: by a column only, each row with a key of its own
    const lines = await t.find('log', 'one', 'line');
    const ones = all.get('log')!.filter(({ row }) => row.includes('one'));
    expect(lines.rows.map(({ key }) => key).toSorted()).toEqual(ones.map(({ key }) => key).toSorted());
    expect(lines.table).toMatchObject({ identity: 'full' });
  });

  test('texts that no row has, also those that are no value of a column', async () => {
    await using t = await prepare(version);
    const columns = ['id', 'name', 'at', 'price', 'fast', 'data', 'raw', 'mood', 'list'];
    for (const text of ['nothing', '', 'a0000000', "'; DROP TABLE boats; --", '9'.repeat(200), '{', '["A"]']) {
      expect(await t.find('boats', text, ...columns)).toMatchObject({ rows: [], unsearched: [] });
      expect(await t.find('berths', text, 'dock', 'place')).toMatchObject({ rows: [], unsearched: [] });
    }
    for (const text of ['["A",1]', '["A","1","2"]', '"A"', 'A'])
      expect(await t.find('berths', text)).toMatchObject({ rows: [], table: { name: 'berths' } });
    expect((await t.find('berths', '["A","1"]', 'dock')).rows.map(({ key, by }) => [key, by])).toEqual([
      ['["A","1"]', null],
      ['["[\\"A\\",\\"1\\"]","3"]', 'dock'],
    ]);
  });

  test('what keeps a row from being replicated: the publication, its filter, its own size', async () => {
    await using t = await prepare(version);
    expect(await t.find('nowhere', '1')).toEqual({ table: null, report: null, rows: [], unsearched: [] });
    const codes = async (name: string): Promise<unknown> => {
      const { table, report, rows } = await t.find(name, '1');
      return [table, rows.length, report?.errors.map(({ level, code }) => `${level} ${code}`)];
    };
    expect(await codes('hidden')).toEqual([null, 0, ['fatal PSYNC_S1151']]);
    expect(await codes('sights')).toEqual([null, 0, ['fatal PSYNC_S1153']]);
    expect((await t.find('open_lists', '1')).rows).toMatchObject([{ key: '1', shown: true }]);
    expect((await t.find('open_lists', '2')).rows).toMatchObject([{ key: '2', shown: false }]);
    const [deep] = (await t.find('deep', '1')).rows;
    expect(deep).toMatchObject({ key: '1', row: null, fault: { code: 'PSYNC_S1004' } });
    expect(deep?.fault?.message).toContain('column data');
  });
});

test('a column without an index is not searched for long', async () => {
  await using t = await prepare(18);
  await t.app.query(`CREATE TABLE many AS SELECT n AS id, md5(n::text) AS name FROM generate_series(1, 300000) n`);
  await t.app.query('ALTER TABLE many ADD PRIMARY KEY (id); ALTER PUBLICATION powersync ADD TABLE many');
  const connection = connectionOf(t.url);
  const queries = createSideQueries(connection);
  const facts = await queries.facts();
  const catalog = createTypeCatalog(
    (sql, values) => queries.run('Reading types', sql, values),
    async () => facts.versionNumber,
  );
  const layouts = createLayouts({
    ...{ source: 'default', catalog, valueOptions: () => edition2, readColumns: () => null, blockBytes: () => 8192 },
  });
  const query = { schema: 'public', name: 'many', text: '7', columns: ['name'] };
  const found = await findRows({ queries, facts, layouts }, query, 1);
  expect(found.unsearched).toEqual(['name']);
  expect((await findRows({ queries, facts, layouts }, query)).rows).toMatchObject([{ key: '7', by: null }]);
  await queries.close();
});

const told = ({ key, row, by, shown, fault }: CopiedRow & { by: string; shown: boolean; fault: null }): object => ({
  ...{ key, row, fault, shown, by },
});
