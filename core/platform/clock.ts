/** A timer that has not fired yet. */
export interface Timer {
  /** Stops it; does nothing when it has fired or was cancelled before. */
  cancel(): void;
}

export interface TimerOptions {
  /** Keep the process alive for it. Default false: a periodic timer never holds up the end of a process. */
  readonly keepAlive?: boolean;
}

/** Time as a dependency, so that tests decide when it passes. All durations are milliseconds. */
export interface Clock {
  /** Wall clock, milliseconds since 1970; may jump. For timestamps and token lifetimes. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. For durations and deadlines. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason as soon as the signal aborts. Keeps the process alive. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `ms`. What it throws is an unhandled error. */
  setTimer(ms: number, callback: () => void, options?: TimerOptions): Timer;
}

/** Node fires timers beyond this at once; longer waits are made of several. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

function setRealTimer(ms: number, callback: () => void, options: TimerOptions = {}): Timer {
  let handle: NodeJS.Timeout;
  const arm = (remaining: number): void => {
    const step = Math.min(Math.max(remaining, 0), LONGEST_TIMEOUT_MS);
    handle = setTimeout(() => (remaining > step ? arm(remaining - step) : callback()), step);
    if (options.keepAlive !== true) handle.unref();
  };
  arm(ms);
  return { cancel: () => clearTimeout(handle) };
}

function sleepOn(setTimer: Clock['setTimer']): Clock['sleep'] {
  return (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const onAbort = (): void => {
        timer.cancel();
        reject(signal?.reason as Error);
      };
      const timer = setTimer(
        ms,
        () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        { keepAlive: true },
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    });
}

/** The time of the machine. */
export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: sleepOn(setRealTimer),
  setTimer: setRealTimer,
};

/** A clock that stands still until it is told to move. */
export interface FakeClock extends Clock {
  /** Moves on by `ms`, firing due timers in order, and lets promises settle before and after each of them. */
  advance(ms: number): Promise<void>;
  /** Timers and sleeps that wait. */
  readonly waiting: number;
}

/** For tests. Starts at `startMs` since 1970. */
export function createFakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let elapsed = 0;
  let sequence = 0;
  const timers = new Map<number, { readonly due: number; readonly callback: () => void }>();

  const setTimer: Clock['setTimer'] = (ms, callback) => {
    const id = sequence++;
    timers.set(id, { due: elapsed + Math.max(ms, 0), callback });
    return { cancel: () => void timers.delete(id) };
  };

  const nextDue = (limit: number): number | undefined => {
    let found: number | undefined;
    let foundDue = Number.POSITIVE_INFINITY;
    // A Map keeps insertion order, so equal due times fire in the order they were set.
    for (const [id, { due }] of timers) {
      if (due <= limit && due < foundDue) [found, foundDue] = [id, due];
    }
    return found;
  };

  const advance = async (ms: number): Promise<void> => {
    const target = elapsed + ms;
    await settle();
    for (let id = nextDue(target); id !== undefined; id = nextDue(target)) {
      const { due, callback } = timers.get(id)!;
      timers.delete(id);
      elapsed = Math.max(elapsed, due);
      callback();
      await settle();
    }
    elapsed = target;
  };

  return {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    sleep: sleepOn(setTimer),
    setTimer,
    advance,
    get waiting() {
      return timers.size;
    },
  };
}

/** Lets everything run that only waits for promises. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
