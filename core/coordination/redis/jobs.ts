import { type Job, Queue, WaitingError, Worker } from 'bullmq';
import { codedError, isCodedError } from '#core/platform/errors/coded-error.ts';
import type { JobQueue } from '../contract.ts';
import type { CoordinationEnvironment, JobLimits } from '../environment.ts';
import { admitAnother, admitJob } from '../job-admission.ts';
import { within } from '../within.ts';
import type { Connection } from './connection.ts';

export interface RedisJobs extends JobQueue {
  close(): Promise<void>;
}

export interface JobConnections {
  readonly commands: Connection;
  /** Opens the connection that workers wait on; called once, by the first worker. */
  readonly openWorkers: () => Connection;
  readonly keyPrefix: string;
}

type Handler = (data: unknown, signal: AbortSignal) => Promise<void>;
/** The text of `admitJob`, so that both implementations carry the same. */
type Payload = { readonly json: string };

/** How long `add` waits for a Redis that is away. */
const ADD_LIMIT_MS = 5000;
/** How long the end of a connection to a worker is waited for, beyond the end of its handler. */
const DISCONNECT_LIMIT_MS = 2000;

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

  function work(name: string, handler: Handler): () => Promise<void> {
    closed.signal.throwIfAborted();
    workers ??= openWorkers();
    const stop = startWorker({ name, handler, prefix, connection: workers, environment, limits });
    let stopping: Promise<void> | undefined;
    const stopOnce = (): Promise<void> => {
      stops.delete(stopOnce);
      return (stopping ??= stop());
    };
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
      await within(clock, DISCONNECT_LIMIT_MS, Promise.allSettled([...queues.values()].map((queue) => queue.close())));
      if (workers !== undefined) workers.close();
    },
  };
}

/** Unlike a key, it may hold no colon and must not look like a number. */
function jobIdOf(key: string): string {
  return `key-${encodeURIComponent(key.toWellFormed())}`;
}

interface WorkerOptions {
  readonly name: string;
  readonly handler: Handler;
  readonly prefix: string;
  readonly connection: Connection;
  readonly environment: CoordinationEnvironment;
  readonly limits: JobLimits;
}

/** Returns the function that stops it. */
function startWorker(options: WorkerOptions): () => Promise<void> {
  const { name, handler, prefix, connection, limits } = options;
  const { clock, log } = options.environment;
  const stopping = new AbortController();
  let running: Promise<void> | null = null;

  async function process(job: Job<Payload>, token?: string, lockLost?: AbortSignal): Promise<void> {
    const signal = lockLost === undefined ? stopping.signal : AbortSignal.any([stopping.signal, lockLost]);
    try {
      running = handler(JSON.parse(job.data.json), signal);
      await running;
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
      // Not its fault: it goes back to the front, without counting as an attempt.
      await job.moveToWait(token);
      throw new WaitingError();
    } finally {
      running = null;
    }
  }

  // bullmq passes the signal only to functions of three parameters.
  const worker = new Worker<Payload, void>(name, (job, token, signal) => process(job, token, signal), {
    connection: connection.client,
    prefix,
    concurrency: 1,
    skipVersionCheck: true,
    lockDuration: limits.lockMs,
    stalledInterval: limits.lockMs,
    // A job whose worker dies is not the job's failure; memory exhaustion by one job is, hence not for ever.
    maxStalledCount: limits.attempts,
    runRetryDelay: 500,
  });
  worker.on('error', (error) => {
    if (connection.isReady())
      log.warn({ error_code: 'PSYNC_S2502', job: name, reason: error.message }, 'A job worker failed; it goes on');
  });
  worker.on('lockRenewalFailed', (ids) => {
    for (const id of ids) worker.cancelJob(id, 'The job is no longer ours.');
  });
  worker.on('failed', (job, error) => {
    const failures = job?.attemptsMade ?? limits.attempts;
    const fields = { error_code: 'PSYNC_S2505', job: name, id: job?.id, failures, err: error };
    log.warn(
      fields,
      failures >= limits.attempts ? 'A job failed and is given up until it is added again' : 'A job failed',
    );
  });

  return async () => {
    // Without a connection a graceful close would wait for it.
    const closing = worker.close(!connection.isReady());
    stopping.abort(codedError('PSYNC_S2501', `The worker of "${name}" jobs stops; the job runs again later.`));
    const handled = running === null || (await within(clock, limits.stopMs, running));
    if (!handled) log.warn({ error_code: 'PSYNC_S0111', job: name }, 'The handler of a job did not end in time');
    if (handled && (await within(clock, DISCONNECT_LIMIT_MS, closing))) return;
    const blocking = worker.getBackend().blockingClient;
    await within(clock, DISCONNECT_LIMIT_MS, (async () => (await blocking)?.disconnect())());
  };
}
