/** BSON types without a place in JSON or SQLite of their own, and 64-bit numbers. Values are read within their frame (bson-bytes.ts). */
import type { InstantFormatter } from '../values/date-times.ts';
import { bsonType } from './bson-bytes.ts';

const limbs = new DataView(new ArrayBuffer(8));
const two32 = 0x1_0000_0000;
const dayMs = 86_400_000;
const largestInteger = 0x7fff_ffff_ffff_ffffn;

/** The signed 64-bit integer at `at`. */
export function int64At(bytes: Buffer, at: number): bigint {
  limbs.setUint32(0, bytes.readUInt32LE(at), true);
  limbs.setInt32(4, bytes.readInt32LE(at + 4), true);
  return limbs.getBigInt64(0, true);
}

/** The same as a number where that is exact; else null. */
export function smallInt64At(bytes: Buffer, at: number): number | null {
  const high = bytes.readInt32LE(at + 4);
  return high >= -0x20_0000 && high < 0x20_0000 ? high * two32 + bytes.readUInt32LE(at) : null;
}

/**
 * Timestamp as one integer (S-316): seconds in the upper half. From 2038 on it exceeds 64 bits with sign, and is a text of the same digits
 * then: never a negative number, and above all integers in comparisons (R-196 says so of MySQL).
 */
export function timestampAt(bytes: Buffer, at: number): bigint | string {
  const value = BigInt.asUintN(64, int64At(bytes, at));
  return value <= largestInteger ? value : value.toString();
}

/** Date: milliseconds since 1970, of any year (S-312). */
export function dateAt(bytes: Buffer, at: number, format: InstantFormatter): string {
  const ms = smallInt64At(bytes, at);
  if (ms !== null) {
    const day = Math.floor(ms / dayMs);
    return format(day, ms - day * dayMs, 0);
  }
  const large = int64At(bytes, at);
  const rest = ((large % BigInt(dayMs)) + BigInt(dayMs)) % BigInt(dayMs);
  return format(Number((large - rest) / BigInt(dayMs)), Number(rest), 0);
}

const uuidSubtype = 4;
const oldBinarySubtype = 2;

export function isUuid(bytes: Buffer, at: number): boolean {
  return bytes[at + 4] === uuidSubtype && bytes.readInt32LE(at) === 16;
}

/** UUID (binary of subtype 4): lower-case, with dashes (S-310). */
export function uuidAt(bytes: Buffer, at: number): string {
  const hex = bytes.toString('hex', at + 5, at + 21);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Any other binary (S-314): a copy, because the bytes it lies in are used again. */
export function binaryAt(bytes: Buffer, at: number, end: number): Uint8Array {
  let from = at + 5;
  // The old generic subtype has its length once more inside.
  if (bytes[at + 4] === oldBinarySubtype && end - from >= 4 && bytes.readInt32LE(from) === end - from - 4) from += 4;
  return Uint8Array.prototype.slice.call(bytes, from, end);
}

/** A string, symbol or code. */
export function stringAt(bytes: Buffer, at: number): string {
  return bytes.toString('utf8', at + 4, at + 3 + bytes.readInt32LE(at));
}

/**
 * DBPointer (S-318). Its namespace is `database.collection`, of which only the collection may have points; without any point there is no
 * database.
 */
export function dbPointerAt(
  bytes: Buffer,
  at: number,
  end: number,
): { readonly collection: string; readonly oid: string; readonly db: string | null } {
  const namespace = stringAt(bytes, at);
  const point = namespace.indexOf('.');
  return {
    collection: namespace.slice(point + 1),
    oid: bytes.toString('hex', end - 12, end),
    db: point === -1 ? null : namespace.slice(0, point),
  };
}

/** Nothing that SQLite knows. */
export function isNullType(type: number): boolean {
  return type === bsonType.null || type === bsonType.undefined || type === bsonType.minKey || type === bsonType.maxKey;
}
