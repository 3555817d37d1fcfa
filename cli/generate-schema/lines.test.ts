/** What does not work on clients is said above it. Tried with @powersync/node 1.1: equal tables stop it, equal columns are renamed. */
import { expect, test } from 'vitest';
import type { ClientTable } from '#core/sync-config/client-schema.ts';
import { columnLines, tableNotes } from './lines.ts';

const table = (name: string, columns: readonly string[] = [], unknown: readonly string[] = []): ClientTable => ({
  name,
  columns: columns.map((column) => ({ name: column, type: 'text' })),
  unknown,
});
const REFUSED = expect.stringMatching(/^\/\/ Client SDKs refuse this name: .* an alias/) as string;
const AGAIN = expect.stringMatching(/^\/\/ SQLite on the client ignores case/) as string;

test('names that SDKs refuse, and names that differ by case only', () => {
  const lines = columnLines(table('t', ['Name', 'name', 'ID', 'a b', 'A B', 'É', 'é']), ({ name }) => name);
  expect(lines).toEqual(['Name', AGAIN, 'name', AGAIN, 'ID', REFUSED, 'a b', REFUSED, AGAIN, 'A B', 'É', 'é']);
});

test('the same of tables', () => {
  const tables = [table('Boats'), table('boats'), table('crew.2024')];
  const schema = { tables, streams: [] };
  expect(tables.map((each) => tableNotes(each, schema))).toEqual([[], [AGAIN], [REFUSED]]);
});

test('columns that the source does not have come last, as comments (O-276)', () => {
  expect(columnLines(table('t', ['a'], ['b', 'c\n*/']), ({ name }) => name)).toEqual([
    'a',
    '// Left out, the source has no such column: b',
    '// Left out, the source has no such column: c\\u{a}*/',
  ]);
});
