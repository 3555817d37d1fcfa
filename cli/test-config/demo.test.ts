/** The demo's tests: they pass, and each way to make its sync config leak makes them fail. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { FileResult } from './contract.ts';
import { runTestText } from './run.ts';

const demo = (name: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../demo/${name}`, import.meta.url)), 'utf8');
const tests = await demo('sync-config.sync-test.yaml');
const config = await demo('sync-config.yaml');

function run(text: string): Promise<FileResult> {
  return runTestText(tests, {
    readSyncConfig: async (path) => {
      expect(path).toBe('./sync-config.yaml');
      return { file: path, text };
    },
  });
}

test('the demo passes its tests, without a word against it', async () => {
  const { tests: results, findings, passed } = await run(config);
  expect(findings).toEqual([]);
  expect(results.map(({ name, differences }) => [name, differences])).toEqual([
    ['a member sees the list and what is on it', []],
    ['members of other lists do not see it', []],
    ['a stranger gets nothing', []],
  ]);
  expect(passed).toBe(true);
});

const LEAKS: readonly (readonly [string, string | RegExp, string])[] = [
  ['the filter of lists dropped', / FROM lists WHERE .*/, ' FROM lists'],
  ['the filter of todos dropped', / FROM todos WHERE .*/, ' FROM todos'],
  ['who asks no longer matters', / WHERE user_id = auth\.user_id\(\)/g, ''],
  ['everybody is alice', /auth\.user_id\(\)/g, `'alice'`],
  ['whoever asks may say who they are', /auth\.user_id\(\)/g, `connection.parameter('user')`],
  ['the id of the membership for that of the list', /SELECT list_id FROM members/g, 'SELECT id FROM members'],
  ['lists are not for everybody', 'auto_subscribe: true', 'auto_subscribe: false'],
  ['a column left out', /SELECT \* FROM todos/, 'SELECT id, list_id, description FROM todos'],
  ['a column renamed', /SELECT \* FROM lists/, 'SELECT id, name AS title, created_at FROM lists'],
  ['a table renamed', /FROM todos WHERE/, 'FROM todos AS items WHERE'],
];

test.each(LEAKS)('%s: fails', async (_what, from, to) => {
  const changed = config.replace(from, to);
  expect(changed).not.toBe(config);
  const { tests: results, findings, passed } = await run(changed);
  // it is the tests that find it
  expect(findings.filter(({ level }) => level === 'error')).toEqual([]);
  expect(passed).toBe(false);
  expect(results.flatMap(({ differences }) => differences)).not.toEqual([]);
});

test('a dropped filter is named: the row that leaks, and where it comes from', async () => {
  const { tests: results } = await run(config.replace(/ FROM lists WHERE .*/, ' FROM lists'));
  const stranger = results.find(({ name }) => name === 'a stranger gets nothing');
  expect(stranger?.differences).toMatchObject([
    { kind: 'unexpected', stream: 'lists', table: 'lists', id: 'groceries', buckets: ['lists|0[]'] },
    { kind: 'unexpected', stream: 'lists', table: 'lists', id: 'surprise', buckets: ['lists|0[]'] },
    { kind: 'buckets', expected: 0, actual: 1 },
  ]);
});
