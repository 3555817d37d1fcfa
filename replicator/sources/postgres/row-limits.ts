/** Rows that cannot be replicated: too large, or with JSON that is nested too deeply. */
import { MAX_ROW_BYTES } from '#core/platform/limits.ts';
import { isTooDeep } from '../values/json-depth.ts';
import type { RowFault } from '../values/row-fault.ts';
import { rowOfTexts, type RowBytes, type RowLayout } from './rows.ts';

const byteaType = 17;

/**
 * Null when the row fits. Columns nobody reads do not count, and bytea counts with the bytes it stands for. `bytes` is what the source
 * sent, which is never less.
 */
export function faultOf(layout: RowLayout, row: RowBytes, bytes: number): RowFault | null {
  if (bytes > MAX_ROW_BYTES && sourceBytes(layout, row) > MAX_ROW_BYTES) return { code: 'PSYNC_S1002', bytes };
  for (const index of layout.json) {
    const to = row.end[index]!;
    if (to >= 0 && isTooDeep(row.bytes, row.start[index]!, to)) {
      return { code: 'PSYNC_S1004', column: layout.published.columns[index]!.name };
    }
  }
  return null;
}

/** The same for a row that was read by a query. */
export function faultOfTexts(layout: RowLayout, values: readonly (string | null)[]): RowFault | null {
  const row = rowOfTexts(values);
  return faultOf(layout, row, row.bytes.length);
}

function sourceBytes(layout: RowLayout, row: RowBytes): number {
  let size = 0;
  for (let index = 0; index < row.count; index += 1) {
    const to = row.end[index]!;
    if (to < 0 || layout.forms[index] === 0) continue;
    const length = to - row.start[index]!;
    size += layout.published.columns[index]!.type === byteaType ? length / 2 : length;
  }
  return size;
}
