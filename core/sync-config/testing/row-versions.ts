/** For tests: rows as a client stores them, to be compared. */
import assert from 'node:assert/strict';
import type { SqliteValue } from '../values.ts';
import type { PlainRow } from './plain-database.ts';
import type { Meaning } from './random-scenarios.ts';
import type { Cells, HeldTable, Schema } from './random-schemas.ts';

/** Versions of rows by what identifies them on the client: table name, id, source row. */
export type Versions = Map<string, Set<string>>;
export function addVersion(
  versions: Versions,
  identity: readonly string[],
  values: Iterable<readonly [string, SqliteValue]>,
): void {
  const name = JSON.stringify(identity);
  // a missing column and null are alike (S-277); blobs are left out (S-271), infinities are null (S-276)
  const known = [...values].filter(
    ([, value]) => value !== null && typeof value !== 'object' && (typeof value !== 'number' || Number.isFinite(value)),
  );
  const text = known
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([column, value]) =>
        `${column}: ${typeof value === 'bigint' ? value : typeof value === 'number' ? `real ${value}` : JSON.stringify(value)}`,
    )
    .join(', ');
  versions.set(name, (versions.get(name) ?? new Set()).add(text));
}

/** A row that plain SQL gives; `cells` are those of its source row. */
export function addMeant(
  versions: Versions,
  schema: Schema,
  meaning: Meaning,
  { table, key, values }: PlainRow,
  cells: Cells,
): void {
  const held = schema.tables[table] as HeldTable;
  // of equal names the last one counts (S-211)
  const columns = new Map<string, SqliteValue>();
  for (const [at, output] of meaning.outputs.entries()) {
    if (output.kind !== 'star') {
      columns.set(output.kind === 'named' ? output.name : schema.columns[output.column], values[at] ?? null);
      continue;
    }
    for (const [column, cell] of held.holds.entries()) columns.set(held.columns[column] ?? '', cells[cell ?? 'extra']);
  }
  const id = columns.get('id') ?? null;
  if (id === null) return;
  const pattern = schema.patterns[meaning.table];
  const type = meaning.alias ?? (pattern.wildcard ? held.name : pattern.name);
  addVersion(versions, [type, idText(id), `${table}/${key}`], columns);
}
/** CAST to text, for the values that ids have in these tests (S-263). */
function idText(id: Exclude<SqliteValue, null>): string {
  if (typeof id === 'object') return Buffer.from(id).toString();
  if (id === Number.POSITIVE_INFINITY) return 'Inf';
  if (typeof id === 'number' && Number.isInteger(id)) return id === 1e18 ? '1.0e+18' : `${id}.0`;
  return String(id);
}

/** The same rows; of one row that several queries give differently, any version may win (S-267, S-408). */
export function compareVersions(ours: Versions, theirs: Versions): void {
  const shown = (versions: Versions): Record<string, string[]> =>
    Object.fromEntries([...versions].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([row, texts]) => [row, [...texts]]));
  const same =
    ours.size === theirs.size &&
    [...ours].every(([row, texts]) => [...texts].every((text) => theirs.get(row)?.has(text) === true));
  if (!same) assert.deepEqual(shown(ours), shown(theirs), 'ours and theirs');
}
