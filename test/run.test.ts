import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
let folder: string;

beforeEach(async () => {
  // Within the repository, where its tests find vitest; the folder is ignored by git and by the other tests.
  await mkdir(join(root, '.cache'), { recursive: true });
  folder = await mkdtemp(join(root, '.cache', 'run-test-'));
  await writeFile(
    join(folder, 'vitest.config.ts'),
    `export default { test: { projects: [{ test: { name: 'unit', include: ['*.test.ts'] } }] } };`,
  );
});
afterEach(() => rm(folder, { recursive: true, force: true }));

type Outcome = { code: number | null; output: string; closing: string | undefined };

/** Runs the test runner on a folder with the given tests; `on` sees the output grow, and may end the run. */
async function run(
  tests: string,
  words: string[] = [],
  on = (_output: string, _kill: () => void) => {},
): Promise<Outcome> {
  const code = `import { beforeAll, describe, expect, test } from 'vitest';\n${tests}`;
  await writeFile(join(folder, 'sample.test.ts'), code);
  const child = spawn(process.execPath, [join(root, 'test/run.ts'), '--root', folder, ...words], {
    cwd: root,
    env: { ...process.env, VITEST: undefined, NODE_OPTIONS: undefined },
  });
  let output = '';
  // The last line of the output proper: which of two pipes is read first, when both have something, is not said.
  let written = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (stream === child.stdout) written += chunk.toString();
      on(output, () => child.kill('SIGTERM'));
    });
  }
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { code: exitCode, output, closing: written.trimEnd().split('\n').at(-1) };
}

// Each starts vitest anew, beside whatever else the machine does.
describe('the closing line and the exit code', { timeout: 90_000 }, () => {
  test.each([
    ['success', `test('a', () => {}); test('b', () => {});`, '2 passed, 0 failed', 0],
    ['a failed test', `test('a', () => {}); test('b', () => expect(1).toBe(2));`, '1 passed, 1 failed', 1],
    ['a skipped test', `test('a', () => {}); test.skip('b', () => {});`, '1 passed, 0 failed, 1 skipped', 0],
    ['nothing but skipped tests', `test.skip('b', () => {});`, '0 passed, 0 failed, 1 skipped', 1],
    ['a file that does not load', `throw new Error('no');`, '0 passed, 1 failed', 1],
    [
      'a failed hook',
      `test('a', () => {}); describe('b', () => { beforeAll(() => { throw new Error('no'); }); test('c', () => {}); });`,
      '1 passed, 1 failed, 1 skipped',
      1,
    ],
    [
      'an error outside of tests',
      `test('a', async () => { setTimeout(() => { throw new Error('no'); }, 0); await new Promise((r) => setTimeout(r, 50)); });`,
      '1 passed, 1 failed',
      1,
    ],
  ])('%s', async (_, tests, closing, code) => {
    expect(await run(tests)).toMatchObject({ closing, code });
  });

  test('no file that matches is a failure', async () => {
    const outcome = await run(`test('a', () => {});`, ['no-such-file']);
    expect(outcome).toMatchObject({ closing: '0 passed, 1 failed', code: 1 });
    expect(outcome.output).toContain('No test file matches no-such-file');
  });

  test('a filter picks files by a part of their name', async () => {
    expect(await run(`test('a', () => {});`, ['sample'])).toMatchObject({ closing: '1 passed, 0 failed', code: 0 });
  });

  test('a run that is cut short fails, and counts what ran', async () => {
    const tests = `test('a', () => {}); test('b', async () => { console.log('at b'); await new Promise(() => {}); }, 600_000);`;
    let isCut = false;
    const outcome = await run(tests, [], (output, kill) => {
      if (isCut || !output.includes('at b')) return;
      isCut = true;
      kill();
    });
    expect(outcome.output).toContain('cut short by SIGTERM');
    expect(outcome.closing).toMatch(/^[01] passed, 1 failed/);
    expect(outcome.code).toBe(1);
  });
});
