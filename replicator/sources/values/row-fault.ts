import { MAX_ROW_BYTES } from '#core/platform/limits.ts';
import type { SourceRow, SqliteValue } from '#core/sync-config/values.ts';
import { isTextTooDeep } from './json-depth.ts';

/** Why a row cannot be replicated: it is too large, or holds JSON that is nested too deeply. What is logged of it. */
export type RowFault =
  | { readonly code: 'PSYNC_S1002'; readonly bytes: number }
  | { readonly code: 'PSYNC_S1004'; readonly column: string };

/** What speaks against a row of these values, or null. `jsonColumns`: indexes of columns whose texts are JSON. */
export function faultOfValues(
  columns: readonly string[],
  jsonColumns: readonly number[],
  row: SourceRow,
): RowFault | null {
  const bytes = bytesOf(row);
  if (bytes > MAX_ROW_BYTES) return { code: 'PSYNC_S1002', bytes };
  for (const index of jsonColumns) {
    const text = row[index];
    if (typeof text === 'string' && isTextTooDeep(text)) return { code: 'PSYNC_S1004', column: columns[index]! };
  }
  return null;
}

/** Bytes of the texts and blobs; numbers do not make a row large. */
function bytesOf(row: SourceRow): number {
  let atMost = 0;
  // A character takes three bytes at most.
  for (const value of row) atMost += typeof value === 'string' ? 3 * value.length : blobBytes(value);
  if (atMost <= MAX_ROW_BYTES) return atMost;
  let bytes = 0;
  for (const value of row) bytes += typeof value === 'string' ? Buffer.byteLength(value) : blobBytes(value);
  return bytes;
}

function blobBytes(value: SqliteValue | undefined): number {
  return value instanceof Uint8Array ? value.length : 0;
}

/** The fault in words, without row data. */
export function rowFaultText(fault: RowFault): string {
  return fault.code === 'PSYNC_S1002'
    ? `The row has ${fault.bytes} bytes, and is not replicated: at most 15 MB are.`
    : `The JSON in column ${fault.column} is nested deeper than 20 levels; the row is not replicated.`;
}
