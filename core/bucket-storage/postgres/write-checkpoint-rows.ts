/** Statements on write checkpoints that others than their store need. */
import type { ReachedWriteCheckpoint } from '../contract.ts';
import { textArray } from './binary-arrays.ts';
import { pairText } from './bulk-writes.ts';
import type { Queryable, Statement } from './database.ts';
import { LIVE_STATES, UNTIL_ACTIVE } from './instance.ts';
import { indexKey } from './key-text.ts';

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

/** The sources of the active version besides one. `least`: what all of them have passed; null: not all have passed anything. */
export interface PassedByOthers {
  readonly sources: number;
  readonly least: string | null;
}

const PASSED_BY_OTHERS: Statement = {
  name: 'passed_by_others',
  text: `WITH others AS (SELECT DISTINCT s.source FROM powersync.streams s JOIN powersync.version_streams vs ON vs.stream = s.id
      JOIN powersync.sync_config_versions v ON v.version = vs.version WHERE v.state = 'active' AND s.source <> $1)
    SELECT count(o.source)::int AS sources, CASE WHEN count(passed.checkpoint) = count(*) THEN min(passed.checkpoint) END::text AS least
    FROM unnest($2::text[]) WITH ORDINALITY AS p(pair, n) LEFT JOIN others o ON true
    LEFT JOIN LATERAL (SELECT max(r.checkpoint) AS checkpoint FROM powersync.write_checkpoints_reached r
      WHERE r.pair = p.pair AND r.source = o.source AND NOT r.custom) passed ON true
    GROUP BY p.n ORDER BY p.n`,
};

/** In the order of the pairs. */
export async function passedByOthers(
  transaction: Queryable,
  source: string,
  pairs: readonly ReachedWriteCheckpoint[],
): Promise<PassedByOthers[]> {
  if (pairs.length === 0) return [];
  const keys = textArray(pairs, (pair) => indexKey(pairText(pair)));
  return transaction.rows<PassedByOthers>(PASSED_BY_OTHERS, [source, keys]);
}

/** Of the numbers that one source has passed, what all sources have: only that is told to clients (S-465). */
export function reachedByAll(
  passed: readonly ReachedWriteCheckpoint[],
  others: readonly PassedByOthers[],
): ReachedWriteCheckpoint[] {
  return passed.flatMap((item, at) => {
    const { sources, least } = others[at]!;
    if (sources === 0) return [item];
    if (least === null) return [];
    const number = BigInt(least);
    return [number < item.checkpoint ? { ...item, checkpoint: number } : item];
  });
}
