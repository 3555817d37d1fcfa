import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findTestFiles } from './find-files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-find-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function files(...names: string[]): Promise<void> {
  for (const name of names) {
    await mkdir(join(folder, dirname(name)), { recursive: true });
    await writeFile(join(folder, name), '');
  }
}

test('without paths: everything below the working folder, but not what others installed or hid', async () => {
  const found = ['a.sync-test.yaml', 'b/c/d.sync-test.yml', 'b/z.sync-test.yaml'];
  await files(...found, 'sync-test.yaml', 'a.sync-test.yaml.bak', 'a.yaml');
  await files('node_modules/x/a.sync-test.yaml', 'b/node_modules/a.sync-test.yaml', '.git/a.sync-test.yaml');
  await symlink(folder, join(folder, 'b/loop'));
  expect(await findTestFiles([], folder)).toEqual({ files: found, problems: [] });
});

test('files may be called anything; each is run once, in the order of the paths', async () => {
  await files('x/a.sync-test.yaml', 'x/other.yaml', 'y/.hidden/b.sync-test.yaml');
  const paths = ['y/.hidden', 'x/other.yaml', 'x', join(folder, 'x/a.sync-test.yaml')];
  expect(await findTestFiles(paths, folder)).toEqual({
    files: ['y/.hidden/b.sync-test.yaml', 'x/other.yaml', join(folder, 'x/a.sync-test.yaml')],
    problems: [],
  });
});

test('what is not there, and folders without tests, are problems', async () => {
  await files('x/a.yaml');
  const { files: found, problems } = await findTestFiles(['x', 'nowhere.sync-test.yaml'], folder);
  expect(found).toEqual([]);
  expect(problems).toEqual([
    'x: there is no file *.sync-test.yaml in this folder or below.',
    expect.stringMatching(/^nowhere\.sync-test\.yaml: ENOENT/),
  ]);
  expect((await findTestFiles([], folder)).problems).toHaveLength(1);
});

test('folders that are nested too deeply are said, not passed over', async () => {
  await files(`${'n/'.repeat(20)}in.sync-test.yaml`, `${'n/'.repeat(21)}out.sync-test.yaml`);
  const { files: found, problems } = await findTestFiles([], folder);
  expect(found).toEqual([`${'n/'.repeat(20)}in.sync-test.yaml`]);
  expect(problems).toEqual([expect.stringContaining('nested deeper than 20 levels')]);
});
