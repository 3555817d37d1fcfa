import { describe, expect, test } from 'vitest';
import type { Difference } from './contract.ts';
import { describeDifference } from './describe.ts';
import { runTestText } from './run.ts';

const CONFIG = `sync_config_content: |
  config: { edition: 3 }
  streams:
    lists:
      auto_subscribe: true
      query: SELECT * FROM lists WHERE owner = auth.user_id() AND archived = 0
    todos:
      query: >-
        SELECT id, text, done, due, meta FROM todos WHERE list_id = subscription.parameter('list')
        AND list_id IN (SELECT id FROM lists WHERE owner = auth.user_id() OR 'admin' = auth.parameter('role'))
`;
const TABLES = `tables:
  lists:
    - { id: l1, owner: alice, archived: false, name: Groceries }
    - { id: l2, owner: bob, archived: false, name: Surprise }
    - { id: l3, owner: alice, archived: true }
    - { id: l4, archived: false }
  todos:
    - { id: 1, list_id: l1, text: Milk, done: 0, due: 1.5, meta: { tags: [a, 1, 2.0], big: 9007199254740993 } }
    - { id: 2, list_id: l2, text: Cake, done: true, due: 2.0 }
`;

/** Findings, and the differences of the only test. */
async function run(lines: string, tables = TABLES, config = CONFIG): Promise<string[]> {
  const text = `${config}${tables}tests:\n  - name: t\n${lines.replaceAll(/^/gm, '    ')}\n`;
  const { findings, tests, passed } = await runTestText(text);
  const found = [...findings.map(({ text: of }) => of), ...(tests[0]?.differences ?? []).map(withStream)];
  expect(passed).toBe(found.length === 0);
  expect(tests).toMatchObject([{ name: 't', passed }]);
  return found;
}
const withStream = (difference: Difference): string =>
  `${'stream' in difference ? `${difference.stream}: ` : ''}${describeDifference(difference)}`;

const LISTS = 'lists: { lists: [l1] }';
const ON_L1 = 'subscriptions: [{ stream: todos, parameters: { list: l1 } }]';

describe('expect', () => {
  test('rows by id, and with all their columns', async () => {
    expect(
      await run(`user: alice\n${ON_L1}\nexpect:
  lists: { lists: [{ id: l1, owner: alice, archived: 0, name: Groceries }] }
  todos: { todos: [{ id: 1, text: Milk, done: false, due: 1.5, meta: { big: 9007199254740993, tags: [a, 1, 2.0] } }] }`),
    ).toEqual([]);
    expect(await run(`user: alice\n${ON_L1}\nexpect: { ${LISTS}, todos: { todos: ['1'] } }`)).toEqual([]);
  });

  test('a column with another value, one too many, one too few; exact beyond 2^53, and 1 is not 1.0 (S-275, S-276)', async () => {
    expect(
      await run(`user: alice\n${ON_L1}\nexpect:
  lists: { lists: [{ id: l1, owner: alice, archived: 0, name: Groceries, colour: red }] }
  todos: { todos: [{ id: 1, text: Bread, done: 0.0, due: 1, meta: { big: 9007199254740992, tags: [a, 1, 2.0] } }] }`),
    ).toEqual([
      'lists: ~ lists/l1 colour: expected "red", got no such column',
      'todos: ~ todos/1 text: expected "Bread", got "Milk"',
      'todos: ~ todos/1 done: expected 0.0, got 0',
      'todos: ~ todos/1 due: expected 1, got 1.5',
      String.raw`todos: ~ todos/1 meta: expected {"big":9007199254740992,"tags":["a",1,2.0]}, got "{\"tags\":[\"a\",1,2.0],\"big\":9007199254740993}"`,
    ]);
    expect(await run('user: alice\nexpect: { lists: { lists: [{ id: l1, owner: alice, archived: 0 }] } }')).toEqual([
      'lists: ~ lists/l1 name: expected no such column, got "Groceries"',
    ]);
  });

  test('a null column is as good as none (S-277); columns that a row leaves out are null', async () => {
    const admin = 'token: { sub: bob, role: admin }\nsubscriptions: [{ stream: todos, parameters: { list: l2 } }]';
    const rest = 'lists: { lists: [l2] }';
    const cake = 'id: 2, text: Cake, done: 1, due: 2.0';
    expect(await run(`${admin}\nexpect: { ${rest}, todos: { todos: [{ ${cake} }] } }`)).toEqual([]);
    expect(await run(`${admin}\nexpect: { ${rest}, todos: { todos: [{ ${cake}, meta: , x: null }] } }`)).toEqual([]);
    expect(await run(`${admin}\nexpect: { ${rest}, todos: { todos: [{ ${cake}, meta: {} }] } }`)).toEqual([
      'todos: ~ todos/2 meta: expected {}, got null',
    ]);
  });

  test('rows that are too many: also of tables and streams that are not named', async () => {
    const found = ['todos: + todos/1 (not expected: from todos|0["l1"])'];
    expect(await run(`user: alice\n${ON_L1}\nexpect: { ${LISTS} }`)).toEqual(found);
    expect(await run(`user: alice\n${ON_L1}\nexpect: { ${LISTS}, todos: {} }`)).toEqual(found);
    expect(await run(`user: alice\n${ON_L1}\nexpect: { ${LISTS}, todos: { todos: [] } }`)).toEqual(found);
    expect(await run('user: alice\nexpect: {}')).toEqual(['lists: + lists/l1 (not expected: from lists|0["alice"])']);
  });

  test('rows that are missing, and why', async () => {
    const expected = 'expect: { lists: { lists: [l1, l2, l3, l4, l5], todos: [1] }, todos: { todos: [1] } }';
    expect(await run(`user: alice\n${expected}`)).toEqual([
      'lists: - lists/l2 (missing: the row is in lists|0["bob"]; the session has lists|0["alice"])',
      'lists: - lists/l3 (missing: no query of the stream selects the row: archived = 0 is false (archived is 1))',
      'lists: - lists/l4 (missing: owner is NULL, which equals nothing)',
      'lists: - lists/l5 (missing: no row of public.lists in this file gives this id)',
      'lists: - todos/1 (missing: no query of the stream gives rows of this table; they give lists)',
      'todos: - todos/1 (missing: the session does not have the stream; name it under "subscriptions")',
    ]);
  });

  test('a stranger who asks for what is not hers gets nothing', async () => {
    const stranger = `token: { sub: mallory, role: user }\n${ON_L1}`;
    expect(await run(`${stranger}\nexpect: {}\nbuckets: 1`)).toEqual([]);
    expect(await run(`${stranger}\nexpect: { todos: { todos: [1] } }`)).toEqual([
      'todos: - todos/1 (missing: the row is in todos|0["l1"]; the session has no bucket of that query)',
    ]);
  });

  test('without it only never and buckets are checked', async () => {
    expect(await run('user: alice\nnever: { lists: [l2, l3] }')).toEqual([]);
    expect(await run('user: alice\nbuckets: 1')).toEqual([]);
  });
});

describe('never, buckets and error', () => {
  test('a forbidden row, whichever stream gives it', async () => {
    expect(await run('user: bob\nnever: { lists: [l1, l2, l3] }')).toEqual([
      'lists: ! lists/l2 (under "never": from lists|0["bob"])',
    ]);
  });

  test('another number of buckets', async () => {
    expect(await run(`user: alice\n${ON_L1}\nbuckets: 3`)).toEqual([
      'buckets: expected 3, got 2: lists|0["alice"], todos|0["l1"]',
    ]);
  });

  test('too many buckets: an error where it is expected, else a difference (S-384)', async () => {
    const list = (count: number): string => JSON.stringify(Array.from({ length: count }, (_, at) => `l${at}`));
    const config = CONFIG.replace('= auth.user_id() AND', "IN auth.parameter('ids') AND");
    const failed = `[PSYNC_S2305] Too many buckets: 1001 (limit of 1000)`;
    expect(await run(`token: { sub: a, ids: ${list(1001)} }\nerror: PSYNC_S2305`, TABLES, config)).toEqual([]);
    expect(await run(`token: { sub: a, ids: ${list(1001)} }\nexpect: {}`, TABLES, config)).toEqual([
      `the session fails: ${failed} (lists: 1001)`,
    ]);
    expect(await run(`token: { sub: a, ids: ${list(1000)} }\nerror: PSYNC_S2305`, TABLES, config)).toEqual([
      'expected the error PSYNC_S2305, but the session is fine',
    ]);
    const limits = `${TABLES}limits: { max_buckets_per_connection: 3 }\n`;
    expect(await run(`token: { sub: a, ids: ${list(4)} }\nerror: PSYNC_S2305`, limits, config)).toEqual([]);
  });
});

describe('sessions', () => {
  const config = `sync_config_content: |
  config: { edition: 3 }
  streams:
    all: { auto_subscribe: true, query: SELECT * FROM t }
    by_claims: { query: 'SELECT id FROM t WHERE n = auth.parameter(''n'') AND m = connection.parameter(''m'')', accept_potentially_dangerous_queries: true }
`;
  const tables = `tables: { t: [{ id: a, n: 9007199254740993, m: x }, { id: b, n: 9007199254740992, m: x }] }\n`;

  test('defaults: false leaves out streams with auto_subscribe (S-70)', async () => {
    const asked = 'user: u\ndefaults: false\nsubscriptions: [{ stream: by_claims }]';
    expect(await run(`${asked}\nexpect: {}\nbuckets: 0`, tables, config)).toEqual([]);
    expect(await run(`${asked.replace('false', 'true')}\nexpect: { all: { t: [a, b] } }`, tables, config)).toEqual([]);
  });

  test('claims are exact beyond 2^53 (S-83); connection parameters', async () => {
    const asked = (n: string): string =>
      `token: { sub: u, n: ${n} }\nconnection: { m: x }\ndefaults: false\nsubscriptions: [{ stream: by_claims, parameters: {}, priority: 0 }]`;
    expect(await run(`${asked('9007199254740993')}\nexpect: { by_claims: { t: [a] } }`, tables, config)).toEqual([]);
    expect(await run(`${asked('9007199254740992')}\nexpect: { by_claims: { t: [b] } }`, tables, config)).toEqual([]);
    expect(await run(`${asked('"9007199254740992"')}\nexpect: {}`, tables, config)).toEqual([]);
  });

  test('a number as user is a text for auth.user_id() (O-89)', async () => {
    const own = CONFIG.replaceAll('owner', 'list_id');
    const rows = `tables: { lists: [{ id: l1, list_id: '42', archived: 0 }, { id: l2, list_id: 42, archived: 0 }] }\n`;
    expect(await run('user: 42\nexpect: { lists: { lists: [l1] } }', rows, own)).toEqual([]);
  });

  test('bucket definitions are streams under their name', async () => {
    const legacy = `sync_config_content: |
  bucket_definitions:
    owned:
      parameters: SELECT request.user_id() AS owner
      data:
        - SELECT id, name FROM lists WHERE owner = bucket.owner
`;
    const rows = 'tables: { lists: [{ id: l1, owner: alice, name: A }, { id: l2, owner: bob, name: B }] }\n';
    expect(
      await run('user: alice\nexpect: { owned: { lists: [{ id: l1, name: A }] } }\nbuckets: 1', rows, legacy),
    ).toEqual([]);
  });
});

describe('tables', () => {
  const config = (query: string): string =>
    `sync_config_content: |\n  config: { edition: 3 }\n  streams:\n    s: { auto_subscribe: true, query: ${JSON.stringify(query)} }\n`;

  test('with schema, and with quotes (S-248, S-252)', async () => {
    const rows = (name: string): string => `tables: { '${name}': [{ id: a }] }\n`;
    const own = 'user: u\nexpect: { s: { notes: [a] } }';
    for (const name of ['other.notes', '"other"."notes"', '"default.other"."notes"', 'default.other.notes'])
      expect(await run(own, rows(name), config('SELECT * FROM "other"."notes"'))).toEqual([]);
    expect(await run(own, rows('"Other 2"."no.tes"'), config('SELECT * FROM "Other 2"."no.tes" AS notes'))).toEqual([]);
    const [unread, missing] = await run(own, rows('notes'), config('SELECT * FROM other.notes'));
    expect(unread).toContain('No query reads "notes" (public.notes of source default).');
    expect(missing).toBe('s: - notes/a (missing: no row of other.notes in this file gives this id)');
  });

  test('of several connections (R-3), in all schemas with a prefix (S-689)', async () => {
    const notes = 'tables: { tenant_1.notes: [{ id: a }], tenant_2.notes: [{ id: b }] }\n';
    const query = `SELECT * FROM "tenant_%".notes AS notes WHERE notes.schema() = auth.parameter('tenant')`;
    expect(
      await run('token: { sub: u, tenant: tenant_2 }\nexpect: { s: { notes: [b] } }', notes, config(query)),
    ).toEqual([]);

    const sources = 'sources: { default: postgresql, billing: mysql }\ntables: { billing.shop.bills: [{ id: x }] }\n';
    const bills = config('SELECT * FROM "billing.shop"."bills"');
    expect(await run('user: u\nexpect: { s: { bills: [x] } }', sources, bills)).toEqual([]);
    // with one "source" the tags of tables are known too
    expect(await run('user: u\nexpect: { s: { bills: [x] } }', sources.replace(/.*\n/, ''), bills)).toEqual([]);
  });

  test('default schemas by kind (S-249, S-250)', async () => {
    const rows = (kind: string): string => `source: ${kind}\ntables: { t: [{ id: a }] }\n`;
    for (const [kind, schema] of [
      ['postgresql', 'public'],
      ['mssql', 'dbo'],
      ['convex', 'convex'],
    ] as const) {
      const named = config(`SELECT * FROM ${schema}.t`);
      expect(await run('user: u\nexpect: { s: { t: [a] } }', rows(kind), named)).toEqual([]);
    }
    for (const kind of ['mongodb', 'mysql'])
      expect(await run('user: u\nexpect: { s: { t: [a] } }', rows(kind), config('SELECT * FROM t'))).toEqual([]);
  });

  test('bytes can be read, and are left out of rows (S-270, S-271); aliases stand for their values', async () => {
    const rows = 'tables: { t: [{ id: a, raw: &x !!binary aGk= }, { id: b, raw: *x }] }\n';
    const query = config('SELECT *, hex(raw) AS text FROM t');
    expect(
      await run(`user: u\nexpect: { s: { t: [{ id: a, text: '6869' }, { id: b, text: '6869' }] } }`, rows, query),
    ).toEqual([]);
  });
});

test('a filter runs the tests with a text in their name; positions are those in the file', async () => {
  const text = `${CONFIG}${TABLES}tests:
  - { name: Alice reads, user: alice, expect: { lists: { lists: [l1] } } }
  - { name: bob, user: bob, expect: {} }
  - name: alice lists

    user: alice
    buckets: 1
`;
  const lines = async (filter?: string): Promise<unknown[]> =>
    (await runTestText(text, { filter, now: () => 7 })).tests.map(({ name, line, passed, durationMs }) => [
      name,
      line,
      passed,
      durationMs,
    ]);
  const at = text.split('\n').indexOf('tests:') + 2;
  expect(await lines()).toEqual([
    ['Alice reads', at, true, 0],
    ['bob', at + 1, false, 0],
    ['alice lists', at + 2, true, 0],
  ]);
  expect(await lines('ALICE L')).toEqual([['alice lists', at + 2, true, 0]]);
  expect(await lines('x')).toEqual([]);
});

test('the sync config of another file: found by its path, and its findings are shown in it', async () => {
  const asked: string[] = [];
  const readSyncConfig = async (path: string): Promise<{ file: string; text: string }> => {
    asked.push(path);
    return { file: 'folder/config.yaml', text: 'streams: {}' };
  };
  const text = 'sync_config: ./config.yaml\ntests: [{ name: t, user: u, expect: {} }]';
  const { findings } = await runTestText(text, { readSyncConfig });
  expect(asked).toEqual(['./config.yaml']);
  expect(findings.map(({ text: of }) => of)).toEqual([
    expect.stringMatching(/^folder\/config.yaml:1:1: warning \[PSYNC_R1210\]/),
  ]);
  const failing = await runTestText(text, { readSyncConfig: () => Promise.reject(new Error('gone')) });
  expect(failing.findings).toMatchObject([{ code: 'PSYNC_R1305', message: 'gone', line: 1, column: 14 }]);
});
