/**
 * Compacts one bucket up to the horizon, from its newest operation to its oldest: whatever is met of a row that was met before has been
 * replaced (S-418). What is found out stays true whatever happens meanwhile: an operation that was replaced stays replaced. So each write
 * may come at any time, be the last one, or fail because another compactor was faster.
 */
import type { BucketState, ChunkRewrite, CompactionStore } from '#core/bucket-storage/compaction-store.ts';
import { operationsOf } from '#core/bucket-storage/chunk-operations.ts';
import type { BucketRef, Chunk } from '#core/bucket-storage/contract.ts';
import { passOf } from '#core/bucket-storage/pass-of.ts';
import type { Operation } from '#core/protocol/operations.ts';
import { createDeadStart, type Visited } from './dead-start.ts';
import { withClear, withMoves } from './rewritten-chunk.ts';
import type { RowSet } from './row-set.ts';

export interface BucketOutcome {
  /** Operations that became MOVE, and those swallowed by a CLEAR besides the one that stays. */
  readonly moved: number;
  readonly removed: number;
  /** Operations that a client which begins now receives, and rows among them. */
  readonly operations: number;
  readonly rows: number;
  /** False: another compactor was faster, or the bucket went away; the next run looks again. */
  readonly complete: boolean;
}

export interface CompactBucketOptions {
  readonly store: Pick<CompactionStore, 'chunksBefore' | 'rewrite'>;
  /** Empty; is used and left as it comes. */
  readonly seen: RowSet;
  /** Rows held in memory at once; a bucket with more operations is gone through several times. */
  readonly maxRows: number;
  /** Read at once, and gathered before it is written. */
  readonly pageBytes: number;
  /** Called after each page: to pause, or to throw when it is time to stop. */
  readonly pause: () => Promise<void>;
}

/** Rewrites in one transaction at the most. */
const MOST_REWRITES = 500;

/** Rejects with errors of storage, and with what `pause` throws; what was written by then stays. */
export async function compactBucket(bucket: BucketState, options: CompactBucketOptions): Promise<BucketOutcome> {
  const { count, removed = 0 } = bucket.totals;
  const passes = Math.max(1, Math.ceil((count - removed) / options.maxRows));
  let [moved, rows, gone, complete] = [0, 0, removed, true];
  for (let pass = 0; pass < passes && complete; pass++) {
    const walked = await walk(bucket, options, pass, passes);
    moved += walked.moved;
    rows += walked.rows;
    gone = Math.max(gone, walked.removed);
    complete = walked.complete;
  }
  return { moved, removed: gone - removed, operations: count - gone, rows, complete };
}

interface Walked {
  readonly moved: number;
  readonly rows: number;
  /** Operations that are gone since the bucket began; 0 when nothing was cleared. */
  readonly removed: number;
  /** False: another compactor was faster. */
  readonly complete: boolean;
}

/** One way through the bucket. Only the last pass knows what is left, and clears. */
async function walk(bucket: BucketState, options: CompactBucketOptions, pass: number, passes: number): Promise<Walked> {
  const { store, seen, pageBytes, pause } = options;
  const needs = bucket.totals.lastOp;
  const pending = createPending(bucket, store);
  const start = createDeadStart();
  let [moved, rows] = [0, 0];

  const visit = (chunk: Chunk): void => {
    const operations = operationsOf(chunk);
    const found = lookThrough(operations, seen, (row) => passOf(row, passes) === pass);
    const { replaced } = found;
    const wanted = replaced.size === 0 ? chunk : withMoves(chunk, operations, (index) => replaced.has(index), needs);
    const visited: Visited = { stored: chunk, wanted, operations };
    if (wanted !== chunk) pending.add(visited);
    start.visit(visited, found.firstPut);
    moved += replaced.size;
    rows += found.rows;
  };

  seen.clear();
  for (let before = needs + 1; ;) {
    const page = await store.chunksBefore(bucket, before, pageBytes);
    if (page.length === 0) break;
    for (const chunk of page) visit(chunk);
    before = page.at(-1)!.lastOp;
    if (pending.isFull(pageBytes) && !(await pending.write())) return { moved, rows, removed: 0, complete: false };
    await pause();
  }
  const run = pass === passes - 1 ? start.run() : null;
  if (run === null) return { moved, rows, removed: 0, complete: await pending.write() };
  const { target, swallowed, firstOp } = run;
  const chunk = withClear(target.wanted, target.operations, swallowed, firstOp, needs);
  const removed = target.stored.totals.count - (target.operations.length - swallowed) - 1;
  const complete = await pending.clear(target, chunk, removed);
  return { moved, rows, removed: complete ? removed : 0, complete };
}

/** Operations of a chunk that newer ones have replaced, the place of the oldest PUT that is left (-1: none), and how many rows are new. */
function lookThrough(operations: readonly Operation[], seen: RowSet, isOurs: (row: string) => boolean) {
  const replaced = new Set<number>();
  let [firstPut, rows] = [-1, 0];
  for (let index = operations.length - 1; index >= 0; index--) {
    const operation = operations[index]!;
    const row = rowOf(operation);
    if (row !== null && isOurs(row)) {
      if (!seen.add(row)) {
        replaced.add(index);
        continue;
      }
      if (operation.op === 'PUT') rows++;
    }
    if (operation.op === 'PUT') firstPut = index;
  }
  return { replaced, firstPut, rows };
}

/** Null: MOVE and CLEAR are about none. S-403: an absent subkey counts as the text `null`. */
function rowOf({ op, objectType, objectId, subkey }: Operation): string | null {
  return op === 'PUT' || op === 'REMOVE' ? JSON.stringify([objectType, objectId, subkey ?? 'null']) : null;
}

/** Rewrites that wait to be written together, of chunks from the newest on. */
function createPending(bucket: BucketRef, store: CompactBucketOptions['store']) {
  let pending: Visited[] = [];
  let bytes = 0;
  const rewriteOf = ({ stored, wanted }: Visited): ChunkRewrite => ({ was: stored, chunk: wanted });

  /** False: another compactor was faster. */
  const write = async (): Promise<boolean> => {
    while (pending.length > 0) {
      const part = pending.splice(0, MOST_REWRITES);
      if (!(await store.rewrite(bucket, { rewrites: part.map(rewriteOf), clearedBelow: null, removed: null })))
        return false;
      for (const visited of part) visited.stored = visited.wanted;
    }
    bytes = 0;
    return true;
  };

  return {
    write,
    add(visited: Visited): void {
      pending.push(visited);
      bytes += visited.stored.operations.length;
    },
    isFull: (mostBytes: number): boolean => bytes >= mostBytes || pending.length >= MOST_REWRITES,
    /** What waits, and `chunk` in the place of `target`; everything before it goes. */
    async clear({ stored: was }: Visited, chunk: Chunk, removed: number): Promise<boolean> {
      pending = pending.filter(({ stored }) => stored.lastOp > was.lastOp);
      if (pending.length >= MOST_REWRITES && !(await write())) return false;
      const rewrites = [...pending.map(rewriteOf), { was, chunk }];
      return store.rewrite(bucket, { rewrites, clearedBelow: chunk.lastOp, removed });
    },
  };
}
