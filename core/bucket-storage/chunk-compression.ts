/**
 * Stored form of a chunk's operations: zstd where it pays. Rows of one bucket resemble each other, so chunks shrink five- to sevenfold; that
 * costs the replicator less than sending the bytes to storage would, and storage far less than keeping them (docs/adr/0001).
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { codedError } from '../platform/errors/coded-error.ts';

/** Setting up a compressor costs as much as compressing 16 KB; what MongoDB saves is worth that from about here on. */
const WORTH_BYTES = 6 * 1024;
const SMALL_BYTES = 16 * 1024;
const FASTEST = { [constants.ZSTD_c_compressionLevel]: 1 };
/** A chunk is a row of at most 15 MB and its names, twice over at the most. */
const LARGEST_BYTES = 64 * 1024 * 1024;

export interface StoredOperations {
  readonly bytes: Uint8Array;
  /** Length before compression; 0 when stored as they are. */
  readonly rawLength: number;
}

/** Answers the bytes themselves when compression does not pay. */
export function compressOperations(operations: Uint8Array): StoredOperations {
  if (operations.length < WORTH_BYTES) return { bytes: operations, rawLength: 0 };
  const { length } = operations;
  // A small chunk's time is mostly setting up: with its size known, and less memory to begin with, that takes a fifth less.
  const chunkSize = length < SMALL_BYTES ? length >> 1 : length;
  const bytes = zstdCompressSync(operations, { params: FASTEST, chunkSize, pledgedSrcSize: length });
  return bytes.length < operations.length * 0.9
    ? { bytes, rawLength: operations.length }
    : { bytes: operations, rawLength: 0 };
}

/** Throws PSYNC_S0001 when the bytes are not what `compressOperations` made. */
export function decompressOperations({ bytes, rawLength }: StoredOperations): Uint8Array {
  if (rawLength === 0) return bytes;
  try {
    const operations = zstdDecompressSync(bytes, {
      chunkSize: rawLength + 64,
      maxOutputLength: Math.min(rawLength, LARGEST_BYTES),
    });
    if (operations.length === rawLength) return operations;
  } catch (cause) {
    throw codedError(
      'PSYNC_S0001',
      'A stored chunk cannot be decompressed. Bucket storage was changed by something else, or this is a bug.',
      { cause },
    );
  }
  throw codedError(
    'PSYNC_S0001',
    'A stored chunk has another length than it says. Bucket storage was changed by something else, or this is a bug.',
  );
}
