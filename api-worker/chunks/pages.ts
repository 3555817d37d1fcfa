/**
 * Reads bucket data for sessions, once for all of them: a page of chunks that one session asked for is kept for the others while it fits
 * (S-2), and sessions that ask at the same time share one read.
 *
 * G4: pages are found only through a `HeldBucket`, and only a session whose resolved set contains the bucket gets one.
 */
import type { BucketReader, BucketTotals, Chunk } from '#core/bucket-storage/contract.ts';
import { countOperations, dataLines, type OperationCounts, type OperationRun } from '#core/protocol/data-lines.ts';
import type { EncodedLine, LineEncoding } from '#core/protocol/lines.ts';
import { cutOperations } from '#core/protocol/operations.ts';
import type { HeldBucket } from '../feed/held-buckets.ts';
import { createFetchLimit } from './fetch-limit.ts';

/** Operations of one bucket after a position. */
export interface Page {
  readonly bucketName: string;
  readonly after: number;
  readonly runs: readonly OperationRun[];
  /** Everything in (after, coveredTo] is in it. */
  readonly coveredTo: number;
  /** No checkpoint below this op can be completed with what is in it (`Chunk.needs`); 0: any can. */
  readonly needs: number;
  /** Totals of the bucket as of each run, to tell whether what was read is what was announced (S-426). */
  readonly totals: readonly BucketTotals[];
  readonly counts: OperationCounts;
  readonly operations: number;
  readonly bytes: number;
  /** Lines made of it, by encoding and `hasMore`. */
  readonly lines: Map<string, readonly EncodedLine[]>;
}

export type PageResult =
  | { readonly page: Page; readonly error?: undefined }
  | { readonly page?: undefined; readonly error: unknown };

export interface ChunkPages {
  /**
   * A page with operations of (after, upTo], the first ones at least; nothing else. Answers it at once when it is at hand, else calls
   * `done` later, exactly once. A page without runs says that storage has none there.
   */
  read(
    bucket: HeldBucket,
    after: number,
    upTo: number,
    maxBytes: number,
    done: (result: PageResult) => void,
  ): Page | null;
  /** Storage has shorter ones now; what is kept stays right, and is read anew. */
  forget(): void;
  /** The page as lines, encoded once for all sessions. */
  lines(page: Page, encoding: LineEncoding, hasMore: boolean): readonly EncodedLine[];
  figures(): {
    readonly bytes: number;
    readonly hits: number;
    readonly shared: number;
    readonly misses: number;
    readonly waiting: number;
  };
}

export interface ChunkPagesOptions {
  readonly reader: Pick<BucketReader, 'chunks'>;
  /** Concurrent reads of storage (O-58). */
  readonly concurrency: number;
  readonly cacheBytes: number;
}

/** What a page takes besides its bytes. */
const PAGE_OVERHEAD = 500;

interface Cached {
  readonly name: string;
  readonly page: Page;
  bytes: number;
  evicted: boolean;
}

export function createChunkPages({ reader, concurrency, cacheBytes }: ChunkPagesOptions): ChunkPages {
  const limit = createFetchLimit(concurrency);
  /** In order of last use. */
  const cache = new Map<string, Cached>();
  const entries = new WeakMap<Page, Cached>();
  /** What was read of a bucket last: after a commit to a bucket that thousands hold, all of them read the same. */
  const latest = new WeakMap<HeldBucket, { readonly after: number; readonly entry: Cached }>();
  /** The one at the end of `cache`. */
  let newest: Cached | null = null;
  const reading = new Map<string, { readonly upTo: number; readonly done: ((result: PageResult) => void)[] }>();
  let bytes = 0;
  let hits = 0;
  let shared = 0;
  let misses = 0;

  const nameOf = (bucket: HeldBucket, after: number): string => `${bucket.definition}:${after}:${bucket.key}`;

  const evict = (): void => {
    for (const [name, entry] of cache) {
      if (bytes <= cacheBytes) return;
      cache.delete(name);
      entry.evicted = true;
      bytes -= entry.bytes;
    }
  };

  const find = (bucket: HeldBucket, after: number): Cached | undefined => {
    const last = latest.get(bucket);
    if (last !== undefined && last.after === after && !last.entry.evicted) return last.entry;
    const entry = cache.get(nameOf(bucket, after));
    if (entry !== undefined) latest.set(bucket, { after, entry });
    return entry;
  };

  const keep = (name: string, page: Page): void => {
    const old = cache.get(name);
    if (old !== undefined) {
      cache.delete(name);
      old.evicted = true;
      bytes -= old.bytes;
    }
    const entry = { name, page, bytes: page.bytes + PAGE_OVERHEAD, evicted: false };
    entries.set(page, entry);
    cache.set(name, entry);
    newest = entry;
    bytes += entry.bytes;
    evict();
  };

  const load = async (
    flight: string,
    name: string,
    bucket: HeldBucket,
    after: number,
    upTo: number,
    maxBytes: number,
  ): Promise<void> => {
    let result: PageResult;
    try {
      const { chunks, more } = await limit.run(() => reader.chunks(bucket, after, upTo, maxBytes));
      const page = createPage(bucket.name, after, upTo, chunks, more);
      if (page.runs.length > 0) keep(name, page);
      result = { page };
    } catch (error) {
      result = { error };
    }
    const waiters = reading.get(flight)?.done ?? [];
    reading.delete(flight);
    for (const done of waiters) done(result);
  };

  const read: ChunkPages['read'] = (bucket, after, upTo, maxBytes, done) => {
    const entry = find(bucket, after);
    if (entry !== undefined) {
      hits++;
      if (entry !== newest) {
        cache.delete(entry.name);
        cache.set(entry.name, entry);
        newest = entry;
      }
      return clip(entry.page, upTo);
    }
    const name = nameOf(bucket, after);
    const clipped = (result: PageResult): void =>
      done(result.page === undefined ? result : { page: clip(result.page, upTo) });
    const running = reading.get(name);
    // A read that does not go as far may come back empty for us.
    if (running !== undefined && running.upTo >= upTo) {
      shared++;
      running.done.push(clipped);
      return null;
    }
    misses++;
    const flight = running === undefined ? name : `${name}:${upTo}:${misses}`;
    reading.set(flight, { upTo, done: [clipped] });
    void load(flight, name, bucket, after, upTo, maxBytes);
    return null;
  };

  const lines: ChunkPages['lines'] = (page, encoding, hasMore) => {
    const variant = `${encoding.name}${hasMore ? '+' : ''}`;
    const known = page.lines.get(variant);
    if (known !== undefined) return known;
    const made = dataLines(encoding, page.bucketName, page.after, page.runs, hasMore);
    page.lines.set(variant, made);
    const entry = entries.get(page);
    if (entry !== undefined && !entry.evicted) {
      const added = copiedBytes(page, made);
      entry.bytes += added;
      bytes += added;
      evict();
    }
    return made;
  };

  const forget = (): void => {
    for (const entry of cache.values()) entry.evicted = true;
    cache.clear();
    newest = null;
    bytes = 0;
  };

  return {
    read,
    forget,
    lines,
    figures: () => ({ bytes, hits, shared, misses, waiting: limit.waiting }),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Cuts what a position divides; everything else is taken over as it is. */
function createPage(bucketName: string, after: number, upTo: number, chunks: readonly Chunk[], more: boolean): Page {
  const runs: OperationRun[] = [];
  const totals: BucketTotals[] = [];
  let needs = 0;
  for (const chunk of chunks) {
    needs = Math.max(needs, chunk.needs ?? 0);
    const run = cutRun(
      { lastOp: chunk.lastOp, count: chunk.count, operations: asBuffer(chunk.operations) },
      chunk.firstOp,
      after,
      upTo,
    );
    if (run.count === 0) continue;
    runs.push(run);
    totals.push(chunk.totals);
  }
  const coveredTo = more ? Math.min(chunks.at(-1)?.lastOp ?? after, upTo) : upTo;
  return pageOf({ bucketName, after, runs, totals, coveredTo, needs });
}

function cutRun(run: OperationRun, firstOp: number, after: number, upTo: number): OperationRun {
  if (firstOp > after && run.lastOp <= upTo) return run;
  const cut = cutOperations(run.operations, after, upTo);
  return { lastOp: cut.lastOp, count: cut.count, operations: cut.bytes };
}

function pageOf(content: Omit<Page, 'counts' | 'operations' | 'bytes' | 'lines'>): Page {
  const counts = { put: 0, remove: 0, move: 0, clear: 0 };
  let bytes = 0;
  let operations = 0;
  for (const run of content.runs) {
    countOperations(run.operations, counts);
    bytes += run.operations.length;
    operations += run.count;
  }
  return { ...content, counts, operations, bytes, lines: new Map() };
}

/** Bytes of lines that are not the page's own buffers. */
function copiedBytes(page: Page, lines: readonly EncodedLine[]): number {
  const own = new Set(page.runs.map((run) => run.operations));
  let sum = 0;
  for (const line of lines) for (const part of line.parts) if (!own.has(part)) sum += part.length;
  return sum;
}

/** What of a page belongs to a checkpoint that does not reach as far. */
function clip(page: Page, upTo: number): Page {
  const last = page.runs.at(-1);
  if (last === undefined || last.lastOp <= upTo) return page;
  const runs: OperationRun[] = [];
  for (const run of page.runs) {
    // Without the chunk's first op, a run that crosses the end is cut by looking at it.
    const kept = run.lastOp <= upTo ? run : cutRun(run, 0, page.after, upTo);
    if (kept.count > 0) runs.push(kept);
    if (run.lastOp > upTo) break;
  }
  const { bucketName, after, needs } = page;
  return pageOf({ bucketName, after, runs, totals: page.totals.slice(0, runs.length), coveredTo: upTo, needs });
}
