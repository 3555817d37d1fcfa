import { describe, expect, test } from 'vitest';
import { postgres } from '#test/services/postgres.ts';
import type { ValueOptions } from '../contract.ts';
import { asObject, copyAll, edition2, legacy, newCursor, openTestSource, record, session } from './testing.ts';

/** Copies the table, then touches every row, and returns the rows of both ways in the order of their ids. */
async function bothWays(
  version: number,
  setup: string,
  options: ValueOptions,
): Promise<{ copied: Record<string, unknown>[]; streamed: Record<string, unknown>[] }> {
  await using database = await (await postgres({ version })).createDatabase();
  await using app = await session(database.url);
  await app.query(setup);
  await app.query('CREATE PUBLICATION powersync FOR ALL TABLES');
  // What the sessions of applications are set to must not matter.
  await app.query(`ALTER ROLE CURRENT_USER IN DATABASE ${database.name} SET TimeZone = 'Asia/Kathmandu'`);
  await app.query(`ALTER ROLE CURRENT_USER IN DATABASE ${database.name} SET DateStyle = 'German'`);
  await app.query(`ALTER ROLE CURRENT_USER IN DATABASE ${database.name} SET IntervalStyle = 'iso_8601'`);
  await app.query(`ALTER ROLE CURRENT_USER IN DATABASE ${database.name} SET bytea_output = 'escape'`);
  await app.query(`ALTER ROLE CURRENT_USER IN DATABASE ${database.name} SET extra_float_digits = -10`);
  const source = openTestSource(database.url, { values: options });
  const cursor = newCursor(source);
  source.want(({ name }) => name === 'types');
  try {
    const snapshot = await source.createCursor(cursor, new AbortController().signal);
    const copied = (await copyAll(snapshot)).get('types')!;
    await snapshot.close();
    await app.query('UPDATE types SET id = id');
    const recording = record(source, cursor, snapshot.position);
    await recording.passed(await source.head());
    await recording.stop();
    await source.dropCursor(cursor);
    const streamed = recording.events.flatMap((event) =>
      event.kind === 'update' ? [asObject(event.table, event.after)] : [],
    );
    const byId = (rows: Record<string, unknown>[]): Record<string, unknown>[] =>
      rows.toSorted((a, b) => String(a['id']).localeCompare(String(b['id'])));
    return { copied: byId(copied), streamed: byId(streamed) };
  } finally {
    await source.close();
  }
}

/** The table of wire/05, as far as its recording shows it. */
const wire05 = `
  CREATE TABLE types (
    id uuid PRIMARY KEY, c_bool bool, c_int2 int2, c_int4 int4, c_int8 int8, c_float4 float4, c_float8 float8, c_numeric numeric,
    c_text text, c_varchar varchar(20), c_char char(5), c_json json, c_jsonb jsonb, c_date date, c_time time, c_timetz timetz,
    c_timestamp timestamp, c_timestamptz timestamptz, c_interval interval, c_int4_array int4[], c_text_array text[], c_inet inet,
    c_point point, c_range int4range, c_money money, c_bit bit(4), c_null text, c_bytea bytea, c_macaddr macaddr);
  INSERT INTO types VALUES (
    '00000000-0000-4000-8000-000000000001', true, 1, 2, 9007199254740993, 1.5, 0.1, 12345678901234567890.123456789, 'text', 'varchar', 'ch',
    '{"a": 1,  "b": [1, 2.50, null]}', '{"a": 1,  "b": [1, 2.50, null]}', '2024-02-29', '12:34:56.789', '12:34:56.789+02',
    '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789+02', '1 day 2 hours 3 minutes 4 seconds', '{1,2,NULL}', '{a,"b c",NULL}', '10.0.0.1/8',
    '(1,2)', '[1,5)', 12.34, '1010', NULL, '\\x00ff', '08:00:2b:01:02:03');
  INSERT INTO types VALUES (
    '00000000-0000-4000-8000-000000000002', false, -1, -2, -9223372036854775808, 'NaN', 'Infinity', 'NaN', '', '', '',
    'null', '"s"', '9999-12-31', '00:00', '00:00+00', '-infinity', 'infinity', '0', '{}', '{}', '::1',
    '(0,0)', 'empty', 0, '0000', NULL, '', NULL)`;

describe.each([15, 18])('Postgres %i', (version) => {
  test('values are those of the recording, whichever way they come (wire/05, S-278…S-294, R-256)', async () => {
    const { copied, streamed } = await bothWays(version, wire05, edition2);
    expect(copied).toEqual([
      {
        id: '00000000-0000-4000-8000-000000000001',
        c_bool: 1n,
        c_int2: 1n,
        c_int4: 2n,
        c_int8: 9007199254740993n,
        c_float4: 1.5,
        c_float8: 0.1,
        c_numeric: '12345678901234567890.123456789',
        c_text: 'text',
        c_varchar: 'varchar',
        c_char: 'ch   ',
        c_json: '{"a": 1,  "b": [1, 2.50, null]}',
        c_jsonb: '{"a": 1, "b": [1, 2.50, null]}',
        c_date: '2024-02-29',
        c_time: '12:34:56.789000',
        c_timetz: '12:34:56.789+02',
        c_timestamp: '2024-02-29T12:34:56.789000',
        c_timestamptz: '2024-02-29T10:34:56.789000Z',
        c_interval: '1 day 02:03:04',
        c_int4_array: '[1,2,null]',
        c_text_array: '["a","b c",null]',
        c_inet: '10.0.0.1/8',
        c_point: '(1,2)',
        c_range: '{"lower":1,"upper":5,"lower_exclusive":0,"upper_exclusive":1}',
        c_money: '$12.34',
        c_bit: '1010',
        c_null: null,
        c_bytea: Buffer.from([0, 255]),
        c_macaddr: '08:00:2b:01:02:03',
      },
      {
        id: '00000000-0000-4000-8000-000000000002',
        c_bool: 0n,
        c_int2: -1n,
        c_int4: -2n,
        c_int8: -9223372036854775808n,
        c_float4: Number.NaN,
        c_float8: Number.POSITIVE_INFINITY,
        c_numeric: 'NaN',
        c_text: '',
        c_varchar: '',
        c_char: '     ',
        c_json: 'null',
        c_jsonb: '"s"',
        c_date: '9999-12-31',
        c_time: '00:00:00.000000',
        c_timetz: '00:00:00+00',
        c_timestamp: '0000-01-01T00:00:00.000000',
        c_timestamptz: '9999-12-31T23:59:59.000000Z',
        c_interval: '00:00:00',
        c_int4_array: '[]',
        c_text_array: '[]',
        c_inet: '::1',
        c_point: '(0,0)',
        c_range: 'empty',
        c_money: '$0.00',
        c_bit: '0000',
        c_null: null,
        c_bytea: Buffer.alloc(0),
        c_macaddr: null,
      },
    ]);
    expect(streamed).toEqual(copied);
  });

  const custom = `
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE DOMAIN small_number AS int CHECK (VALUE < 100);
    CREATE DOMAIN smaller AS small_number CHECK (VALUE < 10);
    CREATE DOMAIN moods AS mood[];
    CREATE TYPE pair AS (a int, b text);
    CREATE TYPE place AS (street text, zip numeric, at timestamptz, tags text[], info jsonb, parts pair[], open bool);
    CREATE TYPE float8range2 AS RANGE (subtype = float8);
    CREATE TABLE types (
      id text PRIMARY KEY, m mood, d small_number, dd smaller, dm moods, p pair, ms mood[], ps pair[], ds small_number[], pl place, pls place[],
      tsr tstzrange, nr numrange, fr float8range2, rs int4range[], mr int4multirange, jr jsonb[], ba bytea[], na numeric[], ta timestamptz[],
      ma int4[][], bx box[], g int GENERATED ALWAYS AS (d * 2) STORED);
    INSERT INTO types VALUES (
      'k1', 'happy', 4, 5, '{happy}', ROW(1, 'x "y" \\ (z), {w}'), '{happy,NULL}', ARRAY[ROW(1, NULL), ROW(NULL, '')]::pair[], '{1,2}',
      ROW('Main "St"', 80211, '2024-02-29 12:00:00+02', '{a,b}', '{"k": [1, "é"]}', ARRAY[ROW(1, 'x')]::pair[], true)::place,
      ARRAY[ROW(NULL, 1.50, NULL, '{}', '"s"', NULL, false)]::place[],
      '["2024-01-01 00:00:00+00","infinity")', '(1.5,]', '[0.5,)', '{"[1,3)",empty}', '{[1,3),[5,7)}', ARRAY['{"a": 1}', '[]']::jsonb[],
      ARRAY['\\x01']::bytea[], '{1.50,NaN}', '{"2024-02-29 12:00:00.5+02"}', '{{1,2},{3,NULL}}', ARRAY['(1,1),(0,0)', '(2,2),(1,1)']::box[]),
      ('k2')`.replace(`,\n      ('k2')`, `; INSERT INTO types (id) VALUES ('k2')`);

  test('types made by users are decoded in edition 2 (wire/19, S-295…S-301)', async () => {
    const { copied, streamed } = await bothWays(version, custom, edition2);
    expect(copied[0]).toEqual({
      id: 'k1',
      m: 'happy',
      d: 4n,
      dd: 5n,
      dm: '["happy"]',
      p: '{"a":1,"b":"x \\"y\\" \\\\ (z), {w}"}',
      ms: '["happy",null]',
      ps: '[{"a":1,"b":null},{"a":null,"b":""}]',
      ds: '[1,2]',
      pl: '{"street":"Main \\"St\\"","zip":80211,"at":"2024-02-29T10:00:00.000000Z","tags":["a","b"],"info":{"k": [1, "é"]},"parts":[{"a":1,"b":"x"}],"open":1}',
      pls: '[{"street":null,"zip":1.50,"at":null,"tags":[],"info":"s","parts":null,"open":0}]',
      tsr: '{"lower":"2024-01-01T00:00:00.000000Z","upper":"9999-12-31T23:59:59.000000Z","lower_exclusive":0,"upper_exclusive":1}',
      nr: '{"lower":1.5,"upper":null,"lower_exclusive":1,"upper_exclusive":1}',
      fr: '{"lower":0.5,"upper":null,"lower_exclusive":0,"upper_exclusive":1}',
      rs: '[{"lower":1,"upper":3,"lower_exclusive":0,"upper_exclusive":1},"empty"]',
      mr: '[{"lower":1,"upper":3,"lower_exclusive":0,"upper_exclusive":1},{"lower":5,"upper":7,"lower_exclusive":0,"upper_exclusive":1}]',
      jr: '[{"a": 1},[]]',
      ba: String.raw`["\\x01"]`,
      na: '["1.50","NaN"]',
      ta: '["2024-02-29T10:00:00.500000Z"]',
      ma: '[[1,2],[3,null]]',
      bx: '["(1,1),(0,0)","(2,2),(1,1)"]',
    });
    expect(Object.values(copied[1]!).filter((value) => value !== null)).toEqual(['k2']);
    expect(streamed).toEqual(copied);
    for (const text of Object.values(copied[0]!)) {
      if (typeof text === 'string' && /^[[{]/.test(text)) expect(() => JSON.parse(text) as unknown).not.toThrow();
    }
  });

  test('and stay as Postgres writes them without the option (S-46, S-295…S-302)', async () => {
    const { copied, streamed } = await bothWays(version, custom, legacy);
    expect(copied[0]).toMatchObject({
      m: 'happy',
      d: '4',
      dm: '{happy}',
      ms: '{happy,NULL}',
      ps: '{"(1,)","(,\\"\\")"}',
      tsr: '["2024-01-01 00:00:00+00",infinity)',
      rs: '{"[1,3)",empty}',
      mr: '{[1,3),[5,7)}',
      jr: '[{"a": 1},[]]',
      na: '["1.50","NaN"]',
      ta: '["2024-02-29 10:00:00.5Z"]',
    });
    expect(streamed).toEqual(copied);
  });

  test('dates and times at the edges are the same both ways', async () => {
    const setup = `
      CREATE TABLE types (id int PRIMARY KEY, d date, ts timestamp, tz timestamptz, t time, i interval);
      INSERT INTO types VALUES
        (1, '0044-03-15 BC', '0044-03-15 12:00 BC', '0044-03-15 12:00+00 BC', '24:00:00', '-1 year -2 days +03:00:00.000001'),
        (2, '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '23:59:59.999999', '178000000 years'),
        (3, 'infinity', 'infinity', '-infinity', '00:00:00.000001', '1 mon'),
        (4, '-infinity', '2024-01-01 00:00:00.1', '1883-11-18 12:03:57+00', '12:00', '00:00:00.5')`;
    const { copied, streamed } = await bothWays(version, setup, edition2);
    expect(copied.map(({ d, ts, tz, t }) => [d, ts, tz, t])).toEqual([
      ['0044-03-15 BC', '-000043-03-15T12:00:00.000000', '-000043-03-15T12:00:00.000000Z', '24:00:00.000000'],
      ['5874897-12-31', '+294276-12-31T23:59:59.999999', '+294276-12-31T23:59:59.999999Z', '23:59:59.999999'],
      ['infinity', '9999-12-31T23:59:59.000000', '0000-01-01T00:00:00.000000Z', '00:00:00.000001'],
      ['-infinity', '2024-01-01T00:00:00.100000', '1883-11-18T12:03:57.000000Z', '12:00:00.000000'],
    ]);
    expect(streamed).toEqual(copied);
  });

  test('a type with new members, and types that appear while streaming', async () => {
    await using database = await (await postgres({ version })).createDatabase();
    await using app = await session(database.url);
    await app.query('CREATE PUBLICATION powersync FOR ALL TABLES');
    const source = openTestSource(database.url);
    const cursor = newCursor(source);
    const snapshot = await source.createCursor(cursor, new AbortController().signal);
    await snapshot.close();
    const recording = record(source, cursor, snapshot.position);
    await app.query(
      `CREATE TYPE pair AS (a int); CREATE TABLE late (id int PRIMARY KEY, p pair, ps pair[]); INSERT INTO late VALUES (1, ROW(1), ARRAY[ROW(1)]::pair[])`,
    );
    await recording.passed(await source.head());
    await app.query(
      `ALTER TYPE pair ADD ATTRIBUTE b text CASCADE; INSERT INTO late VALUES (2, ROW(2, 'y'), ARRAY[ROW(2, 'y')]::pair[])`,
    );
    await recording.passed(await source.head());
    await app.query(`ALTER TYPE pair ADD ATTRIBUTE c int CASCADE`);
    const copied = await copyAll(await source.openSnapshot(new AbortController().signal));
    expect(copied.get('late')).toEqual([
      { id: 1n, p: '{"a":1,"b":null,"c":null}', ps: '[{"a":1,"b":null,"c":null}]' },
      { id: 2n, p: '{"a":2,"b":"y","c":null}', ps: '[{"a":2,"b":"y","c":null}]' },
    ]);
    const rows = recording.events.flatMap((event) =>
      event.kind === 'insert' ? [asObject(event.table, event.after)] : [],
    );
    expect(rows).toEqual([
      { id: 1n, p: '{"a":1}', ps: '[{"a":1}]' },
      { id: 2n, p: '{"a":2,"b":"y"}', ps: '[{"a":2,"b":"y"}]' },
    ]);
    await recording.stop();
    await source.dropCursor(cursor);
    await source.close();
  });
});
