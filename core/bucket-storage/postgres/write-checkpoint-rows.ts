/** Statements on write checkpoints that others than their store need. */
import type { Queryable } from './database.ts';
import { LIVE_STATES, UNTIL_ACTIVE } from './instance.ts';

/** Sources that versions in use read: each of them has to pass a number. */
export const LIVE_SOURCES = `SELECT DISTINCT s.source FROM powersync.streams s JOIN powersync.version_streams vs ON vs.stream = s.id
  JOIN powersync.sync_config_versions v ON v.version = vs.version WHERE v.state IN ${LIVE_STATES}`;

/**
 * Custom numbers of flushes that no commit ended. $1: source. Those of a version that is not served yet may stay: they count only
 * once it has caught up.
 */
export const DROP_UNCOMMITTED_REACHED = `DELETE FROM powersync.write_checkpoints_reached r USING powersync.streams s
  WHERE r.stream = s.id AND s.source = $1 AND r.custom AND r.op >= s.first_uncommitted AND r.op < ${UNTIL_ACTIVE}`;

/**
 * Has a source resolve whatever it has not: requests from before it was deployed, and those whose transaction ran beside the deployment.
 */
export async function enlistWaiting(transaction: Queryable, source: string): Promise<void> {
  await transaction.change(
    {
      text: `INSERT INTO powersync.write_checkpoints_waiting (source, pair, pair_whole, checkpoint)
        SELECT $1, w.pair, w.pair_whole, w.checkpoint FROM powersync.write_checkpoints w
        WHERE NOT EXISTS (SELECT FROM powersync.write_checkpoints_reached r
          WHERE r.pair = w.pair AND r.source = $1 AND NOT r.custom AND r.checkpoint >= w.checkpoint)
        ORDER BY w.touched_ms
        ON CONFLICT (source, pair) DO NOTHING`,
    },
    [source],
  );
}
