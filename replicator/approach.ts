import type { Clock } from '#core/platform/clock.ts';
import type { Position } from './sources/contract.ts';

/** Behind by no more than this, a new stream takes over: that long the former one stands still for it. */
const SHORT_MS = 1000;
/** A stream that gains nothing any more takes over from here too; further behind, it goes on trying. */
const BEARABLE_MS = 10_000;
/** It still gains when it is behind by this share of what it was the time before, or less. */
const GAINING = 0.8;

/** What is looked at of a stream: how far its data is in storage, and whether all up to a position is. */
export interface Approaching {
  readonly id: number;
  readonly runner: {
    readonly position: { readonly committed: Position | null };
    caughtUp(position: Position): boolean;
  };
}

export interface Approach {
  /**
   * `next` is so close behind `former` that this one may be stopped for it. Asked again and again; sources that are written to all the
   * time never let one stream stand where the other does, so what counts is how long ago `former` was where `next` is now.
   */
  near(former: Approaching, next: Approaching, compare: (a: Position, b: Position) => number): boolean;
}

export function createApproach(clock: Pick<Clock, 'monotonic'>): Approach {
  /** Where the former stream was, and when; how far behind the new one was when it came to the mark before. */
  let mark: { pair: string; position: Position; atMs: number; previousMs: number } | null = null;

  return {
    near(former, next, compare) {
      const at = former.runner.position.committed;
      if (at === null) return false;
      if (next.runner.caughtUp(at)) return true;
      const nowMs = clock.monotonic();
      const pair = `${former.id}/${next.id}`;
      if (mark?.pair !== pair) {
        mark = { pair, position: at, atMs: nowMs, previousMs: Number.POSITIVE_INFINITY };
        return false;
      }
      const committed = next.runner.position.committed;
      if (committed === null || compare(committed, mark.position) < 0) return false;
      const behindMs = nowMs - mark.atMs;
      if (behindMs <= SHORT_MS) return true;
      if (behindMs <= BEARABLE_MS && behindMs > mark.previousMs * GAINING) return true;
      mark = { pair, position: at, atMs: nowMs, previousMs: behindMs };
      return false;
    },
  };
}
