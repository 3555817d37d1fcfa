/** Text functions with SQLite's rules: characters are code points, case folding is ASCII only. */
import type { SqliteValue } from '../values.ts';
import { valueToInteger, valueToText } from './numbers.ts';

/** SQLite's own limit for a value; a missing length of `substr` is this one. */
const MAX_LENGTH = 1_000_000_000;
const HAS_SURROGATE = /[\ud800-\udfff]/;

export function upper(value: SqliteValue): SqliteValue {
  return value === null ? null : valueToText(value).replace(/[a-z]+/g, (letters) => letters.toUpperCase());
}
export function lower(value: SqliteValue): SqliteValue {
  return value === null ? null : valueToText(value).replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Characters of a text up to its first NUL, bytes of a blob (S-184). */
export function textLength(value: SqliteValue): SqliteValue {
  if (value === null) return null;
  if (typeof value === 'object') return BigInt(value.byteLength);
  const text = valueToText(value);
  const nul = text.indexOf('\0');
  return BigInt(codePointCount(nul < 0 ? text : text.slice(0, nul)));
}
function codePointCount(text: string): number {
  if (!HAS_SURROGATE.test(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** `substr` of SQLite: 1-based, negative start from the end, negative length backwards (S-181). */
export function substring(value: SqliteValue, start?: SqliteValue, length?: SqliteValue): SqliteValue {
  if (value === null || start === null || start === undefined || length === null) return null;
  if (typeof value === 'object') {
    if (value.byteLength === 0) return null;
    const range = substringRange(value.byteLength, start, length);
    return value.slice(range.from, range.to);
  }
  const text = valueToText(value);
  if (!HAS_SURROGATE.test(text)) {
    const range = substringRange(text.length, start, length);
    return text.slice(range.from, range.to);
  }
  const characters = Array.from(text);
  const range = substringRange(characters.length, start, length);
  return characters.slice(range.from, range.to).join('');
}

type Known = Exclude<SqliteValue, null>;
function substringRange(size: number, start: Known, length: Known | undefined): { from: number; to: number } {
  let first = Number(valueToInteger(start));
  let count = length === undefined ? MAX_LENGTH : Number(valueToInteger(length));
  const backwards = count < 0;
  if (backwards) count = -count;
  if (first < 0) {
    first += size;
    if (first < 0) {
      count = backwards ? count : Math.max(0, count + first);
      first = backwards ? first : 0;
    }
  } else if (first > 0) {
    first--;
  } else if (count > 0) {
    count--;
  }
  if (backwards) {
    first -= count;
    if (first < 0) {
      count += first;
      first = 0;
    }
  }
  if (count < 0) return { from: 0, to: 0 };
  return { from: Math.min(first, size), to: Math.min(size, first + count) };
}

/**
 * 1-based position of the first occurrence, 0 if there is none (S-687). Two blobs are compared by bytes; a blob and a text by bytes as
 * well, from where a character of the first one begins: a blob may hold parts of characters.
 */
export function instr(value: SqliteValue, part: SqliteValue): SqliteValue {
  if (value === null || part === null) return null;
  if (typeof value === 'object' && typeof part === 'object') {
    return BigInt(Buffer.from(value).indexOf(Buffer.from(part)) + 1);
  }
  if (typeof value === 'object' || typeof part === 'object') return instrOfBytes(bytesOf(value), bytesOf(part));
  const text = valueToText(value);
  const at = text.indexOf(valueToText(part));
  return BigInt(at < 0 ? 0 : codePointCount(text.slice(0, at)) + 1);
}

const bytesOf = (value: Known): Uint8Array => (typeof value === 'object' ? value : Buffer.from(valueToText(value)));

function instrOfBytes(bytes: Uint8Array, part: Uint8Array): bigint {
  if (part.length === 0) return 1n;
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const beginsCharacter = (at: number): boolean => at === 0 || (whole[at]! & 0xc0) !== 0x80;
  let at = whole.indexOf(part);
  while (at >= 0 && !beginsCharacter(at)) at = whole.indexOf(part, at + 1);
  if (at < 0) return 0n;
  let position = 1n;
  for (let index = 1; index <= at; index++) if (beginsCharacter(index)) position++;
  return position;
}
