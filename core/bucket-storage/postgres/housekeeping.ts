/** What grows with time and is removed by whoever writes, beside the flushes: old notices and replaced lookup entries. */
import type { Clock } from '../../platform/clock.ts';
import type { Database, StorageLog } from './database.ts';
import { storageError } from './failure.ts';
import { HORIZON } from './instance.ts';

/** Workers that missed messages read notices of this time. */
const NOTICE_RETENTION_MS = 10 * 60_000;
const INTERVAL_MS = 15_000;
/** Bounds one round; what is left waits for the next one. */
const ROUND_ROWS = 20_000;

export interface Housekeeping {
  /** Starts a round when one is due; never throws. */
  attend(): void;
  /** Resolves when nothing runs. */
  settled(): Promise<void>;
}

export function createHousekeeping(database: Database, clock: Clock, log: StorageLog): Housekeeping {
  let due = clock.monotonic();
  let running: Promise<void> | null = null;

  const round = async (): Promise<void> => {
    try {
      await database.change(FORGET_NOTICES, [clock.now() - NOTICE_RETENTION_MS]);
      await database.change(PRUNE_LOOKUPS);
    } catch (error) {
      if (!database.closed)
        log.warn(
          { reason: storageError(error).message },
          'Removing old data of bucket storage failed; it is tried again',
        );
    } finally {
      running = null;
    }
  };

  return {
    attend() {
      if (running || clock.monotonic() < due || database.closed) return;
      due = clock.monotonic() + INTERVAL_MS;
      running = round();
    },
    settled: async () => running ?? undefined,
  };
}

/** Always a beginning of the chain, whatever clocks said. */
const FORGET_NOTICES = {
  name: 'forget_notices',
  text: `DELETE FROM powersync.commits WHERE op <= (SELECT max(op) FROM powersync.commits WHERE stored_ms < $1::bigint)`,
};

/**
 * Of an entry's history only what readers can still ask for stays: the newest at the horizon, and all after. Where that one withdraws
 * the row, it goes as well. Entries that a take-over may take back do not count.
 */
const PRUNE_LOOKUPS = {
  name: 'prune_lookups',
  text: `WITH due AS (
      DELETE FROM powersync.lookup_garbage WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM powersync.lookup_garbage WHERE op <= ${HORIZON} ORDER BY op LIMIT ${ROUND_ROWS}))
      RETURNING lookup, key, row
    ), kept AS (
      SELECT DISTINCT ON (d.lookup, d.key, d.row) d.lookup, d.key, d.row, l.op, l."values"
      FROM due d JOIN powersync.definitions f ON f.id = d.lookup JOIN powersync.streams s ON s.id = f.stream
      JOIN powersync.lookups l ON l.lookup = d.lookup AND l.key = d.key AND l.row = d.row
        AND l.op <= least(${HORIZON}, s.first_uncommitted - 1)
      ORDER BY d.lookup, d.key, d.row, l.op DESC
    )
    DELETE FROM powersync.lookups o USING kept k WHERE o.lookup = k.lookup AND o.key = k.key AND o.row = k.row
      AND (o.op < k.op OR o.op = k.op AND k."values" IS NULL)`,
};
