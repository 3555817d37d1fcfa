/** For tests: expressions of the whole dialect in ours and in SQLite's SQL, and rows to evaluate them on. */
import fc from 'fast-check';
import type { SqliteValue } from '../values.ts';

/** Columns of the rows; `j` holds JSON mostly. */
export const COLUMNS = ['a', 'b', 'c', 'd', 'j'];

/** Our text and SQLite's text of the same expression; they differ where the documents want something else (see below). */
export interface Sql {
  readonly ours: string;
  readonly theirs: string;
}
const same = (text: string): Sql => ({ ours: text, theirs: text });
const join = (parts: readonly (Sql | string)[]): Sql => ({
  ours: parts.map((part) => (typeof part === 'string' ? part : part.ours)).join(''),
  theirs: parts.map((part) => (typeof part === 'string' ? part : part.theirs)).join(''),
});

const integer = fc.oneof(
  fc.bigInt(-3n, 12n),
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, 63n, 64n, -64n),
);
export const real = fc.oneof(
  fc.double({ noNaN: true }),
  fc.constantFrom(0, 1, -1, 1.5, 1e15, 1e16, 1e17, 123456789.125, 2 ** 63, -(2 ** 63), 0.1 + 0.2, 1 / 3, 1e-5, 5e-324),
);
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 6 }),
  fc.constantFrom(
    '',
    '1',
    '1.0',
    '1e3',
    ' 12 ',
    '12abc',
    '.5',
    '5.',
    '-',
    '+7',
    '0x10',
    '9223372036854775808',
    'abc',
    'ABC',
    'é😀',
    '1.5e',
    '-0',
  ),
  fc.constantFrom(
    '2024-02-29',
    '2024-02-30 12:34:56.789',
    '12:34',
    '2024-01-01T00:00:00Z',
    '2024-01-01 10:00:00+02:30',
    '1704112496.5',
    '24:00',
  ),
);
const blob = fc.string({ maxLength: 4 }).map((value) => new Uint8Array(Buffer.from(value)));
const value: fc.Arbitrary<SqliteValue> = fc.oneof(integer, real, text, fc.constant(null), blob);
const json = fc
  .jsonValue({ maxDepth: 3 })
  .chain((document) => fc.constantFrom(JSON.stringify(document), JSON.stringify(document, null, 1)))
  .map((document) => document);
const objectJson = fc.oneof(
  json,
  fc.constantFrom(
    '{"a":{"b":[1,2.50,null,"x\\u00e9\\n"]},"a.b":7,"":0}',
    '[1,-0,1e5,9223372036854775808,true,false,null,{"a":"b"}]',
    '{"a":1,"a":2}',
    '"text"',
    ' [ 1 , { "b" : "c d" } ] ',
  ),
);
export const row = fc.tuple(value, value, value, value, fc.oneof(objectJson, fc.constant(null)));

const literal = fc.oneof(
  fc.bigInt(0n, 100n).map((item) => same(String(item))),
  fc
    .constantFrom('9223372036854775807', '9223372036854775808', '1.5', '0.1', '2.0', '1e3', 'NULL', 'TRUE', 'false')
    .map(same),
  text.filter((item) => !item.includes('\0')).map((item) => same(`'${item.replaceAll("'", "''")}'`)),
);
const path = fc.constantFrom(
  "'a'",
  "'$.a'",
  "'$.a.b[0]'",
  "'$[1]'",
  "'$[#-1]'",
  "'$'",
  '0',
  '-1',
  "'a.b'",
  '\'$."a.b"\'',
  "'[0]'",
  "'$.a.b[3]'",
);
const pathOfExtract = fc.constantFrom("'$.a'", "'$.a.b[2]'", "'$[2]'", "'$'", "'$[#-2]'", '\'$."a.b"\'');

export const { expression } = fc.letrec<{ expression: Sql; simple: Sql }>((tie) => {
  const sub = tie('expression');
  const grouped = sub.map((item) => join(['(', item, ')']));
  const operand = fc.oneof({ weight: 2, arbitrary: tie('simple') }, { weight: 1, arbitrary: grouped });
  const binary = (operators: readonly string[], item: fc.Arbitrary<Sql>): fc.Arbitrary<Sql> =>
    fc.tuple(item, fc.constantFrom(...operators), item).map(([left, op, right]) => join([left, ` ${op} `, right]));
  const call = (name: string, ...args: fc.Arbitrary<Sql>[]): fc.Arbitrary<Sql> =>
    fc
      .tuple(...args)
      .map((items) => join([`${name}(`, ...items.flatMap((item, at) => (at === 0 ? [item] : [', ', item])), ')']));
  const typed = fc.constantFrom('TEXT', 'INTEGER', 'REAL', 'NUMERIC', 'BLOB');
  return {
    simple: fc.oneof(
      fc.constantFrom('a', 'b', 'c', 'd', 't.a').map((name) => ({ ours: name, theirs: name.replace('t.', '') })),
      literal,
    ),
    expression: fc.oneof(
      { depthSize: 'small', maxDepth: 4 },
      operand,
      binary(['+', '-', '*', '/', '%', '&', '|', '<<', '>>', '||'], operand),
      binary(['=', '!=', '<>', '<', '>', '<=', '>='], operand),
      binary(['AND', 'OR'], sub),
      // without parentheses: precedence must be SQLite's (open question 9)
      binary(
        ['+', '*', '||', '=', '<', '&', 'AND', 'OR'],
        sub.filter((item) => !/BETWEEN|CASE|NOT|IS|IN/.test(item.ours)),
      ),
      fc.tuple(fc.constantFrom('NOT ', '- ', '+ ', '~ '), operand).map(join),
      fc.tuple(operand, fc.constantFrom(' IS NULL', ' IS NOT NULL')).map(join),
      fc
        .tuple(operand, fc.constantFrom('', 'NOT '), operand, operand)
        .map(([x, not, low, high]) => ({
          ours: join([x, ` ${not}BETWEEN `, low, ' AND ', high]).ours,
          // S-174: null if any operand is null
          theirs: `CASE WHEN (${x.theirs}) IS NULL OR (${low.theirs}) IS NULL OR (${high.theirs}) IS NULL THEN NULL ELSE ((${x.theirs}) ${not}BETWEEN (${low.theirs}) AND (${high.theirs})) END`,
        }))
        .map((item) => join(['(', item, ')'])),
      fc
        .tuple(operand, fc.constantFrom(' IN (', ' NOT IN ('), literal, literal)
        .map(([x, op, p, q]) => join([x, op, p, ', ', q, ')'])),
      fc.tuple(operand, fc.constantFrom('', ' NOT')).map(([x, not]) => ({
        ours: `${x.ours}${not} IN '[1, "abc", 1.5]'`,
        theirs: `${x.theirs}${not} IN (1, 'abc', 1.5)`,
      })),
      // + takes the affinity of CAST away: values compare as they are (S-84)
      fc
        .tuple(operand, typed)
        .map(([x, type]) => ({ ours: `CAST(${x.ours} AS ${type})`, theirs: `(+CAST(${x.theirs} AS ${type}))` })),
      fc
        .tuple(tie('simple'), typed)
        .map(([x, type]) => ({ ours: `${x.ours}::${type}`, theirs: `(+CAST(${x.theirs} AS ${type}))` })),
      fc
        .tuple(sub, sub, sub)
        .map(([when, then, otherwise]) => join(['CASE WHEN ', when, ' THEN ', then, ' ELSE ', otherwise, ' END'])),
      fc
        .tuple(operand, operand, sub)
        .map(([subject, when, then]) => join(['CASE ', subject, ' WHEN ', when, ' THEN ', then, ' END'])),
      call('upper', operand),
      call('lower', operand),
      call('hex', operand),
      call('length', operand),
      call('typeof', operand),
      call('ifnull', operand, operand),
      call('iif', operand, operand, operand),
      call('instr', operand, operand),
      call(
        'substr',
        operand,
        operand.map((item) => join([item, ' % 1000'])),
      ),
      call(
        'substring',
        operand,
        operand.map((item) => join([item, ' % 10'])),
        operand.map((item) => join([item, ' % 10'])),
      ),
      call(
        'substr',
        text.map((item) => same(`'${item.replaceAll("'", "''").replaceAll('\0', '')}'`)),
        fc.integer({ min: -7, max: 7 }).map((n) => same(`(${n})`)),
        fc.integer({ min: -7, max: 7 }).map((n) => same(`(${n})`)),
      ),
      call('datetime', operand),
      call('unixepoch', operand),
      call('datetime', operand, fc.constant(same("'unixepoch'"))),
      call('datetime', operand, fc.constantFrom("'subsec'", "'unixepoch'").map(same), fc.constant(same("'subsec'"))),
      call('unixepoch', operand, fc.constant(same("'subsec'"))),
      fc.tuple(fc.constantFrom('j -> ', 'j ->> '), path).map(([left, right]) => same(left + right)),
      fc.tuple(path, path).map(([first, second]) => same(`j -> ${first} ->> ${second}`)),
      call('json_extract', fc.constant(same('j')), pathOfExtract.map(same)),
      call('json_array_length', fc.constant(same('j'))),
      call('json_valid', fc.oneof(literal, fc.constant(same('j')))),
    ),
  };
});

/** SQLite's "now" is the only value that depends on the clock: here it is null. */
export const timeless = (sql: Sql): boolean =>
  !/'(now|subsec|subsecond)'\s*[,)]/i.test(sql.theirs.replaceAll(/, '(subsec|unixepoch)'/g, ''));
