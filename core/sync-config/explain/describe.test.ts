import { describe, expect, test } from 'vitest';
import { planOf, table } from '../testing/support.ts';
import { replicateRows, type FixtureTable } from '../try-out/replicate.ts';
import type { SqliteValue } from '../values.ts';
import type { RowExplanation } from './contract.ts';
import { describeAccessReason, describeRowReason, listed } from './describe.ts';
import { explainRow } from './explain-row.ts';

const BOATS = ['id', 'owner_id', 'archived', 'crew'];
type Row = readonly SqliteValue[];
const HERON: Row = ['b1', 'alice', 0n, '["alice","bob"]'];

interface Asked {
  readonly query: string;
  readonly row?: Row;
  readonly user?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly others?: readonly FixtureTable[];
}

async function explained({
  query,
  row = HERON,
  user = 'alice',
  claims = {},
  others = [],
}: Asked): Promise<RowExplanation> {
  const plan = planOf(
    `config: { edition: 3 }\nstreams:\n  s: { auto_subscribe: true, query: ${JSON.stringify(query)} }\n`,
  );
  const boats: FixtureTable = { ...table('boats', BOATS), rows: [row] };
  const { read } = replicateRows(plan, [boats, ...others]);
  const request = {
    userId: user,
    claims: { ...claims, sub: user },
    connectionParameters: null,
    includeDefaults: true,
    subscriptions: [],
  };
  return explainRow({ plan, table: boats, row, request, read });
}

/** Everything that keeps the row from the user, in words. */
async function why(asked: Asked): Promise<string[]> {
  const { streams, places } = await explained(asked);
  const definitions = streams.flatMap((stream) => stream.definitions);
  const rules = definitions.flatMap((definition) =>
    definition.rules.flatMap(({ because }) => because.map(describeRowReason)),
  );
  const access = definitions.flatMap((definition) =>
    definition.access.flatMap(({ because }) =>
      because.map((reason) => describeAccessReason(reason, asked.user ?? 'alice')),
    ),
  );
  expect(places.length > 0).toBe(rules.length + access.length === 0);
  return [...rules, ...access];
}

const crew = (...rows: Row[]): FixtureTable => ({ ...table('crew', ['boat_id', 'sailor_id', 'active']), rows });
const JOINED =
  'SELECT * FROM boats WHERE id IN (SELECT boat_id FROM crew WHERE sailor_id = auth.user_id() AND active = 1)';

describe('why a user does not get a row, in words', () => {
  test.each<[string, Asked, string[]]>([
    ['nothing', { query: 'SELECT * FROM boats WHERE owner_id = auth.user_id()' }, []],
    [
      'a condition on the row',
      { query: 'SELECT * FROM boats WHERE archived = 0', row: ['b1', 'alice', 1n, null] },
      ['archived = 0 is false (archived is 1)'],
    ],
    [
      'only the parts of it that are not true',
      {
        query: "SELECT * FROM boats WHERE archived = 0 AND owner_id != 'bob' AND id = 'b2'",
        row: ['b1', 'bob', 0n, null],
      },
      ["id = 'b2' is false (id is 'b1')", "owner_id != 'bob' is false (owner_id is 'bob')"],
    ],
    [
      'a condition that is null',
      { query: 'SELECT * FROM boats WHERE archived = 0', row: ['b1', 'alice', null, null] },
      ['archived = 0 is NULL, so not true (archived is NULL)'],
    ],
    ['a column as condition', { query: 'SELECT * FROM boats WHERE archived' }, ['archived is not true: it is 0']],
    [
      'a value that is compared with the session',
      { query: 'SELECT * FROM boats WHERE owner_id = auth.user_id()', user: 'bob' },
      ["owner_id is 'alice', and auth.user_id() is 'bob'"],
    ],
    [
      'null there',
      { query: 'SELECT * FROM boats WHERE owner_id = auth.user_id()', row: ['b1', null, 0n, null] },
      ['owner_id is NULL, which equals nothing'],
    ],
    [
      'an id that is null',
      { query: 'SELECT owner_id AS id FROM boats', row: ['b1', null, 0n, null] },
      ['it has no id on the client: owner_id is NULL'],
    ],
    [
      'a list in the row',
      { query: 'SELECT * FROM boats WHERE auth.user_id() IN boats.crew', row: ['b1', 'alice', 0n, '[]'] },
      ["crew has no elements: it is '[]'"],
    ],
    [
      'a list in the row with others',
      { query: 'SELECT * FROM boats WHERE auth.user_id() IN boats.crew', user: 'carol' },
      [`json_each(crew).value is 'alice', and auth.user_id() is 'carol'`],
    ],
    [
      'a condition on the session',
      { query: "SELECT * FROM boats WHERE auth.parameter('role') = 'captain'", claims: { role: 'cook' } },
      ["auth.parameter('role') = 'captain' is false (auth.parameter('role') is 'cook')"],
    ],
    [
      'a claim that is not there',
      { query: "SELECT * FROM boats WHERE owner_id = auth.parameter('name')" },
      ["auth.parameter('name') is NULL, which equals nothing"],
    ],
    [
      'a list in the token',
      { query: "SELECT * FROM boats WHERE id IN auth.parameter('boats')", claims: { boats: ['b7'] } },
      [`id is 'b1', and auth.parameter('boats') is '["b7"]'`],
    ],
    [
      'an empty one',
      { query: "SELECT * FROM boats WHERE id IN auth.parameter('boats')" },
      ["auth.parameter('boats') has no elements: it is NULL"],
    ],
    [
      'a table that has nothing of the user',
      { query: JOINED, others: [crew(['b1', 'bob', 1n], ['b1', 'alice', 0n])] },
      ["crew has no row where sailor_id = 'alice' AND active = 1 with a value in boat_id"],
    ],
    [
      'a table that has others of the user',
      { query: JOINED, others: [crew(['b2', 'alice', 1n], ['b3', 'alice', 1n])] },
      [`crew has no row where sailor_id = 'alice' AND boat_id = 'b1' AND active = 1; there alice has ["b2"], ["b3"]`],
    ],
  ])('%s', async (_name, asked, expected) => {
    expect(await why(asked)).toEqual(expected);
  });

  test('through two tables: the one that does not lead on', async () => {
    const query =
      'SELECT * FROM boats WHERE id IN (SELECT boat_id FROM berths WHERE dock_id IN (SELECT dock_id FROM keys WHERE holder = auth.user_id()))';
    const keys: FixtureTable = {
      ...table('keys', ['dock_id', 'holder']),
      rows: [
        ['d1', 'alice'],
        ['d2', 'alice'],
      ],
    };
    const berths: FixtureTable = {
      ...table('berths', ['boat_id', 'dock_id']),
      rows: [
        ['b9', 'd1'],
        ['b1', 'd3'],
      ],
    };
    expect(await why({ query, others: [keys, berths] })).toEqual([
      `berths has no row where dock_id IN ('d1', 'd2') AND boat_id = 'b1'; there alice has ["b9"]`,
    ]);
    expect(await why({ query, others: [berths] })).toEqual([
      "keys has no row where holder = 'alice' with a value in dock_id",
    ]);
  });

  test('the table that the row is reached through, and another one that takes it away again', async () => {
    const query =
      'SELECT * FROM boats WHERE id IN (SELECT boat_id FROM crew WHERE boat_id IN (SELECT id FROM hired WHERE active = 1))';
    const hired: FixtureTable = {
      ...table('hired', ['id', 'active']),
      rows: [
        ['b1', 0n],
        ['b2', 1n],
      ],
    };
    const others = [crew(['b1', 'anna', 1n], ['b2', 'ben', 1n]), hired];
    expect(await why({ query, others })).toEqual(["hired has no row where id = 'b1' AND active = 1"]);
  });

  test.each<[string, string, Record<string, unknown>, string[]]>([
    [
      'an element of the list that a condition takes away',
      "SELECT boats.* FROM boats, json_each(auth.parameter('boats')) AS mine WHERE boats.id = mine.value AND (mine.value = 'b2' OR mine.value = 'b3')",
      { boats: ['b1', 'b2'] },
      [
        `auth.parameter('boats') has no element with (json_each(auth.parameter('boats')).value = 'b2' OR json_each(auth.parameter('boats')).value = 'b3') AND json_each(auth.parameter('boats')).value = 'b1': it is '["b1","b2"]'`,
      ],
    ],
    [
      'two lists of the session that have nothing in common',
      "SELECT boats.* FROM boats, json_each(auth.parameter('a')) AS a, json_each(auth.parameter('b')) AS b WHERE a.value = b.value",
      { a: ['b1'], b: ['b2', 'b3'] },
      [`auth.parameter('b') has no element with json_each(auth.parameter('b')).value = 'b1': it is '["b2","b3"]'`],
    ],
    [
      'the row is in the one list, and not in the other',
      "SELECT boats.* FROM boats, json_each(auth.parameter('a')) AS a, json_each(auth.parameter('b')) AS b WHERE boats.id = a.value AND a.value = b.value",
      { a: ['b1', 'b2'], b: ['b2', 'b3'] },
      [`auth.parameter('b') has no element with json_each(auth.parameter('b')).value = 'b1': it is '["b2","b3"]'`],
    ],
    [
      'elements that are null',
      "SELECT boats.* FROM boats, json_each(auth.parameter('a')) AS a WHERE boats.id = a.value",
      { a: [null] },
      [`auth.parameter('a') has no element with json_each(auth.parameter('a')).value IS NOT NULL: it is '[null]'`],
    ],
  ])('%s', async (_name, query, claims, expected) => {
    expect(await why({ query, claims })).toEqual(expected);
  });

  test('far beyond the limits of a session: still told, up to a bound (S-384)', async () => {
    const many = (count: number, from: number): FixtureTable => ({
      ...crew(),
      rows: Array.from({ length: count }, (_, at): Row => [`b${from + at}`, 'alice', 1n]),
    });
    expect(await why({ query: JOINED, others: [many(5_000, 1)] })).toEqual([]);
    const [reason] = await why({ query: JOINED, others: [many(5_000, 2)] });
    expect(reason).toMatch(/^crew has no row where .* AND boat_id = 'b1' .* and 4997 more$/);
    const { streams } = await explained({ query: JOINED, others: [many(200_001, 1)] });
    const [definition] = streams[0]?.definitions ?? [];
    expect(definition?.shared).toBeNull();
    expect(definition?.access[0]?.because).toEqual([{ kind: 'too-much', rows: 200_000 }]);
  });

  test('what is told is bounded, whatever a row holds', async () => {
    const long = JSON.stringify(Array.from({ length: 20_000 }, (_, at) => `sailor ${at}`));
    const query =
      "SELECT boats.* FROM boats, json_each(boats.crew) AS c WHERE c.value = auth.user_id() AND c.value > 'sailor 2'";
    const all = await explained({ query, row: ['b1', 'x'.repeat(100_000), 0n, long], user: 'nobody' });
    expect(JSON.stringify({ ...all, elsewhere: [] }).length).toBeLessThan(10_000);
    expect(all.elsewhere.length).toBeLessThanOrEqual(100);
    expect(all.streams[0]?.definitions[0]?.rules[0]?.keyCount).toBeGreaterThan(5_000);
  });

  test('lists are cut', () => {
    expect(listed(['a'])).toBe('a');
    expect(listed(['a', 'b', 'c', 'd', 'e'])).toBe('a, b, c and 2 more');
    expect(listed(['a'], 7)).toBe('a and 6 more');
  });
});
