import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ReadLookups, RowSink, SessionRequest } from './contract.ts';
import { createSessionResolver } from './evaluate/session-resolver.ts';
import { createTableEvaluator } from './evaluate/table-evaluator.ts';
import type { SyncPlan } from './plan.ts';
import { compile, planOf, table } from './testing/support.ts';
import type { SqliteValue } from './values.ts';

/** Tables of the oracle; every column can hold anything, `tags` are JSON arrays mostly. */
const TABLES: Readonly<Record<string, readonly string[]>> = {
  items: ['id', 'list_id', 'owner_id', 'status', 'n', 'tags'],
  lists: ['id', 'owner_id', 'parent_id', 'status', 'n', 'tags'],
  members: ['id', 'list_id', 'owner_id', 'status', 'n', 'tags'],
};
type Data = Readonly<Record<string, readonly (readonly SqliteValue[])[]>>;

interface Person {
  readonly userId: string;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly connection: Readonly<Record<string, unknown>> | null;
  readonly subscription: Readonly<Record<string, unknown>> | null;
}

/** Our text; and plain SQL for one person, who stands in it as literals. */
interface Sql {
  readonly ours: string;
  theirs(person: Person): string;
}
const same = (text: string): Sql => ({ ours: text, theirs: () => text });
const sql = (strings: TemplateStringsArray, ...parts: (Sql | string)[]): Sql => {
  const build = (of: (part: Sql | string) => string): string =>
    strings.reduce((text, string, at) => text + of(parts[at - 1] ?? '') + string);
  return {
    ours: build((part) => (typeof part === 'string' ? part : part.ours)),
    theirs: (person) => build((part) => (typeof part === 'string' ? part : part.theirs(person))),
  };
};

function literal(value: unknown): string {
  if (value === undefined || value === null) return 'NULL';
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  return `'${(typeof value === 'string' ? value : JSON.stringify(value)).replaceAll("'", "''")}'`;
}

const parameter = (scope: 'auth' | 'connection' | 'subscription', key: string): Sql => ({
  ours: `${scope}.parameter('${key}')`,
  theirs: ({ claims, connection, subscription }) => literal({ auth: claims, connection, subscription }[scope]?.[key]),
});
const USER: Sql = { ours: 'auth.user_id()', theirs: ({ userId }) => literal(userId) };

const scalar = fc.oneof(
  fc.constant(USER),
  fc.constantFrom('a', 'b').map((key) => parameter('auth', key)),
  fc.constantFrom('a', 'b').map((key) => parameter('subscription', key)),
  fc.constantFrom('a', 'b').map((key) => parameter('connection', key)),
  fc.constant({ ours: `auth.parameters() ->> '$.a'`, theirs: parameter('auth', 'a').theirs }),
  // functions and operators on parameters (S-88)
  fc.constant(sql`substring(${parameter('subscription', 'b')}, 1, 1)`),
  fc.constant(sql`${parameter('auth', 'a')} || ''`),
  fc.constant(sql`CASE ${parameter('connection', 'a')} WHEN 'x' THEN 'y' ELSE ${USER} END`),
);
const array = fc
  .constantFrom<'auth' | 'connection' | 'subscription'>('auth', 'connection', 'subscription')
  .map((scope) => parameter(scope, 'ids'));

let aliases = 0;
const freshAlias = (): string => `t${++aliases}`;

const column = fc.constantFrom('id', 'list_id', 'owner_id', 'status', 'n');
/** Columns of a table, qualified. */
const columnOf = (name: string, alias: string): fc.Arbitrary<Sql> =>
  column.map((item) => same(`${alias}.${TABLES[name]?.includes(item) === true ? item : 'id'}`));
const rowExpression = (name: string, alias: string): fc.Arbitrary<Sql> =>
  fc.oneof(
    { weight: 5, arbitrary: columnOf(name, alias) },
    { weight: 1, arbitrary: columnOf(name, alias).map((item) => sql`ifnull(${item}, 'x')`) },
    { weight: 1, arbitrary: columnOf(name, alias).map((item) => sql`substring(${item}, 1, 1)`) },
  );
const constant = fc.constantFrom("'x'", "'y'", '1', '2', 'NULL', "'open'").map(same);

function rowFilter(name: string, alias: string, legacy = false): fc.Arbitrary<Sql> {
  const value = columnOf(name, alias);
  return fc.oneof(
    fc
      .tuple(value, fc.constantFrom('=', '!=', '<', '>='), constant)
      .map(([left, op, right]) => sql`${left} ${op} ${right}`),
    value.map((item) => sql`${item} IS NOT NULL`),
    value.map((item) => sql`NOT ${item} = 'x'`),
    fc.tuple(value, value).map(([a, b]) => sql`${a} = ${b}`),
    value.map((item) => sql`${item} NOT IN ('x', 2)`),
    ...(legacy
      ? []
      : [fc.tuple(value, fc.constantFrom('', 'NOT ')).map(([item, not]) => sql`${item} ${not}BETWEEN 1 AND 'x'`)]),
    value.map((item) => ({ ours: `${item.ours} IN '["x",1]'`, theirs: () => `${item.ours} IN ('x', 1)` })),
    value.map((item) =>
      legacy
        ? sql`iif(${item} = 'x', 1, ${item} <= 1)`
        : sql`CASE WHEN ${item} = 'x' THEN 1 WHEN ${item} > 1 THEN 0 ELSE 1 END`,
    ),
    fc.tuple(value, value).map(([a, b]) => sql`NOT (${a} = 1 OR ${b} = 'y')`),
    value,
  );
}
const gate = fc.oneof(
  fc.tuple(scalar, constant).map(([left, right]) => sql`${left} = ${right}`),
  fc.tuple(scalar, constant).map(([left, right]) => sql`NOT ${left} = ${right}`),
  scalar.map((item) => sql`${item} IS NULL`),
  fc.tuple(scalar, scalar).map(([left, right]) => sql`${left} = ${right}`),
  array.map((item) => ({
    ours: `'x' IN ${item.ours}`,
    theirs: (person: Person) => `'x' IN (SELECT value FROM json_each(${item.theirs(person)}))`,
  })),
);
/** Left IN an array that is JSON text. */
const inArray = (left: Sql, json: Sql): Sql => ({
  ours: `${left.ours} IN ${json.ours}`,
  theirs: (person) => `${left.theirs(person)} IN (SELECT value FROM json_each(${json.theirs(person)}))`,
});

/** A condition on one row, `depth` levels of subqueries. Never negates a match. */
function condition(name: string, alias: string, depth: number): fc.Arbitrary<Sql> {
  const match = fc.oneof(
    fc.tuple(rowExpression(name, alias), scalar).map(([left, right]) => sql`${left} = ${right}`),
    fc.tuple(scalar, rowExpression(name, alias)).map(([left, right]) => sql`${left} = ${right}`),
    fc.tuple(rowExpression(name, alias), array).map(([left, right]) => inArray(left, right)),
    scalar.map((left) => inArray(left, same(`${alias}.tags`))),
    array.map((right) => ({
      ours: `${alias}.tags && ${right.ours}`,
      theirs: (person: Person) =>
        `EXISTS (SELECT 1 FROM json_each(${alias}.tags) x JOIN json_each(${right.theirs(person)}) y ON x.value = y.value)`,
    })),
    fc
      .tuple(rowExpression(name, alias), array)
      .map(([left, right]) => sql`${left} IN (SELECT value FROM json_each(${right}))`),
    // negations that cancel out, and such that turn AND into OR
    fc.tuple(columnOf(name, alias), scalar).map(([left, right]) => sql`NOT (NOT ${left} = ${right})`),
    fc
      .tuple(columnOf(name, alias), scalar, fc.constantFrom('AND', 'OR'), rowFilter(name, alias))
      .map(([left, right, op, filter]) => sql`NOT (NOT ${left} = ${right} ${op} ${filter})`),
    // one value compared with several things
    fc
      .tuple(columnOf(name, alias), scalar, array)
      .map(([left, right, list]) => sql`(${left} = ${right} AND ${inArray(left, list)})`),
    fc
      .tuple(columnOf(name, alias), scalar, scalar)
      .map(([left, right, other]) => sql`(${left} = ${right} AND ${other} = ${left})`),
    fc
      .tuple(columnOf(name, alias), columnOf(name, alias), scalar)
      .map(([left, other, right]) => sql`(${left} = ${right} AND ${other} = ${right})`),
  );
  const leaves = [
    { weight: 3, arbitrary: match },
    { weight: 2, arbitrary: rowFilter(name, alias) },
    { weight: 1, arbitrary: gate },
    ...(depth > 0 ? [{ weight: 4, arbitrary: subquery(name, alias, depth - 1) }] : []),
  ];
  const leaf = fc.oneof(...leaves);
  const group = (item: Sql): Sql => sql`(${item})`;
  return fc.oneof(
    { weight: 3, arbitrary: leaf },
    { weight: 3, arbitrary: fc.tuple(leaf, leaf).map(([a, b]) => sql`${a} AND ${b}`) },
    { weight: 2, arbitrary: fc.tuple(leaf, leaf).map(([a, b]) => group(sql`${a} OR ${b}`)) },
    { weight: 1, arbitrary: fc.tuple(leaf, leaf, leaf).map(([a, b, c]) => sql`${a} AND (${b} OR ${c})`) },
    {
      weight: 1,
      arbitrary: fc.tuple(leaf, leaf, leaf, leaf).map(([a, b, c, d]) => group(sql`(${a} OR ${b}) AND (${c} OR ${d})`)),
    },
  );
}

/** The CTEs of the run: SQL text of queries names them, plain SQL has them as subqueries with the column v. */
let ctes: readonly Sql[] = [];
const cteQuery = (at: number, who: Person): string => ctes[at]?.theirs(who) ?? 'SELECT NULL AS v WHERE 0';

function withCte(left: fc.Arbitrary<Sql>): fc.Arbitrary<Sql> {
  return fc
    .tuple(left, fc.constantFrom(0, 1), fc.constantFrom('name', 'equals', 'star', 'column'))
    .map(([item, at, how]) => ({
      ours: `${item.ours} ${{ name: `IN c${at}`, equals: `= c${at}`, star: `IN (SELECT * FROM c${at})`, column: `IN (SELECT q.v FROM c${at} AS q)` }[how]}`,
      theirs: (who: Person) => `${item.theirs(who)} IN (${cteQuery(at, who)})`,
    }));
}

function subquery(name: string, alias: string, depth: number): fc.Arbitrary<Sql> {
  return fc.constantFrom(...Object.keys(TABLES)).chain((other) => {
    const inner = freshAlias();
    const left = fc.oneof({ weight: 4, arbitrary: rowExpression(name, alias) }, { weight: 1, arbitrary: scalar });
    const where = fc.option(condition(other, inner, depth), { freq: 6 });
    const selected = fc.oneof({ weight: 8, arbitrary: columnOf(other, inner) }, { weight: 1, arbitrary: scalar });
    return fc.oneof(
      {
        weight: 4,
        arbitrary: fc
          .tuple(left, selected, where)
          .map(([a, b, c]) =>
            c === null
              ? sql`${a} IN (SELECT ${b} FROM ${other} ${inner})`
              : sql`${a} IN (SELECT ${b} FROM ${other} ${inner} WHERE ${c})`,
          ),
      },
      {
        weight: 1,
        arbitrary: fc.tuple(selected, where).map(([b, c]) => {
          const query =
            c === null
              ? sql`SELECT ${b} AS v FROM ${other} ${inner}`
              : sql`SELECT ${b} AS v FROM ${other} ${inner} WHERE ${c}`;
          return {
            ours: `${alias}.tags && (${query.ours})`,
            theirs: (person: Person) =>
              `EXISTS (SELECT 1 FROM json_each(${alias}.tags) x JOIN (${query.theirs(person)}) y ON x.value = y.v)`,
          };
        }),
      },
      { weight: 2, arbitrary: withCte(left) },
      // elements of a column of the table before it (S-109)
      {
        weight: 1,
        arbitrary: fc
          .tuple(left, where)
          .map(([a, c]) =>
            c === null
              ? sql`${a} IN (SELECT e.value FROM ${other} ${inner}, json_each(${inner}.tags) AS e)`
              : sql`${a} IN (SELECT e.value FROM ${other} ${inner}, json_each(${inner}.tags) AS e WHERE ${c})`,
          ),
      },
      // a subquery that compares with the row around it
      {
        weight: 1,
        arbitrary: fc
          .tuple(left, columnOf(other, inner), columnOf(other, inner), columnOf(name, alias), where)
          .map(
            ([a, b, x, y, c]) =>
              sql`${a} IN (SELECT ${b} FROM ${other} ${inner} WHERE ${x} = ${y} AND (${c ?? same('1')}))`,
          ),
      },
      // a subquery in FROM, with and without names for its columns
      {
        weight: 1,
        arbitrary: fc
          .tuple(left, columnOf(other, inner), columnOf(other, inner), where, scalar, fc.boolean())
          .map(([a, b, x, c, value, named]) => {
            const rows = sql`SELECT ${b} AS p, ${x} AS q FROM ${other} ${inner} WHERE ${c ?? same('1')}`;
            return {
              ours: `${a.ours} IN (SELECT d${inner}.${named ? 'v' : 'p'} FROM (${rows.ours}) AS d${inner}${named ? '(v, w)' : ''} WHERE d${inner}.${named ? 'w' : 'q'} = ${value.ours})`,
              theirs: (who: Person) =>
                `${a.theirs(who)} IN (SELECT p FROM (${rows.theirs(who)}) WHERE q = ${value.theirs(who)})`,
            };
          }),
      },
      // two tables in the subquery
      {
        weight: 1,
        arbitrary: fc.constantFrom(...Object.keys(TABLES)).chain((third) => {
          const second = freshAlias();
          return fc
            .tuple(left, selected, columnOf(other, inner), columnOf(third, second), condition(third, second, 0))
            .map(
              ([a, b, x, y, c]) =>
                sql`${a} IN (SELECT ${b} FROM ${other} ${inner} JOIN ${third} AS ${second} ON ${x} = ${y} AND ${c})`,
            );
        }),
      },
    );
  });
}

const cte: fc.Arbitrary<Sql> = fc.constantFrom(...Object.keys(TABLES)).chain((name) => {
  const alias = freshAlias();
  // a CTE reads no CTE
  return fc
    .tuple(columnOf(name, alias), condition(name, alias, 0))
    .map(([selected, where]) => sql`SELECT ${selected} AS v FROM ${name} ${alias} WHERE ${where}`);
});

const query: fc.Arbitrary<Sql> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc
      .tuple(columnOf('items', 'items'), fc.constantFrom(0, 1), condition('items', 'items', 1))
      .map(([x, at, where]) => ({
        ours: `SELECT items.* FROM items INNER JOIN c${at} ON c${at}.v = ${x.ours} WHERE ${where.ours}`,
        theirs: (who: Person) =>
          `SELECT items.* FROM items INNER JOIN (${cteQuery(at, who)}) c ON c.v = ${x.theirs(who)} WHERE ${where.theirs(who)}`,
      })),
  },
  { weight: 4, arbitrary: condition('items', 'items', 2).map((where) => sql`SELECT * FROM items WHERE ${where}`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(...Object.keys(TABLES)).chain((other) => {
      const alias = freshAlias();
      return fc
        .tuple(
          columnOf('items', 'items'),
          columnOf(other, alias),
          condition(other, alias, 1),
          condition('items', 'items', 0),
        )
        .map(
          ([x, y, on, where]) =>
            sql`SELECT items.* FROM items JOIN ${other} ${alias} ON ${x} = ${y} AND ${on} WHERE ${where}`,
        );
    }),
  },
  // tables by comma with several equalities, or with none; a condition that joins by OR
  {
    weight: 2,
    arbitrary: fc.constantFrom(...Object.keys(TABLES)).chain((other) => {
      const alias = freshAlias();
      const pair = fc.tuple(columnOf('items', 'items'), columnOf(other, alias)).map(([x, y]) => sql`${x} = ${y}`);
      return fc
        .tuple(
          fc.oneof(
            pair,
            fc.tuple(pair, pair).map(([a, b]) => sql`${a} AND ${b}`),
            fc.tuple(pair, pair).map(([a, b]) => sql`(${a} OR ${b})`),
            fc.constant(same('1')),
          ),
          condition(other, alias, 0),
          condition('items', 'items', 0),
        )
        .map(([on, c, where]) => sql`SELECT items.* FROM items, ${other} ${alias} WHERE ${on} AND ${c} AND ${where}`);
    }),
  },
  // a chain of tables
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        columnOf('items', 'items'),
        columnOf('lists', 'l'),
        columnOf('lists', 'l'),
        columnOf('members', 'm'),
        condition('members', 'm', 0),
        condition('lists', 'l', 0),
      )
      .map(
        ([a, b, c, d, where, on]) =>
          sql`SELECT items.* FROM items JOIN lists l ON ${a} = ${b} AND ${on} JOIN members m ON ${c} = ${d} WHERE ${where}`,
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(columnOf('items', 'i'), array)
      .map(([x, json]) => sql`SELECT i.* FROM items i JOIN json_each(${json}) AS mine ON ${x} = mine.value`),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...Object.keys(TABLES)).chain((other) => {
      const alias = freshAlias();
      return fc
        .tuple(columnOf(other, alias), condition(other, alias, 1))
        .map(
          ([y, where]) =>
            sql`SELECT i.* FROM items i INNER JOIN json_each(i.tags) AS p INNER JOIN ${other} ${alias} ON p.value = ${y} WHERE ${where}`,
        );
    }),
  },
);

// few different values, so that much matches
const cell: fc.Arbitrary<SqliteValue> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('x', 'y', 'u') },
  { weight: 1, arbitrary: fc.constantFrom('open', 'xy', 1n, 2n, 1, 1.5, null, 2 ** 60, 2n ** 60n) },
);
const tags: fc.Arbitrary<SqliteValue> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .array(fc.constantFrom<unknown>('x', 'y', 'u', 1, 1.5, null), { maxLength: 3 })
      .map((item) => JSON.stringify(item)),
  },
  { weight: 1, arbitrary: fc.constant(null) },
);
const rowsOf = (name: string): fc.Arbitrary<(readonly SqliteValue[])[]> =>
  fc
    .array(fc.tuple(...(TABLES[name] ?? []).slice(1, -1).map(() => cell), tags), { minLength: 2, maxLength: 6 })
    .map((rows) =>
      // ids are unique texts and numbers; some equal values of other columns
      rows.map((row, at) => [name === 'items' ? `i${at}` : (['x', 'y', 'u', 1n, 2n, 1.5][at] ?? null), ...row]),
    );
const data: fc.Arbitrary<Data> = fc.record({
  items: rowsOf('items'),
  lists: rowsOf('lists'),
  members: rowsOf('members'),
});

const json = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<unknown>('x', 'y', 'u') },
  { weight: 1, arbitrary: fc.constantFrom<unknown>('open', 1, 2, 1.5, null, undefined, true) },
);
const ids = fc.oneof(
  { weight: 5, arbitrary: fc.array(fc.constantFrom<unknown>('x', 'y', 'u', 1, 1.5, null), { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constant(undefined) },
);
const parameters = fc.record({ a: json, b: json, ids });
const person: fc.Arbitrary<Person> = fc.record({
  userId: fc.constantFrom('x', 'y', 'u'),
  claims: parameters,
  connection: fc.option(parameters, { freq: 5 }),
  subscription: fc.option(parameters, { freq: 5 }),
});

const LIMITS = { maxBuckets: 1_000_000, maxParameterResults: 1_000_000 };

/** The replicator in a few lines: all rows into buckets and lookups. */
function replicate(plan: SyncPlan, rows: Data) {
  const buckets = new Map<string, Map<string, string>>();
  const lookups = new Map<string, string[]>();
  for (const [name, columns] of Object.entries(TABLES)) {
    const evaluator = createTableEvaluator(plan, table(name, columns));
    if (evaluator === null) continue;
    const identityOf = (definition: number): string => evaluator.definitions[definition]?.identity ?? '';
    const sink: RowSink = {
      bucket: (definition, key, type, id, text) => {
        const bucket = `${identityOf(definition)}${key}`;
        buckets.set(bucket, (buckets.get(bucket) ?? new Map<string, string>()).set(`${type}/${id}`, text ?? ''));
      },
      lookup: (definition, key, values) => {
        const lookup = `${identityOf(definition)}${key}`;
        lookups.set(lookup, [...(lookups.get(lookup) ?? []), values]);
      },
      writeCheckpoint: () => undefined,
      rejected: (_definition, code) => expect.fail(code),
    };
    for (const row of rows[name] ?? []) evaluator.evaluate(row, sink);
  }
  const read: ReadLookups = async (keys) => keys.map(({ identity, key }) => lookups.get(`${identity}${key}`) ?? []);
  return { buckets, read };
}

async function synced(plan: SyncPlan, rows: Data, people: readonly Person[]): Promise<string[][]> {
  const { buckets, read } = replicate(plan, rows);
  const resolver = createSessionResolver(plan);
  return Promise.all(
    people.map(async ({ userId, claims, connection, subscription }) => {
      const request: SessionRequest = {
        userId,
        claims,
        connectionParameters: connection,
        includeDefaults: false,
        subscriptions: [{ stream: 's', parameters: subscription, overridePriority: null }],
      };
      const session = await resolver.resolve(request, read, LIMITS);
      const found = session.buckets.flatMap(({ identity, key }) => [
        ...(buckets.get(`${identity}${key}`)?.keys() ?? []),
      ]);
      return [...new Set(found)].toSorted();
    }),
  );
}

function load(rows: Data): DatabaseSync {
  const database = new DatabaseSync(':memory:');
  for (const [name, columns] of Object.entries(TABLES)) {
    // no types: values compare as they are
    database.exec(`CREATE TABLE ${name} (${columns.join(', ')})`);
    const insert = database.prepare(`INSERT INTO ${name} VALUES (${columns.map(() => '?').join(', ')})`);
    for (const row of rows[name] ?? []) insert.run(...row);
  }
  return database;
}

function select(database: DatabaseSync, text: string): Record<string, unknown>[] {
  const statement = database.prepare(text);
  statement.setReadBigInts(true);
  return statement.all();
}

describe('what a session gets equals plain SQL (G3, G4, S-107, S-147…S-156)', () => {
  test('random queries, rows and people', async () => {
    let nonEmpty = 0;
    let total = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(query, { minLength: 1, maxLength: 2 }),
        fc.tuple(cte, cte),
        data,
        fc.array(person, { minLength: 1, maxLength: 3 }),
        async (queries, named, rows, people) => {
          ctes = named;
          const text = `config: { edition: 3 }\nstreams:\n  s:\n    with:\n${named.map((item, at) => `      c${at}: ${JSON.stringify(item.ours)}\n`).join('')}    queries:\n${queries.map(({ ours }) => `      - ${JSON.stringify(ours)}\n`).join('')}`;
          const { diagnostics } = compile(text);
          fc.pre(!diagnostics.some(({ code }) => code === 'PSYNC_R2217'));
          const plan = planOf(text);
          const database = load(rows);
          try {
            const ours = await synced(plan, rows, people);
            const theirs = people.map((who) => {
              const found = queries.flatMap(({ theirs: plain }) =>
                select(database, plain(who)).map(
                  (row) => `${/FROM items i /.test(plain(who)) ? 'i' : 'items'}/${String(row['id'])}`,
                ),
              );
              return [...new Set(found)].toSorted();
            });
            total += people.length;
            nonEmpty += theirs.filter(
              (found) => found.length > 0 && found.length < (rows['items']?.length ?? 0),
            ).length;
            expect({ queries: queries.map(({ ours: q }) => q), ours }).toEqual({
              queries: queries.map(({ ours: q }) => q),
              ours: theirs,
            });
          } finally {
            database.close();
          }
        },
      ),
      { numRuns: Number(process.env['RUNS'] ?? 250) },
    );
    // the comparison must not be one of empty sets
    expect(nonEmpty / total).toBeGreaterThan(0.1);
  });
});

/** A parameter query (column p) over the request, and what it is in plain SQL. */
const legacyScalar = fc.oneof(
  fc.constant({ ours: 'request.user_id()', theirs: USER.theirs }),
  fc.constant({ ours: 'token_parameters.user_id', theirs: USER.theirs }),
  fc
    .constantFrom('a', 'b')
    .map((key) => ({ ours: `request.jwt() ->> '${key}'`, theirs: parameter('auth', key).theirs })),
  fc
    .constantFrom('a', 'b')
    .map((key) => ({ ours: `request.parameters() ->> '${key}'`, theirs: parameter('connection', key).theirs })),
);
const legacyArray = fc.constant({ ours: `request.jwt() ->> 'ids'`, theirs: parameter('auth', 'ids').theirs });
const parameterQuery: fc.Arbitrary<Sql> = fc.oneof(
  fc
    .tuple(legacyScalar, legacyScalar, constant)
    .map(([p, a, b]) => sql`SELECT ${p} AS p WHERE ${a} = ${b} OR ${a} = 'x'`),
  legacyScalar.map((p) => sql`SELECT ${p} AS p`),
  legacyArray.map((list) => sql`SELECT value AS p FROM json_each(${list}) WHERE value != 'y'`),
  fc.constantFrom(...Object.keys(TABLES)).chain((name) => {
    const item = columnOf(name, name);
    return fc.oneof(
      fc
        .tuple(item, item, legacyScalar, rowFilter(name, name, true))
        .map(([p, x, a, filter]) => sql`SELECT ${p} AS p FROM ${name} WHERE ${x} = ${a} AND ${filter}`),
      fc
        .tuple(item, item, item, legacyScalar)
        .map(([p, x, y, a]) => sql`SELECT ${p} AS p FROM ${name} WHERE ${x} = ${a} OR ${a} = ${y}`),
      fc
        .tuple(item, item, legacyArray)
        .map(([p, x, list]) => sql`SELECT ${p} AS p FROM ${name} WHERE ${inArray(x, list)}`),
      fc
        .tuple(item, legacyScalar)
        .map(([p, a]) => sql`SELECT ${p} AS p FROM ${name} WHERE ${inArray(a, same(`${name}.tags`))}`),
      fc
        .tuple(item, rowFilter(name, name, true))
        .map(([p, filter]) => sql`SELECT ${p} AS p FROM ${name} WHERE ${filter}`),
      fc
        .tuple(legacyScalar, item, legacyScalar)
        .map(([p, x, a]) => sql`SELECT ${p} AS p FROM ${name} WHERE ${x} = ${a}`),
    );
  }),
);
/** Ours over bucket.p; in plain SQL q.p. */
const BUCKET: Sql = { ours: 'bucket.p', theirs: () => 'q.p' };
const dataQuery: fc.Arbitrary<Sql> = fc.oneof(
  fc
    .tuple(rowExpression('items', 'items'), rowFilter('items', 'items', true))
    .map(([x, filter]) => sql`${x} = ${BUCKET} AND ${filter}`),
  fc
    .tuple(columnOf('items', 'items'), columnOf('items', 'items'))
    .map(([x, y]) => sql`${BUCKET} = ${x} OR ${y} = ${BUCKET}`),
  rowFilter('items', 'items', true).map((filter) => sql`${filter} AND ${inArray(BUCKET, same('items.tags'))}`),
);

describe('bucket definitions equal plain SQL (S-220…S-243)', () => {
  test('random parameter and data queries', async () => {
    let nonEmpty = 0;
    let total = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(parameterQuery, { minLength: 1, maxLength: 2 }),
        dataQuery,
        data,
        fc.array(person, { minLength: 1, maxLength: 3 }),
        async (parameterQueries, where, rows, people) => {
          const text = `bucket_definitions:\n  s:\n    parameters:\n${parameterQueries.map(({ ours }) => `      - ${JSON.stringify(ours)}\n`).join('')}    data: [${JSON.stringify(`SELECT * FROM items WHERE ${where.ours}`)}]`;
          const { diagnostics } = compile(text);
          fc.pre(!diagnostics.some(({ code }) => code === 'PSYNC_R2222'));
          const plan = planOf(text);
          const database = load(rows);
          try {
            const ours = await synced(plan, rows, people);
            const theirs = people.map((who) => {
              const found = parameterQueries.flatMap((item) =>
                select(database, `SELECT items.id FROM items, (${item.theirs(who)}) q WHERE ${where.theirs(who)}`).map(
                  (row) => `items/${String(row['id'])}`,
                ),
              );
              return [...new Set(found)].toSorted();
            });
            total += people.length;
            nonEmpty += theirs.filter(
              (found) => found.length > 0 && found.length < (rows['items']?.length ?? 0),
            ).length;
            expect({ text, ours }).toEqual({ text, ours: theirs });
          } finally {
            database.close();
          }
        },
      ),
      { numRuns: Number(process.env['RUNS'] ?? 200) },
    );
    expect(nonEmpty / total).toBeGreaterThan(0.1);
  });
});
