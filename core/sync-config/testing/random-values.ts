/** For tests: what people bring, and random expressions over that and over rows, each in our language and in SQLite's. */
import fc from 'fast-check';
import type { SqliteValue } from '../values.ts';
import { spellJson, type Alphabet } from './random-schemas.ts';
import { inArray, same, sql, validJson, type Sql } from './sql-text.ts';

export interface Person {
  readonly userId: string;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly connection: Readonly<Record<string, unknown>> | null;
  readonly includeDefaults: boolean;
  /** `parameters` can be anything that JSON can say (S-535). */
  readonly subscriptions: readonly {
    readonly stream: number;
    readonly parameters: unknown;
    readonly overridePriority: number | null;
  }[];
}

const json = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom<unknown>('x', 'x', 'x', 'y', 'y', 'u') },
  { weight: 1, arbitrary: fc.constantFrom<unknown>('open', 1, 2, 1.5, null, undefined, true, ['x'], { a: 'x' }, '') },
);
const list = fc.oneof(
  { weight: 8, arbitrary: fc.array(fc.constantFrom<unknown>('x', 'x', 'x', 'y', 'u', 1, 1.5, null), { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(undefined, 'x', '["x"]', { a: 'x', b: 'y' }, 1) },
);
const roles = fc.oneof(
  { weight: 5, arbitrary: fc.dictionary(fc.constantFrom('x', 'y', 'u'), json, { maxKeys: 2 }) },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(undefined, ['x', 'y'], 'u', '{') },
);
const parameters = fc.record({ a: json, b: json, ids: list, roles });
const claims = fc
  .record({ own: parameters, parameters, sub: fc.constantFrom<unknown>('x', 1, undefined) })
  .map(({ own, parameters, sub }) => ({ ...own, parameters, sub }));

export const person = (streams: number): fc.Arbitrary<Person> =>
  fc.record({
    userId: fc.constantFrom('x', 'x', 'y', 'u'),
    claims,
    connection: fc.option(parameters, { freq: 5 }),
    includeDefaults: fc.boolean(),
    subscriptions: fc.array(
      fc.record({
        stream: fc.nat(streams),
        parameters: fc.oneof(
          { weight: 8, arbitrary: parameters },
          { weight: 1, arbitrary: fc.constantFrom<unknown>(null, {}, [], 'x', 7, ['x']) },
        ),
        overridePriority: fc.oneof(
          { weight: 3, arbitrary: fc.constant(null) },
          { weight: 1, arbitrary: fc.constantFrom(0, 1, 2, 3, 4, -1, 1.5) },
        ),
      }),
      { maxLength: 3 },
    ),
  });

/** The person with what the letters are in the scenario; who they are stays text. */
export function spellPerson({ claims, connection, subscriptions, ...rest }: Person, letters: Alphabet): Person {
  const spelt = <T>(value: T): T =>
    value === undefined ? value : (JSON.parse(spellJson(JSON.stringify(value), letters)) as T);
  return {
    ...rest,
    claims: spelt(claims),
    connection: spelt(connection),
    subscriptions: subscriptions.map(({ parameters, ...subscription }) => ({
      ...subscription,
      parameters: spelt(parameters),
    })),
  };
}

export type Scope = 'auth' | 'connection' | 'subscription';

/** What `:name` stands for in plain SQL (S-72…S-83); written from the documents, not from the code. */
export function bindings(
  { userId, claims, connection }: Person,
  subscription: Readonly<Record<string, unknown>> | null,
): Record<string, SqliteValue> {
  const bound: Record<string, SqliteValue> = {};
  const scopes: Record<Scope, Readonly<Record<string, unknown>> | null> = {
    auth: { ...claims, sub: userId },
    connection,
    subscription,
  };
  for (const [scope, values] of Object.entries(scopes)) {
    for (const key of ['a', 'b', 'ids', 'roles', 'sub', 'none']) {
      bound[`${scope}_${key}`] = sqlValue(values?.[key]);
    }
    bound[`${scope}_all`] = values === null ? null : JSON.stringify(scope === 'auth' ? claims : values);
  }
  return bound;
}
function sqlValue(value: unknown): SqliteValue {
  if (value === undefined || value === null) return null;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export const parameter = (scope: Scope, key: string): Sql => ({
  ours: `${scope}.parameter('${key}')`,
  theirs: `:${scope}_${key}`,
});
export const USER: Sql = { ours: 'auth.user_id()', theirs: ':auth_sub' };
const scope = fc.constantFrom<Scope>('auth', 'connection', 'subscription');

/** One value of the session (S-72…S-92). */
export const scalar: fc.Arbitrary<Sql> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(USER) },
  { weight: 6, arbitrary: fc.tuple(scope, fc.constantFrom('a', 'b')).map(([of, key]) => parameter(of, key)) },
  {
    weight: 1,
    arbitrary: scope.map((of) => ({ ours: `${of}.parameters() ->> '$.a'`, theirs: `(:${of}_all ->> '$.a')` })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Sql>(
      { ours: `auth.parameters() -> 'parameters' ->> 'b'`, theirs: `(:auth_all ->> '$.parameters.b')` },
      parameter('auth', 'sub'),
      parameter('connection', 'none'),
      // functions and operators on parameters (S-88)
      { ours: `substring(${parameter('subscription', 'b').ours}, 1, 1)`, theirs: 'substr(:subscription_b, 1, 1)' },
      sql`${parameter('auth', 'a')} || ''`,
      sql`CASE ${parameter('connection', 'a')} WHEN 'x' THEN 'y' ELSE ${USER} END`,
      sql`ifnull(${parameter('subscription', 'a')}, ${parameter('auth', 'b')})`,
    ),
  },
);
/** A value of the session that is a JSON array mostly. */
export const array: fc.Arbitrary<Sql> = fc.oneof(
  { weight: 4, arbitrary: scope.map((of) => parameter(of, 'ids')) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Sql>(
      { ours: `auth.parameters() -> 'parameters' -> 'ids'`, theirs: `(:auth_all -> '$.parameters.ids')` },
      { ours: `json_keys(auth.parameter('roles'))`, theirs: keysOf(':auth_roles') },
    ),
  },
);
/** Keys of a JSON object as a JSON array (S-191). */
export function keysOf(text: string): string {
  const json = validJson(text);
  return `(CASE WHEN json_type(${json}) = 'object' THEN (SELECT json_group_array(key) FROM json_each(${json})) END)`;
}

/** Where a query stands: `prefix` qualifies the columns of its table, empty when they need none. */
export type Prefix = string;
const named = fc.constantFrom('id', 'ref', 'owner', 'owner', 'ref', 'n');
/** A column of the table; never one that holds blobs, which match nothing (S-92). */
export const column = (prefix: Prefix): fc.Arbitrary<Sql> => named.map((name) => field(prefix, name));
/** Without placeholders: their tables and columns are called as the tests call them. */
export const plain = (text: string): string => text.replaceAll(/«(\w+)!?»/g, '$1');
export const field = (prefix: Prefix, name: string): Sql => ({
  ours: `${prefix}«${name}»`,
  theirs: `${plain(prefix)}${name}`,
});
const member = (prefix: Prefix, ours: string, path: string): Sql => ({
  ours: `${prefix}«doc» ${ours}`,
  theirs: `(${validJson(`${plain(prefix)}doc`)} ->> '${path}')`,
});

/** A value of one row that can be a key (S-91); `legacy`: without what streams only have. */
export function rowValue(prefix: Prefix, legacy = false): fc.Arbitrary<Sql> {
  const item = column(prefix);
  return fc.oneof(
    { weight: 10, arbitrary: item },
    { weight: 1, arbitrary: item.map((value) => sql`ifnull(${value}, 'x')`) },
    { weight: 1, arbitrary: item.map((value) => sql`substring(${value}, 1, 1)`) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        member(prefix, `->> 'a'`, '$.a'),
        member(prefix, `->> '$.b.c'`, '$.b.c'),
        member(prefix, `-> 'list' ->> 0`, '$.list[0]'),
        {
          ours: `json_extract(${prefix}«doc», '$.x')`,
          theirs: `json_extract(${validJson(`${plain(prefix)}doc`)}, '$.x')`,
        },
      ),
    },
    { weight: 1, arbitrary: metadata(prefix, legacy) },
  );
}
/** What is known of the row's table (S-256, S-688). */
function metadata(prefix: Prefix, legacy: boolean): fc.Arbitrary<Sql> {
  const of = (ours: string, theirs: string): Sql => ({ ours: prefix + ours, theirs: plain(prefix) + theirs });
  const suffix = of('_table_suffix', '_table_suffix');
  if (prefix === '' || legacy) return fc.constant(suffix);
  return fc.constantFrom(
    suffix,
    of('table_suffix()', '_suffix'),
    of('table_name()', '_name'),
    of('schema()', '_schema'),
  );
}

export const constant = fc.constantFrom("'x'", "'y'", '1', '2', 'NULL', "'u'").map(same);

/** A condition on one row alone (S-148, S-153, S-154); `legacy`: without what streams only have. */
export function rowFilter(prefix: Prefix, legacy = false): fc.Arbitrary<Sql> {
  const value = column(prefix);
  const tags = field(prefix, 'tags');
  const operator = fc.constantFrom('=', '!=', '<', '>=', '<>', '<=', '>');
  return fc.oneof(
    fc.tuple(value, operator, constant).map(([left, op, right]) => sql`${left} ${op} ${right}`),
    fc.tuple(value, operator, value).map(([left, op, right]) => sql`${left} ${op} ${right}`),
    fc
      .tuple(fc.constantFrom('id', 'bin', 'doc', 'tags'), fc.constantFrom('IS NULL', 'IS NOT NULL', "= 'x'", "> 'x'"))
      .map(([name, test]) => sql`${field(prefix, name)} ${test}`),
    value.map((item) => sql`NOT ${item} = 'x'`),
    fc
      .tuple(value, fc.constantFrom("NOT IN ('x', 2)", "IN ('x', 1, NULL)", "NOT IN ('u', 'y')"))
      .map(([item, list]) => sql`${item} ${list}`),
    fc.tuple(value, fc.constantFrom('', 'NOT '), fc.constantFrom('ARRAY[', 'ROW(')).map(([item, not, open]) => ({
      ours: `${item.ours} ${not}IN ${open}'x', 2${open === 'ROW(' ? ')' : ']'}`,
      theirs: `${item.theirs} ${not}IN ('x', 2)`,
    })),
    value.map((item) => ({ ours: `${item.ours} IN '["x",1]'`, theirs: `${item.theirs} IN ('x', 1)` })),
    fc.tuple(value, fc.constantFrom<'' | 'NOT '>('', 'NOT ')).map(([item, not]) => inArray(item, tags, not)),
    fc.tuple(value, value).map(([a, b]) => sql`NOT (${a} = 1 OR ${b} = 'y')`),
    fc.tuple(value, value).map(([a, b]) => sql`(${a} = 'x' OR ${b} = 'y')`),
    value,
    ...(legacy ? [value.map((item) => sql`iif(${item} = 'x', 1, ${item} <= 1)`)] : streamFilters(prefix)),
  );
}
function streamFilters(prefix: Prefix): fc.Arbitrary<Sql>[] {
  const value = column(prefix);
  return [
    fc.tuple(value, fc.constantFrom('', 'NOT ')).map(([item, not]) => sql`${item} ${not}BETWEEN 1 AND 'x'`),
    value.map((item) => sql`CASE WHEN ${item} = 'x' THEN 1 WHEN ${item} > 1 THEN 0 ELSE 1 END`),
    rowValue(prefix).map((item) => sql`${item} = 'x'`),
  ];
}

/** A condition on the session alone (S-89). */
export const gate: fc.Arbitrary<Sql> = fc.oneof(
  fc.tuple(scalar, constant).map(([left, right]) => sql`${left} = ${right}`),
  fc.tuple(scalar, constant).map(([left, right]) => sql`NOT ${left} = ${right}`),
  scalar.map((item) => sql`${item} IS NULL`),
  scalar.map((item) => sql`${item} IN ('x', 'y')`),
  fc.tuple(scalar, scalar).map(([left, right]) => sql`${left} = ${right}`),
  array.map((item) => inArray(same("'x'"), item)),
  scalar,
);
