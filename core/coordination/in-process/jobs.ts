import type { Timer } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { within } from '#core/platform/within.ts';
import type { JobQueue } from '../contract.ts';
import type { CoordinationEnvironment, JobLimits } from '../environment.ts';
import { admitAnother, admitJob } from '../job-admission.ts';

export interface InProcessJobs extends JobQueue {
  /** Ends all workers as their own stop functions do; jobs that did not run are gone. */
  close(): Promise<void>;
}

interface Job {
  readonly key: string;
  /** As JSON: a handler never shares objects with whoever added the job, as on Redis. */
  readonly data: string;
  failures: number;
}

interface Worker {
  readonly handler: (data: unknown, signal: AbortSignal) => Promise<void>;
  readonly stop: AbortController;
  /** The job it is busy with. */
  running: Promise<void> | null;
}

/** All jobs of one name. */
interface Lane {
  readonly name: string;
  /** Waiting, delayed and running jobs: what makes `add` do nothing. */
  readonly jobs: Map<string, Job>;
  readonly waiting: Job[];
  readonly delayed: Set<Timer>;
  readonly workers: Set<Worker>;
}

/** The job queue inside one process, with the semantics of the one on Redis (redis/jobs.ts). */
export function createInProcessJobs(environment: CoordinationEnvironment, limits: JobLimits): InProcessJobs {
  const { clock, log } = environment;
  const lanes = new Map<string, Lane>();
  const closed = new AbortController();

  function laneOf(name: string): Lane {
    const existing = lanes.get(name);
    if (existing !== undefined) return existing;
    const lane: Lane = { name, jobs: new Map(), waiting: [], delayed: new Set(), workers: new Set() };
    lanes.set(name, lane);
    return lane;
  }

  function dispatch(lane: Lane): void {
    for (const worker of lane.workers) {
      if (worker.running !== null) continue;
      const job = lane.waiting.shift();
      if (job === undefined) return;
      worker.running = run(lane, worker, job).finally(() => {
        worker.running = null;
        dispatch(lane);
      });
    }
  }

  async function run(lane: Lane, worker: Worker, job: Job): Promise<void> {
    try {
      await worker.handler(JSON.parse(job.data), worker.stop.signal);
      lane.jobs.delete(job.key);
    } catch (error) {
      if (worker.stop.signal.aborted) lane.waiting.unshift(job);
      else failed(lane, job, error);
    }
  }

  function failed(lane: Lane, job: Job, error: unknown): void {
    job.failures++;
    const givenUp = job.failures >= limits.attempts;
    const fields = { error_code: 'PSYNC_S2505', job: lane.name, key: job.key, failures: job.failures, err: error };
    log.warn(fields, givenUp ? 'A job failed and is given up until it is added again' : 'A job failed');
    if (givenUp) return void lane.jobs.delete(job.key);
    const timer = clock.setTimer(limits.retryMs * 2 ** (job.failures - 1), () => {
      lane.delayed.delete(timer);
      lane.waiting.push(job);
      dispatch(lane);
    });
    lane.delayed.add(timer);
  }

  async function stop(lane: Lane, worker: Worker): Promise<void> {
    lane.workers.delete(worker);
    worker.stop.abort(codedError('PSYNC_S2501', `The worker of "${lane.name}" jobs stops; the job runs again later.`));
    if (worker.running === null || (await within(clock, limits.stopMs, worker.running))) return;
    log.warn({ error_code: 'PSYNC_S0111', job: lane.name }, 'The handler of a job did not end in time');
  }

  return {
    add: async (name, key, data) => {
      closed.signal.throwIfAborted();
      const text = admitJob(limits, name, key, data);
      const lane = laneOf(name);
      if (lane.jobs.has(key)) return;
      admitAnother(limits, name, lane.waiting.length + lane.delayed.size);
      const job = { key, data: text, failures: 0 };
      lane.jobs.set(key, job);
      lane.waiting.push(job);
      dispatch(lane);
    },
    work: (name, handler) => {
      closed.signal.throwIfAborted();
      const lane = laneOf(name);
      const worker: Worker = { handler, stop: new AbortController(), running: null };
      lane.workers.add(worker);
      dispatch(lane);
      let stopping: Promise<void> | undefined;
      return () => (stopping ??= stop(lane, worker));
    },
    close: async () => {
      closed.abort(codedError('PSYNC_S2501', 'Coordination was closed: no jobs are taken any more.'));
      const workers = [...lanes.values()].flatMap((lane) => [...lane.workers].map((worker) => stop(lane, worker)));
      for (const lane of lanes.values()) {
        for (const timer of lane.delayed) timer.cancel();
        lane.waiting.length = 0;
      }
      await Promise.all(workers);
    },
  };
}
