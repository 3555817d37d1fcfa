/** Sizes of bucket storage as documented metrics (O-82, O-178…O-180): asked rarely, by processes that lead a source. */
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { Clock } from '#core/platform/clock.ts';
import type { Part } from '#core/platform/lifecycle.ts';
import type { Logger } from '#core/platform/logging.ts';
import type { Metrics } from '#core/platform/metrics.ts';

const EVERY_MS = 60_000;
/** Until this process leads, and after a failure. */
const SOON_MS = 5000;

export function storageFiguresPart(options: {
  readonly storage: () => BucketStorage;
  readonly leads: () => boolean;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly clock: Clock;
}): Part {
  const { metrics, log, clock } = options;
  const stop = new AbortController();
  let running = Promise.resolve();

  const look = async (): Promise<boolean> => {
    if (!options.leads()) return false;
    const { operationBytes, parameterBytes, rowStateBytes } = await options.storage().figures();
    metrics.powersync_operation_storage_size_bytes.set(operationBytes);
    metrics.powersync_parameter_storage_size_bytes.set(parameterBytes);
    metrics.powersync_replication_storage_size_bytes.set(rowStateBytes);
    const run = await options.storage().compaction.lastRun();
    metrics.millrace_compaction_last_success_timestamp_seconds.set((run?.lastSuccessMs ?? 0) / 1000);
    return true;
  };
  const run = async (): Promise<void> => {
    let isFirst = true;
    while (!stop.signal.aborted) {
      const done = await look().catch((error: unknown) => {
        log.warn({ err: error }, 'The size of bucket storage could not be read; tried again');
        return false;
      });
      // The first look is before anything is copied.
      await clock.sleep(done && !isFirst ? EVERY_MS : SOON_MS, stop.signal).catch(() => undefined);
      if (done) isFirst = false;
    }
  };
  return {
    name: 'storage figures',
    async start() {
      running = run();
    },
    async stop() {
      stop.abort();
      await running;
    },
  };
}
