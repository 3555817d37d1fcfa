import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import type { ValueOptions } from '../contract.ts';
import { createBinaryJsonReader, jsonDouble } from './binary-json.ts';
import { charsetDecoder } from './charsets.ts';
import { decimalBytes, decimalText } from './packed-values.ts';
import { createRowImageReader, membersOf, wireColumns } from './row-image.ts';
import type { MysqlColumn } from './values.ts';

/** What a real server sends is in values.integration.test.ts; here is what none sends. */
const iso: ValueOptions = { timestampsIso8601: true, timestampMaxPrecision: null, customPostgresTypes: true };
const column = (type: string, fullType = type, charset: string | null = null): MysqlColumn => ({
  name: type,
  type,
  fullType,
  charset,
});

/** All wire types, with metadata. */
const columns: readonly [MysqlColumn, number, number[]][] = [
  [column('tinyint'), 1, []],
  [column('mediumint', 'mediumint unsigned'), 9, []],
  [column('bigint'), 8, []],
  [column('bigint', 'bigint unsigned'), 8, []],
  [column('float'), 4, [4]],
  [column('double'), 5, [8]],
  [column('decimal'), 246, [38, 11]],
  [column('year'), 13, []],
  [column('bit'), 16, [1, 4]],
  [column('enum', "enum('a','b')"), 254, [247, 1]],
  [column('set', "set('a','b')"), 254, [248, 2]],
  [column('varchar', 'varchar(300)', 'utf8mb4'), 15, [176, 4]],
  [column('char', 'char(255)', 'utf32'), 254, [0xce, 0xfc]],
  [column('binary', 'binary(4)'), 254, [254, 4]],
  [column('blob'), 252, [2]],
  [column('text', 'text', 'latin1'), 252, [2]],
  [column('geometry'), 255, [4]],
  [column('json'), 245, [4]],
  [column('date'), 10, []],
  [column('time'), 19, [3]],
  [column('datetime'), 18, [6]],
  [column('timestamp'), 17, [1]],
];

test('damaged rows give an error or a row, by their own bytes alone', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 120 }),
    // Small numbers are lengths and types that exist.
    fc
      .array(fc.oneof(fc.integer({ min: 0, max: 16 }), fc.nat(255)), { maxLength: 60 })
      .map((values) => Uint8Array.from(values)),
  );
  const outcomes = { row: 0, damaged: 0 };
  fc.assert(
    fc.property(fc.shuffledSubarray([...columns], { minLength: 1 }), bytes, (chosen, given) => {
      const wire = wireColumns(
        Uint8Array.from(chosen, ([, type]) => type),
        Buffer.from(chosen.flatMap(([, , metadata]) => metadata)),
      );
      const reader = createRowImageReader(
        chosen.map(([each]) => each),
        wire,
        iso,
      );
      const outcome = (around: number): unknown => {
        const larger = Buffer.alloc(given.length + 64, around);
        larger.set(given, 32);
        try {
          const { row, end } = reader.read(larger, 32, 32 + given.length, Buffer.alloc(4, 255));
          expect(end).toBeLessThanOrEqual(32 + given.length);
          outcomes.row += 1;
          return row;
        } catch (error) {
          if (!isCodedError(error, 'PSYNC_S1120')) throw error;
          outcomes.damaged += 1;
          return error.message;
        }
      };
      expect(outcome(0)).toEqual(outcome(0x7f));
    }),
    { numRuns: 3_000 },
  );
  expect(outcomes.row).toBeGreaterThan(100);
  expect(outcomes.damaged).toBeGreaterThan(100);
});

test('columns that an event does not hold are null (R-181)', () => {
  const reader = createRowImageReader(
    [column('tinyint'), column('tinyint'), column('tinyint')],
    wireColumns(Uint8Array.of(1, 1, 1), Buffer.alloc(0)),
    iso,
  );
  expect(reader.read(Buffer.from([0b10, 5]), 0, 2, Buffer.from([0b101]))).toEqual({ row: [5n, null, null], end: 2 });
});

test('a table map and a table that do not belong together (R-204)', () => {
  expect(() => createRowImageReader([column('int')], [], iso)).toThrow('PSYNC_S1120');
  expect(() => wireColumns(Uint8Array.of(15), Buffer.from([1]))).toThrow('PSYNC_S1120');
  expect(() => createRowImageReader([column('int')], wireColumns(Uint8Array.of(200), Buffer.alloc(0)), iso)).toThrow(
    'PSYNC_S1120',
  );
  expect(() =>
    createRowImageReader([column('text', 'text', 'dec8')], wireColumns(Uint8Array.of(252), Buffer.from([2])), iso),
  ).toThrow(/dec8/);
});

describe('JSON', () => {
  const read = createBinaryJsonReader();
  test('whose offsets lead back to itself ends', () => {
    // An array of four, each of them the array itself.
    const bytes = Buffer.from([2, 4, 0, 16, 0, ...Array.from({ length: 4 }, () => [2, 0, 0]).flat()]);
    expect(() => read(bytes)).toThrow('PSYNC_S1120');
    // And the reader goes on with the next.
    expect(read(Buffer.from([4, 1]))).toBe('true');
  });
  test('any bytes give a text or an error', () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 1, 2, 3, 12, 15), fc.uint8Array({ maxLength: 200 }), (type, bytes) => {
        try {
          expect(typeof read(Buffer.from([type, ...bytes]))).toBe('string');
        } catch (error) {
          if (!isCodedError(error, 'PSYNC_S1120')) throw error;
        }
      }),
      { numRuns: 3_000 },
    );
  });
  test.each([
    [1, '1.0'],
    [-0, '-0.0'],
    [0.1, '0.1'],
    [123456789012345, '123456789012345.0'],
    [1e14, '100000000000000.0'],
    [1e15, '1e15'],
    [-1818587818200301.5, '-1818587818200301.5'],
    [1234567890123456, '1.234567890123456e15'],
    [12345678901234568, '1.2345678901234568e16'],
    [-1.5e-15, '-0.0000000000000015'],
    [1e-16, '1e-16'],
    [1.7976931348623157e308, '1.7976931348623157e308'],
  ])('the real %d is %s (S-276)', (value, text) => {
    expect(jsonDouble(value)).toBe(text);
  });
});

test('members of enum and set, with their escapes (S-328, S-329)', () => {
  expect(membersOf(`set('a','it''s','b,c','\\\\','\\n\\r\\0','é"','')`)).toEqual([
    'a',
    "it's",
    'b,c',
    '\\',
    '\n\r\0',
    'é"',
    '',
  ]);
});

test('decimals at the borders of their groups', () => {
  expect(decimalBytes(65, 30)).toBe(30);
  expect(decimalText(Buffer.from([0x80]), 0, 1, 0)).toBe('0');
  expect(decimalText(Buffer.from([0x7e]), 0, 1, 0)).toBe('-1');
  expect(decimalText(Buffer.from([0x80, 0, 0, 0, 99]), 0, 11, 2)).toBe('0.99');
});

test('every character set of the list is one that Node knows; others are refused', () => {
  for (const charset of ['latin1', 'latin2', 'cp932', 'gb18030', 'utf16', 'euckr', 'macroman', 'tis620']) {
    expect(charsetDecoder(charset)!(Buffer.from('\0a'), charset === 'utf16' ? 0 : 1, 2)).toBe('a');
  }
  expect(charsetDecoder('utf32')!(Buffer.from([0, 1, 0xf6, 0, 0, 0x11, 0, 0]), 0, 8)).toBe('😀\ufffd');
  expect(charsetDecoder('hp8')).toBeNull();
});
