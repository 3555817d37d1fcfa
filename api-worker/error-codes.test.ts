/** Every code that the worker raises has a test that provokes it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const folder = import.meta.dirname;
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const isTest = (name: string): boolean => name.endsWith('.test.ts') || name.startsWith('testing');
const read = (names: readonly string[]): string =>
  names.map((name) => readFileSync(join(folder, name), 'utf8')).join('\n');

/** Raised by what the worker calls, and answered by it. */
const PASSED_ON = ['PSYNC_S2101', 'PSYNC_S2106', 'PSYNC_S2305', 'PSYNC_S2402', 'PSYNC_S2403'];

test('codes in the sources are codes in the tests', () => {
  const sources = read(files.filter((name) => !isTest(name)));
  const raised = new Set([...sources.matchAll(/codedError\(\s*'(PSYNC_\w+)'/g)].map(([, code]) => code!));
  // The expression above finds what there is to find.
  expect([...raised]).toEqual(expect.arrayContaining(['PSYNC_S0001', 'PSYNC_S2002', 'PSYNC_S2304', 'PSYNC_S2404']));
  const tests = read(files.filter((name) => name.endsWith('.test.ts') && name !== 'error-codes.test.ts'));
  const asserted = new Set([...tests.matchAll(/'(PSYNC_\w+)'/g)].map(([, code]) => code!));
  expect([...raised, ...PASSED_ON].filter((code) => !asserted.has(code))).toEqual([]);
});
