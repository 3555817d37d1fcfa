import { describe, expect, test } from 'vitest';
import { createDiagnostics } from '../compile/diagnostics.ts';
import { codesOf, compile, planOf, table } from '../testing/support.ts';
import { readConfig } from './read-config.ts';

const QUERY = 'SELECT * FROM t WHERE a = auth.user_id()';
const optionsOf = (config: string) => {
  const { valueOptions, fixedJsonExtract, versionedBucketIds } = planOf(
    `config: { ${config} }\nstreams: { s: { query: ${QUERY} } }`,
  );
  return { ...valueOptions, fixedJsonExtract, versionedBucketIds };
};
const ON = {
  timestampsIso8601: true,
  timestampMaxPrecision: null,
  customPostgresTypes: true,
  fixedJsonExtract: true,
  versionedBucketIds: true,
};
const OFF = {
  timestampsIso8601: false,
  timestampMaxPrecision: null,
  customPostgresTypes: false,
  fixedJsonExtract: false,
  versionedBucketIds: false,
};

describe('editions and options (S-36…S-50)', () => {
  test.each([
    ['edition: 1', OFF],
    ['', OFF],
    ['edition: 2', ON],
    ['edition: 3', ON],
    ['timestamps_iso8601: true', { ...OFF, timestampsIso8601: true }],
    ['edition: 3, fixed_json_extract: false', { ...ON, fixedJsonExtract: false }],
    ['fixed_json_extract: true, edition: 1', { ...OFF, fixedJsonExtract: true }],
    [
      'edition: 2, versioned_bucket_ids: false, custom_postgres_types: false',
      { ...ON, versionedBucketIds: false, customPostgresTypes: false },
    ],
    ['edition: 3, timestamp_max_precision: milliseconds', { ...ON, timestampMaxPrecision: 'milliseconds' }],
    [
      'timestamps_iso8601: true, timestamp_max_precision: seconds',
      { ...OFF, timestampsIso8601: true, timestampMaxPrecision: 'seconds' },
    ],
    // without effect, with a warning
    ['timestamp_max_precision: seconds', OFF],
    ['edition: 3, storage_version: 2, unstable_sqlite_expression_engine: false', ON],
  ])('%s', (config, options) => {
    expect(optionsOf(config)).toEqual(options);
  });

  test('bucket definitions alone need no edition and give no warning', () => {
    expect(codesOf('bucket_definitions: { b: { data: [SELECT * FROM t] } }')).toEqual([]);
    expect(planOf('bucket_definitions: { b: { data: [SELECT * FROM t] } }').fixedJsonExtract).toBe(false);
  });

  test('streams of edition 2 compile like those of edition 3 (S-40)', () => {
    const of = (edition: number) =>
      planOf(`config: { edition: ${edition} }\nstreams: { s: { query: ${QUERY} AND b BETWEEN 1 AND 2 } }`);
    expect(of(2)).toEqual(of(3));
  });
});

describe('streams and definitions', () => {
  test('defaults and order of options (S-53…S-59)', () => {
    const of = (stream: string) => planOf(`config: { edition: 3 }\nstreams: { s: ${stream} }`).streams[0];
    expect(of(`{ query: ${QUERY} }`)).toMatchObject({ name: 's', autoSubscribe: false, priority: 3, legacy: false });
    const keys = ['priority: 1', 'auto_subscribe: true', `queries: [${QUERY}]`];
    expect(of(`{ ${keys.join(', ')} }`)).toMatchObject({ autoSubscribe: true, priority: 1 });
    expect(of(`{ ${keys.toReversed().join(', ')} }`)).toEqual(of(`{ ${keys.join(', ')} }`));
    expect(of(`{ queries: [${QUERY}] }`)).toEqual(of(`{ query: ${QUERY} }`));
  });

  test('one string or a list of them (S-31)', () => {
    const of = (parameters: string, data: string) =>
      planOf(`bucket_definitions: { b: { parameters: ${parameters}, data: ${data} } }`);
    const [parameter, data] = ['SELECT request.user_id() AS u', 'SELECT * FROM t WHERE a = bucket.u'];
    expect(of(parameter, data)).toEqual(of(`[${parameter}]`, `[${data}]`));
    expect(of('', 'SELECT * FROM t')).toEqual(of('[]', '[SELECT * FROM t]'));
  });

  test('definitions are streams for everybody, also beside streams (S-217, S-218)', () => {
    const { streams } = planOf(
      `config: { edition: 3 }\nstreams: { s: { query: ${QUERY} } }\nbucket_definitions: { b: { priority: 0, data: [SELECT * FROM t] } }`,
    );
    expect(streams).toMatchObject([
      { name: 's' },
      { name: 'b', legacy: true, autoSubscribe: true, priority: 0, queriers: [{ key: [], gates: [], components: [] }] },
    ]);
  });

  test('names are free, and never more than names', () => {
    for (const name of ['__proto__', 'constructor', 'select', '5', '"a b|[1]"', 'é😀']) {
      const { plan } = compile(`config: { edition: 3 }\nstreams: { ${name}: { query: ${QUERY} } }`);
      expect(plan?.streams.map((stream) => stream.name)).toEqual([name.replaceAll('"', '')]);
    }
  });

  test('no two definitions share a name, which is part of bucket ids (S-374, S-377)', () => {
    const { buckets } = planOf(
      `config: { edition: 3 }\nstreams: { s: { query: ${QUERY} } }\nbucket_definitions: { 's|0': { data: [SELECT * FROM t] } }`,
    );
    expect(buckets.map(({ name }) => name)).toEqual(['s|0', 's|0|']);
  });

  test('names of subscription parameters, for generated code (S-213)', () => {
    const { streams } = planOf(
      "config: { edition: 3 }\nwith: { c: SELECT a FROM u WHERE b = subscription.parameter('inCte') }\nstreams: { s: { queries: [\"SELECT * FROM t WHERE a IN c AND x = subscription.parameter('b') AND y IN subscription.parameter('a') AND connection.parameter('no') = auth.parameter('no')\", \"SELECT t.* FROM t, json_each(subscription.parameter('c')) e WHERE e.value = t.a\"] } }",
    );
    expect(streams[0]?.subscriptionParameters).toEqual(['a', 'b', 'c', 'inCte']);
  });
});

describe('CTEs (S-55, S-111…S-118, S-686)', () => {
  const withGlobal = (top: string, own: string, query: string): string =>
    `config: { edition: 3 }\nwith: { ${top} }\nstreams:\n  s:\n    with: { ${own} }\n    query: ${query}\n`;

  test("a stream's own CTE wins over one for all streams, and a CTE over a table", () => {
    const own = planOf(withGlobal('c: SELECT a FROM top', 'c: SELECT a FROM own', 'SELECT * FROM t WHERE a IN c'));
    expect(own.lookups.map(({ name }) => name)).toEqual(['own()->(a)']);
    const top = planOf(withGlobal('c: SELECT a FROM top', '', 'SELECT * FROM t WHERE a IN (SELECT a FROM c)'));
    expect(top.lookups.map(({ name }) => name)).toEqual(['top()->(a)']);
    const qualified = planOf(
      withGlobal('', 'c: SELECT a FROM own', 'SELECT * FROM t WHERE a IN (SELECT a FROM public.c)'),
    );
    expect(qualified.lookups.map(({ name }) => name)).toEqual(['c()->(a)']);
  });

  test("another stream's CTE is out of reach", () => {
    const text = `config: { edition: 3 }\nstreams:\n  a: { with: { c: SELECT a FROM own }, query: SELECT * FROM t WHERE a IN c }\n  b: { query: SELECT * FROM t WHERE a IN (SELECT a FROM c) }\n`;
    expect(planOf(text).lookups.map(({ name }) => name)).toEqual(['own()->(a)', 'c()->(a)']);
  });

  test('a global CTE must not be called like a known table; one of a stream may (S-686, S-116)', () => {
    const schema = [table('own', ['id', 'a']), table('t', ['id', 'a'])];
    const query = 'SELECT * FROM t WHERE a IN (SELECT a FROM own)';
    expect(codesOf(withGlobal('Own: SELECT a FROM t', '', query), { schema })).toEqual(['R1211']);
    expect(codesOf(withGlobal('Own: SELECT a FROM t', '', query))).toEqual([]);
    expect(codesOf(withGlobal('', 'own: SELECT a FROM t', query), { schema })).toEqual([]);
  });

  test('a CTE that nothing reads is checked too', () => {
    expect(codesOf(withGlobal('c: SELECT nope() AS a FROM u', '', 'SELECT * FROM t'))).toEqual(['R2203']);
  });
});

test('thousands of aliases are read in one walk', () => {
  const lines = Array.from({ length: 5000 }, (_, at) => `  s${at}: *a\n`);
  const text = `config: { edition: 3 }\nstreams:\n  first: &a { query: SELECT * FROM t }\n${lines.join('')}`;
  const diagnostics = createDiagnostics(text);
  const started = performance.now();
  expect(readConfig(text, diagnostics)?.streams).toHaveLength(5001);
  expect(diagnostics.all()).toEqual([]);
  // one walk each took minutes
  expect(performance.now() - started).toBeLessThan(10_000);
});
