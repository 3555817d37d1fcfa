/** Chunks in `bucket_data`. */
import { Binary, type ClientSession } from 'mongodb';
import { compressOperations, decompressOperations, type StoredOperations } from '../chunk-compression.ts';
import type { BucketRef, BucketTotals, Chunk } from '../contract.ts';
import type { ChunkDocument, Collections } from './documents.ts';
import { bucketEnd, bucketOf, bucketPrefix, chunkId, definitionRange, opOf, opText } from './ids.ts';
import { documentsIn } from './ranges.ts';
import { newestPerPrefix } from './newest-per-prefix.ts';

const NO_OPERATIONS: BucketTotals = { lastOp: 0, count: 0, checksum: 0 };
/** Documents of the first read of a page at the most; how many follow is decided by their size. */
const FIRST_READ = 32;
const LARGEST_READ = 1000;
/** The average size is that of about so many chunks. */
const AVERAGED = 16;
/** A page is full with this share of what was asked for: looking for the chunk that might still fit would cost another read. */
const FULL = 0.75;
const SCAN_PAGE = 100;

/** Stored forms made ahead of their flush, by the operations they are of. */
export type PreparedChunks = WeakMap<Uint8Array, StoredOperations>;

export function prepareChunks(prepared: PreparedChunks, chunks: readonly Chunk[]): void {
  for (const { operations } of chunks) prepared.set(operations, compressOperations(operations));
}

/** `unfinished`: the stream whose flush this is, when it is not final. */
export function chunkDocuments(
  chunks: readonly Chunk[],
  unfinished: number | null,
  prepared: PreparedChunks,
): ChunkDocument[] {
  return chunks.map((chunk) => {
    const { definition, key, firstOp, lastOp, count, checksum, totals, operations } = chunk;
    const stored = prepared.get(operations) ?? compressOperations(operations);
    const document: ChunkDocument = {
      _id: chunkId(definition, key, lastOp),
      f: firstOp,
      n: count,
      c: checksum,
      tn: totals.count,
      tc: totals.checksum,
      d: new Binary(stored.bytes),
    };
    if (stored.rawLength > 0) document.z = stored.rawLength;
    if (unfinished !== null) {
      document.u = unfinished;
      document.o = lastOp;
    }
    return document;
  });
}

export async function insertChunks(
  { chunks }: Collections,
  documents: readonly ChunkDocument[],
  session: ClientSession,
): Promise<void> {
  if (documents.length > 0) await chunks.insertMany(documents, { session });
}

export function chunkOf(document: ChunkDocument): Chunk {
  const { definition, key } = bucketOf(document._id);
  const lastOp = opOf(document._id);
  return {
    definition,
    key,
    firstOp: document.f,
    lastOp,
    count: document.n,
    checksum: document.c,
    totals: { lastOp, count: document.tn, checksum: document.tc },
    operations: decompressOperations({ bytes: chunkBytes(document.d), rawLength: document.z ?? 0 }),
    ...(document.m === undefined ? {} : { needs: document.m }),
  };
}

/** What a chunk's `d` holds: a Buffer where the collection promotes them. */
export const chunkBytes = (data: Binary | Buffer): Uint8Array => (Buffer.isBuffer(data) ? data : data.value());

/** Totals of each bucket as of `op`: those of its last chunk that ends at or before it. */
export async function totalsAsOf(
  { chunks }: Collections,
  buckets: readonly BucketRef[],
  op: number,
): Promise<BucketTotals[]> {
  const upTo = opText(op);
  const prefixes = buckets.map(bucketPrefix);
  const newest = await newestPerPrefix(chunks, prefixes, upTo, { tn: 1, tc: 1 });
  return prefixes.map((prefix) => {
    const document = newest.get(prefix);
    if (document === undefined) return NO_OPERATIONS;
    return { lastOp: opOf(document._id), count: document.tn, checksum: document.tc };
  });
}

/** How large chunks were lately: decides how many are asked for, so that most pages are one read. */
export interface ChunkSizes {
  averageBytes: number;
}
export const expectedSizes = (): ChunkSizes => ({ averageBytes: 64 * 1024 });

/** See `BucketReader.chunks`. */
export async function readPage(
  { chunks: collection }: Collections,
  sizes: ChunkSizes,
  bucket: BucketRef,
  after: number,
  upTo: number,
  maxBytes: number,
): Promise<{ chunks: Chunk[]; more: boolean }> {
  const chunks: Chunk[] = [];
  const before = bucketEnd(bucket);
  let position = `${bucketPrefix(bucket)}${opText(after)}`;
  let bytes = 0;
  // As many as will fit: a chunk that was read in vain is read again for the next page.
  let limit = clamp(Math.floor(maxBytes / sizes.averageBytes), 2, FIRST_READ);
  for (;;) {
    let read = 0;
    // One answer, unless it would be larger than 16 MB.
    const options = { sort: { _id: 1 }, limit, batchSize: limit } as const;
    for await (const document of collection.find({ _id: { $gt: position, $lt: before } }, options)) {
      if (document.f > upTo) return { chunks, more: false };
      const size = document.z ?? (document.d as Buffer).length;
      if (chunks.length > 0 && bytes + size > maxBytes) return { chunks, more: true };
      read++;
      bytes += size;
      sizes.averageBytes += (size - sizes.averageBytes) / AVERAGED;
      chunks.push(chunkOf(document));
      position = document._id;
    }
    if (read < limit) return { chunks, more: false };
    if (bytes >= maxBytes * FULL) return { chunks, more: chunks.at(-1)!.lastOp < upTo };
    const average = Math.max(1, bytes / chunks.length);
    limit = clamp(Math.ceil((maxBytes - bytes) / average) + 1, 1, Math.min(limit * 8, LARGEST_READ));
  }
}

const clamp = (value: number, least: number, most: number): number => Math.max(least, Math.min(most, value));

/** All chunks of a definition in (bucket, op) order. `check` runs before each page. */
export async function* scanChunks(
  { chunks }: Collections,
  definition: number,
  check: () => Promise<void>,
): AsyncGenerator<Chunk> {
  for await (const document of documentsIn(chunks, definitionRange(definition), SCAN_PAGE, check))
    yield chunkOf(document);
}
