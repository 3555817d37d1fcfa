import { describe, expect, test } from 'vitest';
import type { ReadLookups, SessionRequest } from '../contract.ts';
import type { SyncPlan } from '../plan.ts';
import { planOf, streamOf } from '../testing/support.ts';
import { createSessionResolver } from './session-resolver.ts';

const REQUEST: SessionRequest = {
  userId: 'me',
  claims: { sub: 'me', orgs: ['a', 'b'], role: 'admin', 'a.b': 1 },
  connectionParameters: { v: '2' },
  includeDefaults: true,
  subscriptions: [],
};
const LIMITS = { maxBuckets: 1000, maxParameterResults: 1000 };

const subscribe = (stream: string, parameters: unknown = null, overridePriority: number | null = null) => ({
  stream,
  parameters,
  overridePriority,
});

/** Resolves with lookups that answer by their name and key; counts the calls. */
async function resolve(
  plan: SyncPlan,
  request: Partial<SessionRequest> = {},
  answers: Readonly<Record<string, string>> = {},
  limits = LIMITS,
) {
  const names = new Map(plan.lookups.map(({ identity, name }) => [identity, name]));
  const calls: string[][] = [];
  const read: ReadLookups = async (keys) => {
    const asked = keys.map(({ identity, key }) => `${names.get(identity)}${key}`);
    calls.push(asked);
    return asked.map((name) => (answers[name] === undefined ? [] : [answers[name]]));
  };
  const session = await createSessionResolver(plan).resolve({ ...REQUEST, ...request }, read, limits);
  const buckets = session.buckets.map(
    ({ identity, key }) => `${plan.buckets.find((bucket) => bucket.identity === identity)?.name}${key}`,
  );
  return { ...session, names: buckets.toSorted(), calls };
}

const config = (...streams: string[]): SyncPlan =>
  planOf(`config: { edition: 3 }\nstreams:\n${streams.map((stream) => `  ${stream}\n`).join('')}`);
const AUTO = 'auto: { auto_subscribe: true, query: SELECT * FROM t }';
const DEMAND = "demand: { query: SELECT * FROM t WHERE a = subscription.parameter('x') AND b = auth.user_id() }";

describe('streams and subscriptions', () => {
  test('auto_subscribe streams come by default, others on demand (S-56, S-62, S-67, S-70)', async () => {
    const plan = config(AUTO, DEMAND);
    const subscriptions = [subscribe('demand', { x: 1 })];
    expect((await resolve(plan)).names).toEqual(['auto|0[]']);
    expect((await resolve(plan, { subscriptions })).names).toEqual(['auto|0[]', 'demand|0["me",1]']);
    expect((await resolve(plan, { subscriptions, includeDefaults: false })).names).toEqual(['demand|0["me",1]']);
    const explicit = await resolve(plan, { subscriptions: [subscribe('auto')], includeDefaults: false });
    expect([explicit.names, explicit.streams]).toEqual([['auto|0[]'], [{ name: 'auto', isDefault: true, errors: [] }]]);
  });

  test('an unknown stream is no error and no stream (S-65)', async () => {
    const { names, streams } = await resolve(config(DEMAND), { subscriptions: [subscribe('nope', { x: 1 })] });
    expect([names, streams]).toEqual([[], []]);
  });

  test('subscriptions with different parameters are independent; the same bucket has every reason (S-63, S-560)', async () => {
    const subscriptions = [
      subscribe('demand', { x: 1 }),
      subscribe('demand', { x: '1' }),
      subscribe('demand', { x: 1, y: 2 }),
    ];
    const { buckets, streams } = await resolve(config(AUTO, DEMAND), { subscriptions });
    expect(buckets.map(({ key, reasons }) => [key, reasons])).toEqual([
      ['[]', [{ default: 0 }]],
      ['["me",1]', [{ sub: 0 }, { sub: 2 }]],
      ['["me","1"]', [{ sub: 1 }]],
    ]);
    expect(streams.map(({ name }) => name)).toEqual(['auto', 'demand']);
  });

  test('absent, null and misspelt parameters match nothing (S-66, S-82)', async () => {
    const subscriptions = [undefined, null, {}, { X: 1 }, { x: null }].map((parameters) =>
      subscribe('demand', parameters),
    );
    const { names, streams } = await resolve(config(DEMAND), { subscriptions });
    expect(names).toEqual([]);
    expect(streams).toEqual([{ name: 'demand', isDefault: false, errors: [] }]);
  });

  test('parameters that are no object are an error of the subscription only (S-535)', async () => {
    const subscriptions = [[1], 'x', 7, true].map((parameters) => subscribe('demand', parameters));
    const { names, streams } = await resolve(config(DEMAND), {
      subscriptions: [...subscriptions, subscribe('demand', { x: 1 })],
    });
    expect(names).toEqual(['demand|0["me",1]']);
    expect(streams[0]?.errors.map(({ subscription }) => subscription)).toEqual([0, 1, 2, 3]);
  });

  test('names of members of Object are no parameters', async () => {
    const query =
      "s: { query: SELECT * FROM t WHERE a = subscription.parameter('constructor') OR a = auth.parameter('__proto__') }";
    expect((await resolve(config(query), { subscriptions: [subscribe('s', {})] })).names).toEqual([]);
  });
});

describe('priorities (S-57, S-69, S-492…S-495)', () => {
  const plan = config(
    "s: { priority: 2, query: SELECT * FROM t WHERE a IN subscription.parameter('x') OR a = auth.user_id() }",
    AUTO,
  );
  const priorities = async (...overrides: (number | null)[]) => {
    const subscriptions = overrides.map((override, at) => subscribe('s', { x: ['both', `only ${at}`] }, override));
    const { buckets, streams } = await resolve(plan, { subscriptions });
    return {
      of: Object.fromEntries(buckets.map(({ key, priority }) => [key, priority])),
      errors: streams[0]?.errors.length,
    };
  };

  test('that of the stream, 3 by default, or of the subscription; the highest of several', async () => {
    expect((await priorities(null)).of).toEqual({ '["both"]': 2, '["only 0"]': 2, '["me"]': 2, '[]': 3 });
    expect((await priorities(null, 1, 3)).of).toEqual({
      '["both"]': 1,
      '["only 0"]': 2,
      '["only 1"]': 1,
      '["only 2"]': 3,
      '["me"]': 1,
      '[]': 3,
    });
    expect((await priorities(0)).of).toMatchObject({ '["both"]': 0 });
  });

  test('an impossible override is reported and ignored', async () => {
    expect(await priorities(4)).toMatchObject({ of: { '["both"]': 2 }, errors: 1 });
    expect(await priorities(-1, 1.5)).toMatchObject({ of: { '["both"]': 2 }, errors: 2 });
  });

  test('_priority of a parameter query wins over that of the definition (S-237)', async () => {
    const legacy = planOf(
      `bucket_definitions:\n  b:\n    priority: 2\n    parameters: ["SELECT request.user_id() AS x", "SELECT 1 AS _priority, request.jwt() ->> 'role' AS x"]\n    data: SELECT * FROM t WHERE a = bucket.x\n`,
    );
    const { buckets } = await resolve(legacy);
    expect(buckets.map(({ key, priority }) => [key, priority])).toEqual([
      ['["me"]', 2],
      ['["admin"]', 1],
    ]);
  });
});

describe('how many buckets (S-380, S-381)', () => {
  const LOOKUPS = {
    'm(u)->(l)["me"]': '[["l1"],["l2"],["l1"]]',
    'm(u)->(l)["a"]': '[["l3"]]',
    'm(u)->(l)["b"]': '[["l1"]]',
    'm(l,u)->()["l2","me"]': '[[]]',
    'n(x)->(y)["l1"]': '[["r1"],["r2"]]',
    'n(x)->(y)["l2"]': '[["r2"]]',
  };
  test.each([
    ['no parameters', 'SELECT * FROM t', 1],
    ['equality with the user', 'SELECT * FROM t WHERE a = auth.user_id()', 1],
    ['an array of the token', "SELECT * FROM t WHERE a IN auth.parameter('orgs')", 2],
    ['json_each of it', "SELECT t.* FROM t JOIN json_each(auth.parameter('orgs')) o ON t.a = o.value", 2],
    ['a subquery of it', "SELECT * FROM t WHERE a IN (SELECT value FROM json_each(auth.parameter('orgs')))", 2],
    ['a subquery', 'SELECT * FROM t WHERE a IN (SELECT l FROM m WHERE u = auth.user_id())', 2],
    ['a join', 'SELECT t.* FROM t JOIN m ON t.a = m.l WHERE m.u = auth.user_id()', 2],
    [
      'the product with another parameter',
      "SELECT * FROM t WHERE b IN auth.parameter('orgs') AND a IN (SELECT l FROM m WHERE u = auth.user_id())",
      4,
    ],
    [
      'an authorisation beside an equality',
      "SELECT * FROM t WHERE a = subscription.parameter('l') AND a IN (SELECT l FROM m WHERE u = auth.user_id())",
      1,
    ],
    ['many to many', 'SELECT t.* FROM t JOIN n ON t.a = n.y JOIN m ON n.x = m.l WHERE m.u = auth.user_id()', 2],
    ['a subquery over an array', "SELECT * FROM t WHERE a IN (SELECT l FROM m WHERE u IN auth.parameter('orgs'))", 2],
    ['a gate that is open', "SELECT * FROM t WHERE auth.parameter('role') = 'admin'", 1],
    ['a gate that is closed', "SELECT * FROM t WHERE auth.parameter('role') = 'guest'", 0],
    ['branches', "SELECT * FROM t WHERE a = auth.user_id() OR status = 'open' OR auth.parameter('role') = 'guest'", 2],
    ['an empty subquery', "SELECT * FROM t WHERE a IN (SELECT l FROM m WHERE u = auth.parameter('nobody'))", 0],
  ])('%s', async (_what, query, count) => {
    const { names } = await resolve(
      planOf(streamOf(query)),
      { subscriptions: [subscribe('s', { l: 'l2' })], includeDefaults: false },
      LOOKUPS,
    );
    expect(new Set(names).size).toBe(names.length);
    expect(names).toHaveLength(count);
  });

  test('queries that are filtered in the same way share buckets, others have their own (S-94, S-95)', async () => {
    const plan = planOf(
      streamOf(
        'SELECT * FROM t WHERE a = auth.user_id() AND b',
        'SELECT * FROM u WHERE auth.user_id() = c',
        'SELECT * FROM v WHERE d IN (SELECT l FROM m WHERE u = auth.user_id())',
        'SELECT * FROM w WHERE e IN (SELECT l FROM m WHERE u = auth.user_id())',
      ),
    );
    const { names } = await resolve(plan, {}, LOOKUPS);
    expect(names).toEqual(['s|0["me"]', 's|1["l1"]', 's|1["l2"]']);
  });
});

describe('lookups', () => {
  test('one call per nesting level for all streams; keys without result are reported too', async () => {
    const plan = config(
      'a: { auto_subscribe: true, query: SELECT * FROM t WHERE a IN (SELECT x FROM m WHERE y IN (SELECT z FROM n WHERE w = auth.user_id())) }',
      "b: { auto_subscribe: true, query: SELECT * FROM u WHERE a IN (SELECT x FROM m WHERE y IN auth.parameter('orgs')) }",
    );
    const { calls, lookups, names } = await resolve(
      plan,
      {},
      { 'n(w)->(z)["me"]': '[["a"],["c"]]', 'm(y)->(x)["a"]': '[[1]]' },
    );
    expect(calls).toEqual([['n(w)->(z)["me"]', 'm(y)->(x)["a"]', 'm(y)->(x)["b"]'], ['m(y)->(x)["c"]']]);
    expect(lookups.map(({ key }) => key)).toEqual(['["me"]', '["a"]', '["b"]', '["c"]']);
    expect(names).toEqual(['a|0[1]', 'b|0[1]']);
  });

  test('a failed read fails the session', async () => {
    const plan = planOf(streamOf('SELECT * FROM t WHERE a IN (SELECT l FROM m WHERE u = auth.user_id())'));
    const failing: ReadLookups = () => Promise.reject(new Error('storage is away'));
    await expect(createSessionResolver(plan).resolve(REQUEST, failing, LIMITS)).rejects.toThrow('storage is away');
  });
});

describe('limits (S-383…S-386)', () => {
  const many = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`);
  const plan = config(
    "a: { query: SELECT * FROM t WHERE a IN subscription.parameter('x') }",
    "b: { query: SELECT * FROM t WHERE a IN subscription.parameter('x') AND b IN subscription.parameter('y') }",
  );

  test('exactly the limit is fine, one more is not; the log names who contributes most', async () => {
    const of = (a: number, b: number) =>
      resolve(plan, {
        subscriptions: [subscribe('a', { x: many('p', a) }), subscribe('b', { x: many('q', b), y: [1] })],
      });
    expect((await of(600, 400)).names).toHaveLength(1000);
    await expect(of(400, 601)).rejects.toMatchObject({ code: 'PSYNC_S2305', details: ['b: 601', 'a: 400'] });
  });

  test('a product is refused before it is built', async () => {
    const subscriptions = [subscribe('b', { x: many('p', 900), y: many('q', 900) })];
    await expect(resolve(plan, { subscriptions })).rejects.toMatchObject({
      code: 'PSYNC_S2305',
      details: ['b: 810000'],
    });
  });

  const tuples = (prefix: string, count: number): string =>
    `[${many(prefix, count)
      .map((item) => `["${item}"]`)
      .join(',')}]`;

  test('several streams beyond the limit are all named', async () => {
    const subscriptions = [
      subscribe('a', { x: many('p', 1001) }),
      subscribe('b', { x: many('q', 900), y: many('q', 900) }),
    ];
    await expect(resolve(plan, { subscriptions })).rejects.toMatchObject({
      message: '[PSYNC_S2305] Too many buckets: 811001 (limit of 1000)',
      details: ['b: 810000', 'a: 1001'],
    });
  });

  test('what lookups give counts as far as the session gets it: the limit tells nothing of rows it may not see', async () => {
    const narrow = planOf(
      streamOf(
        "SELECT * FROM t WHERE a IN (SELECT l FROM m WHERE u = auth.user_id()) AND a IN subscription.parameter('some')",
      ),
    );
    const of = (count: number, some: unknown[]) =>
      resolve(narrow, { subscriptions: [subscribe('s', { some })] }, { 'm(u)->(l)["me"]': tuples('l', count) });
    expect((await of(30_000, ['l1', 'x'])).names).toEqual(['s|0["l1"]']);
    expect((await of(1000, many('l', 2000))).names).toHaveLength(1000);
    await expect(of(1001, many('l', 2000))).rejects.toMatchObject({ code: 'PSYNC_S2305', details: ['s: 1001'] });
    // the bound on what is read and held
    await expect(of(50_001, [])).rejects.toMatchObject({ code: 'PSYNC_S2305' });
  });

  test('results count before they are made distinct (O-60)', async () => {
    const twice = planOf(
      streamOf(
        'SELECT * FROM t WHERE a IN (SELECT l FROM m WHERE u = auth.user_id())',
        'SELECT * FROM t WHERE a IN (SELECT l FROM n WHERE u = auth.user_id())',
      ),
    );
    const of = (count: number) =>
      resolve(twice, {}, { 'm(u)->(l)["me"]': tuples('l', count), 'n(u)->(l)["me"]': tuples('l', count) });
    expect((await of(500)).names).toHaveLength(500);
    await expect(of(501)).rejects.toMatchObject({
      message: '[PSYNC_S2305] Too many parameter query results (limit of 1000)',
      details: ['s: 1002'],
    });
  });

  test('ten thousand subscriptions that give the same bucket', async () => {
    const subscriptions = Array.from({ length: 10_000 }, () => subscribe('a', { x: ['p'] }));
    const { buckets } = await createSessionResolver(plan).resolve(
      { ...REQUEST, subscriptions },
      () => Promise.resolve([]),
      LIMITS,
    );
    expect(buckets.map(({ reasons }) => reasons.length)).toEqual([10_000]);
  });
});

describe('values of the session (S-72…S-92, S-223…S-229)', () => {
  const keyOf = async (expression: string, request: Partial<SessionRequest> = {}) => {
    const { names } = await resolve(planOf(streamOf(`SELECT * FROM t WHERE a = ${expression}`)), {
      subscriptions: [
        subscribe('s', { t: true, f: 1.5, i: 2, s: 'x', o: { a: [1] }, l: [1, 'b'], n: null, big: 2 ** 60 }),
      ],
      includeDefaults: false,
      ...request,
    });
    return names.map((name) => name.slice(3));
  };

  test.each([
    ['auth.user_id()', '["me"]'],
    ["auth.parameter('sub')", '["me"]'],
    ["auth.parameters() ->> 'role'", '["admin"]'],
    ["auth.parameter('a.b')", '[1]'],
    ["connection.parameter('v')", '["2"]'],
    ['connection.parameters()', '["{\\"v\\":\\"2\\"}"]'],
    ["subscription.parameter('t')", '[1]'],
    ["subscription.parameter('f')", '[1.5]'],
    ["subscription.parameter('i')", '[2]'],
    ["subscription.parameter('s')", '["x"]'],
    ["subscription.parameter('o')", '["{\\"a\\":[1]}"]'],
    ["subscription.parameters() ->> '$.l[1]'", '["b"]'],
    ["subscription.parameter('big')", '[1152921504606846976]'],
    ["substring(auth.user_id(), 1, 1) || '-' || connection.parameter('v')", '["m-2"]'],
    ["subscription.parameter('i') + 0.0", '[2]'],
  ])('%s is %s', async (expression, key) => {
    expect(await keyOf(expression)).toEqual([key]);
  });

  test('null and blobs match nothing (S-82, S-92)', async () => {
    expect(await keyOf("subscription.parameter('n')")).toEqual([]);
    expect(await keyOf("CAST(subscription.parameter('s') AS BLOB)")).toEqual([]);
    expect(await keyOf("connection.parameter('v')", { connectionParameters: null })).toEqual([]);
    expect(await keyOf('subscription.parameters()', { subscriptions: [subscribe('s')] })).toEqual([]);
  });

  test('the user is the subject of the token, whatever its payload says', async () => {
    expect(await keyOf("auth.parameter('sub')", { claims: { sub: 'somebody else' } })).toEqual(['["me"]']);
  });

  test('legacy names', async () => {
    const of = async (expression: string) => {
      const text = `bucket_definitions:\n  b:\n    parameters: ${JSON.stringify(`SELECT ${expression} AS x`)}\n    data: SELECT * FROM t WHERE a = bucket.x\n`;
      const claims = { ...REQUEST.claims, parameters: { org: 7, 'a.b': 8 }, app: { org: 'o' } };
      return (await resolve(planOf(text), { claims, connectionParameters: { v: '2', 'a.b': 9 } })).names;
    };
    expect(await of('request.user_id()')).toEqual(['b["me"]']);
    expect(await of("request.jwt() ->> 'sub'")).toEqual(['b["me"]']);
    expect(await of("request.jwt() ->> 'app.org'")).toEqual(['b["o"]']);
    expect(await of("request.parameters() ->> 'v'")).toEqual(['b["2"]']);
    expect(await of('token_parameters.user_id')).toEqual(['b["me"]']);
    expect(await of('token_parameters.org')).toEqual(['b[7]']);
    expect(await of('token_parameters."a.b"')).toEqual(['b[8]']);
    expect(await of('user_parameters."a.b"')).toEqual(['b[9]']);
  });
});
