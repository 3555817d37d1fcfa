/** Keys of buckets and lookups, and tuples of lookups, taken apart (evaluate/keys.ts). */
import { eachChild } from '../evaluate/json/scan.ts';
import { printValue } from './print-expression.ts';

/** The canonical texts of the values in a JSON array. */
export function valuesOf(key: string): string[] {
  const values: string[] = [];
  eachChild(key, 0, (_keyStart, _keyEnd, start, stop) => {
    values.push(key.slice(start, stop));
    return false;
  });
  return values;
}

/** The value of a canonical text as an SQL literal; cut when it is long. */
export function literalOf(text: string): string {
  return text.startsWith('"') ? printValue(JSON.parse(text) as string) : text;
}
