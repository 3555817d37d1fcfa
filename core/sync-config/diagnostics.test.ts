import { describe, expect, test } from 'vitest';
import { createDiagnostics } from './compile/diagnostics.ts';
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
  ['R1101', '*nope', 'streams: { s: *nope }'],
  ['R1201', 'streams', 'config: { edition: 3 }\nstreams:\n'],
  ['R1201', 'queries', 'config: { edition: 3 }\nstreams:\n  s:\n    queries:\n      -\n'],
  ['R1201', 'priority', 'config: { edition: 3 }\nstreams:\n  s:\n    query: SELECT * FROM t\n    priority:\n'],
  ['R1205', '-1', 'bucket_definitions:\n  b: { priority: -1, data: [SELECT * FROM t] }'],
  // SQL syntax
  ['R2101', ',', stream('SELECT id,, name FROM lists')],
  ['R2101', 'order', stream('SELECT * FROM order')],
  ['R2101', ',', stream('SELECT id, name, WHERE a = 1')],
  ['R2101', ',', stream('SELECT lists.* FROM lists, WHERE a = 1')],
  ['R2101', ',', stream('SELECT id, upper(name,) AS name FROM lists')],
  ['R2101', 'from', stream('SELECT id, from, name FROM lists')],
  ['R2101', 'NOT <=', stream('SELECT * FROM lists WHERE a NOT <= b')],
  ['R2104', '2x', stream('SELECT * FROM t WHERE a = 2x')],
  ['R2104', '<@', stream("SELECT * FROM t WHERE '[1]' <@ tags")],
  ['R2104', '?', stream(`"SELECT * FROM t WHERE tags ? 'a'"`)],
  ['R2104', '#>>', stream(`"SELECT id, tags #>> '{a,b}' AS b FROM t"`)],
  ['R2104', 'größe', stream('SELECT id, größe FROM t')],
  ['R2105', 'OR', stream(`SELECT * FROM t WHERE a${' OR a'.repeat(1001)}`)],
  ['R2105', '(', stream(`SELECT * FROM t WHERE ${'('.repeat(120)}1${')'.repeat(120)}`)],
  // clauses, joins, functions (S-123, S-100, S-129)
  ['R2201', 'INTERSECT', stream('SELECT * FROM t INTERSECT SELECT * FROM u')],
  ['R2201', 'EXCEPT', stream('SELECT * FROM t EXCEPT SELECT * FROM u')],
  ['R2201', 'LIMIT', stream('SELECT * FROM t WHERE a IN (SELECT b FROM u LIMIT 1)')],
  ['R2201', 'count(DISTINCT a)', stream('SELECT count(DISTINCT a) AS n FROM t')],
  ['R2202', 'RIGHT', stream('SELECT t.* FROM t RIGHT JOIN u ON t.a = u.a')],
  ['R2202', 'FULL', stream('SELECT t.* FROM t FULL OUTER JOIN u ON t.a = u.a')],
  ['R2203', 't.constructor()', stream('SELECT id, t.constructor() AS x FROM t')], // S-129
  ['R2203', 'count', stream('SELECT count(a) AS n FROM t')],
  ['R2203', 'auth.nope(a)', stream('SELECT id, auth.nope(a) AS x FROM t')],
  ['R2204', 'unixepoch()', stream('SELECT id, unixepoch() AS x FROM t')], // S-202
  ['R2214', "'now'", stream("SELECT * FROM t WHERE a > unixepoch('now', 'subsec')")], // S-202
  ['R2214', 'current_date', stream('SELECT id, current_date AS today FROM t')], // S-120
  ['R2214', 'Current_Time', stream('SELECT * FROM t WHERE a > Current_Time')],
  ['R2214', 'now', stream('SELECT id, now() AS at FROM t')],
  ['R2204', 'uuid', stream('SELECT CAST(a AS uuid) AS id FROM t')],
  ['R2205', '~', stream("SELECT * FROM t WHERE a ~ 'x'")],
  ['R2205', 'ILIKE', stream("SELECT id, a ILIKE 'x' AS y FROM t")],
  ['R2205', 'rlike', stream('SELECT * FROM t WHERE a NOT rlike b')],
  ['R2205', 'NOT NULL', stream('SELECT * FROM t WHERE a NOT NULL')],
  ['R2205', 'GLOB', stream("SELECT * FROM t WHERE a NOT GLOB 'x'")],
  ['R2206', 'e.*', stream('SELECT t.*, e.* FROM t, json_each(t.a) AS e')],
  // CTEs: the one that is read stands behind the one that reads it (S-115)
  ['R2208', 'd', withCtes('      c: SELECT a FROM d\n      d: SELECT a FROM t\n', 'SELECT * FROM t WHERE a IN d')],
  [
    'R2208',
    'd',
    withCtes('      c: SELECT a FROM t WHERE a IN d\n      d: SELECT a FROM t\n', 'SELECT * FROM t WHERE a IN d'),
  ],
  [
    'R2208',
    'd',
    withCtes(
      '      c: SELECT u.a FROM u JOIN d AS e ON e.a = u.a\n      d: SELECT a FROM t\n',
      'SELECT * FROM t WHERE a IN c',
    ),
  ],
  ['R2209', '(SELECT a, b FROM u)', stream('SELECT * FROM t WHERE tags && (SELECT a, b FROM u)')],
  ['R2209', 'c', withCtes('      c: SELECT a, b FROM u\n', 'SELECT * FROM t WHERE a = c')],
  ['R2228', 'a IN c', withCtes('      c: SELECT a FROM u\n', 'SELECT id, CASE WHEN a IN c THEN 1 END AS x FROM t')],
  // negation and ranges (S-155, S-90)
  ['R2210', "a NOT IN (auth.user_id(), 'x')", stream("SELECT * FROM t WHERE a NOT IN (auth.user_id(), 'x')")],
  ['R2211', 'auth.user_id() >= a', stream('SELECT * FROM t WHERE auth.user_id() >= a')],
  // names (S-254, S-252)
  ['R2215', '"a%b"', stream(`'SELECT * FROM "a%b".t'`)],
  ['R2215', '"a%%"', stream(`'SELECT * FROM "a%%".t'`)],
  ['R2216', 'x', stream('SELECT x.id FROM t')],
  ['R2216', 'x', stream('SELECT x.* FROM t')],
  ['R2216', 'subscription.list', stream('SELECT * FROM t WHERE a = subscription.list')],
  ['R2216', 'y', stream('SELECT x.* FROM t x, json_each(x.tags) y, u y')],
  // Sync Rules (S-237, S-239)
  [
    'R2224',
    '4 AS _priority',
    legacy(['SELECT id AS u, 4 AS _priority FROM m'], ['SELECT * FROM t WHERE b = bucket.u']),
  ],
  ['R2213', 'bucket.u', legacyData('SELECT id, bucket.u AS u FROM t WHERE b = bucket.u')],
];

const WARNINGS: readonly Case[] = [
  ['R2107', 'NULL < a', stream('SELECT * FROM t WHERE NULL < a')],
  ['R2107', 'a = (NULL)', stream('SELECT id, a = (NULL) AS x FROM t')],
  ['R2107', 'NULL', stream('SELECT id, CASE a WHEN NULL THEN 1 ELSE 2 END AS x FROM t')],
  ['R2107', "a NOT IN ('x', NULL)", stream("SELECT * FROM t WHERE b AND a NOT IN ('x', NULL)")],
  ['R2108', 'u AS v', stream('SELECT t.* FROM t JOIN u AS v WHERE v.a = auth.user_id()')],
  ['R2108', 'u', stream('SELECT * FROM t WHERE a IN (SELECT v.a FROM v JOIN u)')],
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
    [
      'a column of a CTE',
      withCtes('      c: SELECT nope(a) AS a, b FROM u\n', 'SELECT * FROM t WHERE a IN c'),
      ['R2203'],
    ],
    [
      'a CTE, beside what is wrong with its reader',
      withCtes('      c: SELECT nope(a) AS a FROM u\n', 'SELECT * FROM t WHERE a IN c AND other(a)'),
      ['R2203', 'R2203'],
    ],
    [
      'a table of a join',
      stream(`'SELECT t.* FROM t JOIN "%x".u ON u.a = t.a AND u.tags && auth.parameters()'`),
      ['R2215'],
    ],
    [
      'json_each of a data query',
      legacyData("SELECT value AS id FROM json_each('[]') WHERE key = bucket.u"),
      ['R2219'],
    ],
    [
      'a payload column',
      'streams: { s: { query: SELECT * FROM t } }\nconfig: { edition: 3 }\nevent_definitions: { write_checkpoints: { payloads: "SELECT nope(a) AS user_id, b AS client_id, c AS checkpoint FROM w" } }',
      ['R2203'],
    ],
    ['the name of a stream key', 'config: { edition: 3 }\nstreams: { s: { qery: SELECT * FROM t } }', ['R1202']],
    ['the name of a data key', 'bucket_definitions: { b: { date: SELECT * FROM t } }', ['R1202']],
    [
      'the name of an event key',
      `${stream('SELECT * FROM t')}event_definitions: { write_checkpoints: { payload: SELECT 1 } }`,
      ['R1202'],
    ],
    ['the only key', 'stream: { s: { query: SELECT * FROM t } }', ['R1202']],
    ['config', 'config: [edition]\nstreams: { s: { query: SELECT * FROM t } }', ['R1201']],
    [
      'the edition',
      'config: { edition: x, timestamp_max_precision: seconds }\nstreams: { s: { query: SELECT * FROM t } }',
      ['R1201'],
    ],
    [
      'a list of queries',
      'config: { edition: 3 }\nstreams: { s: { queries: [SELECT id, a FROM t, SELECT * FROM u] } }',
      ['R1201'],
    ],
    [
      'a quoted query',
      "config: { edition: 3 }\nstreams:\n  s: { query: 'SELECT a = 'b' FROM t WHERE c = 'd'' }",
      ['R1101'],
    ],
  ])('an error in %s is one finding', (_what, config, codes) => {
    expect(codesOf(config)).toEqual(codes);
  });

  test('what follows from an error refuses the config even where it stands alone (G4)', () => {
    const found = createDiagnostics('abc');
    found.report('follow-up', 'PSYNC_R2228', 'It follows.', 0, 1);
    found.report('warning', 'PSYNC_R2301', 'It may be.', 2, 3);
    expect(found.errorCount()).toBe(1);
    expect(found.all().map(({ level, code }) => `${level} ${code}`)).toEqual([
      'error PSYNC_R2228',
      'warning PSYNC_R2301',
    ]);
    found.report('error', 'PSYNC_R2203', 'It is wrong.', 1, 2);
    expect(found.all().map(({ code }) => code)).toEqual(['PSYNC_R2203', 'PSYNC_R2301']);
    // what is an error itself is no longer a follow-up
    found.report('error', 'PSYNC_R2228', 'It is wrong, too.', 0, 1);
    expect(found.all().map(({ message }) => message)).toEqual(['It is wrong, too.', 'It is wrong.', 'It may be.']);
  });

  test('of too many findings the errors are shown', () => {
    const found = createDiagnostics('x'.repeat(1000));
    for (let at = 0; at < 300; at++) found.report('warning', 'PSYNC_R2301', 'It may be.', at, at + 1);
    found.report('error', 'PSYNC_R2203', 'It is wrong.', 999, 1000);
    expect(found.all().length).toBe(200);
    expect(found.all().filter(({ level }) => level === 'error').length).toBe(1);
  });

  test('without known sources each tag is accepted (S-252)', () => {
    const text = stream(`'SELECT * FROM "main.public".boats'`);
    expect(codesOf(text, { sources: [] })).toEqual([]);
    expect(codesOf(text)).toEqual(['R2218']);
  });

  test('in double quotes CURRENT_DATE is a column, and so it is behind its table (S-120, S-143)', () => {
    const queries = [
      'SELECT id, "current_date" FROM t',
      'SELECT id, t.current_date FROM t',
      'SELECT id, a AS current_date FROM t',
    ];
    expect(codesOf(streamOf(...queries))).toEqual([]);
  });

  test('a value that may happen to be null is compared without a warning (S-126)', () => {
    const conditions = [
      'a = b',
      'a IN (b, NULL)',
      "a = auth.parameter('x')",
      'a IS NULL',
      'NULL',
      'ifnull(a, NULL) = 1',
    ];
    expect(codesOf(streamOf(...conditions.map((item) => `SELECT * FROM t WHERE ${item}`)))).toEqual([]);
  });

  test.each([
    'SELECT t.* FROM t JOIN u WHERE u.a = t.a',
    'SELECT t.* FROM t JOIN u ON u.a = t.a',
    'SELECT t.* FROM t JOIN u ON true WHERE u.a = auth.user_id()',
    'SELECT t.* FROM t, u WHERE u.a = auth.user_id()',
    'SELECT t.* FROM t JOIN u WHERE u.a = t.a OR t.b',
    'SELECT t.* FROM t JOIN u WHERE u.a = auth.user_id() AND t.a = auth.user_id()',
    'SELECT t.* FROM t JOIN u JOIN v WHERE u.a = v.a AND v.b = t.b',
    'SELECT t.* FROM t JOIN json_each(t.tags) AS e JOIN u WHERE e.value = u.a',
    "SELECT t.* FROM t JOIN json_each(auth.parameter('x')) AS e JOIN u WHERE e.value = u.a AND e.value = t.a",
    "SELECT t.* FROM t JOIN json_each(auth.parameter('x')) AS e WHERE t.a",
    'SELECT t.* FROM t JOIN u WHERE t.a IN u.tags',
    'SELECT t.* FROM t JOIN u WHERE t.a IN (SELECT v.a FROM v WHERE v.b = u.b)',
    'SELECT * FROM t WHERE a IN (SELECT u.a FROM u JOIN v WHERE u.b = t.b AND v.b = t.b)',
  ])('%s connects its tables (S-102, S-104)', (query) => {
    expect(codesOf(streamOf(query))).toEqual([]);
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
