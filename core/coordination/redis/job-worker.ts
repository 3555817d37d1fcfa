import { type Job, WaitingError, Worker } from 'bullmq';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { within } from '#core/platform/within.ts';
import type { CoordinationEnvironment, JobLimits } from '../environment.ts';
import type { Connection } from './connection.ts';

export type JobHandler = (data: unknown, signal: AbortSignal) => Promise<void>;
/** What a job carries on Redis: the text of `admitJob`. */
export type Payload = { readonly json: string };

/** How long the end of a connection to a worker is waited for, beyond the end of its handler. */
const DISCONNECT_LIMIT_MS = 2000;

export interface WorkerOptions {
  readonly name: string;
  readonly handler: JobHandler;
  readonly prefix: string;
  readonly connection: Connection;
  readonly environment: CoordinationEnvironment;
  readonly limits: JobLimits;
}

/** Runs jobs of one name, one at a time, until the returned function is called; it never rejects. */
export function startWorker(options: WorkerOptions): () => Promise<void> {
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
