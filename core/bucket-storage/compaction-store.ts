/**
 * What the compactor reads and rewrites (S chapter 11, O-151…O-158).
 *
 * Only chunks at or below the horizon are touched: they are committed, visible, and nobody writes them again. Totals at the ends of chunks
 * (`Chunk.totals`) never change, so no writer has to know of a compaction: `count` there goes on counting all operations that there ever
 * were, and how many of them are gone stands beside it (`BucketTotals.removed`).
 */
import type { BucketRef, BucketTotals, Chunk } from './contract.ts';

export interface CompactionHorizon {
  readonly op: number;
  /** Bucket definitions of the version that is served; those of others hold operations that nobody sees yet, or nobody any more. */
  readonly definitions: readonly { readonly id: number; readonly name: string }[];
}

/** How far a bucket was compacted. */
export interface CompactedBucket {
  /** Its last operation then, and `count` there. */
  readonly lastOp: number;
  readonly count: number;
}

export interface BucketState extends BucketRef {
  /** As of the horizon; `lastOp` 0: nothing is there. */
  readonly totals: BucketTotals;
  readonly compacted: CompactedBucket | null;
}

export interface ChunkRewrite {
  /** As it was read. */
  readonly was: Chunk;
  /** What takes its place, with the same `lastOp` and `totals`. */
  readonly chunk: Chunk;
}

export interface BucketRewrite {
  readonly rewrites: readonly ChunkRewrite[];
  /** Chunks that end before this op go, swallowed by a CLEAR in one of the rewrites; null: none. */
  readonly clearedBelow: number | null;
  /** Operations of the bucket that are gone since it began, this rewrite included; null when `clearedBelow` is. */
  readonly removed: number | null;
}

/** The last run, for metrics of other processes (O-185). */
export interface CompactionRun {
  readonly endedMs: number;
  /** End of the last run that succeeded; null: none did. */
  readonly lastSuccessMs: number | null;
}

export interface CompactionStore {
  /** Null while no version is served. */
  horizon(): Promise<CompactionHorizon | null>;
  /** Buckets of a definition in a fixed order, up to `limit`; `next`: where to go on, null at the end. */
  buckets(
    definition: number,
    after: string | null,
    upTo: number,
    limit: number,
  ): Promise<{ readonly buckets: readonly BucketState[]; readonly next: string | null }>;
  /** Chunks of a bucket that end before `before`, newest first, up to about `maxBytes`, at least one when there is any. */
  chunksBefore(bucket: BucketRef, before: number, maxBytes: number): Promise<Chunk[]>;
  /** All of it in one transaction; false, and nothing is done, when one of the chunks is not as it was read. */
  rewrite(bucket: BucketRef, rewrite: BucketRewrite): Promise<boolean>;
  /** Remembers how far buckets were compacted. */
  settle(buckets: readonly (BucketRef & CompactedBucket)[]): Promise<void>;
  recordRun(run: { readonly endedMs: number; readonly succeeded: boolean }): Promise<void>;
  lastRun(): Promise<CompactionRun | null>;
}
