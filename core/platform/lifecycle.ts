import type { Clock, Timer } from './clock.ts';
import { codedError, isCodedError, type CodedError } from './errors/coded-error.ts';
import { SHUTDOWN_GRACE_MS } from './limits.ts';
import type { Log } from './log.ts';

/** What a part may use while it runs. */
export interface PartContext {
  /** Aborts when the process begins to stop; ends a start that takes long. */
  readonly signal: AbortSignal;
  /** The part cannot go on and nothing but a restart helps: the process stops in order and exits with 1. */
  fail(error: unknown): void;
}

/** One part of a process, in the order of its start: storage, coordination, replication, API, … */
export interface Part {
  readonly name: string;
  /** Resolves when others may rely on the part. Releases what it holds when it rejects: it is not stopped then. */
  start(context: PartContext): Promise<void>;
  /**
   * For parts that serve users: stop accepting, and end what is open, spread over the grace period (O-11). All parts
   * drain at the same time, before any is stopped.
   *
   * @param graceMs how long the process has until it is ended by force
   */
  drain?(graceMs: number): Promise<void>;
  /** Releases everything; locks first, so that a successor need not wait for expiry (O-11). Called once, if started. */
  stop?(): Promise<void>;
}

/** The part of `process` that a lifecycle listens to. */
export interface ProcessEvents {
  on(event: string, listener: (value: unknown) => void): unknown;
  off(event: string, listener: (value: unknown) => void): unknown;
}

export interface LifecycleOptions {
  readonly parts: readonly Part[];
  readonly log: Log;
  readonly clock: Clock;
  /** Default: `process`. */
  readonly events?: ProcessEvents;
  /** Ends the process at once. Default: `process.exit`. */
  readonly exit?: (code: number) => void;
  /** Milliseconds for draining and stopping together; half of it for draining. Default: 120 seconds (O-11). */
  readonly graceMs?: number;
  /** Everything has started. */
  readonly onStarted?: () => void;
  /** Before the first part drains: readiness turns negative here (O-168). */
  readonly onStopping?: () => void;
}

type Ending = { readonly because: string } | { readonly failure: unknown; readonly part: string };

/**
 * The life of every process: starts the parts in order, waits for SIGTERM, SIGINT or a failure, drains those that serve
 * users, stops all in reverse order, each step within the grace period. A second signal ends the process at once.
 *
 * Resolves to the exit code: 0 after a signal and an orderly stop, else 1. An error that nobody handled is logged as
 * `PSYNC_S0112` and ends the process at once with 1, because nothing is known about its state.
 */
export async function runLifecycle(options: LifecycleOptions): Promise<number> {
  const { parts, log, events = process, onStarted, onStopping } = options;
  const exit = options.exit ?? ((code: number) => process.exit(code));
  const stopping = new AbortController();
  const { promise: ending, resolve: end } = Promise.withResolvers<Ending>();

  const onSignal = (name: string) => (): void => {
    if (stopping.signal.aborted) {
      log.warn({ signal: name }, 'Second signal: ending at once');
      exit(1);
      return;
    }
    end({ because: name });
    stopping.abort(codedError('PSYNC_S2003', `The process is stopping after ${name}`));
  };
  const onUnhandled = (cause: unknown): void => {
    const error = codedError('PSYNC_S0112', 'An error reached nobody who could handle it', { cause });
    log.error({ error }, 'Unhandled error: the process ends');
    exit(1);
  };
  const fail =
    (part: string) =>
    (failure: unknown): void => {
      end({ failure, part });
      stopping.abort(codedError('PSYNC_S2003', `The process is stopping because ${part} failed`));
    };
  const listeners: [string, (value: unknown) => void][] = [
    ['SIGTERM', onSignal('SIGTERM')],
    ['SIGINT', onSignal('SIGINT')],
    ['unhandledRejection', onUnhandled],
    ['uncaughtException', onUnhandled],
  ];
  for (const [event, listener] of listeners) events.on(event, listener);

  try {
    const started: Part[] = [];
    for (const part of parts) {
      if (stopping.signal.aborted) break;
      try {
        const isUp = await startPart(part, { signal: stopping.signal, fail: fail(part.name) }, options);
        if (isUp) started.push(part);
        else log.warn({ part: part.name }, 'A part did not give up starting in time');
      } catch (error) {
        // A start that was interrupted by a signal is no failure.
        if (!stopping.signal.aborted) fail(part.name)(startFailure(part, error));
      }
    }
    if (!stopping.signal.aborted) onStarted?.();
    const reason = await ending;
    const failed = 'failure' in reason;
    if (failed) log.error({ part: reason.part, error: reason.failure }, 'A part failed: the process stops');
    else log.info({ signal: reason.because }, 'Stopping');
    onStopping?.();
    const inTime = await stopParts(started, options);
    log.info({}, 'Stopped');
    return failed || !inTime ? 1 : 0;
  } finally {
    for (const [event, listener] of listeners) events.off(event, listener);
  }
}

/** False when the process is stopping and the part still starts after a quarter of the grace period. */
async function startPart(part: Part, context: PartContext, options: LifecycleOptions): Promise<boolean> {
  const { clock, graceMs = SHUTDOWN_GRACE_MS } = options;
  const { promise: givenUp, resolve: giveUp } = Promise.withResolvers<false>();
  let timer: Timer | undefined;
  const onStopping = (): void => {
    timer = clock.setTimer(graceMs / 4, () => giveUp(false), { keepAlive: true });
  };
  context.signal.addEventListener('abort', onStopping, { once: true });
  try {
    return await Promise.race([part.start(context).then(() => true), givenUp]);
  } finally {
    context.signal.removeEventListener('abort', onStopping);
    timer?.cancel();
  }
}

function startFailure(part: Part, cause: unknown): CodedError {
  return isCodedError(cause) ? cause : codedError('PSYNC_S0110', `${part.name} failed to start`, { cause });
}

/** Drains, then stops in reverse. False when something did not end in time or failed. */
async function stopParts(started: readonly Part[], options: LifecycleOptions): Promise<boolean> {
  const { log, clock, graceMs = SHUTDOWN_GRACE_MS } = options;
  const deadline = clock.monotonic() + graceMs;
  const remaining = (until: number): number => Math.max(0, until - clock.monotonic());
  let isClean = true;

  const within = async (part: Part, step: 'drain' | 'stop', until: number): Promise<void> => {
    const timeout = new AbortController();
    try {
      const run = step === 'drain' ? part.drain?.(remaining(until)) : part.stop?.();
      if (run === undefined) return;
      const late = clock.sleep(remaining(until), timeout.signal).then(() => 'late' as const);
      // The sleep rejects when it is no longer needed.
      late.catch(() => undefined);
      if ((await Promise.race([run, late])) === 'late') {
        isClean = false;
        const error = codedError('PSYNC_S0111', `${part.name} did not ${step} in time`);
        log.warn({ part: part.name, error }, 'A part is left behind');
        run.catch(() => undefined);
      }
    } catch (error) {
      isClean = false;
      log.error({ part: part.name, error }, 'A part failed while it was stopped');
    } finally {
      timeout.abort();
    }
  };

  const drainUntil = clock.monotonic() + graceMs / 2;
  await Promise.all(started.map((part) => within(part, 'drain', drainUntil)));
  for (const part of started.toReversed()) await within(part, 'stop', deadline);
  return isClean;
}
