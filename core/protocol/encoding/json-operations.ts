/**
 * Operations in wire form as the content of a JSON array, byte by byte: texts are UTF-8 in both, so nothing is decoded, and no string and no object
 * is made for an operation.
 */
import { malformed } from '../operations.ts';

const DOUBLE = 0x01;
const STRING = 0x02;
const DOCUMENT = 0x03;
const NULL = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const HEX = Buffer.from('0123456789abcdef', 'latin1');

/** Per byte: 0 as it is, else the letter behind the backslash; `u` for the long form (RFC 8259, 7). */
const ESCAPES = new Uint8Array(256).fill(0x75, 0, 0x20);
for (const [byte, letter] of [
  [0x08, 'b'],
  [0x09, 't'],
  [0x0a, 'n'],
  [0x0c, 'f'],
  [0x0d, 'r'],
  [QUOTE, '"'],
  [BACKSLASH, '\\'],
] as const) {
  ESCAPES[byte] = letter.charCodeAt(0);
}
/** Bytes that one byte becomes at the most. */
const LONGEST_ESCAPE = 6;
/** Bytes of a field besides its name and its value, and of braces and commas. */
const AROUND_FIELD = 64;
const FIRST_BYTES = 256 * 1024;
/** A larger one, after a large row, is given back. */
const KEPT_BYTES = 4 * 1024 * 1024;

/** Where operations are rendered, one list after the other. */
let target = Buffer.alloc(0);

/** How the `data` of an operation is written: as a JSON string (S-395), or as the object it holds (clients without `raw_data`, S-527). */
export type DataForm = 'string' | 'object';

/** Throws PSYNC_S0001 for bytes that are no operations. */
export function renderOperations(bytes: Buffer, form: DataForm): Buffer {
  let end = 0;
  let element = 0;
  while (element < bytes.length) {
    const document = after(bytes, element + 1);
    if (bytes[element] !== DOCUMENT || document + 5 > bytes.length) throw malformed();
    const documentEnd = document + bytes.readInt32LE(document);
    if (documentEnd > bytes.length || documentEnd <= document + 4) throw malformed();
    if (element > 0) target[end++] = COMMA;
    end = renderDocument(bytes, document, documentEnd, end, form);
    element = documentEnd;
  }
  const rendered = Buffer.allocUnsafe(end);
  target.copy(rendered, 0, 0, end);
  if (target.length > KEPT_BYTES) target = Buffer.alloc(0);
  return rendered;
}

/** Leaves room for a comma behind it. */
function renderDocument(bytes: Buffer, document: number, documentEnd: number, start: number, form: DataForm): number {
  makeRoom(start, AROUND_FIELD);
  let end = start;
  target[end++] = 0x7b;
  let at = document + 4;
  let isFirst = true;
  while (at < documentEnd - 1) {
    const type = bytes[at]!;
    const name = at + 1;
    const value = after(bytes, name);
    const size = sizeOf(bytes, type, value);
    if (value + size > documentEnd - 1) throw malformed();
    const isData = value - name === 5 && bytes.readUInt32LE(name) === DATA;
    if (type !== NULL || !isData || hasRow(bytes, document)) {
      makeRoom(end, AROUND_FIELD + (value - name) + roomFor(bytes, type, value, size));
      if (!isFirst) target[end++] = COMMA;
      isFirst = false;
      target[end++] = QUOTE;
      end += bytes.copy(target, end, name, value - 1);
      target[end++] = QUOTE;
      target[end++] = COLON;
      end = renderValue(bytes, type, value, size, end, isData && form === 'object');
    }
    at = value + size;
  }
  target[end++] = 0x7d;
  return end;
}

/** "data", as the four bytes are read. */
const DATA = Buffer.from('data', 'latin1').readUInt32LE(0);

function sizeOf(bytes: Buffer, type: number, value: number): number {
  if (type === DOUBLE) return 8;
  if (type === NULL) return 0;
  if (type !== STRING || value + 4 > bytes.length) throw malformed();
  const length = bytes.readInt32LE(value);
  if (length < 1) throw malformed();
  return 4 + length;
}

/** Of large texts the bytes that become longer are counted, rather than assumed of all. */
function roomFor(bytes: Buffer, type: number, value: number, size: number): number {
  if (type !== STRING || size < FIRST_BYTES / LONGEST_ESCAPE) return size * LONGEST_ESCAPE;
  let room = size;
  for (let at = value + 4; at < value + size - 1; at++) if (ESCAPES[bytes[at]!] !== 0) room += LONGEST_ESCAPE - 1;
  return room;
}

function renderValue(bytes: Buffer, type: number, value: number, size: number, start: number, asIs: boolean): number {
  if (type === DOUBLE) return start + target.write(String(bytes.readDoubleLE(value)), start, 'latin1');
  if (type === NULL) return start + target.write('null', start, 'latin1');
  const textEnd = value + size - 1;
  if (asIs) return start + bytes.copy(target, start, value + 4, textEnd);
  return renderText(bytes, value + 4, textEnd, target, start);
}

/** Most of the time of all this goes here: what needs no escape is copied in one piece. */
function renderText(bytes: Buffer, from: number, to: number, into: Buffer, start: number): number {
  let end = start;
  into[end++] = QUOTE;
  let plain = from;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    const escape = ESCAPES[byte]!;
    if (escape === 0) continue;
    end = renderEscape(byte, escape, into, copyBytes(bytes, plain, at, into, end));
    plain = at + 1;
  }
  end = copyBytes(bytes, plain, to, into, end);
  into[end++] = QUOTE;
  return end;
}

/** Few bytes are copied faster than a call is made. */
function copyBytes(bytes: Buffer, from: number, to: number, into: Buffer, start: number): number {
  if (to - from > 24) return start + bytes.copy(into, start, from, to);
  let end = start;
  for (let at = from; at < to; at++) into[end++] = bytes[at]!;
  return end;
}

function renderEscape(byte: number, escape: number, into: Buffer, start: number): number {
  let end = start;
  into[end++] = BACKSLASH;
  into[end++] = escape;
  if (escape === 0x75) {
    into[end++] = 0x30;
    into[end++] = 0x30;
    into[end++] = HEX[byte >> 4]!;
    into[end++] = HEX[byte & 15]!;
  }
  return end;
}

/** The byte after the zero that ends a name. */
function after(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] !== 0) if (++at >= bytes.length) throw malformed();
  return at + 1;
}

/** A MOVE or CLEAR has no row: its `data` is left out, as the recordings have it (wire/13). */
function hasRow(bytes: Buffer, document: number): boolean {
  // Offset of the first letter of the op after the fields op_id and op; see operations.ts.
  const letter = bytes[document + 15 + bytes.readInt32LE(document + 11) + 8];
  return letter !== 0x4d && letter !== 0x43;
}

function makeRoom(end: number, room: number): void {
  if (end + room <= target.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 * target.length, end + room));
  target.copy(larger, 0, 0, end);
  target = larger;
}
