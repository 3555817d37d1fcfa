/** Wrong test files: what is said of them, and where. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Finding } from './contract.ts';
import { runTestText } from './run.ts';

const HEAD = `sync_config_content: |
  config: { edition: 3 }
  streams:
    mine:
      auto_subscribe: true
      query: SELECT * FROM lists WHERE owner = auth.user_id()
`;
const TABLES = `tables:\n  lists: [{ id: l1, owner: alice }]\n`;
const TESTS = `tests:\n  - { name: t, user: alice, expect: {} }\n`;
/** A file whose only test is called t and goes on with these lines. */
const one = (lines: string): string => `${HEAD}${TABLES}tests:\n  - name: t\n${lines.replaceAll(/^/gm, '    ')}\n`;

/** Name, file, and findings as `line:column code message`; of errors alone. */
const WRONG: readonly (readonly [string, string, ...string[]])[] = [
  ['no YAML', 'tests: [ {', '1:10 R1101 The { is not closed; close it with }.'],
  [
    'a key twice',
    `${HEAD}${TESTS}${TESTS}`,
    '9:1 R1101 The key "tests" stands in this map twice; rename or remove one.',
  ],
  ['an empty file', '', '1:1 R1201 The test file must be a map (key: value).'],
  ['a list', '- tests', '1:1 R1201 The test file must be a map (key: value).'],
  ['neither sync config nor tests', '{}', '1:1 R1203 A test file needs "sync_config", the path of a sync config.'],
  [
    'an unknown key',
    `${HEAD}${TESTS}table: {}\nquite_another: 1`,
    '9:1 R1202 Unknown key "table" in the test file; did you mean "tables"?',
    '10:1 R1202 Unknown key "quite_another" in the test file; known are sync_config, sync_config_content, source, sources, limits, tables, tests.',
  ],
  [
    'two sync configs',
    `sync_config: x.yaml\n${HEAD}${TESTS}`,
    '2:1 R1204 There are both "sync_config" and "sync_config_content"; keep one.',
  ],
  ['a sync config that is no path', `sync_config: [a]\n${TESTS}`, '1:14 R1201 "sync_config" must be a text.'],
  [
    'a sync config that is no text',
    `sync_config_content: { streams: {} }\n${TESTS}`,
    '1:22 R1201 "sync_config_content" must be a text.',
  ],
  [
    'a file where none is read',
    `sync_config: a.yaml\n${TESTS}`,
    '1:14 R1305 Files are not read here; write "sync_config_content".',
  ],
  [
    'a kind of source that does not exist',
    `${HEAD}source: postgres\n${TESTS}`,
    '7:9 R1201 "source" must be one of postgresql, mongodb, mysql, mssql, convex.',
  ],
  [
    'one source and several',
    `${HEAD}source: mysql\nsources: { a: mysql }\n${TESTS}`,
    '8:1 R1204 There are both "source" and "sources"; keep one.',
  ],
  ['no source', `${HEAD}sources: {}\n${TESTS}`, '7:1 R1203 "sources" must name a connection: its tag and kind.'],
  [
    'a connection that does not exist',
    `${HEAD}sources: { main: postgresql }\ntables: { other.public.lists: [] }\n${TESTS}`,
    '8:11 R1302 "sources" has no connection "other"; it has main.',
  ],
  [
    'limits',
    `${HEAD}limits: { max_bucket: 3, max_parameter_query_results: 0, max_buckets_per_connection: many }\n${TESTS}`,
    '7:11 R1202 Unknown key "max_bucket" in "limits"; known are max_buckets_per_connection, max_parameter_query_results.',
    '7:55 R1201 "max_parameter_query_results" must be a whole number from 1 on.',
    '7:86 R1201 "max_buckets_per_connection" must be a whole number from 1 on.',
  ],
  [
    'names of tables',
    `${HEAD}tables: { a.b.c.d: [], 'a.': [], '"x': [], '': [], lists: [], public.lists: [] }\n${TESTS}`,
    '7:11 R1201 "a.b.c.d" must be table, schema.table or tag.schema.table.',
    '7:24 R1201 "a." must be table, schema.table or tag.schema.table.',
    '7:34 R1201 ""x" must be table, schema.table or tag.schema.table.',
    '7:44 R1201 Keys of "tables" must be non-empty names.',
    '7:63 R1211 "public.lists" is the same table as "lists"; keep one.',
  ],
  [
    'rows that are no list',
    `${HEAD}tables: { lists: { id: l1 }, todos: }\n${TESTS}`,
    '7:18 R1201 The rows of "lists" must be a list.',
    '7:37 R1201 The rows of "todos" must be a list.',
  ],
  [
    'a row that is no map',
    `${HEAD}tables: { lists: [l1] }\n${TESTS}`,
    '7:19 R1201 A row of "lists" must be a map (key: value).',
  ],
  [
    'values that SQLite or JSON do not have',
    `${HEAD}tables:\n  lists:\n    - { id: 9223372036854775808, owner: .nan, meta: [{ raw: !!binary aGk= }] }\n${TESTS}`,
    '9:13 R1201 9223372036854775808 has more than 64 bits; write it as text or as a real (1.0e30).',
    '9:41 R1201 SQLite has no NaN; write null.',
    '9:70 R1201 JSON has no binary values.',
  ],
  [
    'merge keys',
    `${HEAD}tables:\n  lists:\n    - &a { id: a }\n    - { <<: *a, owner: x }\n    - { id: b, meta: { <<: *a } }\n${TESTS}`,
    '10:9 R1201 Merge keys (<<) are not read; write the values out.',
    '11:24 R1201 Merge keys (<<) are not read; write the values out.',
  ],
  [
    'an anchor that does not exist',
    `${HEAD}tables: { lists: [*a], todos: *b }\n${TESTS}`,
    '7:19 R1201 There is no anchor of this name above.',
    '7:31 R1201 There is no anchor of this name above.',
  ],
  [
    'lists in lists in lists',
    `${HEAD}tables:\n  lists:\n    - { id: a, owner: ${'['.repeat(34)}${']'.repeat(34)} }\n${TESTS}`,
    '9:56 R1201 Lists and maps are nested deeper than 32 levels here.',
  ],
  ['no tests', `${HEAD}${TABLES}`, '1:1 R1203 A test file needs "tests".'],
  ['an empty list of tests', `${HEAD}${TABLES}tests: []`, '9:1 R1203 "tests" must not be empty; add a test.'],
  ['tests that are no list', `${HEAD}${TABLES}tests: { a: b }`, '9:8 R1201 "tests" must be a list.'],
  ['a test that is no map', `${HEAD}${TABLES}tests: [a]`, '9:9 R1201 A test must be a map (key: value).'],
  [
    'no name, and names that are none',
    `${HEAD}${TABLES}tests:\n  - { user: alice, expect: {} }\n  - { name: '', user: alice, expect: {} }\n  - { name: 1, user: alice, expect: {} }`,
    '10:7 R1203 A test needs a "name".',
    '11:7 R1203 A test needs a "name".',
    '12:13 R1201 "name" must be a text.',
  ],
  [
    'two tests with one name',
    `${HEAD}${TABLES}${TESTS}  - { user: bob, name: t, expect: {} }`,
    '11:24 R1211 There are two tests with the name "t"; rename one of them.',
  ],
  ['no user', one('expect: {}'), '10:5 R1203 A test needs "user", or "token" with the claims of a token.'],
  [
    'a user and a token',
    one('user: a\ntoken: { sub: a }\nexpect: {}'),
    '11:5 R1204 A test has both "token" and "user"; keep one.',
  ],
  [
    'a token without sub',
    one('token: { role: admin }\nexpect: {}'),
    '11:5 R1203 "token" needs "sub", the id of the user.',
  ],
  ['a user that is none', one('user: { sub: a }\nexpect: {}'), '11:5 R1203 "user" must be the id of a user.'],
  ['an empty user', one('user:\nexpect: {}'), '11:5 R1203 "user" must be the id of a user.'],
  ['a token that is no map', one('token: alice\nexpect: {}'), '11:12 R1201 "token" must be a map (key: value).'],
  [
    'connection parameters that are no map',
    one('user: a\nconnection: x\nexpect: {}'),
    '12:17 R1201 "connection" must be a map (key: value).',
  ],
  ['defaults', one('user: a\ndefaults: none\nexpect: {}'), '12:15 R1201 "defaults" must be true or false.'],
  ['nothing to check', one('user: a'), '10:5 R1203 A test needs "expect", "never", "buckets" or "error".'],
  [
    'an unknown key in a test',
    one('user: a\nexpected: {}'),
    '10:5 R1203 A test needs "expect", "never", "buckets" or "error".',
    '12:5 R1202 Unknown key "expected" in a test; did you mean "expect"?',
  ],
  [
    'subscriptions that are no list',
    one('user: a\nsubscriptions: mine\nexpect: {}'),
    '12:20 R1201 "subscriptions" must be a list.',
  ],
  [
    'a subscription that is no map',
    one('user: a\nsubscriptions: [mine]\nexpect: {}'),
    '12:21 R1201 A subscription must be a map (key: value).',
  ],
  [
    'a subscription without stream',
    one('user: a\nsubscriptions: [{ stram: mine }]\nexpect: {}'),
    '12:21 R1203 A subscription needs "stream".',
    '12:23 R1202 Unknown key "stram" in a subscription; did you mean "stream"?',
  ],
  [
    'parameters and priorities',
    one(
      'user: a\nsubscriptions:\n  - { stream: mine, parameters: [1], priority: 4 }\n  - { stream: mine, priority: -1 }\nexpect: {}',
    ),
    '13:37 R1201 "parameters" must be a map (key: value).',
    '13:42 R1205 Priority 4 is not possible; give 0 (first) to 3 (last).',
    '14:35 R1201 "priority" must be a whole number from 0 on.',
  ],
  [
    'a subscription to a stream that does not exist',
    one('user: a\nsubscriptions: [{ stream: mines }, { stream: quite_another }]\nexpect: {}'),
    '12:31 R1302 The sync config has no stream "mines"; did you mean "mine"?',
    '12:50 R1302 The sync config has no stream "quite_another"; it has mine.',
  ],
  [
    'a stream that does not exist',
    one('user: a\nexpect: { min: { lists: [l1] } }'),
    '12:15 R1302 The sync config has no stream "min"; did you mean "mine"?',
  ],
  ['streams that are no map', one('user: a\nexpect: [mine]'), '12:13 R1201 "expect" must be a map (key: value).'],
  [
    'a stream without client tables',
    one('user: a\nexpect: { mine: [l1] }'),
    '12:21 R1201 What stream "mine" gives must be a map (key: value).',
  ],
  [
    'rows that are no list, expected',
    one('user: a\nexpect: { mine: { lists: l1, todos: } }'),
    '12:30 R1201 The rows of "lists" must be a list.',
    '12:41 R1201 The rows of "todos" must be a list.',
  ],
  [
    'rows without id',
    one('user: a\nexpect: { mine: { lists: [{ owner: a }, { id: }, null, [l1]] } }'),
    '12:31 R1203 A row of "lists" needs "id".',
    '12:51 R1201 An id must be a text or a number.',
    '12:54 R1201 An id must be a text or a number.',
    '12:60 R1201 An id must be a text or a number.',
  ],
  [
    'an id twice',
    one('user: a\nexpect: { mine: { lists: [1, { id: "1" }] } }'),
    '12:34 R1211 The id "1" stands here twice; a client has one row of an id.',
  ],
  [
    'a binary value is never synced',
    one('user: a\nexpect: { mine: { lists: [{ id: l1, raw: !!binary aGk= }] } }'),
    '12:41 R1201 Binary values are never synced; remove the column.',
  ],
  [
    'ids that are no list, never',
    one('user: a\nnever: { lists: l1 }'),
    '12:21 R1201 The ids of "lists" must be a list.',
  ],
  [
    'a row where an id belongs, never',
    one('user: a\nnever: { lists: [{ id: l1 }] }'),
    '12:22 R1201 An id must be a text or a number.',
  ],
  ['never without client tables', one('user: a\nnever: [l1]'), '12:12 R1201 "never" must be a map (key: value).'],
  [
    'a number of buckets that is none',
    one('user: a\nbuckets: 1.5'),
    '12:14 R1201 "buckets" must be a whole number from 0 on.',
  ],
  [
    'an error that sessions do not have',
    one('user: a\nerror: PSYNC_S2101'),
    '12:5 R1201 "error" must be PSYNC_S2305: a session fails with nothing else.',
  ],
  [
    'an error, and more',
    one('user: a\nerror: PSYNC_S2305\nbuckets: 3'),
    '13:5 R1204 Without a session there is nothing else to check: "error" stands alone.',
  ],
];

/** As above; the test runs and passes. */
const DOUBTFUL: typeof WRONG = [
  [
    'a table that no query reads',
    `${HEAD}tables: { list: [{ id: a }] }\n${TESTS}`,
    '7:11 warning R1301 No query reads "list" (public.list of source default).',
  ],
  [
    'a column that no row has (S-34)',
    `${HEAD}tables: { lists: [{ id: a }] }\n${TESTS}`,
    '6:40 warning R2302 No row of the test has the column owner; it is null, as in production while the table does not have it.',
  ],
  [
    'a column that is written with capitals (S-247)',
    `${HEAD}tables: { lists: [{ id: a, OWNER: alice }] }\n${TESTS}`.replace('owner =', 'OWNER ='),
    '6:40 warning R2303 Column OWNER is read as owner; write "OWNER".',
  ],
  [
    'a row without id (S-265)',
    `${HEAD}tables: { lists: [{ id: , owner: alice }] }\n${TESTS}`,
    '7:19 warning R1303 The row is left out of stream "mine": the row has no id: the output column "id" is missing or null (PSYNC_S1010).',
  ],
  [
    'ids and tables under never that nothing gives',
    one('user: bob\nnever: { lists: [l1, l2], todos: [t1] }'),
    '12:26 warning R1301 This can never fail: no row in this file gives the id "l2" to "lists".',
    '12:31 warning R1301 No stream gives rows of "todos"; they give lists.',
  ],
  [
    'a client table that the stream never gives',
    one('user: bob\nexpect: { mine: { list: [] } }'),
    '12:23 warning R1301 Stream "mine" never gives rows of "list"; did you mean "lists"?',
  ],
  [
    'a stream that the session does not have',
    one('user: bob\ndefaults: false\nexpect: { mine: {} }\nnever: { lists: [l1] }'),
    '13:15 warning R1301 This can never fail: the session does not have stream "mine". Name it under "subscriptions".',
    '14:22 warning R1301 This can never fail: only mine could give the row, and the session does not have it.',
  ],
  [
    'one row in two versions (S-267)',
    `${HEAD}tables: { lists: [{ id: l1, owner: alice, n: 1 }, { id: l1, owner: alice, n: 2 }] }
tests: [{ name: t, user: alice, expect: { mine: { lists: [l1] } } }]`,
    '8:17 warning R1303 Not the same wherever it comes from: lists/l1 (mine). Which one a client keeps is not defined.',
  ],
];

describe('errors', () => {
  test.each(WRONG.map(([name, text, ...findings]) => ({ name, text, findings })))(
    '$name',
    async ({ text, findings }) => {
      const result = await runTestText(text);
      expect(result.findings.map(shortened)).toEqual(findings);
      expect(result).toMatchObject({ passed: false, tests: [] });
    },
  );

  test('in the sync config: as millrace validate shows them, at their place in the test file', async () => {
    const { findings, passed, tests } = await runTestText(
      one('user: a\nexpect: {}').replace('auth.user_id()', 'nope(1)'),
    );
    expect([findings.length, passed, tests]).toEqual([1, false, []]);
    expect(findings[0]?.text).toMatch(/^test:6:48: error \[PSYNC_R22\d\d\] .*nope/);
    expect(findings[0]?.text).toContain(
      `    6 |       query: SELECT * FROM lists WHERE owner = nope(1)\n      | ${' '.repeat(47)}^^^^`,
    );
  });
});

test.each(DOUBTFUL.map(([name, text, ...findings]) => ({ name, text, findings })))(
  'warning: $name',
  async ({ text, findings }) => {
    const result = await runTestText(text);
    expect(result.findings.map(shortened)).toEqual(findings);
    expect(result).toMatchObject({ passed: true, tests: [{ name: 't', passed: true }] });
  },
);

const shortened = ({ level, code, line, column, message }: Finding): string =>
  `${line}:${column} ${level === 'warning' ? 'warning ' : ''}${code.replace('PSYNC_', '')} ${message}`;

describe('files that are too much', () => {
  const codes = async (text: string): Promise<string[]> => (await runTestText(text)).findings.map(shortened);

  test('long ones', async () => {
    expect(await codes(`# ${'x'.repeat(5_000_000)}`)).toEqual([
      '1:1 R1304 The test file is longer than 5000000 characters.',
    ]);
  });

  test('many rows', async () => {
    const rows = Array.from({ length: 20_001 }, () => '{}').join();
    expect(await codes(`${HEAD}tables: { lists: [${rows}] }\n${TESTS}`)).toEqual([
      '1:1 R1304 The test file has more than 20000 rows; use fewer.',
    ]);
  });

  test('many tests', async () => {
    const tests = Array.from({ length: 1001 }, (_, at) => `  - { name: t${at}, user: alice, expect: {} }\n`).join('');
    expect(await codes(`${HEAD}tests:\n${tests}`)).toEqual(['7:1 R1304 A file has at most 1000 tests; split it.']);
  });

  test('aliases that unfold, and that hold themselves', async () => {
    const levels = Array.from(
      { length: 12 },
      (_, at) => `  l${at + 1}: [{ a: &a${at + 1} [${`*a${at},`.repeat(10)}] }]\n`,
    );
    const text = `${HEAD}tables:\n  l0: [{ a: &a0 [x, x] }]\n${levels.join('')}${TESTS}`;
    expect(await codes(text)).toEqual(['1:1 R1304 The file has more than 500000 values; use fewer rows.']);
    const itself = `${HEAD}tables: { lists: [{ a: &a [*a] }] }\n${TESTS}`;
    expect(await codes(itself)).toEqual(['7:28 R1201 Lists and maps are nested deeper than 32 levels here.']);
  });

  test('YAML nested beyond what a parser can do', async () => {
    expect(await codes(`a: ${'['.repeat(100_000)}`)).toEqual([
      '1:1 R1101 The YAML cannot be read; it is nested too deeply.',
    ]);
  });
});

test('whatever the file says, there are findings or results, and nothing is thrown', async () => {
  const good = one(
    'user: alice\nsubscriptions: [{ stream: mine }]\nexpect: { mine: { lists: [l1] } }\nnever: { lists: [l1] }',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          fc.nat(good.length),
          fc.constantFrom(
            '',
            '[',
            '{',
            ']',
            '}',
            ': ',
            '- ',
            '*a',
            '&a ',
            '"',
            '\n',
            '\n  ',
            '1',
            'x',
            '!!binary ',
            '<<: ',
          ),
        ),
        { maxLength: 4 },
      ),
      async (edits) => {
        const text = edits.reduce(
          (before, [at, put]) => before.slice(0, at) + put + before.slice(at + (put === '' ? 3 : 0)),
          good,
        );
        const { findings, tests, passed } = await runTestText(text);
        const failed = findings.some(({ level }) => level === 'error') || tests.some((item) => !item.passed);
        expect(passed).toBe(!failed);
        for (const { line, column } of findings) expect(line * column).toBeGreaterThan(0);
      },
    ),
    { numRuns: 150 },
  );
});
