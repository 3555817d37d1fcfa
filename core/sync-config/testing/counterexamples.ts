/**
 * For tests: scenarios that once showed a difference, in the code or in code that was broken on purpose to see whether the oracle notices.
 * Random ones find these too, but not in every run.
 */
import type { SqliteValue } from '../values.ts';
import type { Meaning, Scenario, Step } from './random-scenarios.ts';
import { COLUMNS, TABLES, type Cells, type ColumnName, type Schema, type TableName } from './random-schemas.ts';
import type { Person } from './random-values.ts';

export interface Counterexample {
  readonly name: string;
  readonly scenario: Scenario;
  /** Rows that each person has at the end, so that no comparison is one of nothing. */
  readonly rows: number;
}

/** Tables and columns are called what queries call them. */
const SCHEMA: Schema = {
  tables: TABLES.map((name) => ({ source: 'default', schema: 'public', name, columns: COLUMNS, holds: COLUMNS })),
  patterns: Object.fromEntries(
    TABLES.map((name) => [name, { source: 'default', schema: 'public', anySchema: false, name, wildcard: false }]),
  ) as Schema['patterns'],
  written: {},
  columns: Object.fromEntries(COLUMNS.map((name) => [name, name])) as Record<ColumnName, string>,
};
const EMPTY: Cells = { id: null, ref: null, owner: null, n: null, tags: null, doc: null, bin: null, extra: null };
const row = (name: TableName, cells: Partial<Cells>, table = 0): Step & { kind: 'insert' } => ({
  kind: 'insert',
  name,
  table,
  cells: { ...EMPTY, ...cells },
});
const PERSON: Person = {
  userId: 'me',
  claims: { ids: ['a', 'b'], roles: { a: 'b', c: 'c' } },
  connection: null,
  includeDefaults: true,
  subscriptions: [],
};

/** `plain`: after `SELECT top._t, top._k, top.id AS o0 FROM items AS top`, for a stream s that selects the id. */
const stream = (queries: readonly string[], more = ''): string =>
  `config: { edition: 3 }\n${more}streams:\n  s:\n    auto_subscribe: true\n    queries:\n${queries.map((query) => `      - ${JSON.stringify(query)}\n`).join('')}`;
const meaning = (sql: string, more: Partial<Meaning> = {}): Meaning => ({
  sql,
  table: 'items',
  alias: null,
  outputs: [{ kind: 'named', name: 'id' }],
  priority: null,
  ...more,
});
const ITEMS = 'SELECT top._t, top._k, top.id AS o0 FROM items AS top';

function example(
  name: string,
  config: string,
  meanings: readonly Meaning[],
  rows: Scenario['rows'],
  more: Partial<Scenario> & { readonly expected: number },
): Counterexample {
  const { expected, ...rest } = more;
  const streams = [{ name: 's', byDefault: true, priority: 3, meanings }];
  return {
    name,
    scenario: { config, schema: SCHEMA, streams, people: [PERSON], rows, steps: [], ...rest },
    rows: expected,
  };
}

const numbers: readonly SqliteValue[] = [1n, 1, 1e18, 10n ** 18n, '1', null];

export const COUNTEREXAMPLES: readonly Counterexample[] = [
  example(
    'a missing parameter is not equal to itself',
    stream([
      "SELECT id FROM items WHERE auth.parameter('none') IN (SELECT auth.parameter('none') FROM lists) OR n = 1",
    ]),
    [meaning(`${ITEMS} WHERE :auth_none IN (SELECT :auth_none FROM lists) OR n = 1`)],
    [row('items', { id: 'a' }), row('items', { id: 'b', n: 1n }), row('lists', { id: 'l' })],
    { expected: 1 },
  ),
  example(
    'null in two columns of a row is not equal',
    stream(['SELECT id FROM items WHERE items.ref IN (SELECT items.owner FROM lists)']),
    [meaning(`${ITEMS} WHERE ref IN (SELECT top.owner FROM lists)`)],
    [row('items', { id: 'a' }), row('items', { id: 'b', ref: 'x', owner: 'x' }), row('lists', { id: 'l' })],
    { expected: 1 },
  ),
  example(
    'a column that is compared with itself is not null',
    stream(['SELECT id FROM items WHERE items.ref IN (SELECT items.ref FROM lists)']),
    [meaning(`${ITEMS} WHERE ref IN (SELECT top.ref FROM lists)`)],
    [row('items', { id: 'a' }), row('items', { id: 'b', ref: 'x' }), row('lists', { id: 'l' })],
    { expected: 1 },
  ),
  example(
    'conditions on the elements of an array of the session',
    stream([
      "SELECT id FROM items WHERE ref IN (SELECT value FROM json_each(auth.parameter('ids')) WHERE value != 'b')",
    ]),
    [meaning(`${ITEMS} WHERE ref IN (SELECT value FROM json_each(:auth_ids) WHERE value != 'b')`)],
    [row('items', { id: 'a', ref: 'a' }), row('items', { id: 'b', ref: 'b' })],
    { expected: 1 },
  ),
  example(
    'IN looks into arrays, json_each into objects too',
    stream([
      "SELECT id FROM items WHERE ref IN auth.parameter('roles')",
      "SELECT id FROM items WHERE ref IN (SELECT value FROM json_each(auth.parameter('roles'))) AND n = 1",
    ]),
    [
      meaning(`${ITEMS} WHERE 0`),
      meaning(`${ITEMS} WHERE ref IN (SELECT value FROM json_each(:auth_roles)) AND n = 1`),
    ],
    [row('items', { id: 'a', ref: 'b', n: 1n }), row('items', { id: 'b', ref: 'c' })],
    { expected: 1 },
  ),
  example(
    'equal integers and reals meet in a join, texts do not',
    stream(['SELECT items.id FROM items JOIN lists ON items.n = lists.n']),
    [meaning(`${ITEMS} JOIN lists ON top.n = lists.n`)],
    [
      ...numbers.map((n, at) => row('items', { id: `i${at}`, n })),
      row('lists', { id: 'l', n: 1 }),
      row('lists', { id: 'm', n: 1e18 }),
    ],
    { expected: 4 },
  ),
  example(
    'two conditions on the elements of one array of the session',
    stream([
      "SELECT items.id FROM items JOIN json_each(auth.parameter('roles')) AS r ON ref = r.key AND ref = r.value",
    ]),
    [meaning(`${ITEMS} JOIN json_each(:auth_roles) AS r ON ref = r.key AND ref = r.value`)],
    [row('items', { id: 'a', ref: 'a' }), row('items', { id: 'b', ref: 'b' }), row('items', { id: 'c', ref: 'c' })],
    { expected: 1 },
  ),
  example(
    'text that is no array has no members and no non-members (S-154)',
    stream(['SELECT id FROM items WHERE NOT (NOT id = auth.user_id() AND ref IN tags) AND ref NOT IN tags']),
    [
      meaning(
        `${ITEMS} WHERE json_valid(tags) AND NOT (NOT id = :auth_sub AND ref IN (SELECT value FROM json_each(tags))) AND ref NOT IN (SELECT value FROM json_each(tags))`,
      ),
    ],
    [
      row('items', { id: 'a', ref: 'x', tags: null }),
      row('items', { id: 'b', ref: 'x', tags: 'no JSON' }),
      row('items', { id: 'c', ref: 'x', tags: '["y"]' }),
      row('items', { id: 'd', ref: 'x', tags: '["x"]' }),
    ],
    { expected: 1 },
  ),
  example(
    'parameter queries that name their columns in another order (S-236, S-375)',
    `bucket_definitions:\n  s:\n    parameters:\n      - SELECT request.user_id() AS p, 'x' AS q\n      - SELECT 'y' AS q, request.user_id() AS p\n    data: [SELECT id FROM items WHERE owner = bucket.p AND ref = bucket.q]\n`,
    [
      meaning(`${ITEMS} WHERE owner = :auth_sub AND ref = 'x'`),
      meaning(`${ITEMS} WHERE owner = :auth_sub AND ref = 'y'`),
    ],
    [
      row('items', { id: 'a', owner: 'me', ref: 'x' }),
      row('items', { id: 'b', owner: 'me', ref: 'y' }),
      row('items', { id: 'c', owner: 'y', ref: 'me' }),
    ],
    { expected: 2 },
  ),
  example(
    'a bucket parameter that is compared twice',
    `bucket_definitions:\n  s:\n    parameters: SELECT request.user_id() AS p\n    data: [SELECT id FROM items WHERE owner = bucket.p AND bucket.p = ref]\n`,
    [meaning(`${ITEMS} WHERE owner = :auth_sub AND ref = :auth_sub`)],
    [row('items', { id: 'a', owner: 'me', ref: 'x' }), row('items', { id: 'b', owner: 'me', ref: 'me' })],
    { expected: 1 },
  ),
  example(
    "a stream's own CTE hides the global one of the same name (S-686)",
    `config: { edition: 3 }\nwith: { c: SELECT id FROM lists }\nstreams:\n  s:\n    auto_subscribe: true\n    with: { c: SELECT id FROM lists WHERE owner = auth.user_id() }\n    query: SELECT id FROM items WHERE ref IN c\n`,
    [meaning(`${ITEMS} WHERE ref IN (SELECT id FROM lists WHERE owner = :auth_sub)`)],
    [
      row('items', { id: 'a', ref: 'l' }),
      row('items', { id: 'b', ref: 'm' }),
      row('lists', { id: 'l', owner: 'me' }),
      row('lists', { id: 'm', owner: 'x' }),
    ],
    { expected: 1 },
  ),
  example(
    'a list of values of the row, of the session, and literals',
    stream(["SELECT id FROM items WHERE owner IN (ref, auth.user_id(), 'z', NULL)"]),
    [meaning(`${ITEMS} WHERE owner IN (ref, :auth_sub, 'z', NULL)`)],
    [
      row('items', { id: 'a', owner: 'me' }),
      row('items', { id: 'b', owner: 'x', ref: 'x' }),
      row('items', { id: 'c', owner: 'z', ref: 'z' }),
      row('items', { id: 'd', owner: 'other' }),
    ],
    { expected: 3 },
  ),
  example(
    'tables of system schemas are not meant by a pattern of schemas (S-689)',
    stream(['SELECT id FROM "%".items']),
    [meaning(ITEMS)],
    [row('items', { id: 'a' }, 0), row('items', { id: 'b' }, 1), row('items', { id: 'c' }, 6)],
    {
      expected: 2,
      schema: {
        ...SCHEMA,
        tables: ['public', 'app', 'pg_temp', 'information_schema'].flatMap((schema) =>
          SCHEMA.tables.map((table) => ({ ...table, schema })),
        ),
        patterns: { ...SCHEMA.patterns, items: { ...SCHEMA.patterns.items, schema: '', anySchema: true } },
      },
    },
  ),
  example(
    'a membership that moves takes the rows with it',
    stream(['SELECT id FROM items WHERE ref IN (SELECT ref FROM members WHERE owner = auth.user_id())']),
    [meaning(`${ITEMS} WHERE ref IN (SELECT ref FROM members WHERE owner = :auth_sub)`)],
    [
      row('items', { id: 'a', ref: 'l' }),
      row('items', { id: 'b', ref: 'm' }),
      row('items', { id: 'c', ref: 'm' }),
      row('members', { id: 'x', owner: 'me', ref: 'l' }),
    ],
    { expected: 2, steps: [{ kind: 'update', row: 3, cells: { ref: 'm' } }] },
  ),
  example(
    'a subquery in FROM gives all of its columns',
    stream(['SELECT d.* FROM (SELECT id, ref AS "Ref" FROM items WHERE owner = auth.user_id()) AS d']),
    [
      meaning('SELECT _t, _k, id AS o0, ref AS o1 FROM items WHERE owner = :auth_sub', {
        alias: 'd',
        outputs: [
          { kind: 'named', name: 'id' },
          { kind: 'named', name: 'Ref' },
        ],
      }),
    ],
    [row('items', { id: 'a', ref: 'x', owner: 'me' }), row('items', { id: 'b', owner: 'x' })],
    { expected: 1 },
  ),
];
