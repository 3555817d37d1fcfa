/** Numbers as SQLite reads and writes them (S-125). Nothing here throws; text that is no number counts as 0. */
import type { SqliteValue } from '../values.ts';

export const MAX_INTEGER = 0x7fff_ffff_ffff_ffffn;
export const MIN_INTEGER = -0x8000_0000_0000_0000n;
const TWO_TO_63 = 9223372036854775808;
/** Reals are taken for integers in numeric casts only within this range (sqlite3RealSameAsInt). */
const EXACT_LIMIT = 2251799813685248;

const decoder = new TextDecoder();
const encoder = new TextEncoder();
export const decodeUtf8 = (bytes: Uint8Array): string => decoder.decode(bytes);
export const encodeUtf8 = (text: string): Uint8Array => encoder.encode(text);

export const isSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13);
const isDigit = (code: number): boolean => code >= 48 && code <= 57;

/** End offset of the longest prefix of digits from `at`. */
function digitsEnd(text: string, at: number): number {
  let end = at;
  while (end < text.length && isDigit(text.charCodeAt(end))) end++;
  return end;
}
function skipSpace(text: string, at: number): number {
  let end = at;
  while (end < text.length && isSpace(text.charCodeAt(end))) end++;
  return end;
}
function skipSign(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code === 43 || code === 45 ? at + 1 : at;
}

/** What a text looks like as a number: the longest numeric prefix. */
interface NumericPrefix {
  readonly start: number;
  /** End of sign and digits before any point; equals the position after the sign when there are no digits. */
  readonly integerEnd: number;
  readonly end: number;
  /** A decimal point or exponent belongs to it. */
  readonly fractional: boolean;
  /** Nothing but space follows, and there is a digit. */
  readonly complete: boolean;
}
function numericPrefix(text: string): NumericPrefix {
  const start = skipSpace(text, 0);
  const digits = skipSign(text, start);
  const integerEnd = digitsEnd(text, digits);
  let end = integerEnd;
  let fractional = false;
  let count = integerEnd - digits;
  if (text.charCodeAt(end) === 46) {
    const fractionEnd = digitsEnd(text, end + 1);
    count += fractionEnd - end - 1;
    if (count > 0) {
      fractional = true;
      end = fractionEnd;
    }
  }
  if (count > 0) {
    const code = text.charCodeAt(end);
    if (code === 101 || code === 69) {
      const exponent = skipSign(text, end + 1);
      const exponentEnd = digitsEnd(text, exponent);
      if (exponentEnd > exponent) {
        fractional = true;
        end = exponentEnd;
      }
    }
  }
  return { start, integerEnd, end, fractional, complete: count > 0 && skipSpace(text, end) === text.length };
}

/** Longest integer prefix; null when it does not fit into 64 bits. */
function integerPrefix(text: string): bigint | null {
  const start = skipSpace(text, 0);
  const digits = skipSign(text, start);
  const end = digitsEnd(text, digits);
  if (end === digits) return 0n;
  const magnitude = end - digits <= 15 ? BigInt(Number(text.slice(digits, end))) : BigInt(text.slice(digits, end));
  const value = text.charCodeAt(start) === 45 ? -magnitude : magnitude;
  return value > MAX_INTEGER || value < MIN_INTEGER ? null : value;
}

export function textToReal(text: string): number {
  const { start, end } = numericPrefix(text);
  if (end <= start) return 0;
  const value = Number(text.slice(start, end));
  return Number.isNaN(value) ? 0 : value;
}

/** The number that the whole text stands for; null when it is none. */
export function numericValue(text: string): number | null {
  return numericPrefix(text).complete ? textToReal(text) : null;
}

/** CAST to INTEGER of a text: longest integer prefix, cut to the range of 64 bits. */
export function textToInteger(text: string): bigint {
  return integerPrefix(text) ?? (text.charCodeAt(skipSpace(text, 0)) === 45 ? MIN_INTEGER : MAX_INTEGER);
}

export function realToInteger(value: number): bigint {
  if (value >= TWO_TO_63) return MAX_INTEGER;
  if (value <= -TWO_TO_63) return MIN_INTEGER;
  return BigInt(Math.trunc(value));
}

/** The type an operand of an arithmetic operator has (computeNumericType of SQLite). */
export function textToOperand(text: string): bigint | number {
  const prefix = numericPrefix(text);
  if (!prefix.fractional) {
    const integer = integerPrefix(text);
    if (integer !== null) return integer;
  }
  return textToReal(text);
}

/** CAST to NUMERIC of a text. */
export function textToNumeric(text: string): bigint | number {
  const operand = textToOperand(text);
  if (typeof operand === 'bigint') return operand;
  const exact = Number.isInteger(operand) && operand >= -EXACT_LIMIT && operand < EXACT_LIMIT;
  return exact ? BigInt(operand) : operand;
}

/**
 * Text of a real in SQLite's layout, always with a point. The digits are the fewest that identify it: SQLite itself
 * gives 15 or 17 depending on its version, and the last ones are not exact.
 */
export function realToText(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'Inf' : '-Inf';
  if (value === 0) return '0.0';
  const [mantissa, exponentText] = value.toExponential().split('e') as [string, string];
  const exponent = Number(exponentText);
  const negative = mantissa.startsWith('-');
  const digits = mantissa.replace('-', '').replace('.', '');
  const sign = negative ? '-' : '';
  if (exponent < -4 || exponent > 16) {
    const fraction = digits.length > 1 ? digits.slice(1) : '0';
    const magnitude = Math.abs(exponent);
    return `${sign}${digits[0]}.${fraction}e${exponent < 0 ? '-' : '+'}${magnitude < 10 ? '0' : ''}${magnitude}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}

/** Text form of any value but null. */
export function valueToText(value: bigint | number | string | Uint8Array): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return realToText(value);
  return decodeUtf8(value);
}

export function valueToReal(value: bigint | number | string | Uint8Array): number {
  if (typeof value === 'number') return value;
  return typeof value === 'bigint' ? Number(value) : textToReal(valueToText(value));
}

export function valueToInteger(value: bigint | number | string | Uint8Array): bigint {
  if (typeof value === 'bigint') return value;
  return typeof value === 'number' ? realToInteger(value) : textToInteger(valueToText(value));
}

/** Operand of an arithmetic operator. */
export function valueToOperand(value: bigint | number | string | Uint8Array): bigint | number {
  return typeof value === 'bigint' || typeof value === 'number' ? value : textToOperand(valueToText(value));
}

/** An integer result: beyond 64 bits it becomes a real. */
export function integerOrReal(value: bigint): SqliteValue {
  return value > MAX_INTEGER || value < MIN_INTEGER ? Number(value) : value;
}

/** NaN does not exist in SQLite. */
export function realOrNull(value: number): SqliteValue {
  return Number.isNaN(value) ? null : value;
}
