/** Bucket storage as a part of a process: open, of the right schema, and this instance's own (O-69, O-78, O-79). */
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { Clock } from '#core/platform/clock.ts';
import type { ServiceConfig } from '#core/platform/config/service-config.ts';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import type { Part } from '#core/platform/lifecycle.ts';
import type { Log } from '#core/platform/log.ts';
import { assertOwned, claimStorage } from './claim.ts';
import { openStorage } from './instance.ts';

/** A migration that runs beside this start is waited for: faster than to end, and to be started again with growing pauses. */
const MIGRATION_WAIT_MS = 60_000;
const LOOK_MS = 250;

export function storagePart(options: {
  readonly config: ServiceConfig;
  readonly instance: string | undefined;
  readonly log: Log;
  readonly clock: Clock;
  /** It is open, and may be asked; it may not be migrated yet. */
  opened(storage: BucketStorage): void;
}): Part {
  const { config, instance, log, clock } = options;
  let storage: BucketStorage;
  return {
    name: 'storage',
    async start({ signal }) {
      storage = await openStorage(config, log, clock);
      options.opened(storage);
      try {
        // Before anything is changed: another instance may be of an older release.
        await assertOwned(storage, instance);
        if (config.migrations.disableAutoMigration) await untilMigrated(storage, { log, clock, signal });
        else await storage.migrate();
        await claimStorage(storage, instance);
      } catch (error) {
        await storage.close().catch(() => undefined);
        throw error;
      }
    },
    stop: () => storage.close(),
  };
}

/** Rejects with PSYNC_S1005, which names the missing migration, when nobody ran it in time; at once when the schema is too new (O-79). */
async function untilMigrated(
  storage: BucketStorage,
  { log, clock, signal }: { readonly log: Log; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const end = clock.monotonic() + MIGRATION_WAIT_MS;
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await storage.assertMigrated();
    } catch (error) {
      if (!isOlderSchema(error) || clock.monotonic() >= end) throw error;
      const seconds = MIGRATION_WAIT_MS / 1000;
      if (isFirst) log.warn({ code: error.code }, `${error.description} Waiting up to ${seconds} s for it`);
    }
    await clock.sleep(LOOK_MS, signal);
  }
}

/** The same code tells of a schema that is too new, which no migration would mend. */
export function isOlderSchema(
  error: unknown,
): error is Error & { readonly code: string; readonly description: string } {
  return isCodedError(error, 'PSYNC_S1005') && !/newer/.test(error.description);
}
