/** For tests: random conditions of streams, with subqueries, arrays and CTEs, each in our language and in SQLite's. */
import fc from 'fast-check';
import { TABLES } from './random-schemas.ts';
import { array, column, constant, field, gate, rowFilter, rowValue, scalar, type Prefix } from './random-values.ts';
import { arrayJson, inArray, same, sql, validJson, type Sql } from './sql-text.ts';

/** CTEs that every query can name: `c0` and `g0` have the column v, `c1` has v and w. */
export const CTES = ['c0', 'c1', 'g0'] as const;

export const table: fc.Arbitrary<Sql> = fc.constantFrom(...TABLES).map((name) => ({ ours: `«${name}»`, theirs: name }));
const always = same('1');

const elements = (json: Sql): Sql => ({
  ours: `json_each(${json.ours})`,
  theirs: `json_each(${arrayJson(json.theirs)})`,
});
/** As json_each: members of objects too, and a scalar is its own element. */
const members = (json: Sql): Sql => ({
  ours: `json_each(${json.ours})`,
  theirs: `json_each(${validJson(json.theirs)})`,
});
export { members as jsonEach };

/** `left && right`, where right gives rows with one column. */
const overlaps = (left: Sql, ours: string, theirs: string): Sql => ({
  ours: `${left.ours} && ${ours}`,
  theirs: `EXISTS (SELECT 1 FROM ${elements(left).theirs} x JOIN (${theirs}) y ON x.value = y.v)`,
});

/** Rows that match something of the session, or of an array of their own (S-86, S-147, S-156, S-175). */
function match(prefix: Prefix): fc.Arbitrary<Sql> {
  const value = rowValue(prefix);
  const item = column(prefix);
  const tags = field(prefix, 'tags');
  return fc.oneof(
    fc.tuple(value, scalar).map(([left, right]) => sql`${left} = ${right}`),
    fc.tuple(scalar, value).map(([left, right]) => sql`${left} = ${right}`),
    fc.tuple(value, array).map(([left, right]) => inArray(left, right)),
    scalar.map((left) => inArray(left, tags)),
    array.map((right) => overlaps(tags, right.ours, `SELECT value AS v FROM ${elements(right).theirs}`)),
    fc.tuple(value, array).map(([left, right]) => sql`${left} IN (SELECT value FROM ${members(right)})`),
    fc
      .tuple(value, fc.constantFrom('key', 'value', 'atom', 'type'), array, constant)
      .map(
        ([left, name, json, not]) =>
          sql`${left} IN (SELECT e.${name} FROM ${members(json)} AS e WHERE e.value != ${not} AND e.key IS NOT NULL)`,
      ),
    fc
      .constantFrom('key', 'value')
      .map((name) => sql`${column0(prefix)} IN (SELECT ${name} FROM ${members(parameterRoles)})`),
    // a list of values of several sides
    fc
      .tuple(value, scalar, fc.oneof(scalar, constant, item), fc.boolean())
      .map(([left, a, b, swapped]) => (swapped ? sql`${left} IN (${b}, ${a})` : sql`${left} IN (${a}, ${b})`)),
    fc.tuple(scalar, item, item).map(([left, a, b]) => sql`${left} IN (${a}, ${b})`),
    // blobs match nothing (S-92)
    scalar.map((right) => sql`${field(prefix, 'bin')} = ${right}`),
    // negations that cancel out, and such that turn AND into OR
    fc.tuple(item, scalar).map(([left, right]) => sql`NOT (NOT ${left} = ${right})`),
    fc
      .tuple(item, scalar, fc.constantFrom('AND', 'OR'), rowFilter(prefix))
      .map(([left, right, op, filter]) => sql`NOT (NOT ${left} = ${right} ${op} ${filter})`),
    // one value compared with several things
    fc.tuple(item, scalar, array).map(([left, right, list]) => sql`(${left} = ${right} AND ${inArray(left, list)})`),
    fc.tuple(item, scalar, scalar).map(([left, a, b]) => sql`(${left} = ${a} AND ${b} = ${left})`),
    fc.tuple(item, item, scalar).map(([left, other, right]) => sql`(${left} = ${right} AND ${other} = ${right})`),
  );
}
const column0 = (prefix: Prefix): Sql => field(prefix, 'owner');
const parameterRoles: Sql = { ours: `auth.parameter('roles')`, theirs: ':auth_roles' };

/** Built once for each place: they are many, and the same for all queries. */
const built = new Map<string, fc.Arbitrary<Sql>>();
function once(key: string, build: () => fc.Arbitrary<Sql>): fc.Arbitrary<Sql> {
  const known = built.get(key) ?? build();
  built.set(key, known);
  return known;
}

/** A condition on one row, `depth` levels of subqueries; `ctes`: those it may name. Never negates a match. */
export function condition(prefix: Prefix, depth: number, ctes: boolean): fc.Arbitrary<Sql> {
  return once(`${prefix} ${depth} ${ctes}`, () => {
    const leaf = fc.oneof(
      { weight: 3, arbitrary: match(prefix) },
      { weight: 2, arbitrary: rowFilter(prefix) },
      { weight: 1, arbitrary: gate },
      ...(ctes ? [{ weight: 1, arbitrary: withCte(prefix) }] : []),
      ...(depth > 0 ? [{ weight: 4, arbitrary: subquery(prefix, depth - 1, ctes) }] : []),
    );
    return fc.oneof(
      { weight: 3, arbitrary: leaf },
      { weight: 3, arbitrary: fc.tuple(leaf, leaf).map(([a, b]) => sql`${a} AND ${b}`) },
      { weight: 2, arbitrary: fc.tuple(leaf, leaf).map(([a, b]) => sql`(${a} OR ${b})`) },
      { weight: 1, arbitrary: fc.tuple(leaf, leaf, leaf).map(([a, b, c]) => sql`${a} AND (${b} OR ${c})`) },
      // AND binds tighter
      { weight: 1, arbitrary: fc.tuple(leaf, leaf, leaf).map(([a, b, c]) => sql`(${a} AND ${b} OR ${c})`) },
      {
        weight: 1,
        arbitrary: fc.tuple(leaf, leaf, leaf, leaf).map(([a, b, c, d]) => sql`((${a} OR ${b}) AND (${c} OR ${d}))`),
      },
    );
  });
}

function withCte(prefix: Prefix): fc.Arbitrary<Sql> {
  const left = fc.oneof({ weight: 4, arbitrary: rowValue(prefix) }, { weight: 1, arbitrary: scalar });
  const tags = field(prefix, 'tags');
  return fc.oneof(
    fc
      .tuple(left, fc.constantFrom('c0', 'g0'), fc.constantFrom('name', 'equals', 'star', 'column'))
      .map(([item, cte, how]) => ({
        ours: `${item.ours} ${{ name: `IN ${cte}`, equals: `= ${cte}`, star: `IN (SELECT * FROM ${cte})`, column: `IN (SELECT q.v FROM ${cte} AS q)` }[how]}`,
        theirs: `${item.theirs} IN (SELECT v FROM ${cte})`,
      })),
    fc.tuple(left, scalar).map(([item, value]) => sql`${item} IN (SELECT v FROM c1 WHERE c1.w = ${value})`),
    fc.tuple(left, constant).map(([item, value]) => sql`${item} IN (SELECT w FROM c1 AS q WHERE NOT v = ${value})`),
    fc.constant(overlaps(tags, 'c0', 'SELECT v FROM c0')),
  );
}

/** `letter` + depth: names that no query around it has. Sometimes none: columns need no qualifier then. */
function subquery(prefix: Prefix, depth: number, ctes: boolean): fc.Arbitrary<Sql> {
  const inner = `t${depth}`;
  const other = `u${depth}`;
  const left = fc.oneof({ weight: 4, arbitrary: rowValue(prefix) }, { weight: 1, arbitrary: scalar });
  const selected = fc.oneof(
    { weight: 6, arbitrary: column(`${inner}.`) },
    { weight: 1, arbitrary: rowValue(`${inner}.`) },
    { weight: 1, arbitrary: scalar },
    // of the row around it
    ...(prefix === '' ? [] : [{ weight: 1, arbitrary: column(prefix) }]),
  );
  const where = condition(`${inner}.`, depth, ctes);
  const maybe = fc.option(where, { freq: 6 }).map((text) => (text === null ? same('') : sql` WHERE ${text}`));
  const tags = field(`${inner}.`, 'tags');
  const alias = fc.constantFrom('', 'AS ');
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .tuple(left, selected, table, alias, maybe)
        .map(([a, b, from, as, c]) => sql`${a} IN (SELECT ${b} FROM ${from} ${as}${inner}${c})`),
    },
    // names without qualifier
    {
      weight: 2,
      arbitrary: fc
        .tuple(left, column(''), table, condition('', depth, ctes))
        .map(([a, b, from, c]) => sql`${a} IN (SELECT ${b} FROM ${from} WHERE ${c})`),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(selected, table, maybe).map(([b, from, c]) => {
        const query = sql`SELECT ${b} AS v FROM ${from} ${inner}${c}`;
        return overlaps(field(prefix, 'tags'), `(${query.ours})`, query.theirs);
      }),
    },
    // elements of a column of the table before it (S-109)
    {
      weight: 1,
      arbitrary: fc
        .tuple(left, table, maybe, fc.constantFrom('value', 'key'), fc.constantFrom(', ', ' JOIN '))
        .map(
          ([a, from, c, name, join]) =>
            sql`${a} IN (SELECT e${String(depth)}.${name} FROM ${from} ${inner}${join}${members(tags)} AS e${String(depth)}${c})`,
        ),
    },
    // nothing of the other table is selected: null equals nothing, not even itself
    {
      weight: 1,
      arbitrary: fc
        .tuple(pairOf(prefix === '' ? [scalar] : [scalar, column(prefix)]), table, maybe)
        .map(([[a, b], from, c]) => sql`${a} IN (SELECT ${b} FROM ${from} ${inner}${c})`),
    },
    ...(prefix === ''
      ? []
      : [
          // a subquery that compares with the row around it
          {
            weight: 1,
            arbitrary: fc
              .tuple(left, selected, table, column(`${inner}.`), column(prefix), where)
              .map(
                ([a, b, from, x, y, c]) => sql`${a} IN (SELECT ${b} FROM ${from} ${inner} WHERE ${x} = ${y} AND ${c})`,
              ),
          },
        ]),
    { weight: 1, arbitrary: derived(left, depth, ctes) },
    // two tables in the subquery
    {
      weight: 1,
      arbitrary: fc
        .tuple(left, selected, table, table, column(`${inner}.`), column(`${other}.`), condition(`${other}.`, 0, ctes))
        .map(
          ([a, b, from, third, x, y, c]) =>
            sql`${a} IN (SELECT ${b} FROM ${from} ${inner} INNER JOIN ${third} AS ${other} ON ${x} = ${y} AND ${c})`,
        ),
    },
  );
}

const pairOf = (kinds: readonly fc.Arbitrary<Sql>[]): fc.Arbitrary<[Sql, Sql]> =>
  fc.oneof(
    ...kinds.map((kind) =>
      fc.oneof(
        fc.tuple(kind, kind),
        kind.map((item): [Sql, Sql] => [item, item]),
      ),
    ),
  );

/** A subquery in FROM, with and without names for its columns (S-140). */
function derived(left: fc.Arbitrary<Sql>, depth: number, ctes: boolean): fc.Arbitrary<Sql> {
  const inner = `t${depth}`;
  const item = column(`${inner}.`);
  return fc
    .tuple(left, item, item, table, condition(`${inner}.`, depth, ctes), scalar, fc.boolean())
    .map(([a, b, x, from, c, value, renamed]) => {
      const rows = sql`SELECT ${b} AS p, ${x} AS q FROM ${from} ${inner} WHERE ${c}`;
      return {
        ours: `${a.ours} IN (SELECT d.${renamed ? 'v' : 'p'} FROM (${rows.ours}) AS d${renamed ? '(v, w)' : ''} WHERE d.${renamed ? 'w' : 'q'} = ${value.ours})`,
        theirs: `${a.theirs} IN (SELECT p FROM (${rows.theirs}) WHERE q = ${value.theirs})`,
      };
    });
}

/** A query under `with` (S-111…S-118): it reads no other one. */
export const cte = (columns: readonly string[]): fc.Arbitrary<Sql> =>
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc
        .tuple(fc.tuple(...columns.map(() => column('q.'))), table, fc.option(condition('q.', 1, false), { freq: 8 }))
        .map(([items, from, where]) => {
          const list = items.map((item, at) => sql`${item} AS ${columns[at] ?? ''}`);
          const selected = list.slice(1).reduce((all, item) => sql`${all}, ${item}`, list[0] ?? always);
          return where === null
            ? sql`SELECT ${selected} FROM ${from} q`
            : sql`SELECT ${selected} FROM ${from} AS q WHERE ${where}`;
        }),
    },
    // of the session alone
    {
      weight: 1,
      arbitrary: array.map(
        (json) =>
          sql`SELECT ${columns.map((name, at) => `${at === 0 ? 'value' : 'key'} AS ${name}`).join(', ')} FROM ${members(json)}`,
      ),
    },
  );

/** `WITH …` of plain SQL; only CTEs that the query names, since SQLite prepares the others too. */
export function plainWith(query: string, ctes: Readonly<Record<string, string>>): string {
  const used = Object.entries(ctes).filter(([name]) => new RegExp(`\\b${name}\\b`).test(query));
  if (used.length === 0) return query;
  return `WITH ${used.map(([name, text]) => `${name} AS MATERIALIZED (${text})`).join(', ')} ${query}`;
}
