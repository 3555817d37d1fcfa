/** Comparison and truth of SQLite values without affinity: values compare as they are (S-84, S-126). */
import type { SqliteValue } from '../values.ts';
import { textToReal, valueToText } from './numbers.ts';

type Known = bigint | number | string | Uint8Array;

function rank(value: Known): number {
  if (typeof value === 'string') return 1;
  return typeof value === 'object' ? 2 : 0;
}

/** Negative, zero or positive; numbers < text < blob. Text by code point, as memcmp on UTF-8. */
export function compareKnown(left: Known, right: Known): number {
  if (typeof left === 'string' && typeof right === 'string') return left === right ? 0 : compareText(left, right);
  const leftRank = rank(left);
  const rightRank = rank(right);
  if (leftRank !== rightRank) return leftRank - rightRank;
  if (leftRank === 2) return Buffer.compare(left as Uint8Array, right as Uint8Array);
  // bigint and number compare by exact mathematical value
  return left < right ? -1 : left > right ? 1 : 0;
}

function compareText(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a === b) continue;
    // UTF-16 sorts surrogates below U+E000…U+FFFF, code points sort them above
    return codePointOrder(a) - codePointOrder(b);
  }
  return left.length - right.length;
}
function codePointOrder(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit <= 0xdfff ? unit + 0x2000 : unit - 0x800;
}

/** Equality of two values that are not null. */
export function equalKnown(left: Known, right: Known): boolean {
  if (typeof left === 'string') return left === right;
  if (typeof right === 'string') return false;
  return compareKnown(left, right) === 0;
}

/** Truth of a condition; null is neither. */
export function isTrue(value: SqliteValue): boolean {
  if (typeof value === 'bigint') return value !== 0n;
  if (value === null) return false;
  if (typeof value === 'number') return value !== 0;
  return textToReal(valueToText(value)) !== 0;
}
