import type { SourceConnection } from '#core/platform/config/service-config.ts';
import type { Log } from '#core/platform/log.ts';
import type { Source } from '#replicator/sources/contract.ts';
import { openSource } from '#replicator/sources/registry.ts';

/** Opens a source that a command asks about itself, and that copies no rows. The caller closes it. */
export function openSourceToAsk(connection: SourceConnection, log: Log, sharesServerWithStorage = false): Source {
  return openSource(connection, {
    log,
    snapshotConnections: 1,
    sharesServerWithStorage,
    valueOptions: () => ({ timestampsIso8601: false, timestampMaxPrecision: null, customPostgresTypes: false }),
  });
}
