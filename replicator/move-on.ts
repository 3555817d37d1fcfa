import type { Clock } from '#core/platform/clock.ts';
import type { Source } from './sources/contract.ts';

const MOVE_ON_MS = 500;

/**
 * Moves an idle source while something waits for it: where nothing is written, nothing would pass a position for up to a heartbeat's interval.
 * Every 500 ms at most, and never while the move before is still under way. What goes wrong is left to the regular heartbeat, which tells.
 */
export function createMoveOn(clock: Pick<Clock, 'monotonic'>): (source: Pick<Source, 'heartbeat'>) => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  let isMoving = false;
  return (source) => {
    if (isMoving || clock.monotonic() - lastMs < MOVE_ON_MS) return;
    lastMs = clock.monotonic();
    isMoving = true;
    const moved = (): void => {
      isMoving = false;
    };
    source.heartbeat().then(moved, moved);
  };
}
