import { describe, expect, test } from 'vitest';
import { definitionSpecs, type SyncPlan } from '../plan.ts';
import { OPTIONS, planOf, streamOf } from '../testing/support.ts';

const identities = (plan: SyncPlan, kind: 'bucket' | 'lookup' = 'bucket'): string[] =>
  definitionSpecs(plan)
    .filter((definition) => definition.kind === kind)
    .map(({ identity }) => identity)
    .toSorted();
const all = (text: string): string[] => [...identities(planOf(text)), ...identities(planOf(text), 'lookup')];

const QUERY = "SELECT id, name FROM lists WHERE owner = auth.user_id() AND state != 'old' AND n > 1";
const SUBQUERY =
  'SELECT * FROM items WHERE list IN (SELECT m.list FROM members AS m WHERE m.person = auth.user_id() AND m.active)';

describe('what is kept between versions follows from content alone (S-2, S-377)', () => {
  test.each([
    [
      'layout and comments',
      QUERY,
      "select id,\n  name -- the name\nfrom lists /* all */ where OWNER = auth.user_id() and state <> 'old' and n > 1;",
    ],
    [
      'order of conditions',
      QUERY,
      "SELECT id, name FROM lists WHERE n > 1 AND (state != 'old' AND auth.user_id() = owner)",
    ],
    [
      'parentheses',
      QUERY,
      "SELECT (id) AS id, name FROM lists WHERE ((owner) = (auth.user_id())) AND (state != 'old') AND (n > 1)",
    ],
    ['a condition twice', QUERY, `${QUERY} AND n > 1`],
    [
      'aliases of other tables',
      SUBQUERY,
      'SELECT * FROM items WHERE list IN (SELECT list FROM members WHERE person = auth.user_id() AND active)',
    ],
    [
      'a join for a subquery',
      SUBQUERY,
      'SELECT items.* FROM items JOIN members x ON items.list = x.list WHERE x.active AND x.person = auth.user_id()',
    ],
    ['a schema that is the default', SUBQUERY, SUBQUERY.replace('items WHERE', 'public.items WHERE')],
    ['a gate', SUBQUERY, `${SUBQUERY} AND auth.parameter('role') = 'reader'`],
    ['which parameter it is', QUERY, QUERY.replace('auth.user_id()', "subscription.parameter('owner')")],
  ])('%s: the same definitions', (_what, one, other) => {
    expect(all(streamOf(other))).toEqual(all(streamOf(one)));
  });

  test('a CTE is the subquery that it stands for', () => {
    const inline = `config: { edition: 3 }\nstreams: { s: { query: ${JSON.stringify(SUBQUERY)} } }`;
    const named = `config: { edition: 3 }\nwith: { mine: SELECT list FROM members WHERE person = auth.user_id() AND active }\nstreams: { s: { query: SELECT * FROM items WHERE list IN mine } }`;
    expect(all(named)).toEqual(all(inline));
  });

  test('who gets it, and when, is not part of it', () => {
    const of = (keys: string): string[] =>
      all(`config: { edition: 3 }\nstreams:\n  s: { ${keys}, query: ${JSON.stringify(SUBQUERY)} }`);
    expect(of('auto_subscribe: true, priority: 0, accept_potentially_dangerous_queries: true')).toEqual(
      of('priority: 3'),
    );
  });

  test('other streams and their order do not matter', () => {
    const a = `a: { query: ${JSON.stringify(QUERY)} }`;
    const b = `b: { query: ${JSON.stringify(SUBQUERY)} }`;
    const of = (...streams: string[]): string[] =>
      all(`config: { edition: 3 }\nstreams:\n${streams.map((stream) => `  ${stream}\n`).join('')}`).toSorted();
    expect(of(b, a)).toEqual(of(a, b));
    expect(of(a, b)).toEqual(expect.arrayContaining(of(a)));
  });

  test.each([
    ['columns', 'SELECT id, name, n FROM lists WHERE owner = auth.user_id()'],
    ['a renamed column', 'SELECT id, name AS title FROM lists WHERE owner = auth.user_id()'],
    ['the client table', 'SELECT id, name FROM lists AS l WHERE owner = auth.user_id()'],
    ['the table', 'SELECT id, name FROM lists2 AS lists WHERE owner = auth.user_id()'],
    ['the schema', 'SELECT id, name FROM other.lists WHERE owner = auth.user_id()'],
    ['a wildcard', 'SELECT id, name FROM "lists%" AS lists WHERE owner = auth.user_id()'],
    ['the key', 'SELECT id, name FROM lists WHERE owner2 = auth.user_id()'],
    ['a filter', 'SELECT id, name FROM lists WHERE owner = auth.user_id() AND n'],
    ['a literal of another type', "SELECT id, name, '1' AS v FROM lists WHERE owner = auth.user_id()"],
    ['another literal', 'SELECT id, name, 1 AS v FROM lists WHERE owner = auth.user_id()'],
  ])('%s: another definition', (_what, query) => {
    expect(identities(planOf(streamOf(query)))).not.toEqual(
      identities(planOf(streamOf('SELECT id, name FROM lists WHERE owner = auth.user_id()'))),
    );
  });

  test('how values are read is part of it (S-36)', () => {
    const of = (config: string): string => {
      const text = `config: { ${config} }\nstreams: { s: { query: ${JSON.stringify(QUERY)} } }`;
      return identities(planOf(text)).join();
    };
    const configs = [
      'edition: 3',
      'edition: 1',
      'edition: 3, timestamps_iso8601: false',
      'edition: 3, fixed_json_extract: false',
      'edition: 3, custom_postgres_types: false',
      'edition: 3, timestamp_max_precision: seconds',
    ];
    expect(new Set(configs.map(of)).size).toBe(configs.length);
    expect(of('edition: 2')).toBe(of('edition: 3'));
    expect(of('edition: 1, timestamps_iso8601: true, fixed_json_extract: true, custom_postgres_types: true')).toBe(
      of('edition: 3'),
    );
  });

  test('a changed query leaves the lookups that it uses as they are', () => {
    const [before, after] = [SUBQUERY, SUBQUERY.replace('SELECT *', 'SELECT id')].map((query) =>
      planOf(streamOf(query)),
    );
    if (before === undefined || after === undefined) return expect.fail();
    expect(identities(after, 'lookup')).toEqual(identities(before, 'lookup'));
    expect(identities(after)).not.toEqual(identities(before));
  });

  test('equal lookups exist once, whoever uses them', () => {
    const plan = planOf(
      `config: { edition: 3 }\nstreams:\n  a: { query: ${JSON.stringify(SUBQUERY)} }\nbucket_definitions:\n  b:\n    parameters: SELECT list FROM members WHERE person = request.user_id() AND active\n    data: SELECT * FROM items WHERE list = bucket.list\n`,
    );
    expect(plan.lookups.map(({ name }) => name)).toEqual(['members(person)->(list)']);
  });

  test('the connection is part of it', () => {
    const of = (defaultSource: string): string[] => identities(planOf(streamOf(QUERY), { ...OPTIONS, defaultSource }));
    expect(of('other')).not.toEqual(of('default'));
  });
});
