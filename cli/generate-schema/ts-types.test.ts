/** The types of generated TypeScript, checked by the compiler against the SDK's own (O-274, O-275). */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClientSchema } from '#core/sync-config/client-schema.ts';
import { emitTypeScript } from './ts.ts';
import { ordinarySchema, randomSchema } from './testing/random-schemas.ts';

const NODE_MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));
/** As strict as an app may be; generated code must not be what fails its checks. */
const OPTIONS = {
  target: 'es2022',
  module: 'esnext',
  moduleResolution: 'bundler',
  lib: ['es2022', 'dom'],
  types: [],
  noEmit: true,
  strict: true,
  skipLibCheck: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  noImplicitReturns: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noPropertyAccessFromIndexSignature: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-types-'));
  await symlink(NODE_MODULES, join(folder, 'node_modules'));
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: OPTIONS }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Answers what the compiler prints: nothing when all is well. */
function compile(): Promise<string> {
  const compiler = join(NODE_MODULES, 'typescript/bin/tsc');
  return new Promise((resolve) => {
    execFile(process.execPath, [compiler, '-p', folder], (_error, output, errors) => resolve(output + errors));
  });
}

/** These two end a line for the compiler. */
const quoted = (name: string): string =>
  JSON.stringify(name).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
const union = (names: readonly string[]): string => names.map(quoted).join(' | ') || 'never';

/** Assertions, written without anything of what writes the schema. */
function assertions(file: string, { tables, streams }: ClientSchema): string {
  const same = (a: string, b: string): string => `assert<Same<${a}, ${b}>>(true);`;
  const valueOf = { text: 'string | null', integer: 'number | null', real: 'number | null' };
  const database = tables.flatMap(({ name, columns }) => {
    const row = `Database[${quoted(name)}]`;
    return [
      same(`keyof ${row}`, union(['id', ...columns.map((column) => column.name)])),
      same(`${row}['id']`, 'string'),
      ...columns.map((column) => same(`${row}[${quoted(column.name)}]`, valueOf[column.type])),
    ];
  });
  const calls = streams.flatMap(({ name, parameters }) => {
    const member = `streams[${quoted(name)}]`;
    const given = parameters.map((parameter) => `[${quoted(parameter)}]: [1, 'a', { b: null }]`).join(', ');
    if (parameters.length === 0) return [`subscribe(${member}());`];
    return [
      `subscribe(${member}({ ${given} }));`,
      same(`keyof Parameters<typeof ${member}>[0]`, union(parameters)),
      `// @ts-expect-error parameters are required\n${member}({});`,
    ];
  });
  const typed = streams.length > 0;
  return [
    `import type { PowerSyncDatabase, Schema, SyncStream } from '@powersync/web';`,
    `import { AppSchema, type Database${typed ? ', typedStreams' : ''} } from './${file}';`,
    'type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;',
    'declare function assert<T extends boolean>(value: T): void;',
    'declare function open(schema: Schema): PowerSyncDatabase;',
    'declare function subscribe(stream: SyncStream): void;',
    'export const database = open(AppSchema);',
    same('keyof Database', union(tables.map(({ name }) => name))),
    ...database,
    ...(typed
      ? [
          'const streams = typedStreams(database);',
          same('keyof typeof streams', union(streams.map(({ name }) => name))),
        ]
      : []),
    ...calls,
    'export { assert, subscribe };',
  ].join('\n');
}

async function write(schemas: readonly ClientSchema[]): Promise<void> {
  for (const [at, schema] of schemas.entries()) {
    await writeFile(join(folder, `schema-${at}.ts`), emitTypeScript(schema));
    await writeFile(join(folder, `use-${at}.ts`), assertions(`schema-${at}`, schema));
  }
}

test('rows have the columns of their table, and streams take their parameters', async () => {
  // One run of the compiler for all: it takes a second, however much it checks.
  const schemas = fc.array(randomSchema, { minLength: 40, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(schemas, async (random) => {
      await write([ordinarySchema, { tables: [], streams: [] }, ...random]);
      expect(await compile()).toBe('');
    }),
    { numRuns: 1, endOnFailure: true },
  );
});

test('a column that is not there would be found', async () => {
  await writeFile(join(folder, 'use-0.ts'), assertions('schema-0', { ...ordinarySchema, tables: [] }));
  expect(await compile()).toMatch(/^\S*use-0\.ts/);
});
