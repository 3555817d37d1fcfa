/** See ../compaction-store.ts. Locks rows of chunks that nobody else writes, never the instance. */
import { codedError } from '../../platform/errors/coded-error.ts';
import { operationBytes } from '../chunk-operations.ts';
import type { BucketState, ChunkRewrite, CompactionRun, CompactionStore } from '../compaction-store.ts';
import { int4Array, textArray } from './binary-arrays.ts';
import { CHUNK_ANSWER, CHUNK_COLUMNS, chunkOf, type ChunkRow } from './chunk-rows.ts';
import type { Database, Queryable, Statement } from './database.ts';
import { indexKey, restoreKey } from './key-text.ts';

/** Chunks of one answer at the most. */
const CHUNKS_PER_PAGE = 500;
/** Above all op ids. */
const EVERY_OP = Number.MAX_SAFE_INTEGER;

export function createCompactionStore(database: Database): CompactionStore {
  return {
    async horizon() {
      const rows = await database.read<{ op: number; id: number | null; name: string | null }>(HORIZON);
      if (rows.length === 0) return null;
      const definitions = rows.flatMap(({ id, name }) => (id === null || name === null ? [] : [{ id, name }]));
      return { op: rows[0]!.op, definitions };
    },
    async buckets(definition, after, upTo, limit) {
      const rows = await database.read<BucketRow>(BUCKETS, [definition, after ?? '', upTo, limit]);
      const next = rows.length < limit ? null : rows.at(-1)!.cursor;
      return { buckets: rows.map((row) => stateOf(definition, row)), next };
    },
    async chunksBefore({ definition, key }, before, maxBytes) {
      const rows = await database.read<ChunkRow>(CHUNKS_BEFORE, [
        definition,
        indexKey(key),
        Math.min(before, EVERY_OP),
        Math.floor(maxBytes),
      ]);
      return rows.map((row) => chunkOf(definition, row));
    },
    rewrite: async ({ definition, key }, { rewrites, clearedBelow, removed }) => {
      try {
        await database.transaction(async (transaction) => {
          for (const rewrite of rewrites) await rewriteChunk(transaction, rewrite);
          if (clearedBelow === null) return;
          await transaction.change(CLEAR, [definition, indexKey(key), clearedBelow]);
          await transaction.change(REMOVED, [definition, indexKey(key), removed ?? 0]);
        });
        return true;
      } catch (error) {
        if (error === OVERTAKEN) return false;
        throw error;
      }
    },
    async settle(buckets) {
      if (buckets.length === 0) return;
      await database.change(SETTLE, [
        int4Array(buckets, (bucket) => bucket.definition),
        textArray(buckets, (bucket) => indexKey(bucket.key)),
        buckets.map((bucket) => bucket.lastOp),
        buckets.map((bucket) => bucket.count),
      ]);
    },
    recordRun: async ({ endedMs, succeeded }) =>
      void (await database.change(RECORD_RUN, [endedMs, succeeded ? endedMs : null])),
    async lastRun() {
      const [run] = await database.read<CompactionRun>(LAST_RUN);
      return run ?? null;
    },
  };
}

/** Ends a transaction in which a chunk is not as it was read. */
const OVERTAKEN = codedError('PSYNC_S1402', 'A chunk was rewritten by another compactor.');

async function rewriteChunk(transaction: Queryable, { was, chunk }: ChunkRewrite): Promise<void> {
  const changed = await transaction.change(REWRITE, [
    ...[was.definition, indexKey(was.key), was.lastOp, was.firstOp, was.count, was.checksum, was.needs ?? null],
    ...[chunk.firstOp, chunk.count, chunk.checksum, chunk.needs ?? null, operationBytes(chunk)],
  ]);
  if (changed !== 1) throw OVERTAKEN;
}

interface BucketRow {
  readonly cursor: string;
  readonly key_whole: string | null;
  readonly last_op: number | null;
  readonly total_count: number | null;
  readonly total_checksum: number | null;
  readonly removed: number | null;
  readonly compacted_op: number | null;
  readonly compacted_count: number | null;
}

function stateOf(definition: number, row: BucketRow): BucketState {
  const { compacted_op: lastOp, compacted_count: count, removed } = row;
  return {
    definition,
    key: restoreKey(row.cursor, row.key_whole),
    totals: {
      lastOp: row.last_op ?? 0,
      count: row.total_count ?? 0,
      checksum: row.total_checksum ?? 0,
      ...(removed === null || removed === 0 ? {} : { removed }),
    },
    compacted: lastOp === null || count === null ? null : { lastOp, count },
  };
}

const HORIZON: Statement = {
  text: `SELECT i.visible_op AS op, d.id, d.name FROM powersync.instance i
    LEFT JOIN (powersync.version_definitions vd JOIN powersync.definitions d ON d.id = vd.definition AND d.kind = 'bucket')
      ON vd.version = i.visible_version
    WHERE i.id = 1 AND i.visible_version IS NOT NULL ORDER BY d.id`,
};

/** From key to key, however many chunks a bucket has. */
const BUCKETS: Statement = {
  name: 'compactable_buckets',
  text: `WITH RECURSIVE keys AS (
      (SELECT d.key FROM powersync.bucket_data d WHERE d.definition = $1::int AND d.key > $2::text ORDER BY d.key LIMIT 1)
      UNION ALL
      SELECT (SELECT d.key FROM powersync.bucket_data d WHERE d.definition = $1::int AND d.key > keys.key ORDER BY d.key LIMIT 1)
      FROM keys WHERE keys.key IS NOT NULL
    )
    SELECT b.key AS cursor, c.key_whole, c.last_op, c.total_count, c.total_checksum,
      k.removed, k.last_op AS compacted_op, k.count AS compacted_count
    FROM (SELECT key FROM keys WHERE key IS NOT NULL LIMIT $4::int) b
    LEFT JOIN LATERAL (SELECT d.key_whole, d.last_op, d.total_count, d.total_checksum FROM powersync.bucket_data d
      WHERE d.definition = $1::int AND d.key = b.key AND d.last_op <= $3::bigint ORDER BY d.last_op DESC LIMIT 1) c ON true
    LEFT JOIN powersync.compacted_buckets k ON k.definition = $1::int AND k.key = b.key
    ORDER BY b.key`,
};

const CHUNKS_BEFORE: Statement = {
  name: 'chunks_before',
  text: `SELECT ${CHUNK_ANSWER} FROM (
    SELECT page.*, sum(octet_length(operations)) OVER (ORDER BY last_op DESC) AS bytes, row_number() OVER (ORDER BY last_op DESC) AS place
    FROM (SELECT ${CHUNK_COLUMNS} FROM powersync.bucket_data
      WHERE definition = $1::int AND key = $2::text AND last_op < $3::bigint
      ORDER BY last_op DESC LIMIT ${CHUNKS_PER_PAGE}) page
  ) sized WHERE place = 1 OR bytes <= $4::bigint ORDER BY last_op DESC`,
};

const REWRITE: Statement = {
  name: 'rewrite_chunk',
  text: `UPDATE powersync.bucket_data
    SET first_op = $8::bigint, count = $9::int, checksum = $10::bigint, needs_op = $11::bigint, operations = $12::bytea
    WHERE definition = $1::int AND key = $2::text AND last_op = $3::bigint AND first_op = $4::bigint AND count = $5::int
      AND checksum = $6::bigint AND needs_op IS NOT DISTINCT FROM $7::bigint`,
};
const CLEAR: Statement = {
  name: 'clear_chunks',
  text: 'DELETE FROM powersync.bucket_data WHERE definition = $1::int AND key = $2::text AND last_op < $3::bigint',
};
const REMOVED: Statement = {
  name: 'removed_operations',
  text: `INSERT INTO powersync.compacted_buckets AS k (definition, key, removed) VALUES ($1::int, $2::text, $3::bigint)
    ON CONFLICT (definition, key) DO UPDATE SET removed = greatest(k.removed, excluded.removed)`,
};
const SETTLE: Statement = {
  name: 'settle_buckets',
  text: `INSERT INTO powersync.compacted_buckets AS k (definition, key, last_op, count)
    SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[]) AS b(definition, key, last_op, count) ORDER BY 1, 2
    ON CONFLICT (definition, key) DO UPDATE SET last_op = greatest(k.last_op, excluded.last_op), count = greatest(k.count, excluded.count)`,
};
const RECORD_RUN: Statement = {
  text: `INSERT INTO powersync.compaction_runs AS r (id, ended_ms, last_success_ms) VALUES (1, $1::bigint, $2::bigint)
    ON CONFLICT (id) DO UPDATE SET ended_ms = excluded.ended_ms, last_success_ms = coalesce(excluded.last_success_ms, r.last_success_ms)`,
};
const LAST_RUN: Statement = {
  text: 'SELECT ended_ms AS "endedMs", last_success_ms AS "lastSuccessMs" FROM powersync.compaction_runs WHERE id = 1',
};
