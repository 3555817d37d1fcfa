import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_ROW_BYTES } from '#core/platform/limits.ts';
import type { SqliteValue } from '#core/sync-config/values.ts';
import type { ValueOptions } from '../contract.ts';
import { createMssqlRowReader, mssqlDecoder, type MssqlValue, selectExpression } from './values.ts';

const iso: ValueOptions = { timestampsIso8601: true, timestampMaxPrecision: null, customPostgresTypes: true };
const legacy: ValueOptions = { timestampsIso8601: false, timestampMaxPrecision: null, customPostgresTypes: false };

/** As tedious makes dates: `ticks` of 100 ns beyond the millisecond. */
const date = (text: string, ticks = 0): Date =>
  Object.defineProperty(new Date(text), 'nanosecondsDelta', { enumerable: false, value: ticks / 10_000_000 });
const bytes = Buffer.from([0, 1, 255]);
const point = {
  srid: 4326,
  version: 1,
  points: [{ x: 1, y: 2.5, z: null, m: Number.NaN }],
  figures: [{ attribute: 1, pointOffset: 0 }],
  shapes: [{ parentOffset: -1, figureOffset: 0, type: 1 }],
  segments: [],
};
const pointJson =
  '{"srid":4326,"version":1,"points":[{"x":1,"y":2.5,"z":null,"m":null}],"figures":[{"attribute":1,"pointOffset":0}],"shapes":[{"parentOffset":-1,"figureOffset":0,"type":1}],"segments":[]}';

test.each<[string, string, MssqlValue, SqliteValue]>([
  ['S-344', 'tinyint', 255, 255n],
  ['S-344', 'smallint', -32768, -32768n],
  ['S-344', 'int', 2147483647, 2147483647n],
  ['S-344 S-275', 'bigint', '-9223372036854775808', -9223372036854775808n],
  ['S-345', 'numeric', '12345678901234567890.1200', '12345678901234567890.1200'],
  ['S-345', 'decimal', 12.3, '12.30'],
  ['S-346', 'float', 0.1, 0.1],
  ['S-346', 'real', -1.5, -1.5],
  ['S-347', 'bit', true, 1n],
  ['S-347', 'bit', false, 0n],
  ['S-348', 'money', '922337203685477.5807', '922337203685477.5807'],
  ['S-348', 'smallmoney', -0.5, '-0.5000'],
  ['S-349', 'xml', '<a>é</a>', '<a>é</a>'],
  ['S-350', 'char', 'ch  ', 'ch  '],
  ['S-350', 'nchar', 'é ', 'é '],
  ['S-350', 'ntext', 'n', 'n'],
  ['S-351', 'varchar', '', ''],
  ['S-351', 'nvarchar', '😀', '😀'],
  ['S-351', 'text', 't', 't'],
  ['S-352', 'uniqueidentifier', '6F9619FF-8B86-D011-B42D-00C04FC964FF', '6F9619FF-8B86-D011-B42D-00C04FC964FF'],
  ['S-353 question 7: rowversion', 'timestamp', bytes, bytes],
  ['S-354', 'date', date('0001-01-01'), '0001-01-01'],
  ['S-354', 'date', date('9999-12-31'), '9999-12-31'],
  ['S-355 S-49', 'time', date('1970-01-01T12:34:56.789Z', 1234), '12:34:56.789123400'],
  ['S-356', 'datetime', date('2025-03-04T05:06:07.003Z'), '2025-03-04T05:06:07.003000000Z'],
  ['S-356 S-49', 'datetime2', date('2025-03-04T05:06:07.123Z', 4567), '2025-03-04T05:06:07.123456700Z'],
  ['S-356', 'smalldatetime', date('2025-03-04T05:06:00Z'), '2025-03-04T05:06:00.000000000Z'],
  ['S-356', 'datetimeoffset', date('9999-12-31T23:59:59.999Z', 9999), '9999-12-31T23:59:59.999999900Z'],
  ['S-357', 'json', '{"a": 1}', '{"a": 1}'],
  ['S-358', 'geometry', point, pointJson],
  ['S-358', 'geography', point, pointJson],
  ['S-359', 'binary', bytes, bytes],
  ['S-359', 'varbinary', bytes, bytes],
  ['S-359', 'image', bytes, bytes],
  ['S-360', 'rowversion', bytes, bytes],
  ['S-361', 'hierarchyid', bytes, bytes],
])('%s %s', (_, type, value, expected) => {
  for (const options of [iso, legacy]) {
    const decode = mssqlDecoder({ name: 'c', type, scale: 2 }, options);
    expect(decode(value)).toEqual(expected);
    expect(decode(null)).toBeNull();
  }
});

describe('precision (S-48, S-49, S-50, question 4)', () => {
  test.each([
    ['seconds', '23:59:59'],
    ['milliseconds', '23:59:59.999'],
    ['microseconds', '23:59:59.999999'],
    ['nanoseconds', '23:59:59.999999900'],
  ] as const)('%s: cut, never rounded', (timestampMaxPrecision, time) => {
    const of = (type: string, options: ValueOptions): unknown =>
      mssqlDecoder({ name: 'c', type, scale: 7 }, options)(date('1970-01-01T23:59:59.999Z', 9999));
    const options = { ...iso, timestampMaxPrecision };
    expect([of('time', options), of('datetime2', options)]).toEqual([time, `1970-01-01T${time}Z`]);
    expect(of('time', { ...legacy, timestampMaxPrecision })).toBe('23:59:59.999999900');
  });
  test('every tick of a day, as JavaScript writes it', () => {
    const decode = mssqlDecoder({ name: 'c', type: 'datetime2', scale: 7 }, iso);
    const instant = fc.date({
      min: new Date('0001-01-01'),
      max: new Date('9999-12-31T23:59:59.999Z'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(instant, fc.integer({ min: 0, max: 9999 }), (at, ticks) => {
        const text = at.toISOString().replace('Z', `${String(ticks).padStart(4, '0')}00Z`);
        expect(decode(date(at.toISOString(), ticks))).toBe(text);
      }),
    );
  });
});

describe('decimals keep their digits', () => {
  test('queries select them as text', () => {
    expect(
      ['numeric', 'decimal', 'money', 'sql_variant', 'int'].map((type) => selectExpression({ type }, 't.[c]')),
    ).toEqual([
      'CONVERT(varchar(41), t.[c])',
      'CONVERT(varchar(41), t.[c])',
      'CONVERT(varchar(41), t.[c], 2)',
      'CONVERT(nvarchar(4000), t.[c])',
      't.[c]',
    ]);
  });
  test('a double is taken only while its digits are certain', () => {
    const digits = fc.bigInt({ min: -(10n ** 15n) + 1n, max: 10n ** 15n - 1n });
    fc.assert(
      fc.property(digits, fc.integer({ min: 0, max: 10 }), (coefficient, scale) => {
        const padded = String(coefficient)
          .replace('-', '')
          .padStart(scale + 1, '0');
        const whole = padded.slice(0, padded.length - scale);
        const text = `${coefficient < 0n ? '-' : ''}${whole}${scale === 0 ? '' : `.${padded.slice(-scale)}`}`;
        expect(mssqlDecoder({ name: 'c', type: 'decimal', scale }, iso)(Number(text))).toBe(text);
      }),
    );
    expect(() => mssqlDecoder({ name: 'c', type: 'decimal', scale: 2 }, iso)(1e13)).toThrow('PSYNC_S1120');
  });
});

test('rows; those that are too large or too deep are refused (R-60, R-61, S-273)', () => {
  const columns = [
    { name: 'id', type: 'int', scale: 0 },
    { name: 'j', type: 'json', scale: 0 },
    { name: 't', type: 'nvarchar', scale: 0 },
  ];
  const read = createMssqlRowReader(columns, iso);
  const nest = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
  expect(read([1, nest(20), nest(21)])).toEqual([1n, nest(20), nest(21)]);
  expect(read([1, nest(21), null])).toEqual({ code: 'PSYNC_S1004', column: 'j' });
  expect(read([1, null, 'é'.repeat(MAX_ROW_BYTES / 2)])).toHaveLength(3);
  expect(read([1, '1', 'é'.repeat(MAX_ROW_BYTES / 2)])).toEqual({ code: 'PSYNC_S1002', bytes: MAX_ROW_BYTES + 1 });
});
