/** Checksums of operations and buckets: unsigned 32-bit, added modulo 2^32 (S-410). The hash of an operation is made with its bytes: operations.ts. */

/** Wrapping sum. */
export function addChecksums(a: number, b: number): number {
  return (a + b) >>> 0;
}
