import { describe, expect, test } from 'vitest';
import { ERROR_REGISTRY } from '#core/platform/errors/registry.ts';
import type { CompileOptions } from './contract.ts';
import { codesOf, compile, streamOf, table } from './testing/support.ts';

const stream = (...queries: string[]): string =>
  `config:\n  edition: 3\nstreams:\n  s:\n    auto_subscribe: true\n    queries:\n${queries.map((query) => `      - ${query}\n`).join('')}`;
const legacy = (parameters: readonly string[], data: readonly string[]): string =>
  `bucket_definitions:\n  b:\n    parameters:\n${parameters.map((query) => `      - ${query}\n`).join('')}    data:\n${data.map((query) => `      - ${query}\n`).join('')}`;
const legacyData = (...data: string[]): string => legacy(['SELECT request.user_id() AS u'], data);
const withCtes = (ctes: string, query: string): string =>
  `config: { edition: 3 }\nstreams:\n  s:\n    with:\n${ctes}    query: ${query}\n`;
const event = (payload: string): string =>
  `${stream('SELECT * FROM t')}event_definitions:\n  write_checkpoints:\n    payloads:\n      - ${payload}\n`;

const SCHEMA: Partial<CompileOptions> = {
  schema: [
    table('wide', ['id', ...Array.from({ length: 2000 }, (_, at) => `c${at}`)]),
    table('just', ['id', ...Array.from({ length: 1999 }, (_, at) => `c${at}`)]),
    table('lists', ['id', 'ownerId', 'name']),
    table('Users', ['id']),
    table('nokey', ['a']),
  ],
};

type Case = readonly [code: string, at: string, config: string, options?: Partial<CompileOptions>];

/** Every situation of S chapter 19 that must be an error, and what else is refused; `at` is the text that is marked. */
const ERRORS: readonly Case[] = [
  // YAML syntax
  ['R1101', 'b', 'a: b: c'],
  ['R1101', 's', 'streams: {}\nstreams: {}'],
  ['R1101', '!secret', 'streams: !secret {}'],
  // structure
  ['R1201', 'just text', 'just text'],
  ['R1201', '5', 'streams: 5'],
  ['R1201', 'true', 'config: { edition: 3 }\nstreams:\n  auto_subscribe: true\n  s: { query: SELECT * FROM t }'], // S-60
  ['R1201', 'yes', 'config: { edition: 3 }\nstreams:\n  s: { auto_subscribe: yes, query: SELECT * FROM t }'],
  ['R1201', '[1]', 'config: { edition: 3 }\nstreams:\n  s: { query: [1] }'],
  ['R1201', "'3'", "config: { edition: '3' }\nstreams:\n  s: { query: SELECT * FROM t }"],
  ['R1202', 'stream', 'stream: {}\nstreams:\n  s: { query: SELECT * FROM t }'],
  ['R1202', 'autosubscribe', 'config: { edition: 3 }\nstreams:\n  s: { autosubscribe: true, query: SELECT * FROM t }'],
  ['R1202', 'fancy', 'config: { edition: 3, fancy: true }\nstreams:\n  s: { query: SELECT * FROM t }'],
  ['R1202', 'other_event', 'streams: {}\nevent_definitions: { other_event: { payloads: [] } }'],
  ['R1203', 's', 'config: { edition: 3 }\nstreams:\n  s: { priority: 1 }'],
  ['R1203', 'queries', 'config: { edition: 3 }\nstreams:\n  s: { queries: [] }'],
  ['R1203', 'b', 'bucket_definitions:\n  b: { parameters: SELECT request.user_id() AS u }'],
  ['R1204', 'queries', 'config: { edition: 3 }\nstreams:\n  s: { query: SELECT * FROM t, queries: [SELECT * FROM t] }'], // S-52
  ['R1205', '4', 'config: { edition: 3 }\nstreams:\n  s: { priority: 4, query: SELECT * FROM t }'], // S-493
  ['R1205', '-1', 'bucket_definitions:\n  b: { priority: -1, data: [SELECT * FROM t] }'],
  ['R1206', '4', 'config: { edition: 4 }\nstreams:\n  s: { query: SELECT * FROM t }'],
  [
    'R1207',
    'hours',
    'config: { edition: 3, timestamp_max_precision: hours }\nstreams:\n  s: { query: SELECT * FROM t }',
  ], // S-50
  ['R1209', 'config', 'config: { edition: 3 }'],
  [
    'R1211',
    'x',
    'config: { edition: 3 }\nstreams:\n  x: { query: SELECT * FROM t }\nbucket_definitions:\n  x: { data: [SELECT * FROM t] }',
  ],
  ['R1211', 'C', withCtes('      c: SELECT a FROM t\n      C: SELECT a FROM t\n', 'SELECT * FROM t WHERE a IN c')],
  // SQL syntax
  ['R2101', 'SELEC', stream('SELEC * FROM lists')],
  ['R2101', ',', stream('SELECT id,, name FROM lists')],
  ['R2101', 'order', stream('SELECT * FROM order')],
  ['R2101', 'SELECT', stream('SELECT * FROM a; SELECT * FROM b')],
  ['R2101', '+', stream('SELECT id, a IS NULL + 1 AS x FROM t')],
  ['R2102', "'open", stream("SELECT * FROM t WHERE status = 'open")],
  ['R2102', '/*', stream('SELECT * FROM t /* no end')],
  ['R2103', 'E', stream('SELECT * FROM t WHERE')],
  ['R2104', '`', stream('"SELECT `id` FROM t"')],
  ['R2104', '1a', stream('SELECT 1a FROM t')],
  ['R2105', '(', stream(`SELECT * FROM t WHERE ${'('.repeat(120)}1${')'.repeat(120)}`)],
  ['R2105', '1+1+1+1+1', stream(`SELECT id, ${'1+'.repeat(1100)}1 AS n FROM t`)],
  // clauses (S-123, S-117)
  ['R2201', 'GROUP', stream('SELECT * FROM t GROUP BY a')],
  ['R2201', 'HAVING', stream('SELECT * FROM t HAVING a')],
  ['R2201', 'ORDER', stream('SELECT * FROM t ORDER BY a')],
  ['R2201', 'LIMIT', stream('SELECT * FROM t LIMIT 1')],
  ['R2201', 'OFFSET', stream('SELECT * FROM t OFFSET 1')],
  ['R2201', 'UNION', stream('SELECT * FROM t UNION SELECT * FROM u')],
  ['R2201', 'INTERSECT', stream('SELECT * FROM t INTERSECT SELECT * FROM u')],
  ['R2201', 'EXCEPT', stream('SELECT * FROM t EXCEPT SELECT * FROM u')],
  ['R2201', 'DISTINCT', stream('SELECT DISTINCT a FROM t')],
  ['R2201', 'WITH', stream('WITH c AS (SELECT 1) SELECT * FROM c')],
  ['R2201', '*', stream('SELECT count(*) AS n FROM t')],
  ['R2201', 'OVER', stream('SELECT max(a) OVER () AS n FROM t')],
  // joins (S-100…S-102)
  ['R2202', 'LEFT', stream('SELECT t.* FROM t LEFT JOIN u ON t.a = u.a')],
  ['R2202', 'RIGHT', stream('SELECT t.* FROM t RIGHT JOIN u ON t.a = u.a')],
  ['R2202', 'FULL', stream('SELECT t.* FROM t FULL OUTER JOIN u ON t.a = u.a')],
  ['R2202', 'CROSS', stream('SELECT t.* FROM t CROSS JOIN u')],
  ['R2202', 'NATURAL', stream('SELECT t.* FROM t NATURAL JOIN u')],
  ['R2202', 'USING', stream('SELECT t.* FROM t JOIN u USING (a)')],
  // functions (S-129, S-120, S-202)
  ['R2203', 'random', stream('SELECT id, random() AS r FROM t')],
  ['R2203', 'now', stream('SELECT * FROM t WHERE a = now()')],
  ['R2203', 'count', stream('SELECT count(a) AS n FROM t')],
  ['R2203', 'auth.nope()', stream('SELECT * FROM t WHERE a = auth.nope()')],
  ['R2203', 'request.user_id()', stream('SELECT * FROM t WHERE a = request.user_id()')],
  ['R2203', 'generate_series(1, 2) g', stream('SELECT t.* FROM t, generate_series(1, 2) g')],
  ['R2204', 'upper(a, b)', stream('SELECT id, upper(a, b) AS x FROM t')],
  ['R2204', 'unixepoch()', stream('SELECT id, unixepoch() AS x FROM t')],
  ['R2204', 'auth.parameter(a)', stream('SELECT * FROM t WHERE a = auth.parameter(a)')],
  ['R2204', "auth.user_id('x')", stream("SELECT * FROM t WHERE a = auth.user_id('x')")],
  ['R2204', "'name'", stream("SELECT id, json_extract(a, 'name') AS x FROM t")],
  ['R2204', 'b', stream('SELECT id, a ->> b AS x FROM t')],
  ['R2204', 'uuid', stream('SELECT a::uuid AS id FROM t')],
  ['R2204', "'a'", stream("SELECT * FROM t WHERE a IN 'a'")],
  ['R2204', "datetime(a, '+1 day')", stream("SELECT id, datetime(a, '+1 day') AS x FROM t")],
  ['R2205', 'LIKE', stream("SELECT * FROM t WHERE a LIKE 'x'")],
  ['R2205', 'GLOB', stream("SELECT * FROM t WHERE a NOT GLOB 'x'")],
  ['R2205', '==', stream('SELECT * FROM t WHERE a == 1')],
  ['R2205', 'TRUE', stream('SELECT * FROM t WHERE a IS TRUE')],
  ['R2205', 'EXISTS', stream('SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u)')],
  // tables and columns (S-101, S-108)
  ['R2206', '*', stream('SELECT * FROM t JOIN u ON t.a = u.a')],
  ['R2206', 'u.b', stream('SELECT t.id, u.b FROM t JOIN u ON t.a = u.a')],
  ['R2206', 'e.value AS x', stream('SELECT t.id, e.value AS x FROM t, json_each(t.a) AS e')],
  ['R2207', 't.a < u.a', stream('SELECT t.* FROM t JOIN u ON t.a < u.a')],
  ['R2207', 't.a != u.a', stream('SELECT t.* FROM t JOIN u ON t.a != u.a')],
  ['R2207', 't.a + u.a = 1', stream('SELECT t.* FROM t JOIN u ON t.a + u.a = 1')],
  ['R2207', 't.a = u.a', stream('SELECT t.* FROM t JOIN u ON NOT (t.a = u.a)')],
  // CTEs (S-112, S-115)
  ['R2208', 'd', withCtes('      c: SELECT a FROM d\n      d: SELECT a FROM t\n', 'SELECT * FROM t WHERE a IN d')],
  [
    'R2208',
    'd',
    withCtes('      c: SELECT a FROM t WHERE a IN d\n      d: SELECT a FROM t\n', 'SELECT * FROM t WHERE a IN d'),
  ],
  [
    'R2208',
    'c',
    withCtes('      c: SELECT a FROM c\n', 'SELECT * FROM t WHERE a IN c'), // S-116
  ],
  ['R2209', 'a IN c', withCtes('      c: SELECT a, b FROM t\n', 'SELECT * FROM t WHERE a IN c')],
  ['R2209', 'a IN (SELECT * FROM u)', stream('SELECT * FROM t WHERE a IN (SELECT * FROM u)')],
  // negation and ranges (S-155, S-90)
  ['R2210', 'a NOT IN (SELECT b FROM u)', stream('SELECT * FROM t WHERE a NOT IN (SELECT b FROM u)')],
  ['R2210', 'a IN (SELECT b FROM u)', stream('SELECT * FROM t WHERE NOT a IN (SELECT b FROM u)')],
  [
    'R2210',
    "a NOT IN subscription.parameter('x')",
    stream("SELECT * FROM t WHERE a NOT IN subscription.parameter('x')"),
  ],
  ['R2210', "a NOT IN (auth.user_id(), 'x')", stream("SELECT * FROM t WHERE a NOT IN (auth.user_id(), 'x')")],
  ['R2210', 'a != auth.user_id()', stream('SELECT * FROM t WHERE a != auth.user_id()')],
  ['R2210', 'a = auth.user_id()', stream('SELECT * FROM t WHERE NOT (a = auth.user_id() AND b = 1)')],
  ['R2210', "a && auth.parameter('x')", stream("SELECT * FROM t WHERE NOT a && auth.parameter('x')")],
  ['R2211', "a > auth.parameter('x')", stream("SELECT * FROM t WHERE a > auth.parameter('x')")],
  [
    'R2211',
    "a BETWEEN 1 AND connection.parameter('x')",
    stream("SELECT * FROM t WHERE a BETWEEN 1 AND connection.parameter('x')"),
  ],
  ['R2212', "a || auth.user_id() = 'x'", stream("SELECT * FROM t WHERE a || auth.user_id() = 'x'")],
  [
    'R2212',
    'CASE WHEN a = auth.user_id() THEN 1 ELSE 0 END',
    stream('SELECT * FROM t WHERE CASE WHEN a = auth.user_id() THEN 1 ELSE 0 END'),
  ],
  // an OR branch that is no filter of its own (S-150)
  ['R2211', 'b < auth.user_id()', stream('SELECT * FROM t WHERE a = auth.user_id() OR b < auth.user_id()')],
  ['R2213', 'auth.user_id()', stream('SELECT id, auth.user_id() AS u FROM t')],
  ['R2214', "datetime('now')", stream("SELECT * FROM t WHERE a < datetime('now')")],
  // names (S-254, S-252)
  ['R2215', '"a%b"', stream(`'SELECT * FROM "a%b"'`)],
  ['R2215', '"a%b"', stream(`'SELECT * FROM "a%b".t'`)],
  ['R2215', '"a%%"', stream(`'SELECT * FROM "a%%".t'`)],
  ['R2219', '"a%"', legacyData(`'SELECT * FROM "a%".t WHERE a = bucket.u'`)],
  ['R2216', 'x', stream('SELECT x.id FROM t')],
  ['R2216', 'a', stream('SELECT t.* FROM t JOIN u ON a = 1')],
  ['R2216', 'SELECT t.* FROM t JOIN t ON t.a = t.b', stream('SELECT t.* FROM t JOIN t ON t.a = t.b')],
  [
    'R2217',
    'SELECT * FROM t WHERE',
    stream(
      `SELECT * FROM t WHERE${Array.from({ length: 8 }, (_, n) => ` (a${n} = auth.user_id() OR b${n} = auth.user_id())`).join(' AND')}`,
    ),
  ],
  ['R2218', '"nope.public"', stream(`'SELECT * FROM "nope.public"."t"'`)],
  // Sync Rules (S-132…S-139, S-238, S-236, S-160, S-159, S-237)
  ['R2219', 'a BETWEEN 1 AND 2', legacyData('SELECT * FROM t WHERE a BETWEEN 1 AND 2 AND b = bucket.u')],
  ['R2219', 'CASE WHEN a THEN 1 END', legacyData('SELECT id, CASE WHEN a THEN 1 END AS x FROM t WHERE b = bucket.u')],
  ['R2219', 'a IN (SELECT b FROM u)', legacyData('SELECT * FROM t WHERE a IN (SELECT b FROM u) AND b = bucket.u')],
  ['R2219', "tags && '[1]'", legacyData("SELECT * FROM t WHERE tags && '[1]' AND b = bucket.u")],
  ['R2219', 'u ON t.a = u.a', legacyData('SELECT t.* FROM t JOIN u ON t.a = u.a WHERE t.b = bucket.u')],
  ['R2219', 'auth.user_id()', legacy(['SELECT auth.user_id() AS u'], ['SELECT * FROM t WHERE b = bucket.u'])],
  ['R2220', 'SELECT * FROM t WHERE a = 1', legacyData('SELECT * FROM t WHERE a = 1')],
  // of the two things wrong here the OR is the one to change (S-160)
  ['R2222', 'a = bucket.u OR b = 1', legacyData('SELECT * FROM t WHERE a = bucket.u OR b = 1')],
  [
    'R2221',
    'SELECT request.user_id() AS v',
    legacy(['SELECT request.user_id() AS u', 'SELECT request.user_id() AS v'], ['SELECT * FROM t WHERE b = bucket.u']),
  ],
  [
    'R2222',
    "a = request.user_id() OR b = request.jwt() ->> 'x'",
    legacy(
      ["SELECT id AS u FROM m WHERE a = request.user_id() OR b = request.jwt() ->> 'x'"],
      ['SELECT * FROM t WHERE b = bucket.u'],
    ),
  ],
  [
    'R2223',
    "b IN request.jwt() ->> 'y'",
    legacy(
      ["SELECT id AS u FROM m WHERE a IN request.jwt() ->> 'x' AND b IN request.jwt() ->> 'y'"],
      ['SELECT * FROM t WHERE b = bucket.u'],
    ),
  ],
  [
    'R2224',
    'a AS _priority',
    legacy(['SELECT id AS u, a AS _priority FROM m'], ['SELECT * FROM t WHERE b = bucket.u']),
  ],
  [
    'R2224',
    '4 AS _priority',
    legacy(['SELECT id AS u, 4 AS _priority FROM m'], ['SELECT * FROM t WHERE b = bucket.u']),
  ],
  ['R2225', 'nope', legacyData('SELECT * FROM t WHERE b = bucket.nope')],
  ['R2226', '*', legacy(['SELECT * FROM m'], ['SELECT * FROM t'])],
  ['R2226', 'seq', event('SELECT owner AS user_id, device AS client_id, seq FROM w')],
  ['R2227', 'SELECT 1 AS id', stream('SELECT 1 AS id')],
  [
    'R2227',
    'SELECT a AS user_id, b AS client_id, c AS checkpoint FROM w JOIN v ON w.a = v.a',
    event('SELECT a AS user_id, b AS client_id, c AS checkpoint FROM w JOIN v ON w.a = v.a'),
  ],
  ['R2228', 'upper(a)', stream('SELECT id, upper(a) FROM t')],
  ['R2228', 'request.user_id()', legacyData('SELECT * FROM t WHERE b = bucket.u AND a = request.user_id()')],
  ['R2228', '(SELECT a FROM u)', stream('SELECT * FROM t WHERE b = (SELECT a FROM u)')],
  ['R2228', 'a IN c', withCtes('      c: SELECT a FROM u\n', 'SELECT id, CASE WHEN a IN c THEN 1 END AS x FROM t')],
  ['R2228', 'a = lower(bucket.u)', legacyData('SELECT * FROM t WHERE a = lower(bucket.u)')],
];

const WARNINGS: readonly Case[] = [
  [
    'R1208',
    'timestamp_max_precision',
    'config: { edition: 3, timestamps_iso8601: false, timestamp_max_precision: seconds }\nstreams:\n  s: { query: SELECT * FROM t }',
  ],
  ['R1210', 'streams', 'streams:\n  s: { query: SELECT * FROM t }'],
  // S-690, S-691
  ['R1212', 'storage_version', 'config: { edition: 3, storage_version: 3 }\nstreams:\n  s: { query: SELECT * FROM t }'],
  [
    'R1212',
    'unstable_sqlite_expression_engine',
    'config: { edition: 3, unstable_sqlite_expression_engine: true }\nstreams:\n  s: { query: SELECT * FROM t }',
  ],
  ['R2106', '+', stream('SELECT id, a + b * c AS n FROM t')],
  ['R2301', 'nothing', stream('SELECT * FROM nothing'), SCHEMA],
  ['R2302', 'nope', stream('SELECT id, nope FROM lists'), SCHEMA],
  ['R2303', 'ownerId', stream('SELECT id, ownerId FROM lists'), SCHEMA],
  ['R2303', 'Users', stream('SELECT id FROM Users'), SCHEMA],
  ['R2303', 'createdAt', stream('SELECT id, created AS createdAt FROM t')],
  ['R2304', 'SELECT name FROM lists', stream('SELECT name FROM lists'), SCHEMA],
  ['R2304', 'SELECT * FROM nokey', stream('SELECT * FROM nokey'), SCHEMA],
  // S-643
  ['R2306', 'SELECT * FROM wide', stream('SELECT * FROM wide'), SCHEMA],
  ['R2306', 'SELECT *, 1 AS x FROM just', stream('SELECT *, 1 AS x FROM just'), SCHEMA],
  ['R2305', 't.table_suffix()', stream('SELECT id, t.table_suffix() AS x FROM t')],
  ['R2401', "subscription.parameter('x')", stream("SELECT * FROM t WHERE a = subscription.parameter('x')")], // S-636
  [
    'R2401',
    'request.parameters()',
    legacy(["SELECT request.parameters() ->> 'x' AS u"], ['SELECT * FROM t WHERE b = bucket.u']),
  ], // S-635
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

  test('every code has a case', () => {
    const tested = new Set([...ERRORS, ...WARNINGS].map(([code]) => `PSYNC_${code}`));
    const registered = Object.keys(ERROR_REGISTRY).filter((code) => /^PSYNC_R(?!0001|13)/.test(code));
    // R1102 is too long for a table; R2299 is a bug of the compiler by definition
    expect(registered.filter((code) => !tested.has(code))).toEqual(['PSYNC_R1102', 'PSYNC_R2299']);
    expect(compile(`# ${'x'.repeat(1_000_001)}`).diagnostics.map(({ code }) => code)).toEqual(['PSYNC_R1102']);
  });

  test('1,999 columns besides id are not too many (S-643)', () => {
    expect(codesOf(stream('SELECT * FROM just'), SCHEMA)).toEqual([]);
  });

  test('messages end like sentences and never show a code', () => {
    for (const item of [...ERRORS, ...WARNINGS]) {
      for (const { message } of finding(item).diagnostics) expect(message).not.toMatch(/PSYNC|undefined|\[object/);
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
