/** Values in bucket keys and lookup tuples: canonical JSON texts, equal exactly when SQLite calls the values equal. */
import type { SqliteValue } from '../values.ts';

const TWO_TO_63 = 9223372036854775808;

/**
 * Canonical text of a value, or null when it matches nothing (null, blob: S-66, S-92).
 *
 * A real that is a whole 64-bit number equals that integer in SQLite, so it gets the integer's text.
 */
export function keyText(value: SqliteValue): string | null {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'bigint':
      return value.toString();
    case 'number':
      if (Number.isInteger(value) && value >= -TWO_TO_63 && value < TWO_TO_63) return BigInt(value).toString();
      if (Number.isFinite(value)) return String(value);
      return Number.isNaN(value) ? null : value > 0 ? '1e999' : '-1e999';
    default:
      return null;
  }
}
