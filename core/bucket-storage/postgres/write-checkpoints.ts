/** Write checkpoints in Postgres (S chapter 13). */
import type { WriteCheckpointRequest, WriteCheckpointStore } from '../write-checkpoint-store.ts';
import { textArray } from './binary-arrays.ts';
import { pairText } from './bulk-writes.ts';
import type { Database, Statement } from './database.ts';
import { indexKey, restoreKey, wholeKey } from './key-text.ts';
import { LIVE_SOURCES } from './write-checkpoint-rows.ts';

/** Pairs removed by one call. */
const EXPIRE_PAIRS = 5000;

export function createWriteCheckpointStore(database: Database, now: () => number): WriteCheckpointStore {
  return {
    async create(userId, clientId) {
      const pair = pairText({ userId, clientId });
      const [row] = await database.rows<{ checkpoint: string }>(CREATE, [indexKey(pair), wholeKey(pair), now()]);
      return BigInt(row!.checkpoint);
    },
    async request(userId, clientId, id) {
      const pair = pairText({ userId, clientId });
      const [row] = await database.rows<{ checkpoint: string; created: boolean }>(REQUEST, [
        ...[indexKey(pair), wholeKey(pair), now()],
        id.toString(),
      ]);
      return { id: BigInt(row!.checkpoint), created: row!.created };
    },
    async unresolved(source, limit) {
      const rows = await database.rows<WaitingRow>(UNRESOLVED, [source, limit]);
      return rows.map(requestOf);
    },
    async reached(pairs, op) {
      if (pairs.length === 0) return [];
      const keys = textArray(pairs, (pair) => indexKey(pairText(pair)));
      const rows = await database.rows<{ checkpoint: string | null }>(REACHED, [keys, op]);
      return rows.map((row) => (row.checkpoint === null ? null : BigInt(row.checkpoint)));
    },
    expire: (olderThanMs) => expire(database, now() - olderThanMs),
  };
}

interface WaitingRow {
  readonly pair: string;
  readonly pair_whole: string | null;
  readonly checkpoint: string;
}

function requestOf(row: WaitingRow): WriteCheckpointRequest {
  const [userId, clientId] = JSON.parse(restoreKey(row.pair, row.pair_whole)) as [string, string];
  return { userId, clientId, checkpoint: BigInt(row.checkpoint) };
}

/** What the pair's custom numbers reached counts too: numbers never go back, wherever they come from (S-464, S-483). */
const KNOWN = '(SELECT coalesce(max(r.checkpoint), 0) FROM powersync.write_checkpoints_reached r WHERE r.pair = $1)';
/** Numbers of expired pairs are not given out again (S-464). */
const EXPIRED = '(SELECT last_value FROM powersync.write_checkpoint_expired)';
const WAIT = `INSERT INTO powersync.write_checkpoints_waiting AS w (source, pair, pair_whole, checkpoint)
  SELECT s.source, $1, $2, asked.checkpoint FROM asked, (${LIVE_SOURCES}) s
  ON CONFLICT (source, pair) DO UPDATE SET checkpoint = greatest(w.checkpoint, excluded.checkpoint)`;

/** One statement: durable when it answers. A pair that waits already keeps its place in the line. */
const CREATE: Statement = {
  name: 'create_write_checkpoint',
  text: `WITH asked AS (
      INSERT INTO powersync.write_checkpoints AS c (pair, pair_whole, checkpoint, touched_ms) VALUES ($1, $2, greatest(${KNOWN}, ${EXPIRED}) + 1, $3)
      ON CONFLICT (pair) DO UPDATE SET checkpoint = greatest(c.checkpoint + 1, excluded.checkpoint), touched_ms = excluded.touched_ms
      RETURNING checkpoint
    ), waiting AS (${WAIT})
    SELECT checkpoint::text FROM asked`,
};

const REQUEST: Statement = {
  name: 'request_write_checkpoint',
  text: `WITH asked AS (
      INSERT INTO powersync.write_checkpoints AS c (pair, pair_whole, checkpoint, touched_ms) SELECT $1, $2, $4::bigint, $3
      WHERE $4::bigint > ${KNOWN}
      ON CONFLICT (pair) DO UPDATE SET checkpoint = excluded.checkpoint, touched_ms = excluded.touched_ms
        WHERE excluded.checkpoint > c.checkpoint
      RETURNING checkpoint
    ), touched AS (
      UPDATE powersync.write_checkpoints SET touched_ms = $3 WHERE pair = $1 AND NOT EXISTS (SELECT FROM asked)
    ), waiting AS (${WAIT})
    SELECT EXISTS (SELECT FROM asked) AS created, greatest((SELECT checkpoint FROM asked), ${KNOWN},
      (SELECT checkpoint FROM powersync.write_checkpoints WHERE pair = $1))::text AS checkpoint`,
};

const UNRESOLVED: Statement = {
  name: 'unresolved',
  text: `SELECT pair, pair_whole, checkpoint::text FROM powersync.write_checkpoints_waiting
    WHERE source = $1 ORDER BY ordinal LIMIT $2::int`,
};

/**
 * The least of what the sources have passed, each the greatest it has; custom numbers come with the rows of their source.
 */
const REACHED: Statement = {
  name: 'reached',
  text: `WITH limited AS (SELECT least($2::bigint, visible_op) AS op FROM powersync.instance WHERE id = 1), sources AS (
      SELECT DISTINCT s.source FROM powersync.streams s JOIN powersync.version_streams vs ON vs.stream = s.id
      WHERE vs.version = (SELECT visible_version FROM powersync.instance WHERE id = 1)
    )
    SELECT greatest(custom.checkpoint, managed.checkpoint)::text AS checkpoint
    FROM unnest($1::text[]) WITH ORDINALITY AS p(pair, n)
    CROSS JOIN LATERAL (SELECT max(r.checkpoint) AS checkpoint FROM powersync.write_checkpoints_reached r
      WHERE r.pair = p.pair AND r.custom AND r.op <= (SELECT op FROM limited)) custom
    CROSS JOIN LATERAL (SELECT CASE WHEN count(passed) = count(*) THEN min(passed) END AS checkpoint FROM (
      SELECT (SELECT max(r.checkpoint) FROM powersync.write_checkpoints_reached r
        WHERE r.pair = p.pair AND r.source = sources.source AND NOT r.custom AND r.op <= (SELECT op FROM limited)) AS passed FROM sources) s) managed
    ORDER BY p.n`,
};

/** Custom numbers stay: they repeat what the source has in a row, and nobody would send them again. */
async function expire(database: Database, before: number): Promise<number> {
  return database.transaction(async (transaction) => {
    const rows = await transaction.rows<{ pair: string; checkpoint: number }>({ text: EXPIRE }, [before]);
    if (rows.length === 0) return 0;
    // Numbers that clients made up may be anything; beyond this they are not remembered.
    const greatest = rows.reduce(
      (most, row) => (Number.isSafeInteger(row.checkpoint) ? Math.max(most, row.checkpoint) : most),
      0,
    );
    await transaction.rows({ text: REMEMBER_EXPIRED }, [greatest]);
    const pairs = textArray(rows, (row) => row.pair);
    const unlisted = 'DELETE FROM powersync.write_checkpoints_waiting WHERE pair = ANY($1::text[])';
    await transaction.change({ text: unlisted }, [pairs]);
    const forgotten = 'DELETE FROM powersync.write_checkpoints_reached WHERE pair = ANY($1::text[]) AND NOT custom';
    await transaction.change({ text: forgotten }, [pairs]);
    return rows.length;
  });
}

const EXPIRE = `DELETE FROM powersync.write_checkpoints WHERE pair IN (
    SELECT pair FROM powersync.write_checkpoints WHERE touched_ms < $1 ORDER BY touched_ms LIMIT ${EXPIRE_PAIRS} FOR UPDATE SKIP LOCKED)
  RETURNING pair, checkpoint`;
const REMEMBER_EXPIRED = `SELECT setval('powersync.write_checkpoint_expired', greatest(last_value, $1::bigint))
  FROM powersync.write_checkpoint_expired`;
