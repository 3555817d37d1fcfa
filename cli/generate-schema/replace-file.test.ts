import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { replaceFile } from './replace-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-replace-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a new file, and one in place of another, which keeps its permissions', async () => {
  const path = join(folder, 'schema.ts');
  await replaceFile(path, 'one');
  await chmod(path, 0o662);
  await replaceFile(path, 'two');
  expect(await readFile(path, 'utf8')).toBe('two');
  expect((await stat(path)).mode & 0o777).toBe(0o662);
  expect(await readdir(folder)).toEqual(['schema.ts']);
});

test('through a link', async () => {
  await writeFile(join(folder, 'real.ts'), 'one');
  await symlink('real.ts', join(folder, 'link.ts'));
  await replaceFile(join(folder, 'link.ts'), 'two');
  expect(await readFile(join(folder, 'real.ts'), 'utf8')).toBe('two');
});

test('where nothing can be written: a code, and nothing is left behind', async () => {
  await mkdir(join(folder, 'taken'));
  await expect(replaceFile(join(folder, 'taken'), 'x')).rejects.toMatchObject({ code: 'PSYNC_S0103' });
  await expect(replaceFile(join(folder, 'none', 'schema.ts'), 'x')).rejects.toThrow(/none\/schema\.ts \(ENOENT\)/);
  expect(await readdir(folder)).toEqual(['taken']);
});
