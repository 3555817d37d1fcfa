import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

let root: string;

/** A checkout with one dependency, a program that tells how it was called, and an npm that only says that it ran. */
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-bootstrap-'));
  for (const folder of ['cli', 'test', 'node_modules/.bin']) await mkdir(join(root, folder), { recursive: true });
  await copyFile(fileURLToPath(new URL('bootstrap.mjs', import.meta.url)), join(root, 'cli/bootstrap.mjs'));
  await writeFile(
    join(root, 'test/run.ts'),
    `console.log('ran', process.argv.slice(2).join(' ')); process.exitCode = 7;`,
  );
  await writeFile(
    join(root, 'cli/millrace.mjs'),
    `process.on('SIGTERM', () => process.exit(9)); console.log('up'); setInterval(() => {}, 1000);`,
  );
  await writeFile(
    join(root, 'npm.js'),
    `require('fs').writeFileSync(${JSON.stringify(join(root, 'called'))}, process.argv.slice(2).join(' '));`,
  );
  await writeFile(join(root, 'package-lock.json'), lock({ '': '1.0.0', 'node_modules/a': '2.0.0' }));
  await writeFile(join(root, 'node_modules/.package-lock.json'), lock({ 'node_modules/a': '2.0.0' }));
  await symlink(process.execPath, join(root, 'node_modules/.bin/node'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

function lock(versions: Record<string, string>, extra: Record<string, unknown> = {}): string {
  const packages = Object.entries(versions).map(([path, version]) => [path, { version }]);
  return JSON.stringify({ packages: { ...Object.fromEntries(packages), ...extra } });
}

function start(...words: string[]) {
  return spawn(process.execPath, [join(root, 'cli/bootstrap.mjs'), ...words], {
    env: { ...process.env, npm_execpath: join(root, 'npm.js') },
  });
}

async function run(...words: string[]) {
  const child = start(...words);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  const npm = await readFile(join(root, 'called'), 'utf8').catch(() => undefined);
  return { code, output, npm };
}

test('runs the program with the arguments, and ends with its exit code', async () => {
  expect(await run('test', 'path', '--flag')).toEqual({ code: 7, output: 'ran path --flag\n', npm: undefined });
});

test('installs first where a package is missing or of another version, and says so in one line', async () => {
  for (const installed of [lock({}), lock({ 'node_modules/a': '1.0.0' }), 'no json']) {
    await writeFile(join(root, 'node_modules/.package-lock.json'), installed);
    const outcome = await run('test');
    expect(outcome.output).toBe('Installing dependencies (npm ci)…\nran \n');
    expect(outcome.npm).toMatch(/^ci /);
  }
});

test('does not install for a package that only other platforms have', async () => {
  const other = { 'node_modules/b': { version: '1.0.0', optional: true } };
  await writeFile(join(root, 'package-lock.json'), lock({ 'node_modules/a': '2.0.0' }, other));
  expect((await run('test')).npm).toBeUndefined();
});

test('installs again where the native part of a package is missing', async () => {
  const native = { version: '1.0.0', optional: true, os: [process.platform], cpu: [process.arch] };
  await writeFile(join(root, 'package-lock.json'), lock({ 'node_modules/a': '2.0.0' }, { 'node_modules/n': native }));
  expect((await run('test')).npm).toMatch(/^ci /);
});

test('a lock file without the packages of other platforms is no obstacle', async () => {
  const called = JSON.stringify(join(root, 'called'));
  const npm = `const words = process.argv.slice(2).join(' ');
    if (words.startsWith('ci')) { console.error('npm error Missing: b@ from lock file'); process.exit(1); }
    require('fs').writeFileSync(${called}, words);`;
  await writeFile(join(root, 'npm.js'), npm);
  await rm(join(root, 'node_modules/.package-lock.json'));
  const outcome = await run('test');
  expect(outcome.output).toBe('Installing dependencies (npm ci)…\nran \n');
  expect(outcome.npm).toMatch(/^install --no-save /);
});

test('a failed installation ends it, with what npm said', async () => {
  await writeFile(join(root, 'npm.js'), `console.error('no registry'); process.exit(1);`);
  await rm(join(root, 'node_modules/.package-lock.json'));
  const { code, output } = await run('test');
  expect(code).toBe(1);
  expect(output).toContain('no registry');
  expect(output).not.toContain('ran');
});

test('passes signals on', async () => {
  const child = start('dev');
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  expect(await once(child, 'close')).toEqual([9, null]);
});

test('a benchmark is named, and gets the rest', async () => {
  await mkdir(join(root, 'bench'));
  await writeFile(join(root, 'bench/fast.ts'), `console.log('fast', process.argv.slice(2).join(' '));`);
  expect(await run('bench', 'fast', 'x')).toMatchObject({ code: 0, output: 'fast x\n' });
  expect(await run('bench', 'slow')).toMatchObject({ code: 2, output: 'Usage: npm run bench -- fast\n' });
});

test('an unknown task is refused', async () => {
  const { code, output } = await run('toString');
  expect(code).toBe(2);
  expect(output).toContain('Usage: ');
});
