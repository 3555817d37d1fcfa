/**
 * In which of `passes` over a bucket a row is looked at, from 0 on, where not all rows fit into memory. Always the same for a row; about as
 * many rows in each pass.
 */
export function passOf(row: string, passes: number): number {
  if (passes === 1) return 0;
  let hash = 0;
  for (let index = 0; index < row.length; index++) hash = (Math.imul(hash, 31) + row.charCodeAt(index)) >>> 0;
  return hash % passes;
}
