import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ReadLookups, RowSink, SessionRequest } from './contract.ts';
import { createSessionResolver } from './evaluate/session-resolver.ts';
import { createTableEvaluator } from './evaluate/table-evaluator.ts';
import type { SyncPlan } from './plan.ts';
import {
  TABLES,
  USER,
  columnOf,
  constant,
  cte,
  inArray,
  nameCtes,
  parameter,
  query,
  rowExpression,
  rowFilter,
  same,
  sql,
  type Person,
  type Sql,
} from './testing/random-queries.ts';
import { compile, planOf, table } from './testing/support.ts';
import type { SqliteValue } from './values.ts';

type Data = Readonly<Record<string, readonly (readonly SqliteValue[])[]>>;

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
          nameCtes(named);
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
