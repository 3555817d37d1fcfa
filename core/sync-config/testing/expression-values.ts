/** For tests: values of every kind that expressions meet, and rows of them. */
import fc from 'fast-check';
import type { SqliteValue } from '../values.ts';

/** Columns of the rows; `j` holds JSON mostly, `k` may hold JSON or anything else. */
export const COLUMNS = ['a', 'b', 'c', 'd', 'j', 'k'];

const integer = fc.oneof(
  fc.bigInt(-3n, 12n),
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  fc.constantFrom(
    ...[2n ** 63n - 1n, 2n ** 63n - 2n, -(2n ** 63n), 1n - 2n ** 63n, 2n ** 53n + 1n, 2n ** 32n, 3037000500n],
    // shifts by a lot, backwards too
    ...[63n, 64n, 65n, -63n, -64n, -65n, 1000n, -1000n],
    // times: the last and first second of datetime(), and their neighbours
    ...[253402300799n, 253402300800n, -62167219200n, -62167219201n, -210866760000n, -210866760001n, 5373484n, 5373485n],
  ),
);
export const real = fc.oneof(
  fc.double({ noNaN: true }),
  fc.constantFrom(0, -0, 1, -1, 1.5, -2.5, 1e15, 1e16, 1e17, 123456789.125, 2 ** 63, -(2 ** 63), 2 ** 53, 5e-324),
  fc.constantFrom(0.1 + 0.2, 1 / 3, 1e-5, 1e308, -1e308, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  fc.constantFrom(5373484.499, 5373484.5, 2440587.5, 253402300799.999, -0.001, 1704112496.5, 1721059.5),
);

/** What looks like a number, or nearly. */
const NUMERIC = [
  ...[
    '',
    '1',
    '1.0',
    '1e3',
    '1E+3',
    '1e-3',
    ' 12 ',
    '\t12\n',
    '12abc',
    '.5',
    '5.',
    '-',
    '+',
    '+7',
    '-0',
    '--1',
    '+-1',
    '.',
    'e5',
  ],
  ...['1.5e', '1e+', '0x10', '1_000', '1 2', '\u00a01', '٣', 'inf', 'Infinity', 'nan', '1e400', '-1e400', '1e-400'],
  ...['9223372036854775807', '9223372036854775808', '-9223372036854775808', '-9223372036854775809', '1e18', '1e19'],
  ...['9223372036854775807.5', '123456789012345678901234567890', '00012', '4503599627370497.0', '2251799813685248.0'],
];
/** What looks like a time, or nearly. */
const TIMES = [
  ...[
    '2024-02-29',
    '2023-02-29',
    '2024-02-30 12:34:56.789',
    '2024-13-01',
    '2024-00-10',
    '12:34',
    '24:00',
    '12:60',
    '1:00',
  ],
  ...['2024-01-01T00:00:00Z', '2024-01-01 10:00:00+02:30', '2024-01-01 10:00:00 -14:59', '2024-01-01 10:00:00+15:00'],
  ...[
    '9999-12-31 23:59:59.999',
    '0000-01-01',
    '-4713-11-24 12:00:00',
    '-4713-11-24',
    '10000-01-01',
    '2024-01-01 23:59:60',
  ],
  ...[
    '2024-01-01 00:00:00.0005',
    '2024-06-15 12:34:56.999999999',
    '1704112496.5',
    '2024-01-01 10:00:00 x',
    ' 2024-01-01',
  ],
];
const UUIDS = [
  '123e4567-e89b-12d3-a456-426614174000',
  '123E4567E89B12D3A456426614174000',
  '{123e4567-e89b-12d3-a456-426614174000}',
  '123e4567-e89b-12d3-a456-42661417400',
];
/** Code points beyond 16 bits, and such that sort differently by UTF-16 unit. */
const unicode = fc.string({
  unit: fc.constantFrom('a', 'é', '😀', '\u{1f468}\u200d\u{1f469}', '\uffee', '\u{10000}', 'e\u0301'),
  maxLength: 5,
});
export const text = fc.oneof(
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 6 }) },
  { weight: 3, arbitrary: unicode },
  { weight: 2, arbitrary: fc.constantFrom(...NUMERIC) },
  { weight: 1, arbitrary: fc.constantFrom(...TIMES) },
  { weight: 1, arbitrary: fc.constantFrom('abc', 'ABC', 'aBc', 'é😀', 'ÀÉ', "it's", ...UUIDS) },
);
/** Valid UTF-8: what becomes of other bytes is a deviation of its own. */
const blob = fc.oneof(
  fc.string({ maxLength: 4 }).map((value) => new Uint8Array(Buffer.from(value))),
  fc.constantFrom('12', '1.5', '', 'é😀').map((value) => new Uint8Array(Buffer.from(value))),
  // as long as a UUID; without NUL, where SQLite's date functions stop reading
  fc.constant(new Uint8Array(16).fill(65)),
);
const value: fc.Arbitrary<SqliteValue> = fc.oneof(integer, real, text, fc.constant(null), blob);

const json = fc
  .jsonValue({ maxDepth: 3 })
  .chain((document) => fc.constantFrom(JSON.stringify(document), JSON.stringify(document, null, 1)));
const objectJson = fc.oneof(
  json,
  fc.constantFrom(
    '{"a":{"b":[1,2.50,null,"x\\u00e9\\n"]},"a.b":7,"":0}',
    '[1,-0,1e5,9223372036854775808,true,false,null,{"a":"b"}]',
    '{"a":1,"a":2}',
    '"text"',
    ' [ 1 , { "b" : "c d" } ] ',
    '{"a":[{"b":[[1],[2,3]]}],"[0]":"key","$":"dollar","a b":{"c":"\\ud83d\\ude00"}}',
    '[]',
    '{}',
  ),
);
const anything: fc.Arbitrary<SqliteValue> = fc.oneof(
  { weight: 3, arbitrary: objectJson },
  { weight: 2, arbitrary: value },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '{"a":1',
      "{'a':1}",
      '{a:1}',
      '[1,]',
      '[1 2]',
      '01',
      '1.',
      '+1',
      'NaN',
      '"\t"',
      '// x\n1',
    ),
  },
);
export const row = fc.tuple(value, value, value, value, fc.oneof(objectJson, fc.constant(null)), anything);
