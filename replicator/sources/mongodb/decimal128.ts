import { Decimal128 } from 'bson';

/**
 * Text of the 16 bytes at `at` (S-306): all digits that are stored, so `1.50` stays `1.50`; an exponent only where the specification of
 * Decimal128 wants one; `NaN`, `Infinity`, `-Infinity`.
 */
export function decimal128Text(bytes: Buffer, at: number): string {
  const top = bytes.readUInt32LE(at + 12);
  // Amounts of money and the like, which is nearly all: a coefficient below 2^53, up to 19 decimal places.
  const exponent = ((top >>> 17) & 0x3fff) - 6_176;
  const isOrdinary = (top & 0x6000_0000) !== 0x6000_0000 && (top & 0x1_ffff) === 0 && bytes.readUInt32LE(at + 8) === 0;
  const high = bytes.readUInt32LE(at + 4);
  if (!isOrdinary || high >= 0x20_0000 || exponent > 0 || exponent < -19) return slowText(bytes, at);
  const digits = String(high * 0x1_0000_0000 + bytes.readUInt32LE(at));
  // Smaller ones are written with an exponent.
  if (digits.length + exponent < -5) return slowText(bytes, at);
  const sign = top >>> 31 === 1 ? '-' : '';
  if (exponent === 0) return sign + digits;
  const point = digits.length + exponent;
  return point > 0
    ? `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
    : `${sign}0.${'0'.repeat(-point)}${digits}`;
}

function slowText(bytes: Buffer, at: number): string {
  return new Decimal128(Uint8Array.prototype.slice.call(bytes, at, at + 16)).toString();
}
