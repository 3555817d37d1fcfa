/**
 * Keys as they stand in an index. Postgres refuses index entries above 2,700 bytes, and text with a NUL: such keys are stored as their
 * beginning and a hash, with the whole text in a column beside it.
 */
import { createHash } from 'node:crypto';

/** Two of them, and a number or two, fit into one index entry. */
const LONGEST_KEY_BYTES = 1200;
/** No UTF-16 unit takes more than three bytes in UTF-8. */
const CERTAINLY_SHORT = LONGEST_KEY_BYTES / 3;
/** Of a folded key this many UTF-16 units stay readable, and stay a prefix. */
const READABLE_UNITS = 200;
/** Marks a folded key; a key that holds it is folded too, so that none can be mistaken for another. */
const MARK = '\u0001';

/** True when `key` cannot be stored as it is. */
export function mustFold(key: string): boolean {
  if (key.includes('\0') || key.includes(MARK)) return true;
  return key.length > CERTAINLY_SHORT && Buffer.byteLength(key) > LONGEST_KEY_BYTES;
}

/** What stands in the index for `key`: the key itself, nearly always. Equal for equal keys, different for different ones. */
export function indexKey(key: string): string {
  if (!mustFold(key)) return key;
  const readable = key.slice(0, READABLE_UNITS).toWellFormed().replaceAll('\0', MARK);
  return `${readable}${MARK}${createHash('sha256').update(key.toWellFormed()).digest('base64url')}`;
}

/** The column beside it: the whole key as JSON text where it was folded, else null. */
export function wholeKey(key: string): string | null {
  return mustFold(key) ? JSON.stringify(key.toWellFormed()) : null;
}

/** The key again, from both columns. */
export function restoreKey(indexed: string, whole: string | null): string {
  return whole === null ? indexed : (JSON.parse(whole) as string);
}
