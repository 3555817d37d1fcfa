/** Wakes sessions in slices, so that a commit that concerns thousands of them does not hold up everything else. */
import type { Clock } from '#core/platform/clock.ts';
import type { Follower } from './follower.ts';

export interface WakeQueue {
  /** A session that is still waiting to be woken keeps its place. */
  add(followers: Iterable<Follower>): void;
  remove(follower: Follower): void;
}

const SLICE_MS = 8;

export function createWakeQueue(clock: Pick<Clock, 'monotonic'>): WakeQueue {
  const waiting = new Set<Follower>();
  let scheduled = false;

  const run = (): void => {
    scheduled = false;
    const until = clock.monotonic() + SLICE_MS;
    for (const follower of waiting) {
      waiting.delete(follower);
      follower.wake();
      if (clock.monotonic() >= until) break;
    }
    schedule();
  };
  const schedule = (): void => {
    if (scheduled || waiting.size === 0) return;
    scheduled = true;
    setImmediate(run);
  };

  return {
    add(followers) {
      for (const follower of followers) waiting.add(follower);
      schedule();
    },
    remove: (follower) => void waiting.delete(follower),
  };
}
