/**
 * Where the characters of a YAML scalar's value stand in the text: plain, quoted and block scalars (S-30, S-32).
 *
 * The source of a scalar is cut into pieces that appear unchanged in the value (lines without indentation, runs between
 * escapes); between pieces the value has only white space from line folding. So the pieces are found one after the other.
 */
interface Piece {
  /** Text as it appears in the value. */
  readonly text: string;
  readonly sourceStart: number;
  /** Length in the source; differs from `text.length` for escapes only. */
  readonly sourceLength: number;
}
interface PlacedPiece extends Piece {
  readonly valueStart: number;
}

export type ScalarStyle = 'plain' | 'single' | 'double' | 'block';

/** Maps offsets in `value` to offsets in `source`; `start` and `end` delimit the scalar with its quotes or block header. */
export function scalarOffsets(
  source: string,
  start: number,
  end: number,
  style: ScalarStyle,
  value: string,
): (offset: number) => number {
  const placed = place(cut(source, start, end, style), value);
  if (placed === null) return () => start;
  return (offset) => {
    let low = 0;
    let high = placed.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((placed[middle] as PlacedPiece).valueStart <= offset) low = middle + 1;
      else high = middle;
    }
    const piece = placed[low - 1];
    if (piece === undefined) return placed[0]?.sourceStart ?? start;
    const inside = offset - piece.valueStart;
    if (piece.text.length === piece.sourceLength) return piece.sourceStart + Math.min(inside, piece.sourceLength);
    return inside < piece.text.length ? piece.sourceStart : piece.sourceStart + piece.sourceLength;
  };
}

function place(pieces: readonly Piece[], value: string): PlacedPiece[] | null {
  const placed: PlacedPiece[] = [];
  let at = 0;
  for (const piece of pieces) {
    const found = value.indexOf(piece.text, at);
    if (found < 0 || value.slice(at, found).trim() !== '') return null;
    placed.push({ ...piece, valueStart: found });
    at = found + piece.text.length;
  }
  return value.slice(at).trim() === '' ? placed : null;
}

function cut(source: string, start: number, end: number, style: ScalarStyle): Piece[] {
  const pieces: Piece[] = [];
  let from = start;
  let to = end;
  if (style === 'block') {
    const header = source.indexOf('\n', start);
    from = header < 0 || header > end ? end : header + 1;
  } else if (style !== 'plain') {
    from++;
    to--;
  }
  while (from < to) {
    const newline = source.indexOf('\n', from);
    const lineEnd = newline < 0 || newline > to ? to : newline;
    cutLine(source, from, lineEnd, style, pieces);
    from = lineEnd + 1;
  }
  return pieces;
}

const blank = (source: string, at: number): boolean => ' \t\r'.includes(source[at] ?? 'x');

function cutLine(source: string, lineStart: number, lineEnd: number, style: ScalarStyle, pieces: Piece[]): void {
  let start = lineStart;
  let end = lineEnd;
  while (start < end && blank(source, start)) start++;
  while (end > start && blank(source, end - 1)) end--;
  let runStart = start;
  const endRun = (at: number): void => {
    if (at > runStart)
      pieces.push({ text: source.slice(runStart, at), sourceStart: runStart, sourceLength: at - runStart });
  };
  for (let at = start; at < end;) {
    const escape = escapeAt(source, at, style);
    if (escape === null) {
      at++;
      continue;
    }
    endRun(at);
    if (escape.text !== '') pieces.push({ text: escape.text, sourceStart: at, sourceLength: escape.length });
    at += escape.length;
    runStart = at;
  }
  endRun(end);
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  '0': '\0',
  a: '\x07',
  b: '\b',
  t: '\t',
  '\t': '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  e: '\x1b',
  ' ': ' ',
  '"': '"',
  '/': '/',
  '\\': '\\',
  N: '\u0085',
  _: '\u00a0',
  L: '\u2028',
  P: '\u2029',
};
const HEX_ESCAPES: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

function escapeAt(source: string, at: number, style: ScalarStyle): { text: string; length: number } | null {
  if (style === 'single') return source.startsWith("''", at) ? { text: "'", length: 2 } : null;
  if (style !== 'double' || source[at] !== '\\') return null;
  const kind = source[at + 1] ?? '';
  const digits = HEX_ESCAPES[kind];
  if (digits !== undefined) {
    const code = Number.parseInt(source.slice(at + 2, at + 2 + digits), 16);
    return { text: code >= 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '', length: 2 + digits };
  }
  // a backslash at the end of a line joins it with the next one and is not part of the value
  return { text: SIMPLE_ESCAPES[kind] ?? '', length: kind === '\r' || kind === '\n' || kind === '' ? 1 : 2 };
}
