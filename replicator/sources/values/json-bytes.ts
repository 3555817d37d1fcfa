/**
 * JSON text, written as bytes into one buffer that is used again and again, and made a string once at the end. Strings are copied from
 * where they lie, so that no string is made for each; what comes out is what `JSON.stringify` writes.
 */
import { renderValue } from '#core/sync-config/evaluate/output.ts';

export interface JsonBytes {
  /** One ASCII character of punctuation. */
  byte(code: number): void;
  /** ASCII text that is JSON already: numbers, names. */
  ascii(text: string): void;
  /** Bytes that are JSON already. */
  raw(bytes: Uint8Array): void;
  /** A string, from UTF-8: quoted and escaped. Bytes that are not UTF-8 become U+FFFD. */
  string(source: Uint8Array, from: number, to: number): void;
  /** A string that exists already. */
  text(text: string): void;
  /** ASCII text without anything to escape, as a string. */
  quoted(text: string): void;
  /** A whole number that is exact. */
  integer(value: number): void;
  /** A real: always with a fraction or an exponent; null for what JSON does not have (S-276). */
  real(value: number): void;
  /** Bytes written since the last `take`. */
  length(): number;
  /** Forgets what was written after `length`. */
  cut(length: number): void;
  /** What was written, and starts over. */
  take(): string;
}

const startBytes = 16 * 1024;
/** Above this the buffer is given back after use, so that one huge value does not stay in memory. */
const keepBytes = 4 * 1024 * 1024;
/** Digits of numbers below this are written here. */
const largestSmall = 1_000_000_000;
const quote = 0x22;
const backslash = 0x5c;
const hexDigits = '0123456789abcdef';
/** Behind the backslash: one letter, or 0 for `u00xx`. */
const shortEscapes = new Uint8Array(0x60);
for (const [code, letter] of [
  [8, 'b'],
  [9, 't'],
  [10, 'n'],
  [12, 'f'],
  [13, 'r'],
  [quote, '"'],
  [backslash, '\\'],
] as const)
  shortEscapes[code] = letter.charCodeAt(0);

export function createJsonBytes(): JsonBytes {
  let buffer = Buffer.allocUnsafe(startBytes);
  let at = 0;
  /** All bytes of strings or-ed together: below 128 everything is ASCII. */
  let seen = 0;

  /** Makes room for `more` bytes. */
  const reserve = (more: number): void => {
    if (at + more <= buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(at + more, 2 * buffer.length));
    buffer.copy(larger, 0, 0, at);
    buffer = larger;
  };
  const escape = (code: number): void => {
    const letter = shortEscapes[code]!;
    buffer[at++] = backslash;
    if (letter !== 0) {
      buffer[at++] = letter;
      return;
    }
    at += buffer.write(`u00${hexDigits[code >> 4]!}${hexDigits[code & 15]!}`, at, 'latin1');
  };
  const ascii = (text: string): void => {
    const { length } = text;
    reserve(length);
    for (let index = 0; index < length; index += 1) buffer[at++] = text.charCodeAt(index);
  };

  const integer = (value: number): void => {
    if (value < 0 || value >= largestSmall) {
      ascii(String(value));
      return;
    }
    let digits = 1;
    for (let power = 10; power <= value; power *= 10) digits += 1;
    reserve(digits);
    let rest = value;
    for (let place = at + digits - 1; place >= at; place -= 1) {
      const next = (rest / 10) | 0;
      buffer[place] = 48 + rest - 10 * next;
      rest = next;
    }
    at += digits;
  };

  return {
    byte(code) {
      reserve(1);
      buffer[at++] = code;
    },
    ascii,
    raw(bytes) {
      const { length } = bytes;
      reserve(length);
      for (let index = 0; index < length; index += 1) {
        const byte = bytes[index]!;
        seen |= byte;
        buffer[at++] = byte;
      }
    },
    string(source, from, to) {
      reserve(to - from + 2);
      buffer[at++] = quote;
      for (let index = from; index < to; index += 1) {
        const byte = source[index]!;
        if (byte < 0x20 || byte === quote || byte === backslash) {
          // This one, the rest, and the closing quote.
          reserve(6 + to - index);
          escape(byte);
        } else {
          seen |= byte;
          buffer[at++] = byte;
        }
      }
      buffer[at++] = quote;
    },
    text(text) {
      const json = JSON.stringify(text);
      reserve(3 * json.length);
      seen |= 0x80;
      at += buffer.write(json, at, 'utf8');
    },
    quoted(text) {
      reserve(1);
      buffer[at++] = quote;
      ascii(text);
      reserve(1);
      buffer[at++] = quote;
    },
    integer,
    real(value) {
      if (value > 0 && value < largestSmall && Math.trunc(value) === value) {
        integer(value);
        ascii('.0');
      } else ascii(renderValue(value));
    },
    length: () => at,
    cut(length) {
      at = length;
    },
    take() {
      const result = buffer.toString(seen < 0x80 ? 'latin1' : 'utf8', 0, at);
      at = 0;
      seen = 0;
      if (buffer.length > keepBytes) buffer = Buffer.allocUnsafe(startBytes);
      return result;
    },
  };
}
