import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

type Lock = { packages: Record<string, { version?: string; optionalDependencies?: Record<string, string> }> };

const read = (path: string) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as unknown;

test('package-lock.json lists the optional packages of all platforms; else run: node .ci/complete-lock.mjs', () => {
  const { packages } = read('../package-lock.json') as Lock;
  const missing = Object.entries(packages).flatMap(([parent, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) =>
        packages[`node_modules/${name}`] === undefined && packages[`${parent}/node_modules/${name}`] === undefined,
    ),
  );
  expect(missing).toEqual([]);
});

test('package-lock.json belongs to package.json', () => {
  const manifest = read('../package.json') as Record<string, unknown>;
  const locked = (read('../package-lock.json') as Lock).packages[''] as Record<string, unknown>;
  for (const kind of ['dependencies', 'devDependencies', 'engines']) expect(locked[kind]).toEqual(manifest[kind]);
});
