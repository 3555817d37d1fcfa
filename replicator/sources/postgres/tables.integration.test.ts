import { describe, expect, test } from 'vitest';
import { postgres } from '#test/services/postgres.ts';
import type { Snapshot } from '../contract.ts';
import { short, startStreamed } from './streamed-database.fixture.ts';
import { copyAll, newCursor, openTestSource, record, session } from './testing.ts';

describe.each([15, 18])('Postgres %i', (version) => {
  test('replica identities (R-114, R-116, S-444)', async () => {
    await using t = await startStreamed(
      version,
      `CREATE TABLE by_key (id int PRIMARY KEY, v text);
       CREATE TABLE by_two (b text, a int, v text, PRIMARY KEY (a, b));
       CREATE TABLE by_index (id int PRIMARY KEY, code text NOT NULL UNIQUE, v text);
       ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code_key;
       CREATE TABLE by_all (id int, v text); ALTER TABLE by_all REPLICA IDENTITY FULL;`,
    );
    const tables = Object.fromEntries(t.snapshot.tables.map(({ table }) => [table.name, table]));
    expect(tables['by_key']).toMatchObject({
      identity: 'key',
      identityColumns: [0],
      identityText: '["default",["id",23]]',
    });
    expect(tables['by_two']).toMatchObject({
      identity: 'key',
      identityColumns: [0, 1],
      identityText: '["default",["b",25],["a",23]]',
    });
    expect(tables['by_index']).toMatchObject({
      identity: 'key',
      identityColumns: [1],
      identityText: '["index",["code",25]]',
    });
    expect(tables['by_all']).toMatchObject({
      identity: 'full',
      identityColumns: [],
      identityText: '["full",["id",23],["v",25]]',
    });

    expect(
      await t.run(
        `INSERT INTO by_key VALUES (1, 'a'); UPDATE by_key SET v = 'b'; UPDATE by_key SET id = 2; DELETE FROM by_key`,
      ),
    ).toEqual([
      'table by_key',
      'insert by_key {"id":1,"v":"a"}',
      'update by_key {"id":1,"v":"b"}',
      'update by_key {"id":2,"v":"b"} key was 1',
      'delete by_key 2',
    ]);
    expect(
      await t.run(`INSERT INTO by_two VALUES ('x', 1, 'a'); UPDATE by_two SET b = 'y'; DELETE FROM by_two`),
    ).toEqual([
      'table by_two',
      'insert by_two {"b":"x","a":1,"v":"a"}',
      'update by_two {"b":"y","a":1,"v":"a"} key was ["x","1"]',
      'delete by_two ["y","1"]',
    ]);
    expect(
      await t.run(`INSERT INTO by_index VALUES (1, 'c', 'a'); UPDATE by_index SET id = 2; DELETE FROM by_index`),
    ).toEqual([
      'table by_index',
      'insert by_index {"id":1,"code":"c","v":"a"}',
      'update by_index {"id":2,"code":"c","v":"a"}',
      'delete by_index c',
    ]);
    const full = await t.run(
      `INSERT INTO by_all VALUES (1, NULL); UPDATE by_all SET v = ''; UPDATE by_all SET v = v; DELETE FROM by_all`,
    );
    expect(full.map((line) => line.replaceAll(/[0-9a-f]{40}/g, '#'))).toEqual([
      'table by_all',
      'insert by_all {"id":1,"v":null}',
      'update by_all {"id":1,"v":""} key was # before {"id":1,"v":null}',
      'update by_all {"id":1,"v":""} before {"id":1,"v":""}',
      'delete by_all # before {"id":1,"v":""}',
    ]);
    // The stream's tables are the snapshot's, the same objects.
    for (const event of t.recording.events)
      if (event.kind === 'table') expect(event.table).toBe(tables[event.table.name]);
  });

  test('a row has the same key in copy and stream, with every identity (R-256)', async () => {
    await using t = await startStreamed(
      version,
      `CREATE TABLE a (id numeric PRIMARY KEY, v text); INSERT INTO a VALUES (1.50, 'x'), ('NaN', E'\\t\\\\');
       CREATE TABLE b (x text, y timestamptz, PRIMARY KEY (x, y)); INSERT INTO b VALUES (E'a\\nb', '2024-01-01 00:00+02'), ('', 'infinity');
       CREATE TABLE c (x text, y bytea, z int[]); ALTER TABLE c REPLICA IDENTITY FULL; INSERT INTO c VALUES (E'a\\nb\\\\N', '\\x00ff', '{1,NULL}'), (NULL, '', '{}'), ('', NULL, NULL);`,
    );
    const copied: string[] = [];
    for (const { table, ranges } of t.snapshot.tables) {
      const parts = ranges.map((range) => ({ table, range }));
      await t.snapshot.copy(
        parts,
        {
          rows: (_part, rows) => void copied.push(...rows.map(({ key }) => `${table.name} ${key}`)),
          done: () => undefined,
        },
        new AbortController().signal,
      );
    }
    await t.run('DELETE FROM a; DELETE FROM b; DELETE FROM c');
    const streamed = t.recording.events.flatMap((event) =>
      event.kind === 'delete' ? [`${event.table.name} ${event.key}`] : [],
    );
    expect(copied).toHaveLength(7);
    expect(new Set(copied).size).toBe(7);
    expect(streamed.toSorted()).toEqual(copied.toSorted());
  });

  test('TRUNCATE of several tables (R-112)', async () => {
    await using t = await startStreamed(
      version,
      `CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a); CREATE TABLE unwanted (id int PRIMARY KEY)`,
      ({ name }) => name !== 'unwanted',
    );
    expect(await t.run('INSERT INTO a VALUES (1); TRUNCATE a, b, unwanted; INSERT INTO a VALUES (2)')).toEqual([
      'table a',
      'insert a {"id":1}',
      'truncate a',
      'table b',
      'truncate b',
      'insert a {"id":2}',
    ]);
  });

  test('a new table, dropped and created again (R-121, R-122, S-441, S-442)', async () => {
    await using t = await startStreamed(version, 'SELECT 1');
    expect(t.snapshot.tables).toEqual([]);
    expect(await t.run(`CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1)`)).toEqual([
      'table late',
      'insert late {"id":1}',
    ]);
    expect(await t.run(`DROP TABLE late`)).toEqual([]);
    expect(await t.run(`CREATE TABLE late (id text PRIMARY KEY); INSERT INTO late VALUES ('x')`)).toEqual([
      'table late instead of late',
      'insert late {"id":"x"}',
    ]);
  });

  test('dropped and created again before the stream began', async () => {
    await using database = await (await postgres({ version })).createDatabase();
    await using app = await session(database.url);
    await app.query(
      `CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY); CREATE PUBLICATION powersync FOR ALL TABLES`,
    );
    const source = openTestSource(database.url);
    const cursor = newCursor(source);
    source.want(({ name }) => name === 't' || name === 'u');
    const snapshot = await source.createCursor(cursor, new AbortController().signal);
    await snapshot.close();
    await app.query(
      `DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); ALTER TABLE u RENAME TO away; INSERT INTO away VALUES (1)`,
    );
    const expected = ['table t instead of t', 'insert t {"id":1}', 'truncate u'];
    const recording = record(source, cursor, snapshot.position);
    await recording.passed(await source.head());
    await recording.stop();
    expect(recording.events.flatMap(short)).toEqual(expected);
    await source.close();
    // Another process, which is told what was registered.
    const other = openTestSource(database.url);
    other.want(({ name }) => name === 't' || name === 'u');
    const again = record(other, cursor, snapshot.position, {
      known: snapshot.tables.map(({ table }) => table),
    });
    await again.passed(await other.head());
    await again.stop();
    expect(again.events.flatMap(short)).toEqual(expected);
    await other.dropCursor(cursor);
    await other.close();
  });

  test('renamed to a wanted, from an unwanted, to an unwanted name (R-123, S-443)', async () => {
    await using t = await startStreamed(
      version,
      'CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE x_away (id int PRIMARY KEY)',
      ({ name }) => !name.startsWith('x_'),
    );
    await t.run('INSERT INTO a VALUES (1)');
    expect(await t.run('ALTER TABLE a RENAME TO b; INSERT INTO b VALUES (2)')).toEqual([
      'table b instead of a',
      'insert b {"id":2}',
    ]);
    expect(await t.run('ALTER TABLE b RENAME TO x_b; INSERT INTO x_b VALUES (3)')).toEqual(['truncate b']);
    expect(await t.run('INSERT INTO x_b VALUES (4)')).toEqual([]);
    expect(await t.run('ALTER TABLE x_away RENAME TO c; INSERT INTO c VALUES (1)')).toEqual([
      'table c',
      'insert c {"id":1}',
    ]);
    expect(await t.run('CREATE SCHEMA other; ALTER TABLE c SET SCHEMA other; INSERT INTO other.c VALUES (2)')).toEqual([
      'table c instead of c',
      'insert c {"id":2}',
    ]);
  });

  test('a change of the replica identity, and column changes that are none (R-124, R-125, S-444, S-446)', async () => {
    await using t = await startStreamed(
      version,
      `CREATE TABLE a (id int PRIMARY KEY, code text NOT NULL UNIQUE, v varchar(10))`,
    );
    await t.run(`INSERT INTO a VALUES (1, 'c', 'v')`);
    expect(await t.run(`ALTER TABLE a ADD COLUMN w int DEFAULT 5; INSERT INTO a VALUES (2, 'd', 'v')`)).toEqual([
      'table a',
      'insert a {"id":2,"code":"d","v":"v","w":5}',
    ]);
    expect(await t.run(`ALTER TABLE a ALTER COLUMN v TYPE text; UPDATE a SET v = 'x' WHERE id = 2`)).toEqual([
      'table a',
      'update a {"id":2,"code":"d","v":"x","w":5}',
    ]);
    expect(await t.run(`ALTER TABLE a RENAME COLUMN w TO ww; UPDATE a SET v = 'y' WHERE id = 2`)).toEqual([
      'table a',
      'update a {"id":2,"code":"d","v":"y","ww":5}',
    ]);
    expect(await t.run(`ALTER TABLE a DROP COLUMN ww; UPDATE a SET v = 'z' WHERE id = 2`)).toEqual([
      'table a',
      'update a {"id":2,"code":"d","v":"z"}',
    ]);
    expect(await t.run(`ANALYZE a; UPDATE a SET v = 'z' WHERE id = 2`)).toEqual([
      'update a {"id":2,"code":"d","v":"z"}',
    ]);
    expect(
      await t.run(`ALTER TABLE a REPLICA IDENTITY USING INDEX a_code_key; UPDATE a SET v = '1' WHERE id = 2`),
    ).toEqual(['table a instead of a', 'update a {"id":2,"code":"d","v":"1"}']);
    expect(await t.run(`ALTER TABLE a ALTER COLUMN code TYPE varchar; UPDATE a SET v = '2' WHERE id = 2`)).toEqual([
      'table a instead of a',
      'update a {"id":2,"code":"d","v":"2"}',
    ]);
    expect(await t.run(`ALTER TABLE a RENAME COLUMN code TO kode; UPDATE a SET v = '3' WHERE id = 2`)).toEqual([
      'table a instead of a',
      'update a {"id":2,"kode":"d","v":"3"}',
    ]);
    const full = await t.run(`ALTER TABLE a REPLICA IDENTITY FULL; UPDATE a SET v = '4' WHERE id = 2`);
    expect(full[0]).toBe('table a instead of a');
    expect((await t.run(`ALTER TABLE a ADD COLUMN u int; INSERT INTO a VALUES (9, 'k', 'v')`))[0]).toBe(
      'table a instead of a',
    );
  });

  test('a table that loses its identity is followed no further (R-115)', async () => {
    await using t = await startStreamed(
      version,
      `CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (v text); CREATE TABLE c (id int PRIMARY KEY); ALTER TABLE c REPLICA IDENTITY NOTHING; INSERT INTO b VALUES ('x')`,
    );
    expect(t.snapshot.tables.map(({ table }) => table.name)).toEqual(['a']);
    const problems = Object.fromEntries(t.snapshot.reports.map(({ name, errors }) => [name, errors]));
    expect(problems['a']).toEqual([]);
    expect(problems['b']).toMatchObject([
      { level: 'fatal', code: 'PSYNC_S1150', message: expect.stringContaining('it is default') },
    ]);
    expect(problems['c']).toMatchObject([
      { level: 'fatal', code: 'PSYNC_S1150', message: expect.stringContaining('it is nothing') },
    ]);
    expect(await t.run(`INSERT INTO b VALUES ('y')`)).toEqual(['table b']);
    await t.run(`INSERT INTO a VALUES (1, 'x')`);
    expect(await t.run(`ALTER TABLE a DROP CONSTRAINT a_pkey; INSERT INTO a VALUES (1, 'y')`)).toEqual([
      'table a instead of a',
    ]);
    expect(t.lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
      expect.stringContaining('"public"."b"'),
      expect.stringContaining('"public"."a"'),
    ]);
    expect(await t.run(`ALTER TABLE a ADD PRIMARY KEY (v); INSERT INTO a VALUES (1, 'z')`)).toEqual([
      'table a instead of a',
      'insert a {"id":1,"v":"z"}',
    ]);
  });

  test('partitions are tables of their own (R-126, S-258)', async () => {
    await using t = await startStreamed(
      version,
      `CREATE TABLE measure (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
       CREATE TABLE measure_1 PARTITION OF measure FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
       CREATE TABLE measure_2 PARTITION OF measure FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
       INSERT INTO measure VALUES (1, '2024-01-15'), (2, '2024-02-15')`,
    );
    expect(t.snapshot.reports.map(({ name }) => name)).toEqual(['measure_1', 'measure_2']);
    expect(Object.fromEntries(await copyAll(t.snapshot))).toEqual({
      measure_1: [{ id: 1n, day: '2024-01-15' }],
      measure_2: [{ id: 2n, day: '2024-02-15' }],
    });
    expect(await t.run(`UPDATE measure SET day = '2024-02-20' WHERE id = 1`)).toEqual([
      'table measure_1',
      'delete measure_1 ["1","2024-01-15"]',
      'table measure_2',
      'insert measure_2 {"id":1,"day":"2024-02-20"}',
    ]);
    expect(
      await t.run(
        `CREATE TABLE measure_3 PARTITION OF measure FOR VALUES FROM ('2024-03-01') TO ('2024-04-01'); INSERT INTO measure VALUES (3, '2024-03-03')`,
      ),
    ).toEqual(['table measure_3', 'insert measure_3 {"id":3,"day":"2024-03-03"}']);
  });

  test('tables that inherit are copied once', async () => {
    await using t = await startStreamed(
      version,
      `CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent); INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2)`,
    );
    expect(Object.fromEntries(await copyAll(t.snapshot))).toEqual({ parent: [{ id: 1n }], child: [{ id: 2n }] });
  });

  test('column lists and row filters hold for the copy as for the stream (R-98, R-99)', async () => {
    await using t = await startStreamed(
      version,
      `CREATE TABLE t (id int PRIMARY KEY, shown text, hidden text); INSERT INTO t VALUES (1, 'a', 'secret'), (20, 'b', 'secret');
       CREATE PUBLICATION powersync FOR TABLE t (id, shown) WHERE (id < 10)`,
    );
    expect((await copyAll(t.snapshot)).get('t')).toEqual([{ id: 1n, shown: 'a' }]);
    expect(t.snapshot.reports[0]!.errors.map(({ level, code }) => `${level} ${code}`)).toEqual([
      'warning PSYNC_S1154',
      'warning PSYNC_S1154',
    ]);
    expect(
      await t.run(`INSERT INTO t VALUES (2, 'c', 'x'), (30, 'd', 'x'); UPDATE t SET id = 21 WHERE id = 2`),
    ).toEqual(['table t', 'insert t {"id":2,"shown":"c"}', 'delete t 2']);
  });

  test('what cannot be replicated is reported, and the rest goes on (R-88, R-90, R-96, R-129, R-130)', async () => {
    await using database = await (await postgres({ version })).createDatabase();
    await using app = await session(database.url);
    const role = `reader_${database.name}`;
    await app.query(`
      CREATE TABLE good (id int PRIMARY KEY); CREATE TABLE unpublished (id int PRIMARY KEY); CREATE TABLE unreadable (id int PRIMARY KEY);
      CREATE TABLE secured (id int PRIMARY KEY); ALTER TABLE secured ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON secured USING (id < 10);
      CREATE TABLE by_columns (id int PRIMARY KEY);
      CREATE VIEW looking AS SELECT * FROM good; CREATE MATERIALIZED VIEW kept AS SELECT * FROM good;
      CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
      CREATE FOREIGN TABLE far (id int) SERVER files OPTIONS (filename '/dev/null');
      INSERT INTO good VALUES (1); INSERT INTO secured VALUES (5), (50);
      CREATE PUBLICATION powersync FOR TABLE good, unreadable, secured, by_columns;
      CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'p';
      GRANT USAGE ON SCHEMA public TO ${role};
      GRANT SELECT ON good, unpublished, secured, looking, kept, far TO ${role}; GRANT SELECT (id) ON by_columns TO ${role}`);
    const source = openTestSource(database.url, { connection: { username: role, password: 'p' } });
    try {
      const snapshot = await source.openSnapshot(new AbortController().signal);
      expect(
        Object.fromEntries(
          snapshot.reports.map(({ name, errors }) => [name, errors.map(({ level, code }) => `${level} ${code}`)]),
        ),
      ).toEqual({
        by_columns: [],
        good: [],
        far: ['fatal PSYNC_S1153'],
        kept: ['fatal PSYNC_S1153'],
        looking: ['fatal PSYNC_S1153'],
        secured: ['warning PSYNC_S1145'],
        unpublished: ['fatal PSYNC_S1151'],
        unreadable: ['fatal PSYNC_S1152'],
      });
      expect(Object.fromEntries(await copyAll(snapshot))).toEqual({
        by_columns: [],
        good: [{ id: 1n }],
        secured: [{ id: 5n }],
      });
      await snapshot.close();
      expect((await source.schema()).map(({ name }) => name)).toEqual(['by_columns', 'good', 'secured', 'unpublished']);
    } finally {
      await source.close();
      await app.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  test('a table in parts, resumed with another snapshot; a rewrite makes all parts new (R-32)', async () => {
    await using t = await startStreamed(
      version,
      `CREATE TABLE big (id int PRIMARY KEY, v text); INSERT INTO big SELECT n, 'x' FROM generate_series(1, 150000) n; ANALYZE big`,
    );
    const [{ table, ranges, rowsEstimated }] = t.snapshot.tables as [Snapshot['tables'][number]];
    expect(rowsEstimated).toBe(150_000);
    expect(ranges.length).toBeGreaterThan(2);
    const ids = new Set<unknown>();
    const take = (snapshot: Snapshot, from: typeof table, parts: readonly string[]): Promise<void> =>
      snapshot.copy(
        parts.map((range) => ({ table: from, range })),
        { rows: (_part, rows) => rows.forEach(({ row }) => ids.add(row[0])), done: () => undefined },
        new AbortController().signal,
      );
    await take(t.snapshot, table, ranges.slice(0, 1));
    expect(ids.size).toBeGreaterThan(100);
    const later = await t.source.openSnapshot(new AbortController().signal);
    expect(later.tables[0]!.ranges).toEqual(ranges);
    await take(later, later.tables[0]!.table, ranges.slice(1));
    await later.close();
    expect(ids.size).toBe(150_000);
    await t.run('VACUUM FULL big');
    const rewritten = await t.source.openSnapshot(new AbortController().signal);
    expect(rewritten.tables[0]!.ranges.filter((range) => ranges.includes(range))).toEqual([]);
    await rewritten.close();
  });

  test('a rewrite between snapshot and copy is noticed, as rows would be missing', async () => {
    await using t = await startStreamed(
      version,
      `CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, '1')`,
    );
    await t.run(`ALTER TABLE a ALTER COLUMN v TYPE int USING v::int`);
    await expect(copyAll(t.snapshot)).rejects.toMatchObject({
      code: 'PSYNC_S1120',
      message: expect.stringContaining('was rewritten'),
    });
  });

  test('what is wanted may change while streaming (R-95)', async () => {
    await using t = await startStreamed(
      version,
      'CREATE TABLE a (id int PRIMARY KEY, v text, w text); CREATE TABLE b (id int PRIMARY KEY)',
      ({ name }) => name === 'a',
    );
    expect(await t.run(`INSERT INTO a VALUES (1, 'v', 'w'); INSERT INTO b VALUES (1)`)).toEqual([
      'table a',
      'insert a {"id":1,"v":"v","w":"w"}',
    ]);
    t.source.want(
      () => true,
      ({ columns }) => columns.map((column) => column === 'v'),
    );
    expect(await t.run(`INSERT INTO a VALUES (2, 'v', 'w'); INSERT INTO b VALUES (2)`)).toEqual([
      'insert a {"id":2,"v":"v","w":null}',
      'table b',
      'insert b {"id":2}',
    ]);
    t.source.want(({ name }) => name === 'b');
    expect(await t.run(`INSERT INTO a VALUES (3, 'v', 'w'); INSERT INTO b VALUES (3)`)).toEqual(['insert b {"id":3}']);
  });
});
