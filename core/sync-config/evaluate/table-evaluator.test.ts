import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codesOf, contributionOf, planOf, streamOf, table, type Contribution } from '../testing/support.ts';
import type { SqliteValue } from '../values.ts';
import { createTableEvaluator } from './table-evaluator.ts';

const COLUMNS = ['id', 'list_id', 'Owner', 'n', 'tags', 'data'];
const T = table('t', COLUMNS);

/** Where a row of t goes, under the one query. */
const of = (query: string, row: readonly SqliteValue[], columns: readonly string[] = COLUMNS): Contribution =>
  contributionOf(planOf(streamOf(query)), table('t', columns), row);
const dataOf = (query: string, row: readonly SqliteValue[], columns?: readonly string[]): (string | null)[] =>
  of(query, row, columns).buckets.map(({ data }) => data);

describe('the synced row', () => {
  test('* keeps the case of the source, column lists and aliases that of the query (S-206…S-210, S-245, S-246)', () => {
    const row = ['a', 'l', 'o', 1n, null, 'x'];
    expect(dataOf('SELECT * FROM t', row)).toEqual([
      '{"id":"a","list_id":"l","Owner":"o","n":1,"tags":null,"data":"x"}',
    ]);
    expect(dataOf('SELECT ID, "Owner", n + 1 AS "N+1", LIST_ID AS List FROM T', row)).toEqual([
      '{"id":"a","Owner":"o","N+1":2,"list":"l"}',
    ]);
    // unquoted is lower case: another column, which does not exist (S-244, S-34)
    expect(dataOf('SELECT id, Owner FROM t', row)).toEqual(['{"id":"a","owner":null}']);
  });

  test('of equal names the last one counts (S-211)', () => {
    const columns = ['id', 'code'];
    expect(dataOf('SELECT *, code AS id FROM t', ['a', 'c'], columns)).toEqual(['{"id":"c","code":"c"}']);
    expect(dataOf('SELECT code AS id, * FROM t', ['a', 'c'], columns)).toEqual(['{"id":"a","code":"c"}']);
    expect(dataOf('SELECT code AS id, * FROM t', ['c'], ['code'])).toEqual(['{"id":"c","code":"c"}']);
  });

  test('the id becomes text outside, and stays what it is inside (S-263, S-264)', () => {
    const ids = [7n, 1.5, 9007199254740993n].map((id) => of('SELECT * FROM t', [id], ['id']).buckets[0]);
    expect(ids.map((bucket) => [bucket?.id, bucket?.data])).toEqual([
      ['7', '{"id":7}'],
      ['1.5', '{"id":1.5}'],
      ['9007199254740993', '{"id":9007199254740993}'],
    ]);
  });

  test('a row without id is rejected, not synced (S-265)', () => {
    expect(of('SELECT * FROM t', [null], ['id'])).toMatchObject({ buckets: [], rejected: [{ code: 'PSYNC_S1010' }] });
    expect(of('SELECT a AS b FROM t', ['x'], ['a'])).toMatchObject({
      buckets: [],
      rejected: [{ code: 'PSYNC_S1010' }],
    });
    // a row that the filter leaves out anyway is no reason to log
    expect(of('SELECT * FROM t WHERE n = 1', [null, 2n], ['id', 'n']).rejected).toEqual([]);
  });

  test('a row larger than 15 MB is rejected (S-641)', () => {
    const largest = 15_000_000;
    for (const size of [largest, 16 * 1024 * 1024]) {
      const { buckets, rejected } = of('SELECT * FROM t', ['a', 'é'.repeat(size / 2)], ['id', 'x']);
      expect([buckets.length, rejected.map(({ code }) => code)]).toEqual(
        size === largest ? [1, []] : [0, ['PSYNC_S1002']],
      );
    }
  });

  test('data is one JSON object with the values of the row, blobs left out (S-271, S-275, S-276, S-395)', () => {
    const value = fc.oneof(
      fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.string({ unit: 'binary' }),
      fc.constant(null),
      fc.uint8Array({ maxLength: 3 }),
    );
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 3, maxLength: 3 }),
        fc.uniqueArray(fc.string(), { minLength: 3, maxLength: 3 }),
        (values, names) => {
          fc.pre(!names.includes('id') && !names.includes('__proto__'));
          const [text] = dataOf('SELECT * FROM t', ['a', ...values], ['id', ...names]);
          const parsed = JSON.parse(text ?? '', (_key, item: unknown, context?: { source?: string }) =>
            typeof item === 'number' ? context?.source : item,
          ) as Record<string, unknown>;
          const expected = Object.fromEntries(
            names.map((name, at) => [name, values[at]]).filter(([, item]) => !(item instanceof Uint8Array)),
          );
          expect(Object.keys(parsed).toSorted()).toEqual(['id', ...Object.keys(expected)].toSorted());
          for (const [name, item] of Object.entries(expected)) {
            if (typeof item === 'bigint') expect(parsed[name]).toBe(item.toString());
            else if (typeof item === 'number') {
              expect(Number(parsed[name])).toBe(item);
              // an integer and a real stay different
              expect(parsed[name]).toMatch(/[.e]/);
            } else expect(parsed[name]).toBe(item);
          }
        },
      ),
    );
  });

  test('the client table is the alias, or the name of the source table (S-212, S-214, S-255)', () => {
    const types = (query: string, name = 't'): string[] =>
      contributionOf(planOf(streamOf(query)), table(name, ['id', 'a']), ['1', 'x']).buckets.map(({ type }) => type);
    expect(types('SELECT * FROM t')).toEqual(['t']);
    expect(types('SELECT * FROM t AS "Tasks"')).toEqual(['Tasks']);
    expect(types('SELECT x.* FROM t x JOIN u y ON x.a = y.a')).toEqual(['x']);
    expect(types('SELECT * FROM "log%"', 'log_2024')).toEqual(['log_2024']);
    expect(types('SELECT * FROM "log%" AS logs', 'log_2024')).toEqual(['logs']);
  });
});

describe('tables', () => {
  const matches = (query: string, source: ReturnType<typeof table>): boolean =>
    createTableEvaluator(planOf(streamOf(query)), source) !== null;

  test('a name means one table of one schema and connection (S-248, S-252)', () => {
    expect(matches('SELECT * FROM t', T)).toBe(true);
    expect(matches('SELECT * FROM t', table('t2', []))).toBe(false);
    expect(matches('SELECT * FROM t', { ...T, schema: 'other' })).toBe(false);
    expect(matches('SELECT * FROM other.t', { ...T, schema: 'other' })).toBe(true);
    expect(matches('SELECT * FROM t', table('t', [], 'other'))).toBe(false);
    expect(matches('SELECT * FROM "other.public"."t"', table('t', [], 'other'))).toBe(true);
    expect(matches('SELECT * FROM T', table('T', []))).toBe(false);
    expect(matches('SELECT * FROM "T"', table('T', []))).toBe(true);
  });

  test('% at the end means every table with the prefix; the rest is the suffix (S-254…S-257)', () => {
    const query = 'SELECT *, _table_suffix AS s FROM "log_%" AS logs WHERE _table_suffix != \'old\'';
    const plan = planOf(streamOf(query));
    expect(contributionOf(plan, table('log_2024', ['id']), ['1']).buckets).toMatchObject([
      { data: '{"id":"1","s":"2024"}' },
    ]);
    expect(contributionOf(plan, table('log_old', ['id']), ['1']).buckets).toEqual([]);
    expect(createTableEvaluator(plan, table('log', ['id']))).toBeNull();
    expect(dataOf('SELECT * FROM "t%"', ['1'], ['id'])).toEqual(['{"id":"1"}']);
  });

  test('% at the end of a schema means the table in all such schemas, never those of the system (S-689, R-55)', () => {
    const inSchema = (schema: string, name = 'work') => ({ ...table(name, ['id']), schema });
    const plan = planOf(streamOf('SELECT w.* FROM "tenant_%".work w WHERE w.schema() = auth.parameter(\'tenant\')'));
    for (const schema of ['tenant_a', 'tenant_b', 'tenant_']) {
      expect(contributionOf(plan, inSchema(schema), ['1']).buckets).toMatchObject([
        { key: JSON.stringify([schema]), type: 'w', data: '{"id":"1"}' },
      ]);
    }
    for (const other of [inSchema('tenant'), inSchema('public'), inSchema('tenant_a', 'other')]) {
      expect(createTableEvaluator(plan, other)).toBeNull();
    }
    const all = planOf(streamOf('SELECT * FROM "%"."w_%"'));
    expect(contributionOf(all, inSchema('x', 'w_1'), ['1']).buckets).toMatchObject([{ type: 'w_1' }]);
    for (const system of ['pg_catalog', 'pg_toast', 'information_schema']) {
      expect(createTableEvaluator(all, inSchema(system, 'w_1'))).toBeNull();
    }
    const other = 'SELECT * FROM "tenant_%".work';
    expect(codesOf(streamOf(other), { schemaPatterns: [] })).toEqual(['R2215']);
    expect(codesOf(streamOf(other), { schemaPatterns: ['default'] })).toEqual([]);
  });

  test('metadata of the table (S-688)', () => {
    expect(
      dataOf('SELECT id, t.schema() AS a, t.table_name() AS b, t.table_suffix() AS c FROM t', ['1'], ['id']),
    ).toEqual(['{"id":"1","a":"public","b":"t","c":""}']);
    const plan = planOf(streamOf('SELECT id FROM "t_%" x WHERE x.table_suffix() = auth.parameter(\'tenant\')'));
    expect(contributionOf(plan, table('t_b', ['id']), ['1']).buckets).toMatchObject([
      { key: '["b"]', data: '{"id":"1"}' },
    ]);
  });

  test('only the wanted definitions are evaluated', () => {
    const plan = planOf(streamOf('SELECT * FROM t WHERE id IN (SELECT list_id FROM t WHERE n = auth.user_id())'));
    const [lookup] = plan.lookups;
    expect(createTableEvaluator(plan, T, new Set([lookup?.identity ?? '']))?.definitions).toMatchObject([
      { kind: 'lookup' },
    ]);
    expect(createTableEvaluator(plan, T, new Set())).toBeNull();
  });
});

const CONFIGS = [
  streamOf('SELECT * FROM t WHERE list_id = auth.user_id() AND n > 1'),
  streamOf("SELECT id, data FROM t WHERE auth.user_id() IN tags OR n = 1 OR list_id = subscription.parameter('x')"),
  streamOf(
    'SELECT id || \'-\' || n AS id, "Owner" FROM t WHERE tags && (SELECT id FROM t WHERE list_id = auth.user_id())',
  ),
  streamOf(
    'SELECT * FROM t WHERE id IN (SELECT e.value FROM t AS o, json_each(o.tags) AS e WHERE o.list_id = auth.user_id())',
  ),
  streamOf(
    'SELECT id FROM t WHERE list_id = auth.user_id() AND n = list_id',
    'SELECT * FROM t WHERE n = auth.user_id()',
  ),
  "bucket_definitions:\n  b:\n    parameters: SELECT list_id, n FROM t WHERE id = request.user_id()\n    data: ['SELECT * FROM t WHERE list_id = bucket.list_id AND bucket.n IN tags']\n",
].map((text) => planOf(text));
const cell = fc.constantFrom<SqliteValue>('x', 'y', 1n, 2n, 1.5, null, '["x",1]', '["x","x",2]', new Uint8Array([1]));
const row = fc.tuple(cell, cell, cell, cell, cell, cell);

describe('what the replicator may rely on', () => {
  const onPlans = (
    check: (plan: (typeof CONFIGS)[number], before: readonly SqliteValue[], after: readonly SqliteValue[]) => void,
  ): void => fc.assert(fc.property(fc.constantFrom(...CONFIGS), row, row, check), { numRuns: 500 });

  test('members are those of evaluate, without data', () => {
    onPlans((plan, values) => {
      const whole = contributionOf(plan, T, values);
      expect(contributionOf(plan, T, values, 'members')).toEqual({
        ...whole,
        buckets: whole.buckets.map((bucket) => ({ ...bucket, data: null })),
      });
    });
  });

  test('a row is once in a bucket, and has one entry per lookup key', () => {
    onPlans((plan, values) => {
      const { buckets, lookups } = contributionOf(plan, T, values);
      const names = buckets.map(({ definition, key, type, id }) => JSON.stringify([definition, key, type, id]));
      const entries = lookups.map(({ definition, key }) => JSON.stringify([definition, key]));
      expect(new Set(names).size).toBe(names.length);
      expect(new Set(entries).size).toBe(entries.length);
    });
  });

  test('columns that are not read, and for members those without influence on membership, change nothing', () => {
    onPlans((plan, before, after) => {
      const evaluator = createTableEvaluator(plan, T);
      if (evaluator === null) return;
      const membership = new Set(evaluator.definitions.flatMap(({ membershipColumns }) => membershipColumns));
      const mixed = (kept: (at: number) => boolean) =>
        before.map((item, at) => (kept(at) ? item : (after[at] ?? null)));
      const read = mixed((at) => evaluator.columnsRead[at] === true);
      expect(contributionOf(plan, T, read)).toEqual(contributionOf(plan, T, before));
      const members = mixed((at) => membership.has(at));
      expect(contributionOf(plan, T, members, 'members')).toEqual(contributionOf(plan, T, before, 'members'));
      for (const at of membership) expect(evaluator.columnsRead[at]).toBe(true);
    });
  });
});

describe('custom write checkpoints (S-484…S-488)', () => {
  const plan = planOf(
    `${streamOf('SELECT * FROM u')}event_definitions:\n  write_checkpoints:\n    payloads:\n      - SELECT owner AS user_id, device AS client_id, seq AS checkpoint FROM markers WHERE NOT deleted\n`,
  );
  const markers = table('markers', ['owner', 'device', 'seq', 'deleted']);
  const checkpoints = (...values: SqliteValue[]) => contributionOf(plan, markers, [...values, 0n]);

  test('a row tells the number, as integer or text', () => {
    expect(checkpoints('u', 'c', 7n).writeCheckpoints).toEqual([{ userId: 'u', clientId: 'c', checkpoint: 7n }]);
    expect(checkpoints(1n, 'c', '8').writeCheckpoints).toEqual([{ userId: '1', clientId: 'c', checkpoint: 8n }]);
    expect(contributionOf(plan, markers, ['u', 'c', 7n, 1n])).toEqual({
      buckets: [],
      lookups: [],
      writeCheckpoints: [],
      rejected: [],
    });
  });

  test.each([
    [null, 'c', 1n],
    ['u', null, 1n],
    ['u', 'c', null],
    ['u', 'c', 0n],
    ['u', 'c', -1n],
    ['u', 'c', 1.5],
    ['u', 'c', '9223372036854775808'],
  ])('user %s, client %s, checkpoint %s is rejected', (...values) => {
    expect(checkpoints(...values)).toMatchObject({ writeCheckpoints: [], rejected: [{ code: 'PSYNC_S1011' }] });
  });

  test('a removal or before image reaches nothing (S-487)', () => {
    expect(contributionOf(plan, markers, ['u', 'c', 7n, 0n], 'members').writeCheckpoints).toEqual([]);
  });
});
