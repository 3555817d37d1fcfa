import { randomBytes } from 'node:crypto';
import type { RedisConfig } from '#core/platform/config/service-config.ts';
import type { Coordination } from '../contract.ts';
import { type CoordinationEnvironment, DEFAULT_JOB_LIMITS } from '../environment.ts';
import { createLocalBus } from '../local-bus.ts';
import { createCommitBus } from './commit-bus.ts';
import { channelOf, connect } from './connection.ts';
import { createRedisJobs } from './jobs.ts';
import { createLeaseStore } from './lease-store.ts';
import { createRedisLeases } from './leases.ts';
import { createNudges } from './nudges.ts';
import { createSubscriptions } from './subscriptions.ts';

/**
 * Coordination over Redis 6.2 or newer (or a compatible server). Connects in the background and works without Redis: leases
 * wait, messages are dropped and the listeners told so afterwards, jobs are refused.
 *
 * Throws PSYNC_S3224 when the address cannot be one of Redis.
 */
export function createRedisCoordination(config: RedisConfig, environment: CoordinationEnvironment): Coordination {
  const { keyPrefix } = config;
  const channel = (name: string): string => channelOf(config, name);
  const sender = randomBytes(8).toString('hex');
  const commands = connect(config, 'commands', environment);
  const messages = connect(config, 'messages', environment);
  const local = createLocalBus(environment.log);
  const subscriptions = createSubscriptions(messages, environment);

  const releasedChannel = channel('lease-released');
  const store = createLeaseStore(commands.client, keyPrefix, releasedChannel);
  const leases = createRedisLeases({ store, commands, subscriptions, releasedChannel }, environment);
  const commits = createCommitBus({ commands, subscriptions, local, channel: channel('commits'), sender }, environment);
  const nudges = createNudges({
    commands,
    subscriptions,
    local,
    channelOf: (topic) => channel(`nudge:${topic}`),
    sender,
  });
  const jobs = createRedisJobs(
    { commands, openWorkers: () => connect(config, 'workers', environment), keyPrefix },
    environment,
    { ...DEFAULT_JOB_LIMITS, ...environment.jobs },
  );

  let closing: Promise<void> | undefined;
  async function close(): Promise<void> {
    commits.close();
    nudges.close();
    local.close();
    // Leases first: a successor need not wait for the end of a job.
    await leases.close();
    await jobs.close();
    subscriptions.close();
    messages.close();
    commands.close();
  }

  return {
    acquire: leases.acquire,
    holder: leases.holder,
    publishCommit: commits.publishCommit,
    onCommit: commits.onCommit,
    nudge: nudges.nudge,
    onNudge: nudges.onNudge,
    jobs,
    shared: true,
    close: () => (closing ??= close()),
  };
}
