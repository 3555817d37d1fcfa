import type { Clock } from '#core/platform/clock.ts';
import type { LeaseOptions } from '../contract.ts';
import type { CoordinationEnvironment } from '../environment.ts';
import type { LeaseStore } from './lease-store.ts';

/** Wakes one waiter. */
export interface Bell {
  ring(): void;
  reset(): void;
  /** True when it rang since the reset or rings now, false after `ms`; rejects when `end` aborts. */
  wait(ms: number, end: AbortSignal): Promise<boolean>;
}

export function createBell(clock: Clock): Bell {
  let rung = new AbortController();
  return {
    ring: () => rung.abort(),
    reset: () => {
      if (rung.signal.aborted) rung = new AbortController();
    },
    wait: async (ms, end) => {
      await clock.sleep(ms, AbortSignal.any([rung.signal, end])).catch(() => end.throwIfAborted());
      return rung.signal.aborted;
    },
  };
}

export interface ClaimOptions extends Pick<LeaseOptions, 'name' | 'ttlMs'> {
  /** What the key holds when it is ours; the same in all claims of one waiter. */
  readonly value: string;
  /** Rings when the lease was released. */
  readonly bell: Bell;
}

/** Waiters of one lease come back within this after it expired, not all at once. */
const EXPIRY_JITTER_MS = 40;
/** Without an answer, the next claim. Not sooner than the connection can be back. */
const UNAVAILABLE_RETRY_MS = 100;
/** A waiter looks at the holder's remaining time each such part of the ttl. */
const LOOK_EVERY = 1 / 4;
/** A waiter claims at least this often, whatever the ttl: news of a release can get lost. */
const LONGEST_WAIT_MS = 5000;

/**
 * Claims until the lease is ours; returns the monotonic time before the claim that succeeded. Rejects only when `end` aborts.
 *
 * A waiter that has seen a holder claims again only when that holder's time is over, or when it hears of the release. So a
 * holder whose key was flushed, or whose Redis was restarted, gets it back: its renewal comes sooner. SPEC.md has the table.
 */
export async function claimUntilOurs(
  store: LeaseStore,
  { clock, random }: CoordinationEnvironment,
  { name, ttlMs, value, bell }: ClaimOptions,
  end: AbortSignal,
): Promise<number> {
  const over = (freeInMs: number): number =>
    clock.monotonic() + Math.min(freeInMs + 1 + random() * EXPIRY_JITTER_MS, LONGEST_WAIT_MS);

  /**
   * Waits for the end of the holder's time, or the bell. Looks more often than a holder renews, so that it always knows of
   * the newest renewal; that the key is gone before its time is the holder's matter.
   */
  async function watch(notBefore: number): Promise<void> {
    let until = notBefore;
    for (;;) {
      const left = until - clock.monotonic();
      if (left <= 0 || (await bell.wait(Math.min(left, ttlMs * LOOK_EVERY), end))) return;
      if (clock.monotonic() >= until) return;
      const remaining = await store.remaining(name).catch(() => null);
      if (remaining !== null) until = over(remaining);
    }
  }

  let notBefore = 0;
  for (;;) {
    end.throwIfAborted();
    bell.reset();
    const sentAt = clock.monotonic();
    try {
      const claim = await store.claim(name, value, ttlMs);
      end.throwIfAborted();
      if (claim.ours) return sentAt;
      notBefore = over(claim.freeInMs);
    } catch {
      end.throwIfAborted();
      await clock.sleep(UNAVAILABLE_RETRY_MS * (0.5 + random() / 2), end);
    }
    await watch(notBefore);
  }
}
