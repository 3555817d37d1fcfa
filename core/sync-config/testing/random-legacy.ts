/** For tests: random bucket definitions of Sync Rules, each query in our language and in SQLite's. */
import fc from 'fast-check';
import { jsonEach } from './random-conditions.ts';
import { outputs, plainSelect, type RandomQuery } from './random-queries.ts';
import { TABLES, type TableName } from './random-schemas.ts';
import { USER, column, constant, field, keysOf, parameter, rowFilter, rowValue } from './random-values.ts';
import { inArray, same, sql, type Sql } from './sql-text.ts';

/** `theirs` gives the columns `p` (and `q`). */
export interface ParameterQuery extends Sql {
  /** Of `_priority`; null: that of the definition (S-237). */
  readonly priority: number | null;
}
export interface Definition {
  readonly parameters: readonly ParameterQuery[];
  /** `theirs` reads `q.p` and `q.q`: the bucket parameters. */
  readonly data: readonly RandomQuery[];
}

/** One value of the request (S-223…S-229). */
const scalar: fc.Arbitrary<Sql> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom<Sql>(
      { ours: 'request.user_id()', theirs: USER.theirs },
      { ours: 'token_parameters.user_id', theirs: USER.theirs },
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Sql>(
      ...['a', 'b'].flatMap((key) => [
        { ours: `request.jwt() ->> '${key}'`, theirs: parameter('auth', key).theirs },
        { ours: `request.jwt() ->> '$.${key}'`, theirs: parameter('auth', key).theirs },
        { ours: `request.parameters() ->> '${key}'`, theirs: parameter('connection', key).theirs },
        { ours: `token_parameters.${key}`, theirs: `(:auth_all ->> '$.parameters.${key}')` },
        { ours: `user_parameters.${key}`, theirs: parameter('connection', key).theirs },
      ]),
    ),
  },
);
const list = fc.constantFrom<Sql>(
  { ours: `request.jwt() ->> 'ids'`, theirs: `(:auth_all ->> '$.ids')` },
  { ours: `request.jwt() -> 'ids'`, theirs: `(:auth_all -> '$.ids')` },
  { ours: `request.parameters() -> 'ids'`, theirs: `(:connection_all -> '$.ids')` },
);
const roles: Sql = { ours: `request.jwt() -> 'roles'`, theirs: `(:auth_all -> '$.roles')` };
const table = fc.constantFrom<TableName>(...TABLES);
const from = (name: TableName): Sql => ({ ours: `«${name}»`, theirs: `${name} AS t` });

const priority = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 2, 3) },
);
/** Where a table parameter query has its values from. */
const rowSide = fc.oneof(
  { weight: 5, arbitrary: column('') },
  { weight: 1, arbitrary: rowValue('', true) },
  { weight: 1, arbitrary: scalar },
);
const filter = rowFilter('', true);
/** Conditions of table parameter queries; every branch of an OR must use the same parameters (S-160). */
const rowMatch = fc.oneof(
  fc.tuple(column(''), scalar, filter).map(([x, a, c]) => sql`${x} = ${a} AND ${c}`),
  fc.tuple(column(''), scalar, filter).map(([x, a, c]) => sql`${c} AND ${a} = ${x}`),
  fc.tuple(column(''), column(''), scalar).map(([x, y, a]) => sql`${x} = ${a} OR ${a} = ${y}`),
  fc.tuple(column(''), scalar, column(''), scalar).map(([x, a, y, b]) => sql`${x} = ${a} AND ${b} = ${y}`),
  fc.tuple(column(''), list).map(([x, json]) => inArray(x, json)),
  scalar.map((a) => inArray(a, field('', 'tags'))),
  fc.tuple(column(''), scalar, constant).map(([x, a, b]) => sql`${x} = ${a} AND ${a} = ${b}`),
  filter,
);
/** Conditions on the request alone. */
const requestGate = fc.oneof(
  fc.tuple(scalar, constant).map(([a, b]) => sql`${a} = ${b} OR ${a} = 'x'`),
  fc.tuple(scalar, scalar).map(([a, b]) => sql`${a} = ${b}`),
  fc.tuple(scalar, constant).map(([a, b]) => sql`NOT ${a} = ${b}`),
  scalar.map((a) => sql`${a} IN ('x', 'u')`),
  list.map((json) => inArray(same("'x'"), json)),
);
const elementColumn = fc.constantFrom('value', 'key', 'e.value').map(same);

/** `SELECT` with these names, and perhaps a priority. */
function selectList(names: readonly string[], values: readonly Sql[], at: number | null): Sql {
  const items = values.map((value, index) => sql`${value} AS ${names[index] ?? ''}`);
  const [first = { ours: '', theirs: '1 AS one' }, ...rest] = items;
  const joined = rest.reduce((all, item) => sql`${all}, ${item}`, first);
  if (at === null) return joined;
  return { ours: `${names.length === 0 ? '' : `${joined.ours}, `}${at} AS _priority`, theirs: joined.theirs };
}

/** A parameter query that selects these names (S-220, S-230…S-237). */
function parameterQuery(names: readonly string[]): fc.Arbitrary<ParameterQuery> {
  const of = (value: fc.Arbitrary<Sql>, rest: fc.Arbitrary<Sql>): fc.Arbitrary<ParameterQuery> =>
    fc.tuple(fc.tuple(...names.map(() => value)), priority, rest).map(([values, at, text]) => ({
      ...sql`SELECT ${selectList(names, values, at)}${text}`,
      priority: at,
    }));
  const elements = fc
    .tuple(fc.oneof(list, fc.constant(roles)), constant)
    .map(([json, not]) => sql` FROM ${jsonEach(json)} e WHERE value != ${not}`);
  return fc.oneof(
    // SELECT without anything says nothing
    ...(names.length === 0 ? [] : [{ weight: 1, arbitrary: of(scalar, fc.constant(same(''))) }]),
    {
      weight: 2,
      arbitrary: of(
        scalar,
        requestGate.map((where) => sql` WHERE ${where}`),
      ),
    },
    { weight: 2, arbitrary: of(elementColumn, elements) },
    {
      weight: 6,
      arbitrary: of(
        rowSide,
        fc.tuple(table, rowMatch).map(([name, where]) => sql` FROM ${from(name)} WHERE ${where}`),
      ),
    },
    {
      weight: 1,
      arbitrary: of(
        rowSide,
        table.map((name) => sql` FROM ${from(name)}`),
      ),
    },
  );
}

const bucket = (name: string): Sql => ({ ours: `bucket.${name}`, theirs: `q.${name}` });

/** Rows of buckets with these parameters (S-238…S-241); the table has an alias or its columns no qualifier. */
const dataQuery = (names: readonly string[]): fc.Arbitrary<RandomQuery> =>
  fc.oneof(dataQueryOf(names, 't.'), dataQueryOf(names, ''));
function dataQueryOf(names: readonly string[], prefix: 't.' | ''): fc.Arbitrary<RandomQuery> {
  const value = rowValue(prefix, true);
  const filter = rowFilter(prefix, true);
  const each = names.map((name) => {
    const p = bucket(name);
    return fc.oneof(
      { weight: 4, arbitrary: value.map((x) => sql`${x} = ${p}`) },
      { weight: 1, arbitrary: value.map((x) => sql`${p} = ${x}`) },
    );
  });
  const conditions = fc
    .tuple(...each)
    .map((all) => all.reduce<Sql | null>((left, right) => (left === null ? right : sql`${left} AND ${right}`), null));
  const [first] = names;
  const onlyOne =
    first === undefined || names.length > 1
      ? []
      : [
          fc.tuple(value, value).map(([x, y]) => sql`${x} = ${bucket(first)} OR ${y} = ${bucket(first)}`),
          filter.map((c) => sql`${c} AND ${inArray(bucket(first), field(prefix, 'tags'))}`),
          fc.constant<Sql>({
            ours: `${bucket(first).ours} IN json_keys(${field(prefix, 'doc').ours})`,
            theirs: `${bucket(first).theirs} IN (SELECT value FROM json_each(${keysOf(field(prefix, 'doc').theirs)}))`,
          }),
          fc.tuple(value, value).map(([x, y]) => sql`${x} = ${bucket(first)} AND ${bucket(first)} = ${y}`),
        ];
  const where = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(conditions, filter).map(([all, c]) => (all === null ? c : sql`${all} AND ${c}`)) },
    { weight: 5, arbitrary: conditions },
    ...onlyOne.map((arbitrary) => ({ weight: 1, arbitrary })),
  );
  return fc.tuple(table, where, outputs(prefix, true)).map(([name, condition, items]) => {
    const alias = prefix === '' ? null : 't';
    const rows = plainSelect('t.', items, `${name} AS t, buckets AS q`);
    return {
      ours: `SELECT ${items.map(({ ours }) => ours).join(', ')} FROM «${name}»${alias === null ? '' : ` AS ${alias}`}${condition === null ? '' : ` WHERE ${condition.ours}`}`,
      theirs: `${rows}${condition === null ? '' : ` WHERE ${condition.theirs}`}`,
      table: name,
      alias,
      outputs: items.map(({ output }) => output),
    };
  });
}

const ofNames = (names: readonly string[]): fc.Arbitrary<Definition> =>
  fc.record({
    // the same names in any order (S-236, S-375)
    parameters: fc.oneof(
      fc.tuple(parameterQuery(names)),
      fc.tuple(parameterQuery(names), parameterQuery(names.toReversed())),
    ),
    data: fc.array(dataQuery(names), { minLength: 1, maxLength: 2 }),
  });

export const definition: fc.Arbitrary<Definition> = fc.oneof(
  { weight: 5, arbitrary: ofNames(['p']) },
  { weight: 3, arbitrary: ofNames(['p', 'q']) },
  { weight: 1, arbitrary: ofNames([]) },
  // for everybody (S-217)
  {
    weight: 1,
    arbitrary: fc.array(dataQuery([]), { minLength: 1, maxLength: 2 }).map((data) => ({ parameters: [], data })),
  },
);
