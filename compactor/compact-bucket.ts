/**
 * Compacts one bucket up to the horizon, from its newest operation to its oldest: whatever is met of a row that was met before has been
 * replaced (S-418). What is found out stays true whatever happens meanwhile: an operation that was replaced stays replaced. So each write
 * may come at any time, be the last one, or fail because another compactor was faster.
 */
import type { BucketState, ChunkRewrite, CompactionStore } from '#core/bucket-storage/compaction-store.ts';
import type { Chunk } from '#core/bucket-storage/contract.ts';
import { decodeOperations, type Operation } from '#core/protocol/operations.ts';
import { bufferOf, withClear, withMoves } from './rewritten-chunk.ts';
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

/** A chunk as it is stored, and as it is to be. */
interface Visited {
  stored: Chunk;
  readonly wanted: Chunk;
  readonly operations: readonly Operation[];
}

/** Rewrites in one transaction at the most. */
const MOST_REWRITES = 500;

export async function compactBucket(bucket: BucketState, options: CompactBucketOptions): Promise<BucketOutcome> {
  const { count, removed = 0 } = bucket.totals;
  const passes = Math.max(1, Math.ceil((count - removed) / options.maxRows));
  let moved = 0;
  let rows = 0;
  for (let pass = 0; pass < passes; pass++) {
    const walk = createWalk(bucket, options, pass, passes);
    const isComplete = await walk.run();
    moved += walk.moved;
    rows += walk.rows;
    const gone = Math.max(removed, walk.removed);
    if (isComplete && pass < passes - 1) continue;
    const outcome = { moved, removed: gone - removed, operations: count - gone, rows };
    return { ...outcome, complete: isComplete };
  }
  throw new Error('unreachable');
}

/** One way through the bucket. Only the last pass knows what is left, and clears. */
function createWalk(bucket: BucketState, options: CompactBucketOptions, pass: number, passes: number) {
  const { store, seen, pageBytes, pause } = options;
  const needs = bucket.totals.lastOp;
  const isLast = pass === passes - 1;
  let pending: Visited[] = [];
  let pendingBytes = 0;
  /** The chunk with the oldest PUT so far, its place there, and the chunk before it. */
  let oldest: { readonly visited: Visited; readonly index: number } | null = null;
  let below: Visited | null = null;
  let newest: Visited | null = null;
  let firstOp = 0;
  /** Operations in chunks before that of the oldest PUT so far. */
  let deadOperations = 0;
  const figures = { moved: 0, removed: 0, rows: 0 };

  const visit = (chunk: Chunk): void => {
    const operations = decodeOperations(bufferOf(chunk));
    const replaced = new Set<number>();
    let firstPut = -1;
    for (let index = operations.length - 1; index >= 0; index--) {
      const operation = operations[index]!;
      if (isRow(operation) && isOurs(operation, pass, passes)) {
        if (!seen.add(rowOf(operation))) {
          replaced.add(index);
          continue;
        }
        if (operation.op === 'PUT') figures.rows++;
      }
      if (operation.op === 'PUT') firstPut = index;
    }
    const wanted = replaced.size === 0 ? chunk : withMoves(chunk, operations, (index) => replaced.has(index), needs);
    const visited: Visited = { stored: chunk, wanted, operations };
    figures.moved += replaced.size;
    if (wanted !== chunk) {
      pending.push(visited);
      pendingBytes += chunk.operations.length;
    }
    newest ??= visited;
    firstOp = chunk.firstOp;
    if (firstPut >= 0) {
      oldest = { visited, index: firstPut };
      below = null;
      deadOperations = 0;
    } else {
      below ??= visited;
      deadOperations += chunk.count;
    }
  };

  const write = async (): Promise<boolean> => {
    while (pending.length > 0) {
      const part = pending.splice(0, MOST_REWRITES);
      const rewrites = part.map(({ stored, wanted }) => ({ was: stored, chunk: wanted }));
      if (!(await store.rewrite(bucket, { rewrites, clearedBelow: null, removed: null }))) return false;
      for (const visited of part) visited.stored = visited.wanted;
    }
    pendingBytes = 0;
    return true;
  };

  /** Where the run of dead operations at the bucket's start ends, and how many of them are in that chunk. */
  const runEnd = (): { readonly target: Visited; readonly swallowed: number } | null => {
    if (oldest === null) return newest === null ? null : { target: newest, swallowed: newest.operations.length };
    if (oldest.index > 0) return { target: oldest.visited, swallowed: oldest.index };
    return below === null ? null : { target: below, swallowed: below.operations.length };
  };

  const clear = async (): Promise<boolean> => {
    const end = runEnd();
    const run = deadOperations + (oldest?.index ?? 0);
    if (end === null || run < 2) return write();
    const { target, swallowed } = end;
    const chunk = withClear(target.wanted, target.operations, swallowed, firstOp, needs);
    pending = pending.filter(({ stored }) => stored.lastOp > target.stored.lastOp);
    if (pending.length >= MOST_REWRITES && !(await write())) return false;
    const rewrites: ChunkRewrite[] = pending.map(({ stored, wanted }) => ({ was: stored, chunk: wanted }));
    rewrites.push({ was: target.stored, chunk });
    const removed = target.stored.totals.count - (target.operations.length - swallowed) - 1;
    const { lastOp: clearedBelow } = chunk;
    if (!(await store.rewrite(bucket, { rewrites, clearedBelow, removed }))) return false;
    figures.removed = removed;
    return true;
  };

  const run = async (): Promise<boolean> => {
    seen.clear();
    let before = needs + 1;
    for (;;) {
      const page = await store.chunksBefore(bucket, before, pageBytes);
      if (page.length === 0) break;
      for (const chunk of page) visit(chunk);
      before = page.at(-1)!.lastOp;
      if ((pendingBytes >= pageBytes || pending.length >= MOST_REWRITES) && !(await write())) return false;
      await pause();
    }
    return isLast ? clear() : write();
  };

  return {
    run,
    get moved() {
      return figures.moved;
    },
    get removed() {
      return figures.removed;
    },
    get rows() {
      return figures.rows;
    },
  };
}

type RowOperation = Operation & { readonly op: 'PUT' | 'REMOVE' };
const isRow = (operation: Operation): operation is RowOperation => operation.op === 'PUT' || operation.op === 'REMOVE';

/** S-403: an absent subkey counts as the text `null`. */
const rowOf = ({ objectType, objectId, subkey }: Operation): string =>
  JSON.stringify([objectType, objectId, subkey ?? 'null']);

function isOurs(operation: Operation, pass: number, passes: number): boolean {
  if (passes === 1) return true;
  const text = rowOf(operation);
  let sum = 0;
  for (let index = 0; index < text.length; index++) sum = (Math.imul(sum, 31) + text.charCodeAt(index)) >>> 0;
  return sum % passes === pass;
}
