/** For tests: random queries of streams, each in our language and in plain SQL that gives the rows it means. */
import fc from 'fast-check';
import { condition, jsonEach, table } from './random-conditions.ts';
import { COLUMNS, TABLES, type ColumnName, type TableName } from './random-schemas.ts';
import { array, column, constant, field, parameter, rowValue, scalar, type Prefix } from './random-values.ts';
import { quotedName, same, sql, validJson, type Sql } from './sql-text.ts';

/** One item of SELECT: `column` under its own name, `name` an expression with an alias. */
export type Output =
  | { readonly kind: 'star' }
  | { readonly kind: 'column'; readonly column: ColumnName }
  | { readonly kind: 'named'; readonly name: string };

/**
 * `theirs` gives `_t` and `_k`, table and key of the synced row, and `o0`, `o1`, … for the outputs that are no star: what a star gives
 * is the row itself.
 */
export interface RandomQuery extends Sql {
  readonly table: TableName;
  /** Table name on the client; null: that of the source table (S-212, S-255). */
  readonly alias: string | null;
  readonly outputs: readonly Output[];
}

interface Item extends Sql {
  readonly output: Output;
}
const named = (name: string, written: string, value: Sql, as = 'AS '): Item => ({
  ours: `${value.ours} ${as}${written}`,
  theirs: value.theirs,
  output: { kind: 'named', name },
});

/** Something to select that is computed (S-209). */
function computed(prefix: Prefix, legacy: boolean): fc.Arbitrary<Sql> {
  const item = column(prefix);
  const of = (name: string): Sql => field(prefix, name);
  const text = (value: Sql): Sql => sql`CAST(${value} AS TEXT)`;
  return fc.oneof(
    rowValue(prefix, legacy),
    fc.tuple(item, item).map(([a, b]) => sql`${a} || '.' || ${b}`),
    item.map((value) => sql`upper(${value})`),
    item.map((value) => sql`${value} IS NULL`),
    ...(legacy
      ? []
      : [
          item.map((value) => sql`CASE WHEN ${value} = 'x' THEN 1.5 ELSE ${value} END`),
          item.map((value) => sql`${value} BETWEEN 'a' AND 'x'`),
        ]),
    item.map((value) => sql`${value} + 1`),
    item.map((value) => ({ ours: `${value.ours}::integer`, theirs: `CAST(${value.theirs} AS INTEGER)` })),
    fc.constantFrom(
      of('bin'),
      sql`hex(${of('bin')})`,
      sql`length(${of('tags')})`,
      { ours: `${of('doc').ours} -> 'a'`, theirs: `${validJson(of('doc').theirs)} -> '$.a'` },
      // S-189
      {
        ours: `json_array_length(${of('tags').ours})`,
        theirs: `iif(${of('tags').theirs} IS NULL, NULL, ifnull(json_array_length(${validJson(of('tags').theirs)}), 0))`,
      },
      same('12'),
      same("'it''s'"),
      same('NULL'),
      text(of('n')),
    ),
  );
}

const ALIASES: readonly (readonly [name: string, written: string])[] = [
  ['title', 'title'],
  ['title', 'TITLE'],
  ['Title', '"Title"'],
  ['a "b"\\', '"a ""b""\\"'],
  ['order', 'order'],
  ['ключ', '"ключ"'],
  ['owner', 'owner'],
];

/** The columns of a query (S-206…S-211), mostly with one that is called id (S-260). */
function outputs(prefix: Prefix, legacy: boolean): fc.Arbitrary<Item[]> {
  const star: Item = { ours: legacy ? '*' : `${prefix}*`, theirs: '', output: { kind: 'star' } };
  const item = fc.oneof(
    { weight: 2, arbitrary: fc.constant(star) },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom(...COLUMNS)
        .map((name): Item => ({ ...field(prefix, name), output: { kind: 'column', column: name } })),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(computed(prefix, legacy), fc.constantFrom(...ALIASES), fc.constantFrom('AS ', 'as ', 'AS '))
        .map(([value, [name, written], as]) => named(name, written, value, as)),
    },
  );
  const id = fc.oneof(
    { weight: 6, arbitrary: fc.constant(named('id', 'id', field(prefix, 'id'))) },
    { weight: 1, arbitrary: fc.constant(named('id', 'id', field(prefix, 'id'), '')) },
    { weight: 1, arbitrary: rowValue(prefix, legacy).map((value) => named('id', '"id"', value)) },
    { weight: 1, arbitrary: fc.constant(named('id', 'id', field(prefix, 'bin'))) },
    // composite keys (S-260)
    {
      weight: 1,
      arbitrary: fc.constant(named('id', 'ID', sql`${field(prefix, 'ref')} || '.' || ${field(prefix, 'owner')}`)),
    },
  );
  const several = fc.oneof(
    { weight: 2, arbitrary: fc.constant<Item[]>([]) },
    { weight: 3, arbitrary: fc.array(item, { minLength: 1, maxLength: 3 }) },
  );
  return fc.oneof(
    { weight: 3, arbitrary: id.map((last): Item[] => [star, last]) },
    { weight: 4, arbitrary: fc.tuple(several, id, several).map(([before, at, after]) => [...before, at, ...after]) },
    { weight: 1, arbitrary: fc.constant<Item[]>([star]) },
  );
}

const chosen = fc.constantFrom<TableName>(...TABLES);
const TOP_ALIASES: readonly (string | null)[] = [null, null, null, 'i', 'Boats', 'my "boats"'];
interface Top {
  readonly table: TableName;
  readonly alias: string | null;
  readonly as: string;
}
const top: fc.Arbitrary<Top> = fc.record({
  table: chosen,
  alias: fc.constantFrom(...TOP_ALIASES),
  as: fc.constantFrom('AS ', ''),
});

/** What stands behind the synced table in FROM, and in WHERE. Columns of the synced table stand as `«top!».x`. */
interface Rest {
  readonly bareStar: boolean;
  readonly from: Sql;
  readonly where: Sql | null;
  /** The other tables stand before the synced one. */
  readonly before?: boolean;
}
const TOP = '«top!».';

const rest: fc.Arbitrary<Rest> = fc.oneof(
  {
    weight: 6,
    arbitrary: condition(TOP, 2, true).map((where) => ({ bareStar: true, from: same(''), where })),
  },
  { weight: 1, arbitrary: fc.constant({ bareStar: true, from: same(''), where: null }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        table,
        column(TOP),
        column('o.'),
        condition('o.', 1, true),
        fc.option(condition(TOP, 0, true)),
        fc.constantFrom(' JOIN ', ' INNER JOIN ', ' join '),
      )
      .map(([other, x, y, on, where, join]) => ({
        bareStar: false,
        from: sql`${join}${other} o ON ${x} = ${y} AND ${on}`,
        where,
      })),
  },
  // tables by comma with several equalities, or with none; a condition that joins by OR
  {
    weight: 2,
    arbitrary: fc
      .tuple(table, joining(column(TOP), column('o.')), condition('o.', 0, true), condition(TOP, 0, true), fc.boolean())
      .map(([other, on, c, where, before]) => ({
        bareStar: false,
        before,
        from: before ? sql`${other} AS o, ` : sql`, ${other} AS o`,
        where: sql`${on} AND ${c} AND ${where}`,
      })),
  },
  // a chain of tables
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        table,
        table,
        column(TOP),
        column('l.'),
        column('l.'),
        column('m.'),
        condition('m.', 0, true),
        condition('l.', 0, true),
      )
      .map(([second, third, a, b, c, d, where, on]) => ({
        bareStar: false,
        from: sql` JOIN ${second} l ON ${a} = ${b} AND ${on} JOIN ${third} m ON ${c} = ${d}`,
        where,
      })),
  },
  // elements of an array of the session (S-86, S-108)
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        column(TOP),
        fc.oneof(array, fc.constant(parameter('auth', 'roles'))),
        fc.constantFrom('value', 'value', 'key', 'atom'),
        fc.constantFrom('', 'key', 'value'),
        fc.option(fc.oneof(column(TOP), scalar)),
        fc.option(condition(TOP, 0, true)),
      )
      .map(([x, json, name, second, y, where]) => ({
        bareStar: true,
        from: sql` JOIN ${jsonEach(json)} AS mine ON ${x} = mine.${name}${second === '' ? '' : sql` AND ${y ?? x} = mine.${second}`}`,
        where,
      })),
  },
  // elements of a column of the synced table (S-693), which decide nothing or join another table
  {
    weight: 1,
    arbitrary: fc.tuple(table, column('o.'), condition('o.', 1, true)).map(([other, y, where]) => ({
      bareStar: false,
      from: sql` INNER JOIN ${jsonEach(field(TOP, 'tags'))} AS p INNER JOIN ${other} o ON p.value = ${y}`,
      where,
    })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom('value', 'atom', 'type'), fc.oneof(constant, scalar)).map(([name, value]) => ({
      bareStar: true,
      from: sql`, ${jsonEach(field(TOP, 'tags'))} AS p`,
      where: sql`p.${name} = ${value}`,
    })),
  },
  // a CTE joined like a table (S-113)
  {
    weight: 1,
    arbitrary: fc
      .tuple(column(TOP), fc.constantFrom('c0.v', 'c1.v', 'c1.w', 'g0.v'), condition(TOP, 1, true))
      .map(([x, name, where]) => ({
        bareStar: false,
        from: sql` INNER JOIN ${name.slice(0, 2)} ON ${name} = ${x}`,
        where,
      })),
  },
);
function joining(left: fc.Arbitrary<Sql>, right: fc.Arbitrary<Sql>): fc.Arbitrary<Sql> {
  const pair = fc.tuple(left, right).map(([x, y]) => sql`${x} = ${y}`);
  return fc.oneof(
    { weight: 3, arbitrary: pair },
    { weight: 1, arbitrary: fc.tuple(pair, pair).map(([a, b]) => sql`${a} AND ${b}`) },
    { weight: 1, arbitrary: fc.tuple(pair, pair).map(([a, b]) => sql`(${a} OR ${b})`) },
    { weight: 1, arbitrary: fc.constant(same('1')) },
  );
}

/** `SELECT` of plain SQL: who the rows are and what they give. */
export function plainSelect(prefix: string, items: readonly Item[], from: string): string {
  const values = items.flatMap((item, at) => (item.output.kind === 'star' ? [] : [`, ${item.theirs} AS o${at}`]));
  return `SELECT ${prefix}_t, ${prefix}_k${values.join('')} FROM ${from}`;
}

const direct: fc.Arbitrary<RandomQuery> = fc
  .tuple(top, rest, outputs(TOP, false), fc.boolean())
  .map(([{ table, alias, as }, { bareStar, from, where, before }, items, bare]) => {
    const written = alias === null ? '' : ` ${as}${/^[a-z]+$/.test(alias) ? alias : quotedName(alias)}`;
    const own = sql`${{ ours: `«${table}»${written}`, theirs: `${table} AS top` }}`;
    const list = items.map(({ ours, output }) => (output.kind === 'star' && bareStar && bare ? '*' : ours)).join(', ');
    const sources = before === true ? sql`${from}${own}` : sql`${own}${from}`;
    const qualifier = alias === null ? `«${table}!»` : /^[a-z]+$/.test(alias) ? alias : quotedName(alias);
    const whole = `SELECT ${list} FROM ${sources.ours}${where === null ? '' : ` WHERE ${where.ours}`}`;
    return {
      ours: whole.replaceAll('«top!»', qualifier),
      theirs: `${plainSelect('top.', items, sources.theirs)}${where === null ? '' : ` WHERE ${where.theirs}`}`,
      table,
      alias,
      outputs: items.map(({ output }) => output),
    };
  });

/** The synced table in a subquery of FROM: its rows are called like the subquery (S-140). */
const throughSubquery: fc.Arbitrary<RandomQuery> = fc
  .tuple(chosen, computed('i.', false), column('i.'), condition('i.', 1, true), scalar, constant)
  .map(([table, p, q, where, value, not]) => {
    const items = [named('id', 'id', field('i.', 'id')), named('p', 'p', p), named('Q', '"Q"', q)];
    const from = `${table} AS i WHERE ${where.theirs}`;
    return {
      ours: `SELECT d.* FROM (SELECT ${items.map(({ ours }) => ours).join(', ')} FROM «${table}» i WHERE ${where.ours}) AS d WHERE d."Q" = ${value.ours} AND NOT d."Q" = ${not.ours}`,
      theirs: `SELECT * FROM (${plainSelect('i.', items, from)}) WHERE o2 = ${value.theirs} AND NOT o2 = ${not.theirs}`,
      table,
      alias: 'd',
      outputs: items.map(({ output }) => output),
    };
  });

export const query: fc.Arbitrary<RandomQuery> = fc.oneof(
  { weight: 12, arbitrary: direct },
  { weight: 1, arbitrary: throughSubquery },
);
export { outputs };
