import { describe, expect, test } from 'vitest';
import { createSessionResolver } from '../evaluate/session-resolver.ts';
import { planOf, table } from '../testing/support.ts';
import type { SqliteValue } from '../values.ts';
import { replicateRows, type FixtureTable } from './replicate.ts';
import { trySession, type TriedSession } from './try-session.ts';

const LIMITS = { maxBuckets: 1000, maxParameterResults: 1000 };
const fixture = (name: string, columns: readonly string[], ...rows: (readonly SqliteValue[])[]): FixtureTable => ({
  ...table(name, columns),
  rows,
});

async function session(
  config: string,
  tables: readonly FixtureTable[],
  subscriptions: Readonly<Record<string, unknown>>[] = [],
  limits = LIMITS,
): Promise<TriedSession> {
  const plan = planOf(config);
  const request = {
    userId: 'alice',
    claims: { sub: 'alice' },
    connectionParameters: null,
    includeDefaults: true,
    subscriptions: subscriptions.map((parameters) => ({ stream: 'one', parameters, overridePriority: null })),
  };
  const replicated = replicateRows(plan, tables);
  return trySession(request, { plan, resolver: createSessionResolver(plan), replicated, limits });
}

const CONFIG = `config: { edition: 3 }
streams:
  one:
    query: SELECT id, name FROM lists WHERE owner = subscription.parameter('owner') AND owner = auth.user_id()
  mine:
    auto_subscribe: true
    priority: 1
    queries:
      - SELECT id, name FROM lists WHERE owner = auth.user_id()
      - SELECT id, name FROM lists WHERE id IN (SELECT list_id FROM shares WHERE user_id = auth.user_id())
`;
const LISTS = fixture('lists', ['id', 'owner', 'name'], ['a', 'alice', 'A'], ['b', 'bob', 'B'], ['c', 'carol', 'C']);
const SHARES = fixture('shares', ['list_id', 'user_id'], ['b', 'alice'], ['a', 'alice']);

describe('trySession', () => {
  test('a row of several buckets of a stream is one row (S-97); names of buckets without version (S-377)', async () => {
    const { streams, buckets } = await session(CONFIG, [LISTS, SHARES], [{ owner: 'alice' }, { owner: 'bob' }]);
    expect(buckets.map(({ name, priority }) => [name, priority])).toEqual([
      ['one|0["alice"]', 3],
      ['mine|0["alice"]', 1],
      ['mine|1["b"]', 1],
      ['mine|1["a"]', 1],
    ]);
    expect([...streams]).toEqual([
      ['one', [{ table: 'lists', id: 'a', versions: ['{"id":"a","name":"A"}'], buckets: ['one|0["alice"]'] }]],
      [
        'mine',
        [
          { table: 'lists', id: 'a', versions: ['{"id":"a","name":"A"}'], buckets: ['mine|0["alice"]', 'mine|1["a"]'] },
          { table: 'lists', id: 'b', versions: ['{"id":"b","name":"B"}'], buckets: ['mine|1["b"]'] },
        ],
      ],
    ]);
  });

  test('several versions of a table and id are kept apart (S-267)', async () => {
    const text = `config: { edition: 3 }\nstreams:\n  s: { auto_subscribe: true, query: 'SELECT 1 AS id, name FROM lists' }\n`;
    const { streams } = await session(text, [LISTS]);
    expect(streams.get('s')?.map(({ id, versions }) => [id, versions.length])).toEqual([['1', 3]]);
  });

  test('bucket definitions are streams under their name (S-374)', async () => {
    const text = `bucket_definitions:
  owned:
    parameters: SELECT request.user_id() AS owner
    data: [SELECT id FROM lists WHERE owner = bucket.owner]
`;
    const { streams, buckets } = await session(text, [LISTS]);
    expect(buckets.map(({ name }) => name)).toEqual(['owned["alice"]']);
    expect(streams.get('owned')?.map(({ id }) => id)).toEqual(['a']);
  });

  test('a stream without subscription is not there; one without rows is, empty (S-62)', async () => {
    const { streams } = await session(CONFIG, []);
    expect([...streams]).toEqual([['mine', []]]);
  });

  test('above the limits it fails as a session does (S-384)', async () => {
    const subscriptions = [{ owner: 'alice' }];
    const limits = { ...LIMITS, maxBuckets: 3 };
    await expect(session(CONFIG, [LISTS, SHARES], subscriptions, limits)).rejects.toThrow('[PSYNC_S2305]');
    await expect(session(CONFIG, [LISTS, SHARES], [], limits)).resolves.toBeDefined();
  });
});

describe('replicateRows', () => {
  test('rows without id are told, with their place and definition (S-265)', () => {
    const plan = planOf(CONFIG);
    const { rejected } = replicateRows(plan, [SHARES, fixture('lists', ['id', 'owner'], ['a', 'x'], [null, 'x'])]);
    expect(rejected.map(({ code, origin }) => [code, origin])).toEqual(
      // of "one" and the first query of "mine"; the second one compares the id, which as null matches nothing
      [1, 2].map(() => ['PSYNC_S1010', { table: 1, row: 1 }]),
    );
  });

  test('a few rows that make very many entries are refused', () => {
    const plan = planOf(
      `config: { edition: 3 }\nstreams:\n  s: { query: "SELECT lists.* FROM lists, json_each(lists.users) AS u WHERE u.value = auth.user_id()" }\n`,
    );
    const users = JSON.stringify(Array.from({ length: 100 }, (_, at) => at));
    const rows = fixture('lists', ['id', 'users'], ['a', users], ['b', users]);
    expect(() => replicateRows(plan, [rows], 199)).toThrow('[PSYNC_R1304] The rows make more than 199 entries');
    expect(replicateRows(plan, [rows], 200).buckets(plan.buckets[0]?.identity ?? '').size).toBe(100);
  });
});
