/**
 * For tests: expressions of the whole dialect in ours and in SQLite's SQL. They differ where the documents want something else; each of
 * these deviations has an example in `evaluate/expression.test.ts`.
 */
import fc from 'fast-check';
import { text } from './expression-values.ts';
import { keysOf } from './random-values.ts';
import { quoted, same, validJson, type Sql } from './sql-text.ts';

export { COLUMNS, real, row } from './expression-values.ts';

const join = (parts: readonly (Sql | string)[]): Sql => ({
  ours: parts.map((part) => (typeof part === 'string' ? part : part.ours)).join(''),
  theirs: parts.map((part) => (typeof part === 'string' ? part : part.theirs)).join(''),
});

/** Node's SQLite ends a statement at NUL. */
const withoutNul = text.filter((item) => !item.includes('\0')).map((item) => same(quoted(item)));
const literal = fc.oneof(
  fc.bigInt(0n, 100n).map((item) => same(String(item))),
  fc
    .constantFrom('9223372036854775807', '9223372036854775808', '1.5', '0.1', '2.0', '1e3', 'NULL', 'TRUE', 'false')
    .map(same),
  withoutNul,
);
const path = fc.constantFrom(
  ...[
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
  ],
  ...["'a b'", "'$.a[0].b[1][#-1]'", "'[#-1]'", '2', '-3'],
);
const pathOfExtract = fc.constantFrom(
  "'$.a'",
  "'$.a.b[2]'",
  "'$[2]'",
  "'$'",
  "'$[#-2]'",
  '\'$."a.b"\'',
  '\'$."a b".c\'',
);
const columns = fc
  .constantFrom('a', 'b', 'c', 'd', 't.a')
  .map((name) => ({ ours: name, theirs: name.replace('t.', '') }));
/** Text that is no JSON is null in JSON functions, where SQLite stops the query. */
const document = fc.constantFrom<Sql>(same('j'), { ours: 'k', theirs: `(${validJson('k')})` });

const BITS_AND_SUMS = ['+', '-', '*', '/', '%', '&', '|', '<<', '>>', '||'];
const COMPARISONS = ['=', '!=', '<>', '<', '>', '<=', '>='];
const TYPES = ['TEXT', 'INTEGER', 'REAL', 'NUMERIC', 'BLOB', 'text', 'Integer'];

const binary = (operators: readonly string[], item: fc.Arbitrary<Sql>): fc.Arbitrary<Sql> =>
  fc.tuple(item, fc.constantFrom(...operators), item).map(([left, op, right]) => join([left, ` ${op} `, right]));
const call = (name: string, ...args: readonly fc.Arbitrary<Sql>[]): fc.Arbitrary<Sql> =>
  fc
    .tuple(...args)
    .map((items) => join([`${name}(`, ...items.flatMap((item, at) => (at === 0 ? [item] : [', ', item])), ')']));
const small = fc.integer({ min: -7, max: 7 }).map((n) => same(`(${n})`));

/** Tests that end in IN, BETWEEN, or IS. */
function tests(operand: fc.Arbitrary<Sql>): fc.Arbitrary<Sql>[] {
  const not = fc.constantFrom('', 'NOT ');
  return [
    fc.tuple(operand, fc.constantFrom(' IS NULL', ' IS NOT NULL')).map(join),
    fc
      .tuple(operand, not, operand, operand)
      .map(([x, negated, low, high]) => ({
        ours: join([x, ` ${negated}BETWEEN `, low, ' AND ', high]).ours,
        // S-174: null if any operand is null
        theirs: `CASE WHEN (${x.theirs}) IS NULL OR (${low.theirs}) IS NULL OR (${high.theirs}) IS NULL THEN NULL ELSE ((${x.theirs}) ${negated}BETWEEN (${low.theirs}) AND (${high.theirs})) END`,
      }))
      .map((item) => join(['(', item, ')'])),
    fc
      .tuple(operand, fc.constantFrom(' IN (', ' NOT IN ('), literal, literal)
      .map(([x, op, p, q]) => join([x, op, p, ', ', q, ')'])),
    fc
      .tuple(operand, not, fc.constantFrom('ARRAY[]', 'ROW()'), operand, operand, literal)
      .map(([x, negated, list, p, q, r]) => ({
        ours: `${x.ours} ${negated}IN ${list.slice(0, -1)}${p.ours}, ${q.ours}, ${r.ours}${list.at(-1) ?? ''}`,
        theirs: `${x.theirs} ${negated}IN (${p.theirs}, ${q.theirs}, ${r.theirs})`,
      })),
    // S-154
    fc.tuple(operand, not).map(([x, negated]) => ({
      ours: `${x.ours} ${negated}IN '[1, "abc", 1.5]'`,
      theirs: `${x.theirs} ${negated}IN (1, 'abc', 1.5)`,
    })),
    fc.tuple(operand, not).map(([x, negated]) => ({
      ours: `(${x.ours} ${negated}IN k)`,
      theirs: `(CASE WHEN json_type(${textJson}) = 'array' THEN ${x.theirs} ${negated}IN (SELECT value FROM json_each(${textJson})) END)`,
    })),
  ];
}
const textJson = `CASE WHEN typeof(k) = 'text' AND json_valid(k) THEN k END`;

/** Functions and casts; `+` takes the affinity of CAST away: values compare as they are (S-84). */
function functions(operand: fc.Arbitrary<Sql>, simple: fc.Arbitrary<Sql>): fc.Arbitrary<Sql>[] {
  const typed = fc.constantFrom(...TYPES);
  const cast = (x: Sql, type: string): string => `(+CAST(${x.theirs} AS ${type}))`;
  const remainder = (of: number): fc.Arbitrary<Sql> => operand.map((item) => join([item, ` % ${of}`]));
  return [
    fc.tuple(operand, typed).map(([x, type]) => ({ ours: `CAST(${x.ours} AS ${type})`, theirs: cast(x, type) })),
    fc.tuple(simple, typed).map(([x, type]) => ({ ours: `${x.ours}::${type}`, theirs: cast(x, type) })),
    ...['upper', 'lower', 'hex', 'length', 'typeof'].map((name) => call(name, operand)),
    // SQLite has none: a function of the test, of bytes and texts
    operand.map((x) => ({
      ours: `base64(${x.ours})`,
      theirs: `base64(CASE typeof(${x.theirs}) WHEN 'blob' THEN ${x.theirs} ELSE CAST(${x.theirs} AS TEXT) END)`,
    })),
    call('ifnull', operand, operand),
    call('iif', operand, operand, operand),
    call('instr', operand, operand),
    call('instr', simple, simple),
    call('substr', operand, remainder(1000)),
    call('substring', operand, remainder(10), remainder(10)),
    call('substr', withoutNul, small, small),
    call('substr', columns, small, small),
    call('uuid_blob', simple).map(({ ours, theirs }) => ({
      ours,
      theirs: uuidOf(theirs.slice('uuid_blob('.length, -1)),
    })),
  ];
}
/** 16 bytes of a UUID, else null (S-196). */
function uuidOf(text: string): string {
  const bytes = `unhex(replace(replace(replace(${text}, '-', ''), '{', ''), '}', ''))`;
  const blob = `CASE WHEN length(${text}) = 16 THEN ${text} END`;
  return `(CASE WHEN typeof(${text}) = 'blob' THEN ${blob} WHEN length(${bytes}) = 16 THEN ${bytes} END)`;
}

function dates(operand: fc.Arbitrary<Sql>): fc.Arbitrary<Sql>[] {
  const modifier = (...names: string[]): fc.Arbitrary<Sql> => fc.constantFrom(...names).map(same);
  return ['datetime', 'unixepoch'].flatMap((name) => [
    call(name, operand),
    call(name, columns),
    call(name, operand, modifier("'unixepoch'", "'subsec'", "'SUBSECOND'")),
    call(name, columns, modifier("'unixepoch'"), modifier("'subsec'")),
  ]);
}

function jsons(): fc.Arbitrary<Sql>[] {
  const keyed = fc
    .tuple(document, fc.constantFrom(' -> ', ' ->> '), path)
    .map(([json, op, key]) => join([json, op, key]));
  return [
    keyed,
    keyed,
    fc.tuple(document, path, path).map(([json, first, second]) => join([json, ` -> ${first} ->> ${second}`])),
    call('json_extract', document, pathOfExtract.map(same)),
    call('json_array_length', fc.constant(same('j'))),
    // S-189
    fc.constant({
      ours: 'json_array_length(k)',
      theirs: `iif(k IS NULL, NULL, ifnull(json_array_length(${validJson('k')}), 0))`,
    }),
    call('json_valid', fc.oneof(literal, fc.constantFrom('j', 'k').map(same))).map(({ ours, theirs }) => ({
      ours,
      // blobs are no JSON
      theirs: theirs === 'json_valid(k)' ? `iif(typeof(k) = 'blob', 0, json_valid(k))` : theirs,
    })),
    fc
      .constant({ ours: `'a' IN json_keys(k)`, theirs: `'a' IN (SELECT value FROM json_each(${keysOf('k')}))` })
      .map((item) => ({
        ours: item.ours,
        theirs: `(CASE WHEN ${keysOf('k')} IS NOT NULL THEN ${item.theirs} END)`,
      })),
  ];
}

export const { expression } = fc.letrec<{ expression: Sql; simple: Sql }>((tie) => {
  const sub = tie('expression');
  const grouped = sub.map((item) => join(['(', item, ')']));
  const operand = fc.oneof({ weight: 2, arbitrary: tie('simple') }, { weight: 1, arbitrary: grouped });
  return {
    simple: fc.oneof(columns, literal),
    expression: fc.oneof(
      { depthSize: 'small', maxDepth: 4 },
      operand,
      binary(BITS_AND_SUMS, operand),
      binary(BITS_AND_SUMS, columns),
      binary(COMPARISONS, operand),
      binary(COMPARISONS, columns),
      binary(['AND', 'OR'], sub),
      // without parentheses: precedence must be SQLite's (open question 9)
      binary(
        ['+', '*', '||', '=', '<', '&', 'AND', 'OR'],
        sub.filter((item) => !/BETWEEN|CASE|NOT|IS|IN/.test(item.ours)),
      ),
      fc.tuple(fc.constantFrom('NOT ', '- ', '+ ', '~ '), operand).map(join),
      fc
        .tuple(sub, sub, sub)
        .map(([when, then, otherwise]) => join(['CASE WHEN ', when, ' THEN ', then, ' ELSE ', otherwise, ' END'])),
      fc
        .tuple(operand, operand, sub)
        .map(([subject, when, then]) => join(['CASE ', subject, ' WHEN ', when, ' THEN ', then, ' END'])),
      fc
        .tuple(operand, operand, sub, operand, sub, sub)
        .map(([subject, when, then, also, second, otherwise]) =>
          join([
            'CASE ',
            subject,
            ' WHEN ',
            when,
            ' THEN ',
            then,
            ' WHEN ',
            also,
            ' THEN ',
            second,
            ' ELSE ',
            otherwise,
            ' END',
          ]),
        ),
      ...tests(operand),
      ...functions(operand, tie('simple')),
      ...dates(operand),
      ...jsons(),
    ),
  };
});

/** SQLite's "now" is the only value that depends on the clock: here it is null. */
export const timeless = (sql: Sql): boolean =>
  !/'(now|subsec|subsecond)'\s*[,)]/i.test(sql.theirs.replaceAll(/, '(subsec|subsecond|unixepoch)'/gi, ''));
