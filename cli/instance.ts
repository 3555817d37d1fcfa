/** Opens what every command works on: storage and coordination of the configured instance. */
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { Clock } from '#core/platform/clock.ts';
import { poolOptions } from '#core/platform/config/pool-options.ts';
import type { ServiceConfig, SourceConnection } from '#core/platform/config/service-config.ts';
import type { RunnerLog } from '#replicator/runner-log.ts';

export async function openStorage(config: ServiceConfig, log: RunnerLog, clock: Clock): Promise<BucketStorage> {
  const { storage } = config;
  // Drivers are loaded when they are used: a process starts faster without the other one.
  if (storage.type === 'postgresql') {
    const { openPostgresStorage } = await import('#core/bucket-storage/postgres/storage.ts');
    return openPostgresStorage({ pool: poolOptions(storage.endpoint), log, clock });
  }
  const { openMongodbStorage } = await import('#core/bucket-storage/mongodb/storage.ts');
  const { uri, username, password, database, maxPoolSize } = storage;
  return openMongodbStorage({
    uri,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    database,
    maxPoolSize,
    log,
    clock,
  });
}

/** the same host and port. Other names of one server are not seen through. */
export function sharesServer(connection: SourceConnection, storage: ServiceConfig['storage']): boolean {
  if (connection.type !== 'postgresql' || storage.type !== 'postgresql') return false;
  const { hosts } = storage.endpoint;
  return connection.hosts.some((own) => hosts.some((item) => item.hostname === own.hostname && item.port === own.port));
}
