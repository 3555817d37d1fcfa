import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import { MAX_ROW_BYTES } from '#core/platform/limits.ts';
import type { SqliteValue } from '#core/sync-config/values.ts';
import type { ValueOptions } from '../contract.ts';
import {
  asArray,
  binaryBytes,
  bsonDocument,
  codeWithScopeBytes,
  cstringBytes,
  decimalBytes,
  documents,
  doubleBytes,
  type Element,
  element,
  int32Bytes,
  int64Bytes,
  stringBytes,
} from './bson-documents.fixture.ts';
import { bsonType } from './bson-bytes.ts';
import { readPlainly } from './plain-mapping.fixture.ts';
import { createDocumentReader, type DocumentRow } from './values.ts';

const iso: ValueOptions = { timestampsIso8601: true, timestampMaxPrecision: null, customPostgresTypes: true };
const legacy: ValueOptions = { timestampsIso8601: false, timestampMaxPrecision: null, customPostgresTypes: false };
const optionSets = [iso, legacy, { ...iso, timestampMaxPrecision: 'seconds' }] as const;

const rowOf = (bytes: Buffer, options: ValueOptions = iso): DocumentRow => {
  const row = createDocumentReader(options).read(bytes);
  if ('code' in row) throw new Error(`unfit: ${row.code}`);
  return row;
};
/** The one field `v`, as a column, inside an object and inside an array. */
const everywhere = (type: number, payload: Buffer, options: ValueOptions = iso): SqliteValue[] => {
  const inside = element('v', type, payload);
  return [
    rowOf(bsonDocument([inside]), options).values[0]!,
    rowOf(bsonDocument([element('o', bsonType.object, bsonDocument([inside]))]), options).values[0]!,
    rowOf(bsonDocument([element('a', bsonType.array, asArray([inside]))]), options).values[0]!,
  ];
};
const none = Buffer.alloc(0);
const oid = Buffer.from('65a1b2c3d4e5f60718293a4b', 'hex');
const uuid = Buffer.from('0123456789abcdef0123456789ABCDEF', 'hex');

describe('each type as a column, in an object, in an array', () => {
  const date = (ms: bigint): Buffer => int64Bytes(ms);
  test.each<[string, number, Buffer, SqliteValue, string | undefined]>([
    ['S-303 String', bsonType.string, stringBytes('a"é\n'), 'a"é\n', '"a\\"é\\n"'],
    ['S-304 Int', bsonType.int32, int32Bytes(-5), -5n, '-5'],
    ['S-304 Long', bsonType.int64, int64Bytes(9007199254740993n), 9007199254740993n, '9007199254740993'],
    ['S-304 S-275 smallest Long', bsonType.int64, int64Bytes(-(2n ** 63n)), -(2n ** 63n), '-9223372036854775808'],
    ['S-305 Double', bsonType.double, doubleBytes(0.1), 0.1, '0.1'],
    ['S-305 S-276 whole Double', bsonType.double, doubleBytes(3), 3, '3.0'],
    ['S-305 S-276 NaN', bsonType.double, doubleBytes(Number.NaN), Number.NaN, 'null'],
    ['S-305 S-276 infinity', bsonType.double, doubleBytes(-Infinity), -Infinity, 'null'],
    ['S-305 negative zero', bsonType.double, doubleBytes(-0), -0, '-0.0'],
    [
      'S-306 Decimal128',
      bsonType.decimal128,
      decimalBytes('12345678901234567890.120'),
      '12345678901234567890.120',
      '"12345678901234567890.120"',
    ],
    ['S-306 NaN', bsonType.decimal128, decimalBytes('NaN'), 'NaN', '"NaN"'],
    [
      'S-307 Object',
      bsonType.object,
      bsonDocument([element('x', bsonType.int32, int32Bytes(1))]),
      '{"x":1}',
      '{"x":1}',
    ],
    [
      'S-308 Array',
      bsonType.array,
      asArray([element('', bsonType.int32, int32Bytes(1)), element('', bsonType.null, none)]),
      '[1,null]',
      '[1,null]',
    ],
    ['S-309 ObjectId', bsonType.objectId, oid, '65a1b2c3d4e5f60718293a4b', '"65a1b2c3d4e5f60718293a4b"'],
    [
      'S-310 UUID',
      bsonType.binary,
      binaryBytes(4, uuid),
      '01234567-89ab-cdef-0123-456789abcdef',
      '"01234567-89ab-cdef-0123-456789abcdef"',
    ],
    ['S-311 Boolean', bsonType.boolean, Buffer.from([1]), 1n, '1'],
    ['S-311 Boolean', bsonType.boolean, Buffer.from([0]), 0n, '0'],
    ['S-312 Date', bsonType.date, date(1741064767123n), '2025-03-04T05:06:07.123Z', '"2025-03-04T05:06:07.123Z"'],
    ['S-312 before 1970', bsonType.date, date(-1n), '1969-12-31T23:59:59.999Z', '"1969-12-31T23:59:59.999Z"'],
    [
      'S-312 last Date',
      bsonType.date,
      date(2n ** 63n - 1n),
      '+292278994-08-17T07:12:55.807Z',
      '"+292278994-08-17T07:12:55.807Z"',
    ],
    [
      'S-312 first Date',
      bsonType.date,
      date(-(2n ** 63n)),
      '-292275055-05-16T16:47:04.192Z',
      '"-292275055-05-16T16:47:04.192Z"',
    ],
    ['S-313 Null', bsonType.null, none, null, 'null'],
    ['S-314 S-323 Binary', bsonType.binary, binaryBytes(0, Buffer.from([1, 2])), Buffer.from([1, 2]), undefined],
    [
      'S-314 old Binary',
      bsonType.binary,
      binaryBytes(2, Buffer.from([2, 0, 0, 0, 7, 8])),
      Buffer.from([7, 8]),
      undefined,
    ],
    ['S-314 S-310 no UUID', bsonType.binary, binaryBytes(3, uuid), uuid, undefined],
    [
      'S-315 Regular expression',
      bsonType.regex,
      cstringBytes('^a"\\d\0im'),
      '{"pattern":"^a\\"\\\\d","options":"im"}',
      '{"pattern":"^a\\"\\\\d","options":"im"}',
    ],
    [
      'S-316 Timestamp',
      bsonType.timestamp,
      int64Bytes((1741064767n << 32n) | 5n),
      7477816234482860037n,
      '7477816234482860037',
    ],
    [
      'S-316 Timestamp after 2038',
      bsonType.timestamp,
      int64Bytes(2n ** 63n),
      '9223372036854775808',
      '"9223372036854775808"',
    ],
    ['S-317 Undefined', bsonType.undefined, none, null, 'null'],
    [
      'S-318 DBPointer',
      bsonType.dbPointer,
      Buffer.concat([stringBytes('shop.users.old'), oid]),
      '{"collection":"users.old","oid":"65a1b2c3d4e5f60718293a4b","db":"shop","fields":{}}',
      '{"collection":"users.old","oid":"65a1b2c3d4e5f60718293a4b","db":"shop","fields":{}}',
    ],
    [
      'S-318 without database',
      bsonType.dbPointer,
      Buffer.concat([stringBytes('users'), oid]),
      '{"collection":"users","oid":"65a1b2c3d4e5f60718293a4b","db":null,"fields":{}}',
      '{"collection":"users","oid":"65a1b2c3d4e5f60718293a4b","db":null,"fields":{}}',
    ],
    [
      'S-319 JavaScript',
      bsonType.code,
      stringBytes('f()'),
      '{"code":"f()","scope":null}',
      '{"code":"f()","scope":null}',
    ],
    [
      'S-319 with scope',
      bsonType.codeWithScope,
      codeWithScopeBytes('f()', bsonDocument([element('x', bsonType.boolean, Buffer.from([1]))])),
      '{"code":"f()","scope":{"x":1}}',
      '{"code":"f()","scope":{"x":1}}',
    ],
    ['S-320 Symbol', bsonType.symbol, stringBytes('sym'), 'sym', '"sym"'],
    ['S-321 MinKey', bsonType.minKey, none, null, 'null'],
    ['S-321 MaxKey', bsonType.maxKey, none, null, 'null'],
  ])('%s', (_, type, payload, column, json) => {
    expect(everywhere(type, payload)).toEqual([
      column,
      json === undefined ? '{}' : `{"v":${json}}`,
      // In an array null keeps the place of what is left out (S-323).
      `[${json ?? 'null'}]`,
    ]);
  });
});

test.each([
  [iso, '2025-03-04T05:06:07.000Z'],
  [legacy, '2025-03-04 05:06:07.000Z'],
  [{ ...iso, timestampMaxPrecision: 'seconds' }, '2025-03-04T05:06:07Z'],
  [{ ...iso, timestampMaxPrecision: 'nanoseconds' }, '2025-03-04T05:06:07.000Z'],
  [{ ...legacy, timestampMaxPrecision: 'seconds' }, '2025-03-04 05:06:07.000Z'],
] as const)('dates with %j (S-43, S-48, S-49, S-50, S-312)', (options, expected) => {
  expect(everywhere(bsonType.date, int64Bytes(1741064767000n), options)).toEqual([
    expected,
    `{"v":"${expected}"}`,
    `["${expected}"]`,
  ]);
});

describe('columns are the top-level fields in order (S-322)', () => {
  const fields = (...names: string[]): Element[] =>
    names.map((name, index) => element(name, bsonType.int32, int32Bytes(index)));

  test('documents of one shape share their list of columns', () => {
    const reader = createDocumentReader(iso);
    const [first, second, other] = [
      ['_id', '10', '2'],
      ['_id', '10', '2'],
      ['_id', '2'],
    ].map((names) => reader.read(bsonDocument(fields(...names))) as DocumentRow);
    expect(first).toEqual({ columns: ['_id', '10', '2'], values: [0n, 1n, 2n] });
    expect(second!.columns).toBe(first!.columns);
    expect(other).toEqual({ columns: ['_id', '2'], values: [0n, 1n] });
  });
  test('of equal names the last value counts, at the first place', () => {
    const bytes = bsonDocument([
      ...fields('a', 'b', 'a'),
      element('o', bsonType.object, bsonDocument(fields('2', '1', '2'))),
    ]);
    expect(rowOf(bytes)).toEqual({ columns: ['a', 'b', 'o'], values: [2n, 1n, '{"2":2,"1":1}'] });
  });
  test('names that are data, by the thousand', () => {
    const reader = createDocumentReader(iso);
    for (let round = 0; round < 20; round += 1) {
      const names = Array.from({ length: 1_000 }, (_, index) => `n${round * 700 + index}`);
      const nested = element('o', bsonType.object, bsonDocument(fields(...names)));
      const row = reader.read(bsonDocument([...fields(...names), nested])) as DocumentRow;
      expect(row.columns).toEqual([...names, 'o']);
      expect(Object.keys(JSON.parse(row.values[1_000] as string) as object)).toEqual(names);
    }
  });
  test('an empty document', () => {
    expect(rowOf(bsonDocument([]))).toEqual({ columns: [], values: [] });
  });
  test('columns that nobody reads are null, and may hold anything', () => {
    const reader = createDocumentReader(iso, (name) => name === '_id');
    const bytes = bsonDocument([...fields('_id'), element('deep', bsonType.array, nest(40)), ...fields('x')]);
    expect(reader.read(bytes)).toEqual({ columns: ['_id', 'deep', 'x'], values: [0n, null, null] });
  });
  test('a DBRef is a document like any other (S-307)', () => {
    const reference = bsonDocument([
      element('$ref', bsonType.string, stringBytes('users')),
      element('$id', bsonType.objectId, oid),
    ]);
    expect(rowOf(bsonDocument([element('v', bsonType.object, reference)])).values).toEqual([
      `{"$ref":"users","$id":"${oid.toString('hex')}"}`,
    ]);
  });
  test('the row keeps nothing of the bytes', () => {
    const bytes = bsonDocument([
      element('b', bsonType.binary, binaryBytes(0, Buffer.from('abc'))),
      element('s', bsonType.string, stringBytes('text')),
    ]);
    const row = rowOf(bytes);
    bytes.fill(0x78);
    expect(row).toEqual({ columns: ['b', 's'], values: [Buffer.from('abc'), 'text'] });
  });
});

/** An array in an array …, `levels` of them. */
function nest(levels: number): Buffer {
  let bytes = asArray([]);
  for (let level = 1; level < levels; level += 1) bytes = asArray([element('', bsonType.array, bytes)]);
  return bytes;
}

describe('limits', () => {
  test.each([
    ['array', bsonType.array, asArray, none, 20],
    ['regular expression', bsonType.regex, asArray, cstringBytes('a\0'), 19],
    ['code', bsonType.code, asArray, stringBytes('f()'), 19],
    ['code with scope', bsonType.codeWithScope, asArray, codeWithScopeBytes('f()', bsonDocument([])), 18],
    ['DBPointer', bsonType.dbPointer, asArray, Buffer.concat([stringBytes('a.b'), oid]), 18],
  ] as const)('JSON of more than 20 levels is refused: %s (S-273, R-61)', (_, type, wrap, payload, most) => {
    const wrapped = (levels: number): Buffer => {
      if (payload === none) return bsonDocument([element('v', bsonType.array, nest(levels))]);
      let bytes = wrap([element('', type, payload)]);
      for (let level = 1; level < levels; level += 1) bytes = asArray([element('', bsonType.array, bytes)]);
      return bsonDocument([element('ok', bsonType.null, none), element('v', bsonType.array, bytes)]);
    };
    const reader = createDocumentReader(iso);
    expect(reader.read(wrapped(most))).toHaveProperty('values');
    expect(reader.read(wrapped(most + 1))).toEqual({ code: 'PSYNC_S1004', column: 'v' });
    // Nothing is left of the row that failed.
    expect(reader.read(wrapped(most))).toEqual(createDocumentReader(iso).read(wrapped(most)));
  });
  test('a document above 15 MB is refused (R-60)', () => {
    const document = (bytes: number): Buffer =>
      bsonDocument([element('v', bsonType.string, stringBytes(Buffer.alloc(bytes, 97)))]);
    expect(rowOf(document(MAX_ROW_BYTES - 13)).values[0]).toHaveLength(MAX_ROW_BYTES - 13);
    expect(createDocumentReader(iso).read(document(MAX_ROW_BYTES - 12))).toEqual({
      code: 'PSYNC_S1002',
      bytes: MAX_ROW_BYTES + 1,
    });
  });
  test('values that grow when they are escaped', () => {
    const text = '\u0001"'.repeat(300_000);
    const nested = bsonDocument([element('v', bsonType.string, stringBytes(text))]);
    expect(rowOf(bsonDocument([element('o', bsonType.object, nested)])).values).toEqual([JSON.stringify({ v: text })]);
  });
});

test('any document is read as by the library and a plain mapping (S-303…S-323)', () => {
  const readers = optionSets.map((options) => createDocumentReader(options));
  fc.assert(
    fc.property(documents, fc.integer({ min: 0, max: 2 }), (bytes, set) => {
      const expected = readPlainly(bytes, optionSets[set]!);
      expect(readers[set]!.read(bytes)).toEqual({ columns: [...expected.keys()], values: [...expected.values()] });
    }),
    { numRuns: 2_000 },
  );
});

test('damaged documents give an error or a row, by their own bytes alone', () => {
  const outcome = (bytes: Buffer, from: number, to: number): unknown => {
    try {
      return createDocumentReader(iso).read(bytes, from, to);
    } catch (error) {
      if (!isCodedError(error, 'PSYNC_S1346')) throw error;
      return 'damaged';
    }
  };
  const damage = fc.array(
    fc.tuple(fc.nat(), fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 5, 0x0f, 0x7f, 0x80, 0xff), fc.nat(255))),
    { maxLength: 3 },
  );
  let rows = 0;
  let refused = 0;
  fc.assert(
    fc.property(documents, damage, fc.nat(), (whole, changes, cut) => {
      const bytes = Buffer.from(whole);
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      const end = changes.length === 0 ? cut % bytes.length : bytes.length;
      const alone = outcome(Buffer.from(bytes.subarray(0, end)), 0, end);
      if (alone === 'damaged') refused += 1;
      else rows += 1;
      // What lies around must not matter: zeros end strings, 0x7f makes large lengths.
      for (const around of [0, 0x7f]) {
        const larger = Buffer.alloc(bytes.length + 64, around);
        bytes.copy(larger, 32, 0, end);
        expect(outcome(larger, 32, 32 + end)).toEqual(alone);
      }
    }),
    { numRuns: 2_000 },
  );
  expect(rows).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(100);
});
