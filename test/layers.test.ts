import { globSync, readFileSync } from 'node:fs';
import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { violations } from './layers.ts';

const root = new URL('../', import.meta.url);
const notOurs = ['**/node_modules', '.cache', 'coverage', '.git', 'api-worker/inspector/dist'];

function sources() {
  const paths = globSync('**/*.{ts,mts,cts,js,mjs,cjs}', { cwd: fileURLToPath(root), exclude: notOurs });
  return paths.map((path) => ({
    path: path.replaceAll(sep, '/'),
    text: readFileSync(new URL(path, root), 'utf8'),
  }));
}

test('every source keeps to its layer and to the layout', () => {
  const files = sources();
  expect(files.length).toBeGreaterThan(10);
  expect(violations(files)).toEqual([]);
});

const long = 'const x = 1;\n'.repeat(451);
const theirs = ['@powersync', 'service-core'].join('/');

test.each([
  ['platform takes protocol', 'core/platform/a.ts', `import type { A } from '../protocol/lines.ts';`],
  ['protocol takes more than errors', 'core/protocol/a.ts', `import { now } from '#core/platform/clock.ts';`],
  ['the compiler takes storage', 'core/sync-config/a.ts', `export { b } from '#core/bucket-storage/contract.ts';`],
  ['storage takes coordination', 'core/bucket-storage/a.ts', `import '#core/coordination/contract.ts';`],
  ['coordination takes a storage', 'core/coordination/a.ts', `import { x } from '../bucket-storage/mongodb/a.ts';`],
  ['core takes a program', 'core/auth/a.ts', `import { x } from '#replicator/stream.ts';`],
  ['core takes test code', 'core/auth/a.ts', `const x = await import('#test/services/redis.ts');`],
  ['test code of its own layer', 'core/auth/a.ts', `import { x } from './test-keys.ts';`],
  ['a program takes another', 'replicator/a.ts', `import { x } from '#api-worker/session.ts';`],
  ['over several lines', 'api-worker/a.ts', `import {\n  x,\n  y,\n} from '../replicator/sources/contract.ts';`],
  ['by a relative path', 'compactor/a.ts', `import { x } from '../operator/b.ts';`],
  ['the operator takes storage', 'operator/a.ts', `import { x } from '#core/bucket-storage/contract.ts';`],
  ['the operator takes sources', 'operator/a.ts', `import type { x } from '#replicator/sources/contract.ts';`],
  ['an unknown folder', 'elsewhere/a.ts', `import { x } from '#core/platform/clock.ts';`],
  ['the existing service', 'cli/a.ts', `import { x } from '${theirs}';`],
  ['a folder utils', 'core/platform/utils/a.ts', ''],
  ['a file util', 'core/platform/util.ts', ''],
  ['an index file', 'core/platform/index.ts', ''],
  ['the console', 'core/platform/a.ts', `  console.log('x');`],
  ['a long file', 'core/platform/a.ts', long],
])('refused: %s', (_, path, text) => {
  expect(violations([{ path, text }])).toEqual([expect.stringContaining(`${path}: `)]);
});

test.each([
  ['itself', 'core/platform/a.ts', `import { x } from './errors/coded-error.ts';`],
  ['errors', 'core/protocol/a.ts', `import { x } from '#core/platform/errors/coded-error.ts';`],
  ['anything in a fixture', 'core/coordination/a.fixture.ts', `import '#core/bucket-storage/mongodb/a.ts';`],
  ['anything in a folder for tests', 'api-worker/testing/a.ts', `import '#test/client/protocol-client.ts';`],
  ['anything in a conformance suite', 'core/bucket-storage/conformance/a.ts', `import '#test/services/redis.ts';`],
  ['anything in tests', 'core/protocol/a.test.ts', `import { x } from '#core/bucket-storage/contract.ts';`],
  [
    'lower layers',
    'core/bucket-storage/b/a.ts',
    `import { x } from '../c.ts'; import { y } from '#core/protocol/b.ts';`,
  ],
  ['core', 'replicator/sources/a.ts', `import { x } from '#core/auth/keys.ts';`],
  ['everything in cli', 'cli/dev.ts', `import { x } from '#operator/a.ts'; console.log(x);`],
  ['a long file with a reason', 'core/platform/a.ts', `// over 450 lines because: one table\n${long}`],
  ['the console in a comment', 'core/platform/a.ts', `/**\n * console.log('x')\n */`],
])('fine: %s', (_, path, text) => {
  expect(violations([{ path, text }])).toEqual([]);
});
