import { Queue } from 'bullmq';
import { codedError, isCodedError } from '#core/platform/errors/coded-error.ts';
import { within } from '#core/platform/within.ts';
import type { JobQueue } from '../contract.ts';
import type { CoordinationEnvironment, JobLimits } from '../environment.ts';
import { admitAnother, admitJob } from '../job-admission.ts';
import type { Connection } from './connection.ts';
import { type JobHandler, type Payload, startWorker } from './job-worker.ts';

export interface RedisJobs extends JobQueue {
  close(): Promise<void>;
}

export interface JobConnections {
  readonly commands: Connection;
  /** Opens the connection that workers wait on; called once, by the first worker. */
  readonly openWorkers: () => Connection;
  readonly keyPrefix: string;
}

/** How long `add` waits for a Redis that is away. */
const ADD_LIMIT_MS = 5000;
/** How long the end of the queues is waited for. */
const CLOSE_LIMIT_MS = 2000;

/**
 * Jobs on Redis: one bullmq queue a name, the key as job id. A key that waits, runs or is to be retried is not added again.
 * A worker runs one job at a time. Finished and given up jobs leave nothing behind.
 */
export function createRedisJobs(
  { commands, openWorkers, keyPrefix }: JobConnections,
  environment: CoordinationEnvironment,
  limits: JobLimits,
): RedisJobs {
  const { clock } = environment;
  const prefix = `${keyPrefix}jobs`;
  const queues = new Map<string, Queue>();
  const stops = new Set<() => Promise<void>>();
  const closed = new AbortController();
  let workers: Connection | undefined;

  function queueOf(name: string): Queue {
    const existing = queues.get(name);
    if (existing !== undefined) return existing;
    const queue = new Queue(name, {
      connection: commands.client,
      prefix,
      skipVersionCheck: true,
      streams: { events: { maxLen: 100 } },
      defaultJobOptions: {
        removeOnComplete: true,
        removeOnFail: true,
        attempts: limits.attempts,
        backoff: { type: 'exponential', delay: limits.retryMs },
        stackTraceLimit: 0,
      },
    });
    // The connection reports its errors itself, calls report theirs.
    queue.on('error', () => {});
    queues.set(name, queue);
    return queue;
  }

  async function add(name: string, key: string, data: unknown): Promise<void> {
    closed.signal.throwIfAborted();
    const payload: Payload = { json: admitJob(limits, name, key, data) };
    try {
      if (!(await commands.whenReady(ADD_LIMIT_MS))) throw new Error('no connection');
      const queue = queueOf(name);
      const jobId = jobIdOf(key);
      const [{ wait = 0, delayed = 0 }, present] = await Promise.all([
        queue.getJobCounts('wait', 'delayed'),
        queue.getJob(jobId),
      ]);
      if (present !== undefined) return;
      admitAnother(limits, name, wait + delayed);
      await queue.add(name, payload, { jobId });
    } catch (error) {
      closed.signal.throwIfAborted();
      if (isCodedError(error)) throw error;
      const message = `A "${name}" job could not be added, because Redis did not take it. Add it again later.`;
      throw codedError('PSYNC_S2502', message, { cause: new Error((error as Error).message) });
    }
  }

  function work(name: string, handler: JobHandler): () => Promise<void> {
    closed.signal.throwIfAborted();
    workers ??= openWorkers();
    const stop = startWorker({ name, handler, prefix, connection: workers, environment, limits });
    let stopping: Promise<void> | undefined;
    const stopOnce = (): Promise<void> => (stopping ??= stop().finally(() => stops.delete(stopOnce)));
    stops.add(stopOnce);
    return stopOnce;
  }

  return {
    add,
    work,
    close: async () => {
      closed.abort(codedError('PSYNC_S2501', 'Coordination was closed: no jobs are taken any more.'));
      await Promise.all([...stops].map((stop) => stop()));
      // They use the connection of others and end with it; this only takes their listeners away.
      await within(clock, CLOSE_LIMIT_MS, Promise.allSettled([...queues.values()].map((queue) => queue.close())));
      if (workers !== undefined) workers.close();
    },
  };
}

/** Unlike a key, it may hold no colon and must not look like a number. */
function jobIdOf(key: string): string {
  return `key-${encodeURIComponent(key.toWellFormed())}`;
}
