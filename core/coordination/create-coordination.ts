import type { RedisConfig } from '#core/platform/config/service-config.ts';
import type { Coordination } from './contract.ts';
import type { CoordinationEnvironment } from './environment.ts';
import { createInProcessCoordination } from './in-process/in-process-coordination.ts';
import { createRedisCoordination } from './redis/redis-coordination.ts';

/**
 * Coordination between the processes of an instance when there is a Redis, inside this process when there is none (`null`).
 * Returns at once; a Redis that is away is waited for in the background. Throws PSYNC_S3224 for an unusable address.
 */
export function createCoordination(config: RedisConfig | null, environment: CoordinationEnvironment): Coordination {
  return config === null ? createInProcessCoordination(environment) : createRedisCoordination(config, environment);
}
