/**
 * testing.md at its word. ```yaml config and ```yaml file are a sync config and its tests; ```yaml test are tests that pass and ```yaml fails
 * tests that do not, on the same rows where they have none; ```text is what is printed of them; the commands of ```sh are run.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { expect, test } from 'vitest';
import { blocksOf } from '#core/sync-config/testing/markdown.ts';
import type { FileResult } from '../../cli/test-config/contract.ts';
import { humanFile, plain } from '../../cli/test-config/human-report.ts';
import { runTestText } from '../../cli/test-config/run.ts';

const PAGE = await readFile(fileURLToPath(new URL('testing.md', import.meta.url)), 'utf8');
const LAUNCHER = fileURLToPath(new URL('../../cli/millrace.mjs', import.meta.url));
const blocks = blocksOf(PAGE);
const only = (info: string): string => {
  const found = blocks.filter((block) => block.info === info);
  expect(found, info).toHaveLength(1);
  return found[0]?.text ?? '';
};
const config = only('yaml config');
const file = only('yaml file');
/** Its head: the sync config and the tables. */
const rows = file.slice(0, file.indexOf('tests:'));

function run(text: string): Promise<FileResult> {
  const whole =
    text === file ? text : /^tables:/m.test(text) ? `sync_config: ./sync-config.yaml\n${text}` : rows + text;
  return runTestText(whole, {
    file: 'sync-config.sync-test.yaml',
    readSyncConfig: async (path) => {
      expect(path).toBe('./sync-config.yaml');
      return { file: 'sync-config.yaml', text: config };
    },
  });
}

test('every block is of a kind that is known here', () => {
  const kinds = new Set(blocks.map(({ info }) => info));
  expect([...kinds].toSorted()).toEqual([
    'sh',
    'text',
    'yaml ci',
    'yaml config',
    'yaml fails',
    'yaml file',
    'yaml test',
  ]);
});

test.each(blocks.filter(({ info }) => info === 'yaml file' || info === 'yaml test'))(
  'line $line passes',
  async ({ text }) => {
    const { findings, tests } = await run(text);
    expect(findings).toEqual([]);
    expect(tests.length).toBeGreaterThan(0);
    expect(tests.flatMap(({ differences }) => differences)).toEqual([]);
  },
);

test('what fails is printed as it stands there', async () => {
  expect(`${humanFile(await run(only('yaml fails')), plain)}\n`).toBe(only('text'));
});

test('the table of keys has all of them', async () => {
  const listed = [...PAGE.matchAll(/^\| `(\w+)` \|/gm)].map(([, key]) => key);
  const { findings } = await run('tests: [{ unknown_key: 1, name: t, user: u, expect: {} }]');
  expect(findings[0]?.message).toMatch(/^Unknown key "unknown_key" in a test; known are /);
  const known = findings[0]?.message.match(/[a-z]+(?=[,.])/g) ?? [];
  expect(known).toContain('never');
  expect(listed).toEqual(expect.arrayContaining(known));
});

test('the commands', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-testing-'));
  try {
    await writeFile(join(folder, 'sync-config.yaml'), config);
    await writeFile(join(folder, 'sync-config.sync-test.yaml'), file);
    const commands = only('sh').trim().split('\n');
    const ci = (parse(only('yaml ci')) as { jobs: { 'sync-config': { steps: { run?: string }[] } } }).jobs[
      'sync-config'
    ];
    for (const command of [...commands, ci.steps.at(-1)?.run ?? '']) {
      expect(command).toMatch(/^npx millrace test\b/);
      const words = command
        .replace(/\s*(#|>).*/, '')
        .split(' ')
        .slice(2);
      const { stdout } = await promisify(execFile)(process.execPath, [LAUNCHER, ...words], { cwd: folder });
      expect(stdout).toContain('the trips of a boat, for its crew');
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
