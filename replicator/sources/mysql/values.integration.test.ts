import fc from 'fast-check';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SqliteValue } from '#core/sync-config/values.ts';
import type { PrivateMysql } from '#test/services/contract.ts';
import { startMysql } from '#test/services/mysql.ts';
import type { ValueOptions } from '../contract.ts';
import { insertedRows } from './binlog-file.fixture.ts';
import { createRowImageReader } from './row-image.ts';
import { createMysqlRowReader, type MysqlColumn, selectExpression } from './values.ts';

const iso: ValueOptions = { timestampsIso8601: true, timestampMaxPrecision: null, customPostgresTypes: true };
const microseconds: ValueOptions = { ...iso, timestampMaxPrecision: 'microseconds' };

let server: PrivateMysql;
let connection: Connection;
beforeAll(async () => {
  // So that a statement can read the binlog, wherever the server runs. Its time zone must not matter (R-195).
  server = await startMysql({ arguments: ['--secure-file-priv=', '--default-time-zone=+05:45'] });
  const database = await server.createDatabase();
  connection = await createConnection({ uri: database.url, charset: 'utf8mb4', maxPreparedStatements: 1 });
  await connection.query(`SET time_zone = '+00:00', sql_mode = ''`);
});
afterAll(async () => {
  await connection?.end();
  await server?.close();
});

let tables = 0;

/** The rows that `insert` puts into a table of these columns: as a snapshot reads them, and as the binlog has them. */
async function bothWays(
  definitions: Readonly<Record<string, string>>,
  options: ValueOptions,
  insert: (table: string) => Promise<void>,
): Promise<{ copied: SqliteValue[][]; streamed: SqliteValue[][] }> {
  const table = `t${(tables += 1)}`;
  const definition = Object.entries(definitions).map(([name, type]) => `${name} ${type}`);
  await connection.query(`CREATE TABLE ${table} (nr int AUTO_INCREMENT PRIMARY KEY, ${definition.join(', ')})`);
  await connection.query('FLUSH BINARY LOGS');
  const [[log]] = await connection.query<RowDataPacket[]>('SHOW BINARY LOG STATUS');
  await insert(table);
  const columns = await columnsOf(table);
  const expressions = columns.map((column) => selectExpression(column, `\`${column.name}\``));
  const [texts] = await connection.query<RowDataPacket[]>({
    sql: `SELECT ${expressions.join(', ')} FROM ${table} ORDER BY nr`,
    rowsAsArray: true,
    typeCast: (field) => field.buffer(),
  });
  const readTexts = createMysqlRowReader(columns, options);
  const copied = (texts as unknown as (Buffer | null)[][]).map((row) => valuesOf(readTexts(row)));
  const [[file]] = await connection.query<RowDataPacket[]>(
    `SELECT LOAD_FILE(CONCAT(@@log_bin_basename, SUBSTRING(?, LOCATE('.', ?)))) AS bytes`,
    [log!['File'], log!['File']],
  );
  const streamed: SqliteValue[][] = [];
  for (const { wire, present, bytes } of insertedRows(file!['bytes'] as Buffer)) {
    const reader = createRowImageReader(columns, wire, options);
    for (let at = 0; at < bytes.length;) {
      const { row, end } = reader.read(bytes, at, bytes.length, present);
      streamed.push(valuesOf(row));
      at = end;
    }
  }
  return { copied, streamed };
}

async function columnsOf(table: string): Promise<MysqlColumn[]> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS fullType, CHARACTER_SET_NAME AS charset
       FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`,
    [table],
  );
  return rows as MysqlColumn[];
}

/** Without the number of the row. */
function valuesOf(row: ReturnType<ReturnType<typeof createMysqlRowReader>>): SqliteValue[] {
  if ('code' in row) throw new Error(`unfit: ${row.code}`);
  return row.slice(1).map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value));
}

const hex = (...parts: string[]): Buffer => Buffer.from(parts.join(''), 'hex');
const point = hex('e6100000', '0101000000', '0000000000000040', '000000000000f03f');

/** Type, SQL of a value, what becomes of it. */
const examples: readonly (readonly [string, string, string, SqliteValue])[] = [
  ['S-324', 'tinyint', '-128', -128n],
  ['S-324', 'tinyint unsigned', '255', 255n],
  ['S-324', 'smallint', '-32768', -32768n],
  ['S-324', 'smallint unsigned', '65535', 65535n],
  ['S-324', 'mediumint', '-8388608', -8388608n],
  ['S-324', 'mediumint unsigned', '16777215', 16777215n],
  ['S-324', 'int', '-2147483648', -2147483648n],
  ['S-324', 'integer unsigned', '4294967295', 4294967295n],
  ['S-324', 'int(6) zerofill', '42', 42n],
  ['S-324', 'bigint', '-9223372036854775808', -9223372036854775808n],
  ['S-324', 'bigint unsigned', '9223372036854775807', 9223372036854775807n],
  ['S-324 R-196', 'bigint unsigned', '18446744073709551615', '18446744073709551615'],
  [
    'S-325',
    'decimal(65,30)',
    `'-12345678901234567890123456789012345.123456789012345678901234567890'`,
    '-12345678901234567890123456789012345.123456789012345678901234567890',
  ],
  ['S-325', 'numeric(10,2)', '-0.5', '-0.50'],
  ['S-325', 'decimal(8,3) zerofill', '1.5', '1.500'],
  ['S-325', 'decimal(4,4)', '0.0001', '0.0001'],
  ['S-325', 'decimal(9)', '0', '0'],
  ['S-326', 'bool', 'TRUE', 1n],
  ['S-326', 'boolean', 'FALSE', 0n],
  ['S-327', 'float', '0.1', 0.1],
  ['S-327', 'float', '16777217', 16777216],
  ['S-327', 'float', '-0e0', 0],
  ['S-327', 'float(7,2)', '12.345', 12.35],
  ['S-327', 'double', '0.1', 0.1],
  ['S-327', 'real', '-1.7976931348623157e308', -1.7976931348623157e308],
  ['S-327', 'double(10,2)', '12.345', 12.35],
  ['S-328', `enum('a','b,c','d''e','f\\\\g')`, `'d''e'`, "d'e"],
  ['S-328', `enum('a','b,c','d''e','f\\\\g')`, `'f\\\\g'`, 'f\\g'],
  ['S-328 no member', `enum('a')`, `'nope'`, ''],
  ['S-329', `set('x','y"','it''s')`, `'it''s,x'`, `["x","it's"]`],
  ['S-329', `set('x')`, `''`, '[]'],
  ['S-330', 'char(5)', `'ab  '`, 'ab'],
  ['S-330', 'varchar(300)', `'é😀 '`, 'é😀 '],
  ['S-330', 'varchar(10) CHARACTER SET latin1', `'é€'`, 'é€'],
  ['S-330', 'char(200) CHARACTER SET utf8mb4', `'ü'`, 'ü'],
  ['S-330', 'varchar(10) CHARACTER SET utf16', `'é😀'`, 'é😀'],
  ['S-330', 'varchar(10) CHARACTER SET utf32', `'é😀'`, 'é😀'],
  ['S-330', 'varchar(10) CHARACTER SET sjis', `'日本'`, '日本'],
  ['S-331', 'tinytext', `'t'`, 't'],
  ['S-331', 'text', `REPEAT('é', 300)`, 'é'.repeat(300)],
  ['S-331', 'mediumtext CHARACTER SET latin1', `'é'`, 'é'],
  ['S-331', 'longtext', `''`, ''],
  ['S-332', 'timestamp NULL', `'2025-03-04 05:06:07'`, '2025-03-04T05:06:07.000Z'],
  ['S-332', 'timestamp(6) NULL', `'2038-01-19 03:14:07.999999'`, '2038-01-19T03:14:07.999Z'],
  ['S-332', 'timestamp NULL', `0`, '0000-00-00T00:00:00.000Z'],
  ['S-333', 'date', `'9999-12-31'`, '9999-12-31'],
  ['S-333', 'date', `'2025-00-00'`, '2025-00-00'],
  ['S-333', 'date', `'0000-00-00'`, '0000-00-00'],
  ['S-334', 'datetime', `'2025-03-04 05:06:07'`, '2025-03-04T05:06:07.000Z'],
  ['S-334', 'datetime(6)', `'0001-01-01 23:59:59.999999'`, '0001-01-01T23:59:59.999Z'],
  ['S-334', 'datetime(1)', `'9999-12-31 23:59:59.9'`, '9999-12-31T23:59:59.900Z'],
  ['S-334', 'datetime', `0`, '0000-00-00T00:00:00.000Z'],
  ['S-334 question 6', 'time', `'-838:59:59'`, '-838:59:59'],
  ['S-334 question 6', 'time(6)', `'-00:00:00.000001'`, '-00:00:00.000001'],
  ['S-334 question 6', 'time(1)', `'100:00:00.9'`, '100:00:00.9'],
  ['S-334 question 6', 'time(3)', `'-01:00:00.100'`, '-01:00:00.100'],
  ['S-335', 'year', '2025', '2025'],
  ['S-335', 'year', `'0000'`, '0000'],
  [
    'S-336',
    'json',
    `'{"b": 1.0, "aa":[1e20, 1e-7, true, null, "é\\\\n\\\\u001f/"], "10":18446744073709551615, "2":{}}'`,
    '{"2": {}, "b": 1.0, "10": 18446744073709551615, "aa": [1e20, 0.0000001, true, null, "é\\n\\u001f/"]}',
  ],
  [
    'S-336',
    'json',
    `JSON_ARRAY(CAST('2025-03-04 05:06:07.5' AS DATETIME(1)), CAST('2025-03-04' AS DATE), CAST('-01:02:03' AS TIME), CAST(1.50 AS DECIMAL(5,2)))`,
    '["2025-03-04 05:06:07.500000", "2025-03-04", "-01:02:03.000000", 1.50]',
  ],
  ['S-336', 'json', `'null'`, 'null'],
  ['S-337', 'bit(1)', `b'1'`, hex('01')],
  ['S-337', 'bit(10)', `b'1000000001'`, hex('0201')],
  ['S-337', 'bit(64)', `b'1'`, hex('0000000000000001')],
  ['S-338', 'binary(4)', `x'6162'`, hex('61620000')],
  ['S-338', 'binary(4)', `x'00000000'`, hex('00000000')],
  ['S-338', 'varbinary(300)', `x'6100'`, hex('6100')],
  ['S-338', 'tinyblob', `x'00ff'`, hex('00ff')],
  ['S-338', 'blob', `x''`, hex('')],
  ['S-338', 'mediumblob', `x'ff'`, hex('ff')],
  ['S-338', 'longblob', `REPEAT(x'ff', 70000)`, Buffer.alloc(70_000, 255)],
  ['S-340', 'geometry', `ST_GeomFromText('POINT(1 2)', 4326)`, point],
  [
    'S-340',
    'geometrycollection',
    `ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')`,
    hex('00000000', '0107000000', '00000000'),
  ],
  ['S-341', 'point', `ST_GeomFromText('POINT(1 2)', 4326)`, point],
  [
    'S-341',
    'multipoint',
    `ST_GeomFromText('MULTIPOINT(0 0)')`,
    hex('00000000', '010400000001000000', '0101000000', '00'.repeat(16)),
  ],
  [
    'S-342',
    'linestring',
    `ST_GeomFromText('LINESTRING(0 0, 0 0)')`,
    hex('00000000', '010200000002000000', '00'.repeat(32)),
  ],
  [
    'S-342',
    'multilinestring',
    `ST_GeomFromText('MULTILINESTRING((0 0, 0 0))')`,
    hex('00000000', '010500000001000000', '010200000002000000', '00'.repeat(32)),
  ],
  [
    'S-343',
    'polygon',
    `ST_GeomFromText('POLYGON((0 0,0 0,0 0,0 0))')`,
    hex('00000000', '01030000000100000004000000', '00'.repeat(64)),
  ],
  [
    'S-343',
    'multipolygon',
    `ST_GeomFromText('MULTIPOLYGON(((0 0,0 0,0 0,0 0)))')`,
    hex('00000000', '010600000001000000', '01030000000100000004000000', '00'.repeat(64)),
  ],
];

test('every type, copied and from the binlog (S-324…S-343, R-195, R-196, R-256)', async () => {
  const definitions = Object.fromEntries(examples.map(([, type], index) => [`c${index}`, type]));
  const { copied, streamed } = await bothWays(definitions, iso, async (table) => {
    await connection.query(
      `INSERT INTO ${table} (${Object.keys(definitions).join(', ')}) VALUES (${examples.map(([, , sql]) => sql).join(', ')})`,
    );
    await connection.query(`INSERT INTO ${table} () VALUES ()`);
  });
  const labelled = (row: readonly SqliteValue[]): unknown[] =>
    row.map((value, index) => [examples[index]![0], examples[index]![1], value]);
  const expected = examples.map(([, , , value]) => value);
  expect(labelled(copied[0]!)).toEqual(labelled(expected));
  expect(labelled(streamed[0]!)).toEqual(labelled(expected));
  expect(copied[1]).toEqual(examples.map(() => null));
  expect(streamed[1]).toEqual(examples.map(() => null));
});

/** Inserts random rows, in parts; returns nothing that a test could compare by mistake. */
async function insertAll(
  table: string,
  names: readonly string[],
  rows: readonly (readonly unknown[])[],
): Promise<void> {
  for (let at = 0; at < rows.length; at += 250) {
    await connection.query(`INSERT INTO ${table} (${names.join(', ')}) VALUES ?`, [rows.slice(at, at + 250)]);
  }
}

const pad = (value: number, width = 2): string => String(value).padStart(width, '0');
const fraction = fc.integer({ min: 0, max: 999_999 }).map((value) => pad(value, 6));
const clock = fc
  .tuple(fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 59 }), fraction)
  .map(([minute, second, rest]) => `${pad(minute)}:${pad(second)}.${rest}`);

describe('random values come out the same both ways (R-256)', () => {
  const sample = <T>(arbitrary: fc.Arbitrary<T>, count: number): T[] => fc.sample(arbitrary, { numRuns: count });

  test('numbers', async () => {
    const definitions = {
      f: 'float',
      d: 'double',
      n: 'decimal(38,11)',
      b: 'bigint',
      u: 'bigint unsigned',
      s: 'bit(33)',
    };
    const row = fc.tuple(
      fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => value.toExponential()),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value.toExponential()),
      fc
        .tuple(fc.bigInt({ min: -(10n ** 27n) + 1n, max: 10n ** 27n - 1n }), fc.integer({ min: 0, max: 10 }))
        .map(([whole, rest]) => `${whole}.${pad(rest, 2)}`),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
      fc.bigInt({ min: 0n, max: 2n ** 33n - 1n }).map((value) => hex(value.toString(16).padStart(10, '0'))),
    );
    const rows = sample(row, 1_000);
    const { copied, streamed } = await bothWays(definitions, iso, (table) =>
      insertAll(table, Object.keys(definitions), rows),
    );
    expect(streamed).toEqual(copied);
    expect(copied.map(([, double]) => double)).toEqual(rows.map(([, double]) => Number(double)));
  });

  test('dates and times of all precisions', async () => {
    const definitions = Object.fromEntries(
      [0, 1, 2, 3, 4, 5, 6].flatMap((digits) => [
        [`t${digits}`, `time(${digits})`],
        [`d${digits}`, `datetime(${digits})`],
        [`s${digits}`, `timestamp(${digits}) NULL`],
      ]),
    );
    const span = fc
      .tuple(fc.boolean(), fc.integer({ min: 0, max: 837 }), clock)
      .map(([negative, hour, rest]) => `${negative ? '-' : ''}${pad(hour)}:${rest}`);
    const day = fc
      .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }), fc.integer({ min: 0, max: 23 }), clock)
      .map(([month, date, hour, rest]) => `-${pad(month)}-${pad(date)} ${pad(hour)}:${rest}`);
    const dateTime = fc.tuple(fc.integer({ min: 1, max: 9998 }), day).map(([year, rest]) => pad(year, 4) + rest);
    const timestamp = fc.tuple(fc.integer({ min: 1971, max: 2037 }), day).map(([year, rest]) => `${year}${rest}`);
    const rows = sample(fc.tuple(...Array.from({ length: 7 }, () => fc.tuple(span, dateTime, timestamp))), 300).map(
      (row) => row.flat(),
    );
    const names = Object.keys(definitions);
    for (const options of [iso, microseconds]) {
      const { copied, streamed } = await bothWays(definitions, options, (table) => insertAll(table, names, rows));
      expect(streamed).toEqual(copied);
      if (options === microseconds) {
        // All that was put in comes out.
        expect(copied.map((row) => [row[18], row[19], row[20]])).toEqual(
          rows.map((row) => [row[18], `${row[19]!.replace(' ', 'T')}Z`, `${row[20]!.replace(' ', 'T')}Z`]),
        );
      }
    }
  });

  test('texts of several character sets, blobs, sets', async () => {
    const members = Array.from({ length: 40 }, (_, index) => `m${index}`);
    const definitions = {
      u: 'varchar(50)',
      l: 'varchar(50) CHARACTER SET latin1',
      g: 'text CHARACTER SET gb18030',
      w: 'char(20) CHARACTER SET utf16le',
      c: 'varchar(20) CHARACTER SET cp1251',
      b: 'varbinary(300)',
      x: 'binary(9)',
      s: `set('${members.join("','")}')`,
    };
    const utf8 = fc.string({ unit: 'grapheme', maxLength: 10 }).filter((text) => text.length < 20);
    const blob = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    const cyrillic = fc.string({ unit: fc.constantFrom('а', 'Я', 'ё', 'a', '€', '"'), maxLength: 10 });
    const latin = fc.string({ unit: fc.constantFrom('a', 'é', '€', 'ÿ', '"', '\\'), maxLength: 10 });
    const row = fc.tuple(
      utf8,
      latin,
      utf8,
      utf8,
      cyrillic,
      blob,
      blob.map((bytes) => bytes.subarray(0, 9)),
      fc.subarray(members).map(String),
    );
    const rows = sample(row, 500);
    const { copied, streamed } = await bothWays(definitions, iso, (table) =>
      insertAll(table, Object.keys(definitions), rows),
    );
    expect(streamed).toEqual(copied);
    expect(copied.map(([first]) => first)).toEqual(rows.map(([first]) => first));
    expect(copied.map((values) => values[7])).toEqual(
      rows.map((values) => JSON.stringify(values[7] === '' ? [] : values[7].split(','))),
    );
  });

  test('JSON', async () => {
    // Where MySQL changes between the forms with and without exponent.
    const nearBorder = fc
      .tuple(fc.double({ min: 0.1, max: 10, noNaN: true }), fc.integer({ min: -18, max: 18 }), fc.boolean())
      .map(([mantissa, exponent, negative]) => Number(`${negative ? '-' : ''}${mantissa}e${exponent}`));
    const number = fc.oneof(
      nearBorder,
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    );
    const string = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.string({ unit: fc.constantFrom('"', '\\', '\n', '\u0001', '\u001f', '\u007f', '/'), maxLength: 5 }),
      fc.string({ minLength: 120, maxLength: 140 }),
    );
    const { json } = fc.letrec<{ json: string }>((tie) => ({
      json: fc.oneof(
        { maxDepth: 5, withCrossShrink: true },
        fc.constantFrom('null', 'true', 'false'),
        number.map((value) =>
          typeof value === 'number' && Number.isInteger(value) ? value.toExponential() : String(value),
        ),
        string.map((value) => JSON.stringify(value)),
        fc.array(tie('json'), { maxLength: 6 }).map((items) => `[${items.join(',')}]`),
        fc.dictionary(string, tie('json'), { maxKeys: 6 }).map(
          (members) =>
            `{${Object.entries(members)
              .map(([key, value]) => `${JSON.stringify(key)}:${value}`)
              .join(',')}}`,
        ),
      ),
    }));
    const rows = sample(json, 1_500).map((value) => [value]);
    // Above 64 KB MySQL stores JSON in another form.
    rows.push(
      [`[${Array.from({ length: 30_000 }, (_, index) => index * 1_000).join(',')}]`],
      [
        JSON.stringify(
          Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`key ${index}`, { x: [index, 'é'] }])),
        ),
      ],
    );
    const { copied, streamed } = await bothWays({ j: 'json' }, iso, async (table) => {
      await insertAll(table, ['j'], rows);
      await connection.query(
        `INSERT INTO ${table} (j) VALUES (JSON_ARRAY(REPEAT(x'ff', 100), x'', b'101', CAST('12345.678901234567890' AS DECIMAL(30,15)), CAST('838:59:59.9' AS TIME(1)), NOW(6), YEAR(NOW())))`,
      );
    });
    expect(copied).toHaveLength(rows.length + 1);
    expect(streamed).toEqual(copied);
  });
});
