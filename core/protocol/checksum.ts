/** Checksums of operations and buckets: unsigned 32-bit, added modulo 2^32 (S-410). The hash is ours to choose (S-411). */
import { crc32 } from 'node:zlib';

/** Wrapping sum. */
export function addChecksums(a: number, b: number): number {
  return (a + b) >>> 0;
}

/**
 * Hash of an operation: kind, table, id, subkey and data (S-412). `dataHash` is `hashData` of the row's JSON, computed once per row
 * however many buckets it goes to; 0 for a REMOVE.
 */
export function operationChecksum(
  remove: boolean,
  objectType: string,
  objectId: string,
  subkey: string,
  dataHash: number,
): number {
  let hash = crc32(objectType, remove ? 0x9e3779b9 : dataHash);
  hash = crc32(objectId, hash);
  return crc32(subkey, hash);
}

export function hashData(data: Uint8Array): number {
  return crc32(data);
}
