/** Keys that want a look, each once, however often something happens to it (as client-go's rate limiting queue). */
import { createBackoff, type Backoff } from '#core/platform/backoff.ts';
import type { Clock, Timer } from '#core/platform/clock.ts';

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** Keys that are worked on at the same time. */
  readonly concurrency: number;
  /**
   * Looks at one key; never runs twice at a time for the same one. Resolves with the milliseconds after which it wants to look again, or null for not by
   * itself. When it rejects it is called again after a wait that doubles with each failure in a row of this key.
   */
  work(key: string, signal: AbortSignal): Promise<number | null>;
  /** Told of each failure, and the wait after it. */
  onFailure(key: string, error: unknown, failures: number, waitMs: number): void;
  /** First and longest wait after failures in a row. Default: 200 ms, 2 minutes. */
  readonly firstWaitMs?: number;
  readonly longestWaitMs?: number;
}

export interface WorkQueue {
  /** Wants a look as soon as possible. While the key is being worked on: once more after that. */
  add(key: string): void;
  /** Wants a look after `ms` at the latest; an earlier one that is planned stays. */
  addAfter(key: string, ms: number): void;
  /** Keys that wait for a free worker. */
  readonly depth: number;
  /** Works until the signal aborts, then resolves when what is being worked on has ended. Once only. */
  run(signal: AbortSignal): Promise<void>;
}

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { clock, random, concurrency, work, onFailure, firstWaitMs = 200, longestWaitMs = 120_000 } = options;
  const ready = new Set<string>();
  const working = new Map<string, Promise<void>>();
  /** Wanted again while being worked on. */
  const again = new Set<string>();
  const failing = new Map<string, Backoff>();
  let signal: AbortSignal | null = null;
  const plans = createPlans(clock, (key) => add(key));

  const add = (key: string): void => {
    if (signal?.aborted) return;
    plans.cancel(key);
    if (working.has(key)) again.add(key);
    else ready.add(key);
    startWork();
  };

  const addAfter = (key: string, ms: number): void => {
    if (signal?.aborted) return;
    if (!ready.has(key) && !again.has(key)) plans.plan(key, ms);
  };

  const workOn = async (key: string, until: AbortSignal): Promise<void> => {
    try {
      const next = await work(key, until);
      failing.delete(key);
      if (next !== null) addAfter(key, next);
    } catch (error) {
      if (until.aborted) return;
      const backoff =
        failing.get(key) ?? createBackoff({ clock, random, initialMs: firstWaitMs, maxMs: longestWaitMs });
      failing.set(key, backoff);
      const waitMs = backoff.next();
      onFailure(key, error, backoff.failures, waitMs);
      addAfter(key, waitMs);
    }
  };

  function startWork(): void {
    if (signal === null || signal.aborted) return;
    for (const key of ready) {
      if (working.size >= concurrency) return;
      ready.delete(key);
      const until = signal;
      working.set(
        key,
        workOn(key, until).finally(() => {
          working.delete(key);
          if (again.delete(key)) {
            plans.cancel(key);
            if (!until.aborted) ready.add(key);
          }
          startWork();
        }),
      );
    }
  }

  return {
    add,
    addAfter,
    get depth() {
      return ready.size;
    },
    async run(until) {
      signal = until;
      startWork();
      if (!until.aborted) await new Promise((resolve) => until.addEventListener('abort', resolve, { once: true }));
      plans.cancelAll();
      ready.clear();
      await Promise.all(working.values());
    },
  };
}

/** Looks that are wanted later, one for each key. */
function createPlans(clock: Clock, onDue: (key: string) => void) {
  const planned = new Map<string, { readonly due: number; readonly timer: Timer }>();
  const cancel = (key: string): void => {
    planned.get(key)?.timer.cancel();
    planned.delete(key);
  };
  return {
    cancel,
    /** An earlier one stays. */
    plan(key: string, ms: number): void {
      const due = clock.monotonic() + ms;
      const present = planned.get(key);
      if (present !== undefined && present.due <= due) return;
      cancel(key);
      planned.set(key, { due, timer: clock.setTimer(ms, () => onDue(key)) });
    },
    cancelAll(): void {
      for (const key of planned.keys()) cancel(key);
    },
  };
}
