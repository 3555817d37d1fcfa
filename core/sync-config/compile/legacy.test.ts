import { describe, expect, test } from 'vitest';
import type { ReadLookups, SessionRequest } from '../contract.ts';
import { createSessionResolver } from '../evaluate/session-resolver.ts';
import { compile, contributionOf, planOf, table } from '../testing/support.ts';
import type { SqliteValue } from '../values.ts';

const config = (parameters: readonly string[], data: readonly string[], keys = ''): string =>
  `bucket_definitions:\n  b:\n${keys}    parameters: ${JSON.stringify(parameters)}\n    data: ${JSON.stringify(data)}\n`;

const REQUEST: SessionRequest = {
  userId: 'me',
  claims: {
    sub: 'me',
    ids: ['x', 'y'],
    roles: { x: 'admin', y: 'guest' },
    items: [
      { id: 'x', n: 1 },
      { id: 'y', n: 2 },
    ],
  },
  connectionParameters: { range: 'week', ids: [1, 2] },
  includeDefaults: true,
  subscriptions: [],
};

/** Keys of the buckets that REQUEST gets, when these rows are in the table m (columns id, u, tags). */
async function keysOf(
  parameters: string | readonly string[],
  rows: readonly (readonly SqliteValue[])[] = [],
): Promise<string[]> {
  const queries = typeof parameters === 'string' ? [parameters] : parameters;
  const names = /AS (\w+)/g;
  const used = [...new Set([...(queries[0] ?? '').matchAll(names)].map(([, name]) => name ?? ''))].filter(
    (name) => name !== '_priority',
  );
  const where = used.map((name) => `${name} = bucket.${name}`).join(' AND ');
  const plan = planOf(config(queries, [`SELECT * FROM t${where === '' ? '' : ` WHERE ${where}`}`]));
  const stored = new Map<string, string[]>();
  for (const row of rows) {
    for (const { definition, key, values } of contributionOf(plan, table('m', ['id', 'u', 'tags']), row).lookups)
      stored.set(definition + key, [...(stored.get(definition + key) ?? []), values]);
  }
  const nameOf = new Map(plan.lookups.map(({ identity, name }) => [identity, name]));
  const read: ReadLookups = async (keys) =>
    keys.map(({ identity, key }) => stored.get(`${nameOf.get(identity)}${key}`) ?? []);
  const session = await createSessionResolver(plan).resolve(REQUEST, read, {
    maxBuckets: 100,
    maxParameterResults: 100,
  });
  return session.buckets.map(({ key }) => key).toSorted();
}
const ROWS = [
  ['x', 'me', '["me","x"]'],
  ['y', 'me', '["you"]'],
  ['z', 'you', null],
] as const;

describe('parameter queries', () => {
  test.each([
    [
      'of the request, with a condition on it (S-230)',
      "SELECT request.user_id() AS a WHERE request.parameters() ->> 'range' = 'week'",
      ['["me"]'],
    ],
    [
      'a condition that does not hold',
      "SELECT request.user_id() AS a WHERE request.parameters() ->> 'range' = 'day'",
      [],
    ],
    ['no columns, no table (S-232)', "SELECT WHERE request.parameters() ->> 'range' = 'week'", ['[]']],
    ['no columns: a row that matches (S-231)', 'SELECT FROM m WHERE u = request.user_id()', ['[]']],
    ['no columns: none that matches', "SELECT FROM m WHERE u = request.user_id() AND id = 'z'", []],
    ['values of a table (S-233)', 'SELECT id AS a FROM m WHERE u = request.user_id()', ['["x"]', '["y"]']],
    [
      'several columns, one of the request',
      'SELECT id AS a, request.user_id() AS c, u AS b FROM m WHERE u = request.user_id()',
      ['["x","me","me"]', '["y","me","me"]'],
    ],
    ['nothing of the request (S-234)', 'SELECT id AS a FROM m WHERE tags IS NOT NULL', ['["x"]', '["y"]']],
    ['elements of an array (S-235)', "SELECT value AS a FROM json_each(request.jwt() -> 'ids')", ['["x"]', '["y"]']],
    [
      'members of an object (S-187)',
      "SELECT key AS a, value AS c FROM json_each(request.jwt() -> 'roles') WHERE value = 'admin'",
      ['["x","admin"]'],
    ],
    [
      'elements that are objects',
      "SELECT e.value ->> 'id' AS a FROM json_each(request.jwt() ->> 'items') e WHERE e.value ->> 'n' > 1",
      ['["y"]'],
    ],
    ['numbers of the client', "SELECT value AS a FROM json_each(request.parameters() -> 'ids')", ['[1]', '[2]']],
    [
      'an array of the token on the right (S-163)',
      "SELECT id AS a FROM m WHERE id IN request.jwt() ->> 'ids'",
      ['["x"]', '["y"]'],
    ],
    ['an array of the row on the right (S-163)', 'SELECT id AS a FROM m WHERE request.user_id() IN tags', ['["x"]']],
    [
      'a switch of the client (S-127)',
      "SELECT id AS a FROM m WHERE request.parameters() ->> 'range' AND u = request.user_id()",
      [],
    ],
    [
      'an expression over the row',
      "SELECT upper(id) || '!' AS a FROM m WHERE u = request.user_id()",
      ['["X!"]', '["Y!"]'],
    ],
  ])('%s', async (_what, query, keys) => {
    expect(await keysOf(query, ROWS)).toEqual(keys);
  });

  test('several are united; their columns may stand in another order (S-236, S-375)', async () => {
    expect(
      await keysOf(
        ['SELECT id AS a, u AS c FROM m WHERE u = request.user_id()', "SELECT request.user_id() AS c, 'x' AS a"],
        ROWS,
      ),
    ).toEqual(['["x","me"]', '["y","me"]']);
  });

  test('json_each has no other columns: the message says which (open question 13)', () => {
    const { diagnostics } = compile(
      config(
        ["SELECT project_id FROM json_each(request.jwt() -> 'ids')"],
        ['SELECT * FROM t WHERE p = bucket.project_id'],
      ),
    );
    expect(diagnostics.map(({ code, message }) => [code, message.includes('value AS project_id')])).toEqual([
      ['PSYNC_R2216', true],
    ]);
  });
});

describe('data queries', () => {
  const T = table('t', ['id', 'a', 'tags', 'doc']);
  const keys = (where: string, row: readonly SqliteValue[], parameters = 'SELECT request.user_id() AS p'): string[] =>
    contributionOf(planOf(config([parameters], [`SELECT * FROM t WHERE ${where}`])), T, row).buckets.map(
      ({ key }) => key,
    );

  test.each([
    ['a = bucket.p', ['["v"]']],
    ["bucket.p = a AND id = '1'", ['["v"]']],
    ["bucket.p = a AND id = '2'", []],
    // the row side may be an expression (S-240)
    ["substring(a, 1, 1) || '-' = bucket.p", ['["v-"]']],
    ["json_extract(doc, '$.boat') = bucket.p", ['["b"]']],
    // one bucket per element (S-162), per key (S-191)
    ['bucket.p IN tags', ['["x"]', '[1]']],
    ['bucket.p IN json_keys(doc)', ['["boat"]', '["n"]']],
    ['a = bucket.p OR id = bucket.p', ['["v"]', '["1"]']],
    ["a = bucket.p AND NOT id = '2' AND a IN ('u', 'v')", ['["v"]']],
    ['a = bucket.p AND id = bucket.p', []],
    ["doc ->> 'none' = bucket.p", []],
  ])('%s', (where, expected) => {
    expect(keys(where, ['1', 'v', '["x",1,"x",null]', '{"boat":"b","n":1}'])).toEqual(expected);
  });

  test('keys stand in the order of the parameter query (S-375)', () => {
    expect(
      keys(
        'a = bucket.q AND id = bucket.p',
        ['1', 'v', null, null],
        "SELECT request.user_id() AS p, 3 AS _priority, 'v' AS q",
      ),
    ).toEqual(['["1","v"]']);
  });

  test('several of one definition share its buckets (S-241)', () => {
    const plan = planOf(
      config(
        ['SELECT request.user_id() AS p'],
        [
          'SELECT * FROM t WHERE a = bucket.p',
          'SELECT id, a FROM t AS t2 WHERE a = bucket.p',
          'SELECT * FROM u WHERE b = bucket.p',
        ],
      ),
    );
    expect(plan.buckets.map(({ name }) => name)).toEqual(['b']);
    const { buckets } = contributionOf(plan, T, ['1', 'v', null, null]);
    expect(buckets.map(({ definition, key, type }) => [definition, key, type]).toSorted()).toEqual([
      ['b', '["v"]', 't'],
      ['b', '["v"]', 't2'],
    ]);
  });
});
