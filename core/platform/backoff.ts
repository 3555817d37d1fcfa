import type { Clock } from './clock.ts';

export interface BackoffOptions {
  readonly clock: Clock;
  /** Returns a number in [0, 1), like `Math.random`. */
  readonly random: () => number;
  /** Upper bound of the first wait in milliseconds. Default 100. */
  readonly initialMs?: number;
  /** No wait is longer. Default 30,000. */
  readonly maxMs?: number;
}

/** Waits that grow with each failure in a row. */
export interface Backoff {
  /** Failures since the last success. */
  readonly failures: number;
  /** Counts a failure and returns how long to wait, in milliseconds. */
  next(): number;
  /** Counts a failure and waits; rejects with the signal's reason when it aborts. */
  wait(signal?: AbortSignal): Promise<void>;
  /** Call on success: the next failure waits as briefly as the first one. */
  reset(): void;
}

/**
 * Doubling waits, each drawn between half and all of its bound, so that many processes that failed together do not
 * return together.
 */
export function createBackoff(options: BackoffOptions): Backoff {
  const { clock, random, initialMs = 100, maxMs = 30_000 } = options;
  let failures = 0;

  const next = (): number => {
    const bound = Math.min(maxMs, initialMs * 2 ** Math.min(failures, 52));
    failures++;
    return bound / 2 + (random() * bound) / 2;
  };

  return {
    get failures() {
      return failures;
    },
    next,
    wait: (signal) => clock.sleep(next(), signal),
    reset: () => {
      failures = 0;
    },
  };
}

export interface RetryOptions extends BackoffOptions {
  readonly signal: AbortSignal;
  /** Told of each failure and the wait after it; logs it. */
  readonly onFailure?: (error: unknown, failures: number, waitMs: number) => void;
  /** False ends the retries: the error is thrown. Default: every error is retried. */
  readonly isRetryable?: (error: unknown) => boolean;
}

/**
 * Runs `operation` until it succeeds, for ever.
 *
 * Rejects with the signal's reason when it aborts, or with an error that is not retryable.
 */
export async function retryForever<T>(operation: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, clock, onFailure, isRetryable } = options;
  const backoff = createBackoff(options);
  for (;;) {
    signal.throwIfAborted();
    try {
      return await operation();
    } catch (error) {
      if (signal.aborted || isRetryable?.(error) === false) throw error;
      const waitMs = backoff.next();
      onFailure?.(error, backoff.failures, waitMs);
      await clock.sleep(waitMs, signal);
    }
  }
}
