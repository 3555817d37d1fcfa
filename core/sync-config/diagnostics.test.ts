import { describe, expect, test } from 'vitest';
import type { CompileOptions } from './contract.ts';
import { codesOf, compile, streamOf, table } from './testing/support.ts';

const stream = (...queries: string[]): string =>
  `config:\n  edition: 3\nstreams:\n  s:\n    auto_subscribe: true\n    queries:\n${queries.map((query) => `      - ${query}\n`).join('')}`;
const legacy = (parameters: readonly string[], data: readonly string[]): string =>
  `bucket_definitions:\n  b:\n    parameters:\n${parameters.map((query) => `      - ${query}\n`).join('')}    data:\n${data.map((query) => `      - ${query}\n`).join('')}`;
const legacyData = (...data: string[]): string => legacy(['SELECT request.user_id() AS u'], data);
const withCtes = (ctes: string, query: string): string =>
  `config: { edition: 3 }\nstreams:\n  s:\n    with:\n${ctes}    query: ${query}\n`;

const SCHEMA: Partial<CompileOptions> = {
  schema: [
    table('wide', ['id', ...Array.from({ length: 2000 }, (_, at) => `c${at}`)]),
    table('just', ['id', ...Array.from({ length: 1999 }, (_, at) => `c${at}`)]),
    table('lists', ['id', 'name']),
  ],
};

type Case = readonly [code: string, at: string, config: string, options?: Partial<CompileOptions>];

/**
 * Further forms of the mistakes in `mistakes/` (see mistakes.test.ts, where each code and each situation of S chapter 19 has its
 * typical one); `at` is the text that is marked.
 */
const ERRORS: readonly Case[] = [
  // structure
  ['R1201', '5', 'streams: 5'],
  ['R1202', 'stream', 'stream: {}\nstreams:\n  s: { query: SELECT * FROM t }'],
  ['R1205', '-1', 'bucket_definitions:\n  b: { priority: -1, data: [SELECT * FROM t] }'],
  // SQL syntax
  ['R2101', ',', stream('SELECT id,, name FROM lists')],
  ['R2101', 'order', stream('SELECT * FROM order')],
  ['R2105', '(', stream(`SELECT * FROM t WHERE ${'('.repeat(120)}1${')'.repeat(120)}`)],
  // clauses, joins, functions (S-123, S-100, S-129)
  ['R2201', 'INTERSECT', stream('SELECT * FROM t INTERSECT SELECT * FROM u')],
  ['R2201', 'EXCEPT', stream('SELECT * FROM t EXCEPT SELECT * FROM u')],
  ['R2201', 'LIMIT', stream('SELECT * FROM t WHERE a IN (SELECT b FROM u LIMIT 1)')],
  ['R2202', 'RIGHT', stream('SELECT t.* FROM t RIGHT JOIN u ON t.a = u.a')],
  ['R2202', 'FULL', stream('SELECT t.* FROM t FULL OUTER JOIN u ON t.a = u.a')],
  ['R2203', 'count', stream('SELECT count(a) AS n FROM t')],
  ['R2203', 'auth.nope(a)', stream('SELECT id, auth.nope(a) AS x FROM t')],
  ['R2204', 'unixepoch()', stream('SELECT id, unixepoch() AS x FROM t')], // S-202
  ['R2204', 'uuid', stream('SELECT CAST(a AS uuid) AS id FROM t')],
  ['R2205', 'GLOB', stream("SELECT * FROM t WHERE a NOT GLOB 'x'")],
  ['R2206', 'e.*', stream('SELECT t.*, e.* FROM t, json_each(t.a) AS e')],
  // CTEs: the one that is read stands behind the one that reads it (S-115)
  ['R2208', 'd', withCtes('      c: SELECT a FROM d\n      d: SELECT a FROM t\n', 'SELECT * FROM t WHERE a IN d')],
  [
    'R2208',
    'd',
    withCtes('      c: SELECT a FROM t WHERE a IN d\n      d: SELECT a FROM t\n', 'SELECT * FROM t WHERE a IN d'),
  ],
  ['R2228', 'a IN c', withCtes('      c: SELECT a FROM u\n', 'SELECT id, CASE WHEN a IN c THEN 1 END AS x FROM t')],
  // negation and ranges (S-155, S-90)
  ['R2210', "a NOT IN (auth.user_id(), 'x')", stream("SELECT * FROM t WHERE a NOT IN (auth.user_id(), 'x')")],
  ['R2211', 'auth.user_id() >= a', stream('SELECT * FROM t WHERE auth.user_id() >= a')],
  // names (S-254, S-252)
  ['R2215', '"a%b"', stream(`'SELECT * FROM "a%b".t'`)],
  ['R2215', '"a%%"', stream(`'SELECT * FROM "a%%".t'`)],
  ['R2216', 'x', stream('SELECT x.id FROM t')],
  ['R2216', 'x', stream('SELECT x.* FROM t')],
  // Sync Rules (S-237, S-239)
  [
    'R2224',
    '4 AS _priority',
    legacy(['SELECT id AS u, 4 AS _priority FROM m'], ['SELECT * FROM t WHERE b = bucket.u']),
  ],
  ['R2213', 'u', legacyData('SELECT id, bucket.u AS u FROM t WHERE b = bucket.u')],
];

const WARNINGS: readonly Case[] = [
  [
    'R1212',
    'unstable_sqlite_expression_engine',
    'config: { edition: 3, unstable_sqlite_expression_engine: true }\nstreams:\n  s: { query: SELECT * FROM t }',
  ], // S-691
  ['R2302', 'nope', stream('SELECT id, lists.nope FROM lists'), SCHEMA],
  // S-643
  ['R2306', 'SELECT * FROM wide', stream('SELECT * FROM wide'), SCHEMA],
  ['R2306', 'SELECT *, 1 AS x FROM just', stream('SELECT *, 1 AS x FROM just'), SCHEMA],
];

/** The finding with this code, and the text that it marks. */
function finding([code, at, config, options]: Case) {
  const { plan, diagnostics } = compile(config, options);
  const found = diagnostics.filter((item) => item.code === `PSYNC_${code}`);
  const marked = found.map(({ startOffset, endOffset }) => config.slice(startOffset, endOffset));
  return {
    plan,
    diagnostics,
    found,
    marked,
    hit: marked.some((text) => text === at || (text.startsWith(at) && at.length > 8)),
  };
}

describe('findings (S-32, S-679)', () => {
  test.each(ERRORS.map((item) => ({ item, code: item[0], at: item[1] })))('error $code at $at', ({ item }) => {
    const { plan, diagnostics, found, marked, hit } = finding(item);
    expect(diagnostics.map(({ code, message }) => `${code} ${message}`).join('\n')).toContain(item[0]);
    expect(marked).toSatisfy(() => hit, `marks ${JSON.stringify(marked)}`);
    expect(found.every(({ level }) => level === 'error')).toBe(true);
    expect(plan).toBeNull();
  });

  test.each(WARNINGS.map((item) => ({ item, code: item[0], at: item[1] })))('warning $code at $at', ({ item }) => {
    const { plan, found, marked, hit } = finding(item);
    expect(marked).toSatisfy(() => hit, `marks ${JSON.stringify(marked)}`);
    expect(found.every(({ level }) => level === 'warning')).toBe(true);
    expect(plan).not.toBeNull();
  });

  test('a file of more than a million characters is not read', () => {
    expect(compile(`# ${'x'.repeat(1_000_001)}`).diagnostics.map(({ code }) => code)).toEqual(['PSYNC_R1102']);
  });

  test('1,999 columns besides id are not too many (S-643)', () => {
    expect(codesOf(stream('SELECT * FROM just'), SCHEMA)).toEqual([]);
  });

  test('messages end like sentences and never show a code', () => {
    for (const item of [...ERRORS, ...WARNINGS]) {
      for (const { message } of finding(item).diagnostics) {
        expect(message).toMatch(/^\S.*\.$/);
        expect(message).not.toMatch(/PSYNC|undefined|\[object/);
      }
    }
  });

  test('several errors in one run, in the order of the text', () => {
    const text = `${stream('SELECT nope() AS id, other() AS x FROM t', 'SELECT * FROM t LIMIT 1', 'SELECT * FROM t WHERE a > auth.user_id() AND b LIKES c')}  t:\n    priority: 9\n    query: SELECT * FROM t WHERE a < auth.user_id() AND b != auth.user_id()\n`;
    const { diagnostics } = compile(text);
    expect(diagnostics.map(({ code, line }) => `${code.slice(6)}:${line}`)).toEqual([
      'R2203:7',
      'R2203:7',
      'R2201:8',
      'R2101:9',
      'R1205:11',
      'R2211:12',
      'R2210:12',
    ]);
  });

  test.each([
    [
      'a table that cannot be read',
      stream(`'SELECT w.*, w.a FROM "%%".w WHERE w.schema() = 1 AND b = auth.user_id()'`),
      ['R2215'],
    ],
    [
      'a function that cannot be read',
      stream('SELECT t.* FROM t, generate_series(1, 2) g WHERE t.a = g.value'),
      ['R2203'],
    ],
    ['a column', stream('SELECT nope(a) AS id FROM t'), ['R2203']],
    ['a parameter query', legacy(['SELECT nope(a) AS u FROM m'], ['SELECT * FROM t WHERE b = bucket.u']), ['R2203']],
    [
      'a parameter query that is no SQL',
      legacy(['SELEC a AS u FROM m'], ['SELECT * FROM t WHERE b = bucket.u']),
      ['R2101'],
    ],
    [
      'one of two parameter queries',
      legacy(
        ['SELECT nope(a) AS u, b AS v FROM m', 'SELECT a AS u FROM m'],
        ['SELECT * FROM t WHERE b = bucket.u AND c = bucket.v'],
      ),
      ['R2203'],
    ],
  ])('an error in %s is one finding', (_what, config, codes) => {
    expect(codesOf(config)).toEqual(codes);
  });

  test('accept_potentially_dangerous_queries silences the warning (S-637)', () => {
    const query = "SELECT * FROM t WHERE a = subscription.parameter('x')";
    const text = `config: { edition: 3 }\nstreams:\n  s: { accept_potentially_dangerous_queries: true, query: "${query}" }`;
    expect(compile(text).diagnostics).toEqual([]);
  });

  test('each OR branch is judged on its own, through subqueries and CTEs (S-639)', () => {
    const dangerous = (query: string): number =>
      compile(streamOf(query)).diagnostics.filter(({ code }) => code === 'PSYNC_R2401').length;
    expect(dangerous("SELECT * FROM t WHERE a = subscription.parameter('x') AND b = auth.user_id()")).toBe(0);
    expect(dangerous("SELECT * FROM t WHERE a = subscription.parameter('x') OR b = auth.user_id()")).toBe(1);
    expect(dangerous("SELECT * FROM t WHERE a IN (SELECT b FROM u WHERE c = connection.parameter('x'))")).toBe(1);
    expect(
      dangerous(
        "SELECT * FROM t WHERE a IN (SELECT b FROM u WHERE c = connection.parameter('x') AND d = auth.user_id())",
      ),
    ).toBe(0);
    expect(dangerous("SELECT * FROM t WHERE a IN subscription.parameter('x')")).toBe(1);
    expect(dangerous('SELECT * FROM t')).toBe(0);
    // alternatives that the session alone decides
    const admin = "auth.parameter('role') = 'admin'";
    const version = "connection.parameter('v') = '2'";
    expect(dangerous(`SELECT * FROM t WHERE ${admin} OR ${version}`)).toBe(1);
    expect(dangerous(`SELECT * FROM t WHERE ${admin} AND ${version}`)).toBe(0);
    expect(dangerous(`SELECT * FROM t WHERE NOT (NOT ${admin} OR ${version})`)).toBe(0);
    expect(dangerous(`SELECT * FROM t WHERE NOT (${admin} AND ${version})`)).toBe(1);
    expect(dangerous(`SELECT * FROM t WHERE (${admin} OR ${version}) AND a = auth.user_id()`)).toBe(0);
    expect(dangerous(`SELECT * FROM t WHERE (${admin} OR 1 = 1) AND a = subscription.parameter('x')`)).toBe(1);
    expect(dangerous(`SELECT * FROM t WHERE ${admin} OR 1 = 1`)).toBe(0);
  });
});
