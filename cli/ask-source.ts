import type { Clock } from '#core/platform/clock.ts';
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import type { Log } from '#core/platform/log.ts';
import type { Source, ValueOptions } from '#replicator/sources/contract.ts';
import { openSource } from '#replicator/sources/registry.ts';

/** For questions in which no values of rows are read. */
const NO_VALUES: ValueOptions = { timestampsIso8601: false, timestampMaxPrecision: null, customPostgresTypes: false };

/** Opens a source that a command asks about itself, and that copies no rows. The caller closes it. */
export function openSourceToAsk(
  connection: SourceConnection,
  log: Log,
  sharesServerWithStorage = false,
  valueOptions = NO_VALUES,
): Source {
  return openSource(connection, {
    log,
    snapshotConnections: 1,
    sharesServerWithStorage,
    valueOptions: () => valueOptions,
  });
}

/** A source that does not answer must not keep a command or a request waiting. */
const TIMEOUT_MS = 10_000;

/** Asks a source one question, and closes it. Rejects when there is no answer in time. */
export async function askInTime<T>(source: Source, clock: Clock, question: (source: Source) => Promise<T>): Promise<T> {
  const answered = new AbortController();
  try {
    return await Promise.race([question(source), tooLate(clock, answered.signal)]);
  } finally {
    answered.abort();
    // what hangs is given up, not waited for
    void source.close().catch(() => {});
  }
}

async function tooLate(clock: Clock, answered: AbortSignal): Promise<never> {
  await clock.sleep(TIMEOUT_MS, answered).catch(() => {});
  throw new Error(`no answer within ${TIMEOUT_MS / 1000} s`);
}
