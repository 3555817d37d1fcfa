import { expect, test } from 'vitest';
import { compilerFor } from './deploy.ts';
import type { SourceTables } from './source-tables.ts';
import { createValidation } from './validation.ts';

const config = (table: string): string => `config: { edition: 3 }\nstreams: { s: { query: SELECT * FROM ${table} } }`;
const tablesWith = (...names: string[]): SourceTables => ({
  tables: names.map((name) => ({ source: 'default', schema: 'public', name, columns: ['id'], columnTypes: ['text'] })),
  unread: [],
});

test('a text is compiled once while the tables are the same, and again when they are not', async () => {
  const compiled: string[] = [];
  const compile = compilerFor([]);
  let tables = tablesWith('a');
  const validate = createValidation(
    (text, known) => (compiled.push(text), compile(text, known)),
    () => Promise.resolve(tables),
  );
  const codes = async (table: string): Promise<string[]> =>
    (await validate(config(table))).result.diagnostics.map(({ code }) => code);
  expect([await codes('a'), await codes('b'), await codes('b')]).toEqual([[], ['PSYNC_R2301'], ['PSYNC_R2301']]);
  expect(compiled).toHaveLength(2);
  tables = tablesWith('a', 'b');
  expect(await codes('b')).toEqual([]);
  for (const name of ['c', 'd', 'e', 'f', 'b']) await codes(name);
  // of many texts the last few are kept
  expect(compiled).toHaveLength(2 + 1 + 5);
});
