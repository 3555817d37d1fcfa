/** Rows of `bucket_data` and `lookups` as the contract has them. */
import type { Chunk, LookupEntry } from '../contract.ts';
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
  /** Base64. */
  readonly operations: string;
}

const PLAIN_COLUMNS = 'key, key_whole, first_op, last_op, count, checksum, total_count, total_checksum';
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
  };
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
