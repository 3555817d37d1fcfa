/** The fixture: `tables:` of a test file. */
import type { Node } from 'yaml';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { SourceRow, SqliteValue } from '#core/sync-config/values.ts';
import type { Entry } from '#core/sync-config/yaml/node-reader.ts';
import type { Key } from '#core/sync-config/yaml/structure.ts';
import type { Place, PlacedTable, SourceKind } from './contract.ts';
import type { FileReader } from './file-reader.ts';

export interface KnownSources {
  /** Kind by tag; tags that tables name are added. */
  readonly kinds: Map<string, SourceKind>;
  readonly defaultSource: string;
  /** Of tags that only tables name; null: those are errors. */
  readonly kindOfOthers: SourceKind | null;
}

/**
 * Schema of tables that are named without one (S-248…S-251). That of MongoDB and MySQL is the database of the connection, which a test does
 * not have: it stands for it.
 */
export const DEFAULT_SCHEMAS: Readonly<Record<SourceKind, string>> = {
  postgresql: 'public',
  mongodb: 'database',
  mysql: 'database',
  mssql: 'dbo',
  convex: 'convex',
};

/** Rows of one file. */
const MAX_ROWS = 20_000;

export function readTables(tables: Entry, sources: KnownSources, reader: FileReader): PlacedTable[] {
  const found = new Map<string, PlacedTable>();
  let rows = 0;
  for (const entry of reader.entries(tables.value, '"tables"', tables.key) ?? []) {
    const name = tableName(entry.key, sources, reader);
    const items = reader.list(entry.value, `The rows of "${entry.key.text}"`, entry.key);
    if (name === null || items === null) continue;
    rows += items.length;
    if (rows > MAX_ROWS) throw codedError('PSYNC_R1304', `The test file has more than ${MAX_ROWS} rows; use fewer.`);
    const key = JSON.stringify([name.source, name.schema, name.name]);
    const known = found.get(key);
    if (known !== undefined) {
      reader.error('PSYNC_R1211', `"${entry.key.text}" is the same table as "${known.written}"; keep one.`, entry.key);
    }
    found.set(key, { ...name, ...readRows(items, entry.key, reader), written: entry.key.text, place: entry.key });
  }
  return [...found.values()];
}

/** `table`, `schema.table` or `tag.schema.table`; a part with a dot stands in double quotes. */
function tableName(
  key: Key,
  sources: KnownSources,
  reader: FileReader,
): { source: string; schema: string; name: string } | null {
  const parts = partsOf(key.text);
  const name = parts?.pop();
  if (parts === undefined || name === undefined || parts.length > 2) {
    reader.error('PSYNC_R1201', `"${key.text}" must be table, schema.table or tag.schema.table.`, key);
    return null;
  }
  // "tag.schema"."table", as in the sync config (S-252)
  const prefix = parts.join('.');
  const dot = prefix.indexOf('.');
  const source = dot < 0 ? sources.defaultSource : prefix.slice(0, dot);
  let kind = sources.kinds.get(source);
  if (kind === undefined && sources.kindOfOthers !== null) sources.kinds.set(source, (kind = sources.kindOfOthers));
  if (kind === undefined) {
    const known = [...sources.kinds.keys()].join(', ');
    reader.error('PSYNC_R1302', `"sources" has no connection "${source}"; it has ${known}.`, key);
    return null;
  }
  return { source, schema: prefix === '' ? DEFAULT_SCHEMAS[kind] : prefix.slice(dot + 1), name };
}

function partsOf(text: string): string[] | undefined {
  const parts: string[] = [];
  const part = /(?:"((?:[^"]|"")+)"|([^".]+))(\.|$)/y;
  for (let at = 0; at < text.length; at = part.lastIndex) {
    part.lastIndex = at;
    const [, quoted, plain, end] = part.exec(text) ?? [];
    if (end === undefined) return undefined;
    parts.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (end === '') return parts;
  }
  return undefined;
}

function readRows(
  items: readonly (Node | null)[],
  table: Key,
  reader: FileReader,
): { columns: string[]; rows: SourceRow[]; rowPlaces: Place[] } {
  const columns = new Map<string, number>();
  const sparse = items.map((item) => readRow(item, table, columns, reader));
  return {
    columns: [...columns.keys()],
    rows: sparse.map((row) => Array.from({ length: columns.size }, (_, at) => row[at] ?? null)),
    rowPlaces: items.map((item) => reader.place(item, table)),
  };
}

/** Values by index of their column; those that are not given are absent. New columns are added to `columns`. */
function readRow(item: Node | null, table: Key, columns: Map<string, number>, reader: FileReader): SqliteValue[] {
  const row: SqliteValue[] = [];
  for (const { key, value } of reader.entries(item, `A row of "${table.text}"`, table) ?? []) {
    const read = reader.attempt(() => reader.values.fixtureValue(value), key);
    if (read === null) continue;
    let at = columns.get(key.text);
    if (at === undefined) columns.set(key.text, (at = columns.size));
    row[at] = read.kind === 'json' ? read.text : read.value;
  }
  return row;
}
