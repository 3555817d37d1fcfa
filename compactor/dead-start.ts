import type { Chunk } from '#core/bucket-storage/contract.ts';
import type { Operation } from '#core/protocol/operations.ts';

/** A chunk as it is stored, and as it is to be. */
export interface Visited {
  stored: Chunk;
  readonly wanted: Chunk;
  readonly operations: readonly Operation[];
}

/** Operations at a bucket's start that one CLEAR can stand for. */
export interface DeadRun {
  /** The chunk in which they end, and how many of them are in it. */
  readonly target: Visited;
  readonly swallowed: number;
  /** The bucket's first operation. */
  readonly firstOp: number;
}

/** Follows the chunks of a bucket from the newest to the oldest: dead is whatever stands before the oldest PUT that is left. */
export interface DeadStart {
  /** `firstPut`: place of the chunk's oldest PUT that is left; -1: it has none. */
  visit(visited: Visited, firstPut: number): void;
  /** Null: fewer than two operations, for which a CLEAR would save nothing. */
  run(): DeadRun | null;
}

export function createDeadStart(): DeadStart {
  /** The chunk with the oldest PUT so far, its place there, and the chunk before it. */
  let oldest: { readonly visited: Visited; readonly index: number } | null = null;
  let below: Visited | null = null;
  let newest: Visited | null = null;
  let firstOp = 0;
  /** Operations in chunks before that of the oldest PUT so far. */
  let dead = 0;
  return {
    visit(visited, firstPut) {
      newest ??= visited;
      firstOp = visited.stored.firstOp;
      if (firstPut >= 0) {
        oldest = { visited, index: firstPut };
        below = null;
        dead = 0;
      } else {
        below ??= visited;
        dead += visited.stored.count;
      }
    },
    run() {
      const inside = oldest?.index ?? 0;
      if (dead + inside < 2) return null;
      if (oldest !== null && inside > 0) return { target: oldest.visited, swallowed: inside, firstOp };
      const target = oldest === null ? newest : below;
      return target && { target, swallowed: target.operations.length, firstOp };
    },
  };
}
