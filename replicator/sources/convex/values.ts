/**
 * Documents of Convex as rows (S-362…S-372, R-244, R-253): one column for each top-level field, in the order of the document.
 *
 * Input is the JSON text of one document, as `list_snapshot` and `document_deltas` of the streaming export give it with `format=json`: Int64
 * is a string of decimal digits, Bytes a string in base64, Float64 a number, or one of the strings `NaN`, `Infinity`, `-Infinity`. Nothing in
 * the text tells such a string from a String, and the deployment's schema is no help for all fields, so all of them are text: a query casts
 * where it wants a number. A number is a Float64, also a whole one. Nested values are passed on as they were sent (S-272).
 */
import { codedError } from '#core/platform/errors/coded-error.ts';
import { MAX_ROW_BYTES } from '#core/platform/limits.ts';
import { eachChild, rootOf, stringValue } from '#core/sync-config/evaluate/json/scan.ts';
import type { SourceRow, SqliteValue } from '#core/sync-config/values.ts';
import { isTextTooDeep } from '../values/json-depth.ts';
import type { RowFault } from '../values/row-fault.ts';

export interface ConvexRow {
  /** Names of the top-level fields; the list of the document before if they are the same. */
  readonly columns: readonly string[];
  readonly values: SourceRow;
}

/** Added by the export to each document: of the stream, not of the row. Names of own fields never begin with `_` in Convex. */
const streamFields: ReadonlySet<string> = new Set(['_ts', '_table', '_deleted', '_component']);

/** The table that moves the position of an idle deployment along; it is never synced (S-373, R-236). */
const checkpointsTable = 'powersync_checkpoints';

export function isSyncedTable(name: string): boolean {
  return name !== checkpointsTable;
}

/** Reads one document. A fault when it may not be replicated; PSYNC_S1120 when the text is no JSON object. */
export type ConvexReader = (document: string) => ConvexRow | RowFault;

/** `isRead` false: nobody reads columns of this name, their values are null. */
export function createConvexReader(isRead: (column: string) => boolean = () => true): ConvexReader {
  let lastColumns: readonly string[] = [];
  return (document) => {
    const root = rootOf(document);
    if (root === -1 || document[root] !== '{') {
      throw codedError(
        'PSYNC_S1120',
        'Convex sent something that is no document. Check deployment_url; it is tried again.',
      );
    }
    const bytes = bytesAtMost(document);
    if (bytes > MAX_ROW_BYTES) return { code: 'PSYNC_S1002', bytes };
    const columns: string[] = [];
    const values: SqliteValue[] = [];
    let deep: string | null = null;
    eachChild(document, root, (keyStart, keyEnd, start, stop) => {
      const name = stringValue(document, keyStart, keyEnd);
      if (streamFields.has(name)) return false;
      columns.push(name);
      const value = isRead(name) ? valueOf(document, start, stop) : null;
      if (isNested(document, start) && value !== null && isTextTooDeep(value as string)) deep = name;
      values.push(value);
      return deep !== null;
    });
    if (deep !== null) return { code: 'PSYNC_S1004', column: deep };
    if (!sameNames(columns, lastColumns)) lastColumns = columns;
    return { columns: lastColumns, values };
  };
}

function valueOf(text: string, start: number, stop: number): SqliteValue {
  switch (text[start]) {
    case '"':
      return stringValue(text, start, stop);
    case 'n':
      return null;
    case 't':
      return 1n;
    case 'f':
      return 0n;
    case '{':
    case '[':
      return text.slice(start, stop);
    default:
      return Number(text.slice(start, stop));
  }
}

function isNested(text: string, start: number): boolean {
  return text[start] === '{' || text[start] === '[';
}

function bytesAtMost(text: string): number {
  return 3 * text.length <= MAX_ROW_BYTES ? text.length : Buffer.byteLength(text);
}

function sameNames(names: readonly string[], others: readonly string[]): boolean {
  return names.length === others.length && names.every((name, index) => name === others[index]);
}
