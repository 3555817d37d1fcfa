import { randomBytes } from 'node:crypto';
import type { RedisConfig } from '#core/platform/config/service-config.ts';
import { within } from '#core/platform/within.ts';
import type { NudgeTopic } from '../contract.ts';
import type { CoordinationEnvironment } from '../environment.ts';
import { channelOf, connect } from './connection.ts';

/**
 * A nudge from a process that does nothing else, as a command is: connects, tells, leaves. Resolves with true once Redis has taken
 * it; with false after `limitMs`, or when Redis refuses: then the pollers find out by themselves (G10). Never rejects for
 * a Redis that is away; throws PSYNC_S3224 when the address cannot be one of Redis.
 */
export async function nudgeOnce(
  config: RedisConfig,
  topic: NudgeTopic,
  limitMs: number,
  environment: CoordinationEnvironment,
): Promise<boolean> {
  const connection = connect(config, 'commands', environment);
  try {
    if (!(await connection.whenReady(limitMs))) return false;
    let taken = false;
    const sending = connection.client
      .publish(channelOf(config, `nudge:${topic}`), randomBytes(8).toString('hex'))
      .then(() => (taken = true));
    await within(environment.clock, limitMs, sending);
    return taken;
  } finally {
    connection.close();
  }
}
