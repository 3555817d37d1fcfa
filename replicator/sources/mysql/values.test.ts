import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_ROW_BYTES } from '#core/platform/limits.ts';
import type { SqliteValue } from '#core/sync-config/values.ts';
import type { ValueOptions } from '../contract.ts';
import { createMysqlRowReader, floatValue, type MysqlColumn, selectExpression, textDecoder } from './values.ts';

const iso: ValueOptions = { timestampsIso8601: true, timestampMaxPrecision: null, customPostgresTypes: true };
const legacy: ValueOptions = { timestampsIso8601: false, timestampMaxPrecision: null, customPostgresTypes: false };
const column = (type: string, fullType = type): MysqlColumn => ({ name: 'c', type, fullType, charset: 'utf8mb4' });
const decode = (type: string, text: string | Buffer, options: ValueOptions = iso): SqliteValue =>
  textDecoder(column(type), options)(Buffer.from(text as string));
const bytes = Buffer.from([0, 1, 255]);

test.each<[string, string, string | Buffer, SqliteValue]>([
  ['S-324', 'tinyint', '-128', -128n],
  ['S-324', 'smallint', '65535', 65535n],
  ['S-324', 'mediumint', '-8388608', -8388608n],
  ['S-324 zerofill', 'int', '00042', 42n],
  ['S-324', 'bigint', '-9223372036854775808', -9223372036854775808n],
  ['S-324 S-275', 'bigint', '9223372036854775807', 9223372036854775807n],
  ['S-324 R-196', 'bigint', '9223372036854775808', '9223372036854775808'],
  ['S-324 R-196', 'bigint', '18446744073709551615', '18446744073709551615'],
  ['S-325', 'decimal', '-12345678901234567890.120', '-12345678901234567890.120'],
  ['S-325 zerofill', 'decimal', '0001.50', '1.50'],
  ['S-325', 'decimal', '0.50', '0.50'],
  ['S-326 bool is tinyint(1)', 'tinyint', '1', 1n],
  ['S-327', 'float', '0.10000000149011612', 0.1],
  ['S-327', 'double', '1.2345678901234568e17', 1.2345678901234568e17],
  ['S-328', 'enum', "d'é", "d'é"],
  ['S-329', 'set', 'a,b"c', '["a","b\\"c"]'],
  ['S-329', 'set', '', '[]'],
  ['S-330', 'char', 'ch', 'ch'],
  ['S-330', 'varchar', '😀 ', '😀 '],
  ['S-331', 'tinytext', 't', 't'],
  ['S-331', 'text', '', ''],
  ['S-331', 'mediumtext', 'm', 'm'],
  ['S-331', 'longtext', 'l\0', 'l\0'],
  ['S-332', 'timestamp', '2025-03-04 05:06:07', '2025-03-04T05:06:07.000Z'],
  ['S-333', 'date', '2025-03-04', '2025-03-04'],
  ['S-333', 'date', '0000-00-00', '0000-00-00'],
  ['S-334', 'datetime', '9999-12-31 23:59:59.999999', '9999-12-31T23:59:59.999Z'],
  ['S-334', 'datetime', '0000-00-00 00:00:00', '0000-00-00T00:00:00.000Z'],
  ['S-334 question 6', 'time', '12:34:56', '12:34:56'],
  ['S-334 question 6', 'time', '-838:59:59.000001', '-838:59:59.000001'],
  ['S-335', 'year', '2025', '2025'],
  ['S-335', 'year', '0000', '0000'],
  ['S-336', 'json', '{"a": 1.0, "é": [1e20]}', '{"a": 1.0, "é": [1e20]}'],
  ['S-337', 'bit', bytes, bytes],
  ...['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob'].map(
    (type): [string, string, Buffer, Buffer] => ['S-338', type, bytes, bytes],
  ),
  ['S-339', 'image', bytes, bytes],
  ...['geometry', 'geomcollection', 'geometrycollection'].map((type): [string, string, Buffer, Buffer] => [
    'S-340',
    type,
    bytes,
    bytes,
  ]),
  ...['point', 'multipoint'].map((type): [string, string, Buffer, Buffer] => ['S-341', type, bytes, bytes]),
  ...['linestring', 'multilinestring'].map((type): [string, string, Buffer, Buffer] => ['S-342', type, bytes, bytes]),
  ...['polygon', 'multipolygon'].map((type): [string, string, Buffer, Buffer] => ['S-343', type, bytes, bytes]),
])('%s %s', (_, type, text, expected) => {
  // S-43: the same with and without timestamps_iso8601.
  for (const options of [iso, legacy]) {
    const value = decode(type, text, options);
    expect(value instanceof Uint8Array ? Buffer.from(value) : value).toEqual(expected);
  }
});

describe('precision (S-48, S-49, S-50, questions 4 and 6)', () => {
  test.each([
    ['seconds', '2025-03-04T05:06:07Z', '-100:00:00', '01:02:03'],
    ['milliseconds', '2025-03-04T05:06:07.999Z', '-100:00:00.999', '01:02:03.000'],
    ['microseconds', '2025-03-04T05:06:07.999999Z', '-100:00:00.999999', '01:02:03.000000'],
    ['nanoseconds', '2025-03-04T05:06:07.999999Z', '-100:00:00.999999', '01:02:03.000000'],
  ] as const)('%s', (timestampMaxPrecision, dateTime, long, short) => {
    const options = { ...iso, timestampMaxPrecision };
    expect(decode('datetime', '2025-03-04 05:06:07.999999', options)).toBe(dateTime);
    expect(decode('time', '-100:00:00.999999', options)).toBe(long);
    expect(decode('time', '01:02:03', options)).toBe(short);
    expect(decode('datetime', '2025-03-04 05:06:07.999999', { ...legacy, timestampMaxPrecision })).toBe(
      '2025-03-04T05:06:07.999Z',
    );
    expect(decode('time', '-100:00:00.999999', { ...legacy, timestampMaxPrecision })).toBe('-100:00:00.999999');
  });
});

test('float: the shortest number that is stored as the same 32 bits', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (stored) => {
      const value = floatValue(stored);
      expect(Math.fround(value)).toBe(stored === 0 ? 0 : stored);
      // Any shorter one means another.
      const digits = value.toExponential().replace(/e.*|[-.]/g, '').length;
      if (digits > 6) expect(Math.fround(Number(stored.toPrecision(digits - 1)))).not.toBe(stored);
    }),
    { numRuns: 2_000 },
  );
  expect([0.1, 16777216, 3.4028234663852886e38, 1e-45].map(floatValue)).toEqual([
    0.1, 16777216, 3.4028235e38, 1.4013e-45,
  ]);
});

test('floats are selected as doubles', () => {
  expect(selectExpression({ type: 'float' }, '`c`')).toBe('(`c` + 0E0)');
  expect(selectExpression({ type: 'double' }, '`c`')).toBe('`c`');
});

test('rows; those that are too large or too deep are refused (R-60, R-61, S-273)', () => {
  const read = createMysqlRowReader([column('int'), { ...column('json'), name: 'j' }, column('longblob')], iso);
  const nest = (levels: number): Buffer => Buffer.from('['.repeat(levels) + ']'.repeat(levels));
  const id = Buffer.from('1');
  expect(read([id, nest(20), null])).toEqual([1n, nest(20).toString(), null]);
  expect(read([id, nest(21), null])).toEqual({ code: 'PSYNC_S1004', column: 'j' });
  expect(read([id, null, Buffer.alloc(MAX_ROW_BYTES)])).toHaveLength(3);
  expect(read([id, null, Buffer.alloc(MAX_ROW_BYTES + 1)])).toEqual({ code: 'PSYNC_S1002', bytes: MAX_ROW_BYTES + 1 });
});
