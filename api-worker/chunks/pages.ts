/**
 * Reads bucket data for sessions, once for all of them: a page of chunks that one session asked for is kept for the others while it fits
 * (S-2), and sessions that ask at the same time share one read.
 *
 * G4: pages are found only through a `HeldBucket`, and only a session whose resolved set contains the bucket gets one.
 */
import type { BucketReader } from '#core/bucket-storage/contract.ts';
import { dataLines, type OperationRun } from '#core/protocol/data-lines.ts';
import type { EncodedLine, LineEncoding } from '#core/protocol/lines.ts';
import { onDeflated } from '../deflate/lines.ts';
import type { HeldBucket } from '../feed/held-buckets.ts';
import { createFetchLimit } from './fetch-limit.ts';
import { createPageCache } from './page-cache.ts';
import { clipPage, createPage, ownLine, placeName, variantOf, type Page } from './page.ts';

export type PageResult =
  | { readonly page: Page; readonly error?: undefined }
  | { readonly page?: undefined; readonly error: unknown };

export interface ChunkPages {
  /**
   * A page with operations of (after, upTo], the first ones at least; nothing else. Answers it at once when it is at hand, else calls
   * `done` later, exactly once. A page without operations says that storage has none there. `deflated`: deflated lines in this encoding are
   * enough; `lines` has no others of such a page.
   */
  read(
    bucket: HeldBucket,
    after: number,
    upTo: number,
    maxBytes: number,
    deflated: LineEncoding | null,
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
  /** See `createPageCache`. */
  readonly deflatedFrom?: number;
}

const DEFLATED_FROM = 32 * 1024;

export function createChunkPages({ reader, concurrency, cacheBytes, deflatedFrom }: ChunkPagesOptions): ChunkPages {
  const limit = createFetchLimit(concurrency);
  const cache = createPageCache(cacheBytes, deflatedFrom ?? DEFLATED_FROM);
  const reading = new Map<string, { readonly upTo: number; readonly done: ((result: PageResult) => void)[] }>();
  let hits = 0;
  let shared = 0;
  let misses = 0;

  const load = async (
    flight: string,
    bucket: HeldBucket,
    after: number,
    upTo: number,
    maxBytes: number,
  ): Promise<void> => {
    let result: PageResult;
    try {
      const { chunks, more } = await limit.run(() => reader.chunks(bucket, after, upTo, maxBytes));
      const page = createPage(bucket.name, after, upTo, chunks, more);
      if (page.last !== null) cache.keep(bucket, after, page);
      result = { page };
    } catch (error) {
      result = { error };
    }
    const waiters = reading.get(flight)?.done ?? [];
    reading.delete(flight);
    for (const done of waiters) done(result);
  };

  const read: ChunkPages['read'] = (bucket, after, upTo, maxBytes, deflated, done) => {
    const found =
      cache.find(bucket, after) ?? (deflated === null ? null : cache.findDeflated(bucket, after, upTo, deflated));
    if (found !== null) {
      hits++;
      return clipPage(found, upTo);
    }
    const name = placeName(bucket, after);
    const clipped = (result: PageResult): void =>
      done(result.page === undefined ? result : { page: clipPage(result.page, upTo) });
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
    void load(flight, bucket, after, upTo, maxBytes);
    return null;
  };

  const lines: ChunkPages['lines'] = (page, encoding, hasMore) => {
    const variant = variantOf(encoding, hasMore);
    const known = page.lines.get(variant);
    if (known !== undefined) return known;
    if (page.runs === null) throw new Error(`There are no deflated lines "${variant}" of this page.`);
    const made = dataLines(encoding, page.bucketName, page.after, page.runs, hasMore).map(ownLine);
    page.lines.set(variant, made);
    for (const line of made) onDeflated(line, (bytes) => cache.grew(page, bytes));
    cache.grew(page, copiedBytes(page.runs, made));
    return made;
  };

  return {
    read,
    forget: () => cache.clear(),
    lines,
    figures: () => ({ bytes: cache.bytes, hits, shared, misses, waiting: limit.waiting }),
  };
}

/** Bytes of lines that are not the page's own buffers. */
function copiedBytes(runs: readonly OperationRun[], lines: readonly EncodedLine[]): number {
  const own = new Set(runs.map((run) => run.operations));
  let sum = 0;
  for (const line of lines) for (const part of line.parts) if (!own.has(part)) sum += part.length;
  return sum;
}
