import type { Clock } from '#core/platform/clock.ts';
import type { Log } from '#core/platform/log.ts';

/** What coordination tells operators. */
export type CoordinationLog = Pick<Log, 'info' | 'warn'>;

/** Everything coordination takes from outside, so that tests decide about it. */
export interface CoordinationEnvironment {
  readonly log: CoordinationLog;
  readonly clock: Clock;
  /** Returns a number in [0, 1), like `Math.random`; spreads waiting processes. */
  readonly random: () => number;
  /** Bounds of the job queue where they differ from `DEFAULT_JOB_LIMITS`. */
  readonly jobs?: Partial<JobLimits>;
}

/** Bounds of the job queue; the same on Redis and in process. */
export interface JobLimits {
  /** Jobs of one name that may wait; `add` rejects with PSYNC_S2504 beyond. */
  readonly maxWaiting: number;
  /** Largest job data as JSON, in bytes; `add` rejects with PSYNC_S2504 beyond. */
  readonly maxBytes: number;
  /** Longest key, in characters; `add` rejects with PSYNC_S2504 beyond. */
  readonly maxKeyLength: number;
  /** How often a job is tried before it is given up until somebody adds it again. */
  readonly attempts: number;
  /** Wait before the second attempt; doubles with each one after it. */
  readonly retryMs: number;
  /** How long stopping waits for a handler that was told to end. */
  readonly stopMs: number;
  /** A worker that does not show itself for this long has died; its job goes to another one. Redis only. */
  readonly lockMs: number;
}

export const DEFAULT_JOB_LIMITS: JobLimits = {
  maxWaiting: 1000,
  maxBytes: 64 * 1024,
  maxKeyLength: 512,
  attempts: 3,
  retryMs: 1000,
  stopMs: 10_000,
  lockMs: 10_000,
};
