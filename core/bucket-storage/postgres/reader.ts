/** Reads for API workers: one statement each, so that an answer is of one moment, and never beyond the visible checkpoint (I1, R-35). */
import { escapeLiteral } from 'pg';
import type { BucketReader, BucketRef, Chunk, CommitNotice, LookupKey } from '../contract.ts';
import { int4Array, textArray } from './binary-arrays.ts';
import { CHUNK_ANSWER, CHUNK_COLUMNS, chunkOf, chunksOfCopy, type ChunkRow } from './chunk-rows.ts';
import type { Database, Statement } from './database.ts';
import { indexKey } from './key-text.ts';
import { noticeOf, type CommitRow } from './notice-lists.ts';
import { bounded } from './writer-reads.ts';

/** Chunks looked at for one page: small ones fill a page by their number, not by their bytes. */
const MIN_PAGE_ROWS = 16;
const MAX_PAGE_ROWS = 512;
const TYPICAL_CHUNK_BYTES = 4096;

export function createReader(database: Database): BucketReader {
  return {
    async checkpoint() {
      const [row] = await database.read<{ version: number | null; op: number }>(CHECKPOINT);
      return row?.version == null ? null : { version: row.version, op: row.op };
    },
    noticesAfter: (op, limit) => noticesAfter(database, op, limit),
    async totals(buckets, op) {
      bounded(buckets.length);
      if (buckets.length === 0) return [];
      const keys = [
        int4Array(buckets, (bucket) => bucket.definition),
        textArray(buckets, (bucket) => indexKey(bucket.key)),
      ];
      const rows = await database.readTuples<[lastOp: number, count: number, checksum: number, removed: number]>(
        TOTALS,
        [...keys, op],
      );
      return rows.map(([lastOp, count, checksum, removed]) => ({
        ...{ lastOp, count, checksum },
        ...(removed === 0 ? {} : { removed }),
      }));
    },
    chunks: (bucket, after, upTo, maxBytes) => readChunks(database, bucket, after, upTo, maxBytes),
    lookups: (keys, op) => readLookups(database, keys, op),
  };
}

const CHECKPOINT: Statement = {
  name: 'checkpoint',
  text: 'SELECT visible_version AS version, visible_op AS op FROM powersync.instance WHERE id = 1',
};

const VISIBLE = '(SELECT visible_op FROM powersync.instance WHERE id = 1)';

/**
 * `o`: where nothing that old is left of a bucket, its oldest chunk, if compaction made that stand for what was there. One statement, so
 * that what is gone has left something behind.
 */
const TOTALS: Statement = {
  name: 'totals',
  text: `SELECT coalesce(c.last_op, o.last_op, 0), coalesce(c.total_count, o.total_count, 0),
      coalesce(c.total_checksum, o.total_checksum, 0), coalesce(k.removed, 0)
    FROM unnest($1::int[], $2::text[]) WITH ORDINALITY AS b(definition, key, n)
    LEFT JOIN LATERAL (SELECT d.last_op, d.total_count, d.total_checksum FROM powersync.bucket_data d
      WHERE d.definition = b.definition AND d.key = b.key AND d.last_op <= least($3::bigint, ${VISIBLE})
      ORDER BY d.last_op DESC LIMIT 1) c ON true
    LEFT JOIN LATERAL (SELECT d.last_op, d.total_count, d.total_checksum, d.first_op, d.needs_op FROM powersync.bucket_data d
      WHERE c.last_op IS NULL AND d.definition = b.definition AND d.key = b.key
      ORDER BY d.last_op LIMIT 1) o ON o.needs_op IS NOT NULL AND o.first_op <= $3::bigint
    LEFT JOIN powersync.compacted_buckets k ON k.definition = b.definition AND k.key = b.key
    ORDER BY b.n`,
};

const NOTICES: Statement = {
  name: 'notices',
  text: `SELECT i.visible_op, c.op, c.previous, c.version, c.buckets, c.lookups, c.write_checkpoints, c.source_time_ms, c.stored_ms
    FROM powersync.instance i LEFT JOIN LATERAL (
      SELECT * FROM powersync.commits n WHERE n.op > $1::bigint ORDER BY n.op LIMIT $2::int) c ON true
    WHERE i.id = 1 ORDER BY c.op`,
};

async function noticesAfter(database: Database, op: number, limit: number): Promise<readonly CommitNotice[] | 'gap'> {
  const rows = await database.read<CommitRow & { visible_op: number; op: number | null }>(NOTICES, [
    op,
    Math.max(1, limit),
  ]);
  const first = rows[0]!;
  if (first.op === null) return first.visible_op > op ? 'gap' : [];
  if (first.previous > op) return 'gap';
  return rows.map(noticeOf);
}

/** Parameters of a page, as placeholders or as literals. */
type PageParameters = Record<'definition' | 'key' | 'after' | 'upTo' | 'maxBytes' | 'limit', string>;

/** Sizes are counted from the front; the operations themselves are only fetched for what is answered. */
const pageQuery = (columns: string, page: PageParameters): string => `
  SELECT ${columns}, candidates FROM (
    SELECT page.*, sum(octet_length(operations)) OVER (ORDER BY last_op) AS bytes, row_number() OVER (ORDER BY last_op) AS place,
      count(*) OVER ()::int AS candidates
    FROM (SELECT ${CHUNK_COLUMNS} FROM powersync.bucket_data
      WHERE definition = ${page.definition} AND key = ${page.key} AND last_op > ${page.after}::bigint AND first_op <= ${page.upTo}::bigint
        AND last_op <= ${VISIBLE}
      ORDER BY last_op LIMIT ${page.limit}::int) page
  ) sized WHERE place = 1 OR bytes <= ${page.maxBytes}::bigint ORDER BY last_op`;

const placeholders = { definition: '$1', key: '$2', after: '$3', upTo: '$4', maxBytes: '$5', limit: '$6' };
const CHUNKS: Statement = { name: 'chunks', text: pageQuery(CHUNK_ANSWER, placeholders) };

/** Fewer operations than this are answered faster by a prepared statement than by a COPY. */
const LARGE_OPERATIONS = 200;

async function readChunks(
  database: Database,
  bucket: BucketRef,
  after: number,
  upTo: number,
  maxBytes: number,
): Promise<{ chunks: Chunk[]; more: boolean }> {
  const limit = Math.min(MAX_PAGE_ROWS, Math.max(MIN_PAGE_ROWS, Math.ceil(maxBytes / TYPICAL_CHUNK_BYTES))) + 1;
  const { definition } = bucket;
  const key = indexKey(bucket.key);
  const numbers = {
    after: String(after),
    upTo: String(upTo),
    maxBytes: String(Math.floor(maxBytes)),
    limit: String(limit),
  };
  let chunks: Chunk[];
  let candidates = 0;
  if (upTo - after >= LARGE_OPERATIONS) {
    const literals = { ...numbers, definition: String(definition), key: escapeLiteral(key) };
    const bytes = await database.copy(pageQuery(CHUNK_COLUMNS, literals));
    chunks = chunksOfCopy(definition, bytes, (rest) => (candidates = rest.readInt32BE(0)));
  } else {
    const values = [definition, key, numbers.after, numbers.upTo, numbers.maxBytes, numbers.limit];
    const rows = await database.read<ChunkRow & { candidates: number }>(CHUNKS, values);
    chunks = rows.map((row) => chunkOf(definition, row));
    candidates = rows[0]?.candidates ?? 0;
  }
  // One more than a page was looked for, so that the end is known without asking again.
  const page = chunks.length === limit ? chunks.slice(0, -1) : chunks;
  return { chunks: page, more: page.length < candidates };
}

/** Of every source row its newest entry at the checkpoint. */
const LOOKUPS: Statement = {
  name: 'lookups',
  text: `SELECT k.n::int AS place, e."values" FROM unnest($1::int[], $2::text[]) WITH ORDINALITY AS k(lookup, key, n)
    CROSS JOIN LATERAL (SELECT DISTINCT ON (l.row) l."values" FROM powersync.lookups l
      WHERE l.lookup = k.lookup AND l.key = k.key AND l.op <= least($3::bigint, ${VISIBLE})
      ORDER BY l.row, l.op DESC) e
    WHERE e."values" IS NOT NULL`,
};

async function readLookups(
  database: Database,
  keys: readonly LookupKey[],
  op: number,
): Promise<readonly (readonly string[])[]> {
  bounded(keys.length);
  const result: string[][] = keys.map(() => []);
  if (keys.length === 0) return result;
  const columns = [int4Array(keys, (key) => key.lookup), textArray(keys, (key) => indexKey(key.key))];
  const rows = await database.read<{ place: number; values: string }>(LOOKUPS, [...columns, op]);
  for (const row of rows) result[row.place - 1]!.push(row.values);
  return result;
}
