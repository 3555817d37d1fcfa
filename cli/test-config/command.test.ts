import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runMillrace } from '#test/instance/command.ts';
import { testSyncConfigs, type TestOptions } from './command.ts';

const CONFIG = `config: { edition: 3 }
streams:
  mine:
    auto_subscribe: true
    queries:
      - SELECT * FROM lists WHERE owner = auth.user_id()
      - SELECT * FROM lists WHERE owner = connection.parameter('owner')
`;
const test1 = (name: string, expected: string): string => `sync_config: ../config/sync-config.yaml
tables: { lists: [{ id: l1, owner: alice }] }
tests: [{ name: ${name}, user: alice, expect: ${expected} }]
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-test-'));
  const files: Readonly<Record<string, string>> = {
    'config/sync-config.yaml': CONFIG,
    'good/a.sync-test.yaml': test1('reads', '{ mine: { lists: [l1] } }'),
    'good/b.sync-test.yaml': test1('reads more', '{ mine: { lists: [l1] } }'),
    'failing/c.sync-test.yaml': test1('gets nothing', '{}'),
    'wrong/d.sync-test.yaml': test1('x', '[]'),
    'wrong/e.sync-test.yaml': test1('x', '{}').replace('../config/', ''),
    'none/readme.yaml': '',
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(options: Partial<TestOptions>): Promise<{ ok: boolean; output: string }> {
  let output = '';
  const print = (text: string): void => void (output += `${text}\n`);
  const defaults = { paths: [], workingFolder: folder, output: 'human', colours: false, print } as const;
  return { ok: await testSyncConfigs({ ...defaults, ...options }), output };
}

describe('ends well only when at least one test ran and all passed', () => {
  test.each([
    [['good'], undefined, true, '2 tests in 2 files: 2 passed'],
    [['good/a.sync-test.yaml'], undefined, true, '1 test in 1 file: 1 passed'],
    [['good', 'failing'], undefined, false, '3 tests in 3 files: 2 passed, 1 failed'],
    [['good', 'failing'], 'READS', true, '2 tests in 2 files: 2 passed'],
    [['good', 'failing'], 'nothing', false, '1 test in 1 file: 0 passed, 1 failed'],
    [['good'], 'nothing', false, 'No test has "nothing" in its name.\n0 tests in 0 files: 0 passed'],
    [['good', 'wrong'], undefined, false, '2 tests in 4 files: 2 passed; 2 files with errors'],
    [['good', 'wrong'], 'reads', false, '2 tests in 4 files: 2 passed; 2 files with errors'],
    [['good', 'none'], undefined, false, 'none: there is no file *.sync-test.yaml in this folder or below.\n2 tests'],
    [['none'], undefined, false, '0 tests in 0 files: 0 passed'],
    [['good', 'away.yaml'], undefined, false, 'away.yaml: ENOENT'],
    [[], undefined, false, '3 tests in 5 files: 2 passed, 1 failed; 2 files with errors'],
  ] as const)('%j, filter %s', async (paths, filter, ok, end) => {
    const result = await run({ paths, filter });
    expect(result.ok).toBe(ok);
    expect(result.output).toContain(`\n${end}`.slice(result.output.startsWith(end) ? 1 : 0));
  });
});

test('a warning of the sync config is said once, an error in each file that tests it', async () => {
  const { output } = await run({ paths: ['good'] });
  expect(output.match(/^config\/sync-config\.yaml:7:\d+: warning \[PSYNC_R2401\]/gm)).toHaveLength(1);
  const inFolder = await run({ paths: ['.'], workingFolder: join(folder, 'good') });
  expect(inFolder.output).toMatch(/^\.\.\/config\/sync-config\.yaml:7:/m);
});

test('a sync config that is not there', async () => {
  const { output } = await run({ paths: ['wrong/e.sync-test.yaml'] });
  expect(output).toMatch(/^wrong\/e\.sync-test\.yaml:1:14: error \[PSYNC_R1305\] .*sync-config\.yaml/);
});

test('JSON and JUnit are one document, findings included', async () => {
  const json = JSON.parse((await run({ output: 'json' })).output) as { files: { file: string; findings: unknown[] }[] };
  expect(json).toMatchObject({ ok: false, passed: 2, failed: 1, problems: [] });
  expect(json.files.map(({ file }) => file)).toEqual([
    'failing/c.sync-test.yaml',
    'good/a.sync-test.yaml',
    'good/b.sync-test.yaml',
    'wrong/d.sync-test.yaml',
    'wrong/e.sync-test.yaml',
  ]);
  expect(json.files.map(({ findings }) => findings.length)).toEqual([1, 1, 1, 1, 1]);
  const { output } = await run({ output: 'junit' });
  expect(output).toMatch(
    /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites name="millrace test" tests="5" failures="1" errors="2">/,
  );
  expect(output.trim()).toMatch(/<\/testsuites>$/);
});

test('as a command: exit codes, and no colours where there is no terminal', async () => {
  const good = await runMillrace('test', join(folder, 'good'));
  expect([good.code, good.output]).toEqual([0, expect.stringContaining('  ✓ reads more\n')]);
  const failing = await runMillrace('test', join(folder, 'failing'), '--filter', 'gets');
  expect([failing.code, failing.output]).toEqual([
    1,
    expect.stringContaining('+ lists/l1 (not expected: from mine|0["alice"])'),
  ]);
  expect((await runMillrace('test', folder, '--output', 'xml')).code).not.toBe(0);
});
