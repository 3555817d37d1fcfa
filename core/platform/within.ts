import type { Clock } from './clock.ts';

/** Waits until `promise` settles, but not longer than `ms`. True: it settled in time. Never rejects, leaves no timer. */
export function within(clock: Clock, ms: number, promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(ms, () => resolve(false), { keepAlive: true });
    const settled = (): void => {
      timer.cancel();
      resolve(true);
    };
    promise.then(settled, settled);
  });
}
