import { isNull, type RowBytes } from './rows.ts';

const tab = 9;
const newline = 10;
const backslash = 92;

/**
 * Reads one line of `COPY … TO STDOUT` in text format, `bytes[start…end)`, into `row`, undoing escapes in place: the buffer is ours,
 * and unescaped text is never longer. The protocol sends exactly one line in a CopyData message.
 *
 * Returns the number of columns found; at most `row.start.length` are kept. Any bytes give some result.
 */
export function readCopyLine(bytes: Buffer, start: number, end: number, row: RowBytes): number {
  const last = end > start && bytes[end - 1] === newline ? end - 1 : end;
  const most = row.start.length;
  row.bytes = bytes;
  let column = 0;
  let from = start;
  let at = start;
  while (column < most) {
    while (at < last) {
      const byte = bytes[at]!;
      if (byte === tab || byte === backslash) break;
      at += 1;
    }
    row.start[column] = from;
    if (at < last && bytes[at] === backslash) {
      if (at === from && bytes[at + 1] === 78 /* N */ && (at + 2 === last || bytes[at + 2] === tab)) {
        row.end[column] = isNull;
        at += 2;
      } else {
        at = unescapeColumn(bytes, at, last, row, column);
      }
    } else row.end[column] = at;
    column += 1;
    if (at >= last) break;
    at += 1;
    from = at;
    // A line that ends in a tab has one more, empty, column: the loop goes round once more.
  }
  row.count = column;
  return column;
}

/** From the first backslash of a column to its end; returns where it ended in the line. */
function unescapeColumn(bytes: Buffer, first: number, last: number, row: RowBytes, column: number): number {
  let at = first;
  let to = first;
  while (at < last) {
    const byte = bytes[at]!;
    if (byte === tab) break;
    if (byte === backslash && at + 1 < last) {
      bytes[to] = unescaped(bytes[at + 1]!);
      at += 2;
    } else {
      bytes[to] = byte;
      at += 1;
    }
    to += 1;
  }
  row.end[column] = to;
  return at;
}

/** COPY TO writes only these escapes, and a backslash before itself and the delimiter. */
function unescaped(byte: number): number {
  switch (byte) {
    case 98: // b
      return 8;
    case 102: // f
      return 12;
    case 110: // n
      return 10;
    case 114: // r
      return 13;
    case 116: // t
      return 9;
    case 118: // v
      return 11;
    default:
      return byte;
  }
}
