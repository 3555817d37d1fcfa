import type { FoundTable } from './published-tables.ts';
import type { ServerFacts } from './server.ts';
import { type PublishedTable, qualifiedName, quoteIdentifier } from './tables.ts';

/**
 * Parts of a table copy by physical position. A range names the table's file: after a rewrite (VACUUM FULL, ALTER TYPE) rows are
 * elsewhere, and what was stored of the old file says nothing.
 *
 * `16384:*` is the whole table, `16384:0-8192` pages 0 to 8191, `16384:8192-` everything from page 8192 on.
 */
const targetBytes = 64 * 1024 * 1024;
const targetRows = 50_000;
/** Below this a table is one range. */
const fewestPages = 64;
/** Scans of a range of row addresses are fast from version 14 on; before, each would read the whole table. */
const rangeScanVersion = 140_000;

export function copyRanges(table: FoundTable, facts: ServerFacts): string[] {
  const pages = Math.ceil(table.bytes / facts.blockBytes);
  const step = pagesPerRange(table, facts, pages);
  if (facts.versionNumber < rangeScanVersion || pages <= step) return [`${table.fileNode}:*`];
  const ranges: string[] = [];
  for (let from = 0; from < pages; from += step) {
    // Without an end, so that nothing lies behind the last one.
    ranges.push(`${table.fileNode}:${from}-${from + step < pages ? from + step : ''}`);
  }
  return ranges;
}

/** A power of two, so that the same table is cut in the same places when it is looked at again. */
function pagesPerRange(table: FoundTable, facts: ServerFacts, pages: number): number {
  const rowsPerPage = table.rows > 0 && pages > 0 ? table.rows / pages : 50;
  const wanted = Math.min(targetBytes / facts.blockBytes, targetRows / rowsPerPage);
  return 2 ** Math.max(Math.log2(fewestPages), Math.floor(Math.log2(wanted)));
}

/** Average row of tables of which the server has no estimate, in bytes. */
const guessedRowBytes = 100;

export function estimatedRows(table: FoundTable): number {
  return Math.round(
    table.rows >= 0 && (table.rows > 0 || table.bytes === 0) ? table.rows : table.bytes / guessedRowBytes,
  );
}

/** The file that a range belongs to. */
export function fileNodeOf(range: string): string {
  return range.slice(0, range.indexOf(':'));
}

/** The statement that copies a range, with the columns, and the rows, that the publication shows. */
export function copyStatement(table: FoundTable, range: string): string {
  const { published, rowFilter } = table;
  const columns = columnList(published);
  const conditions = [...ctidConditions(range), ...(rowFilter === null ? [] : [`(${rowFilter})`])];
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  // ONLY: tables that inherit from it are published as themselves.
  return `COPY (SELECT ${columns} FROM ONLY ${qualifiedName(published)}${where}) TO STDOUT`;
}

/** Reads nothing, and locks the table as reading does; LOCK TABLE would need rights on all its columns. */
export function lockStatement(published: PublishedTable): string {
  return `COPY (SELECT ${columnList(published)} FROM ONLY ${qualifiedName(published)} WHERE false) TO STDOUT`;
}

function columnList({ columns }: PublishedTable): string {
  return columns.map(({ name }) => quoteIdentifier(name)).join(', ');
}

function ctidConditions(range: string): string[] {
  const bounds = /:(\d+)-(\d*)$/.exec(range);
  if (bounds === null) return [];
  const from = `ctid >= '(${bounds[1]},0)'::pg_catalog.tid`;
  return bounds[2] === '' ? [from] : [from, `ctid < '(${bounds[2]},0)'::pg_catalog.tid`];
}
