/** Rows of `bucket_data` and `lookups` as the contract has them. */
import type { Chunk, LookupEntry } from '../contract.ts';
import { copiedRows, readInt8 } from './copy-out.ts';
import { restoreKey } from './key-text.ts';

export interface ChunkRow {
  readonly key: string;
  readonly key_whole: string | null;
  readonly first_op: number;
  readonly last_op: number;
  readonly count: number;
  readonly checksum: number;
  readonly total_count: number;
  readonly total_checksum: number;
  readonly needs_op: number | null;
  /** Base64. */
  readonly operations: string;
}

const PLAIN_COLUMNS = 'key, key_whole, first_op, last_op, count, checksum, total_count, total_checksum, needs_op';
/** Columns of a `ChunkRow` as stored, for inner queries that only choose rows. */
export const CHUNK_COLUMNS = `${PLAIN_COLUMNS}, operations`;
/** The same as answered. */
export const CHUNK_ANSWER = `${PLAIN_COLUMNS}, encode(operations, 'base64') AS operations`;

export function chunkOf(definition: number, row: ChunkRow): Chunk {
  return {
    definition,
    key: restoreKey(row.key, row.key_whole),
    firstOp: row.first_op,
    lastOp: row.last_op,
    count: row.count,
    checksum: row.checksum,
    totals: { lastOp: row.last_op, count: row.total_count, checksum: row.total_checksum },
    operations: Buffer.from(row.operations, 'base64'),
    ...(row.needs_op === null ? {} : { needs: row.needs_op }),
  };
}

type CopiedChunk = [
  Buffer,
  Buffer | null,
  Buffer,
  Buffer,
  Buffer,
  Buffer,
  Buffer,
  Buffer,
  Buffer | null,
  Buffer,
  Buffer?,
];

/**
 * The columns of `CHUNK_COLUMNS`, in binary COPY. The operations are a buffer of their own: chunks are cached one by one. `extra` is told of
 * a column after them.
 */
export function chunksOfCopy(definition: number, bytes: Buffer, extra?: (field: Buffer) => void): Chunk[] {
  const chunks: Chunk[] = [];
  for (const row of copiedRows(bytes)) {
    const [key, whole, first, last, count, checksum, totalCount, totalChecksum, needs, operations, rest] =
      row as CopiedChunk;
    if (extra && rest) extra(rest);
    const lastOp = readInt8(last);
    chunks.push({
      definition,
      key: restoreKey(key.toString('utf8'), whole === null ? null : whole.toString('utf8')),
      firstOp: readInt8(first),
      lastOp,
      count: count.readInt32BE(0),
      checksum: readInt8(checksum),
      totals: { lastOp, count: readInt8(totalCount), checksum: readInt8(totalChecksum) },
      operations: Buffer.from(operations),
      ...(needs === null ? {} : { needs: readInt8(needs) }),
    });
  }
  return chunks;
}

export interface LookupRow {
  readonly key: string;
  readonly key_whole: string | null;
  readonly row: string;
  readonly row_whole: string | null;
  readonly op: number;
  readonly values: string | null;
}

export function lookupEntryOf(lookup: number, row: LookupRow): LookupEntry {
  const { op, values } = row;
  return { lookup, key: restoreKey(row.key, row.key_whole), row: restoreKey(row.row, row.row_whole), op, values };
}
