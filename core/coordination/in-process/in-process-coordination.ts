import type { Coordination } from '../contract.ts';
import { type CoordinationEnvironment, DEFAULT_JOB_LIMITS } from '../environment.ts';
import { createLocalBus } from '../local-bus.ts';
import { createInProcessJobs } from './jobs.ts';
import { createInProcessLeases } from './leases.ts';

/**
 * Coordination of an instance that is a single process (`millrace dev`, the unified container without Redis). All parts share
 * the one object; other processes of the same instance, if there are any, are only fenced and polled for, never heard.
 */
export function createInProcessCoordination(environment: CoordinationEnvironment): Coordination {
  const leases = createInProcessLeases();
  const bus = createLocalBus(environment.log);
  const jobs = createInProcessJobs(environment, { ...DEFAULT_JOB_LIMITS, ...environment.jobs });
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    bus.close();
    await jobs.close();
    leases.close();
  }

  return {
    acquire: leases.acquire,
    holder: async (name) => leases.holder(name),
    publishCommit: bus.publishCommit,
    onCommit: bus.onCommit,
    nudge: bus.nudge,
    onNudge: bus.onNudge,
    jobs,
    shared: false,
    close: () => (closing ??= close()),
  };
}
