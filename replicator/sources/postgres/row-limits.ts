/** Rows that cannot be replicated: too large, or with JSON that is nested too deeply. */
import { MAX_JSON_DEPTH, MAX_ROW_BYTES } from '#core/platform/limits.ts';
import { createRowBytes, isNull, type RowBytes, type RowLayout } from './rows.ts';

/** Why a row is dropped; what is logged of it. */
export type RowFault =
  | { readonly code: 'PSYNC_S1002'; readonly bytes: number }
  | { readonly code: 'PSYNC_S1004'; readonly column: string };

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
  const row = createRowBytes();
  const texts = values.map((text) => (text === null ? null : Buffer.from(text)));
  row.bytes = Buffer.concat(texts.filter((text) => text !== null));
  let at = 0;
  for (const [index, text] of texts.entries()) {
    row.start[index] = at;
    at += text?.length ?? 0;
    row.end[index] = text === null ? isNull : at;
  }
  row.count = values.length;
  return faultOf(layout, row, at);
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

/** Whether a valid JSON text holds arrays and objects nested deeper than the limit; `[]` is one level. */
export function isTooDeep(bytes: Uint8Array, from: number, to: number): boolean {
  // Each level takes two characters.
  if (to - from <= 2 * MAX_JSON_DEPTH) return false;
  let depth = 0;
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at]!;
    if (byte === 0x22 /* " */) at = stringEnd(bytes, at, to);
    else if (byte === 0x7b /* { */ || byte === 0x5b /* [ */) {
      depth += 1;
      if (depth > MAX_JSON_DEPTH) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
  return false;
}

/** Offset of the quote that ends the string beginning at `start`. */
function stringEnd(bytes: Uint8Array, start: number, to: number): number {
  let at = start + 1;
  while (at < to && bytes[at] !== 0x22) at += bytes[at] === 0x5c /* \ */ ? 2 : 1;
  return at;
}
