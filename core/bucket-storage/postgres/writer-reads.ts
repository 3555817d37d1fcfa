/** What a writer reads: its own unpublished data included, and only while its epoch is the newest. */
import { escapeLiteral } from 'pg';
import { codedError } from '../../platform/errors/coded-error.ts';
import type { BucketRef, BucketTotals, Chunk, LookupEntry } from '../contract.ts';
import { int4Array, textArray } from './binary-arrays.ts';
import { CHUNK_COLUMNS, chunksOfCopy, lookupEntryOf, type LookupRow } from './chunk-rows.ts';
import type { Database, Queryable, Statement } from './database.ts';
import { indexKey } from './key-text.ts';
import { fenced } from './stream-state.ts';

/** At most this many keys or buckets in one call. */
const MAX_KEYS = 10_000;
/** Pages of scans: bounded in rows, and about bounded in bytes. */
const SCAN_ROWS = 256;
const SCAN_BYTES = 8 * 1024 * 1024;
const SCAN_LOOKUPS = 2000;

export interface WriterIdentity {
  readonly source: string;
  readonly epoch: number;
}

/** True in the answer while `$1` is replicated by the epoch `$2`. */
const IS_LEADING = 'EXISTS (SELECT FROM powersync.sources WHERE source = $1 AND epoch = $2) AS is_leading';

const READ_STATES: Statement = {
  name: 'read_states',
  // A look-up per key, whatever the planner thinks of the table; unnest keeps the order.
  text: `SELECT ${IS_LEADING}, (SELECT s.state FROM powersync.row_states s WHERE s.key = k.key) FROM unnest($3::text[]) AS k(key)`,
};

export async function readRowStates(
  database: Database,
  identity: WriterIdentity,
  keys: readonly string[],
): Promise<(string | null)[]> {
  bounded(keys.length);
  const values = [identity.source, identity.epoch, textArray(keys, indexKey)];
  const rows = await database.readTuples<[leading: boolean, state: string | null]>(READ_STATES, values);
  if (rows.length === 0) await assertLeading(database, identity);
  if (rows[0]?.[0] === false) throw fenced(identity.source);
  return rows.map(([, state]) => state);
}

const READ_TOTALS: Statement = {
  name: 'read_totals',
  text: `SELECT ${IS_LEADING}, coalesce(c.last_op, 0), coalesce(c.total_count, 0), coalesce(c.total_checksum, 0)
    FROM unnest($3::int[], $4::text[]) WITH ORDINALITY AS b(definition, key, n)
    LEFT JOIN LATERAL (SELECT d.last_op, d.total_count, d.total_checksum FROM powersync.bucket_data d
      WHERE d.definition = b.definition AND d.key = b.key ORDER BY d.last_op DESC LIMIT 1) c ON true
    ORDER BY b.n`,
};

export async function readTotals(
  database: Database,
  identity: WriterIdentity,
  buckets: readonly BucketRef[],
): Promise<BucketTotals[]> {
  bounded(buckets.length);
  const keys = [
    int4Array(buckets, (bucket) => bucket.definition),
    textArray(buckets, (bucket) => indexKey(bucket.key)),
  ];
  const values = [identity.source, identity.epoch, ...keys];
  const rows = await database.readTuples<[leading: boolean, lastOp: number, count: number, checksum: number]>(
    READ_TOTALS,
    values,
  );
  if (rows.length === 0) await assertLeading(database, identity);
  if (rows[0]?.[0] === false) throw fenced(identity.source);
  return rows.map(([, lastOp, count, checksum]) => ({ lastOp, count, checksum }));
}

export function bounded(count: number): void {
  if (count > MAX_KEYS)
    throw codedError('PSYNC_S0001', `${count} keys in one read of bucket storage; at most ${MAX_KEYS}.`);
}

const LEADING: Statement = { name: 'still_leading', text: `SELECT ${IS_LEADING}` };

/** Throws PSYNC_S1003 when another process took over. */
export async function assertLeading(database: Database, { source, epoch }: WriterIdentity): Promise<void> {
  const [row] = await database.read<{ is_leading: boolean }>(LEADING, [source, epoch]);
  if (!row!.is_leading) throw fenced(source);
}

/** The same inside a transaction that has locked the instance: nobody takes over before it ends. */
export async function assertEpoch(transaction: Queryable, { source, epoch }: WriterIdentity): Promise<void> {
  const [row] = await transaction.rows<{ is_leading: boolean }>(LEADING, [source, epoch]);
  if (!row!.is_leading) throw fenced(source);
}

const scanQuery = (definition: number, key: string, op: number): string => `
  SELECT ${CHUNK_COLUMNS} FROM (
    SELECT ${CHUNK_COLUMNS}, sum(octet_length(operations)) OVER (ORDER BY key, last_op) - octet_length(operations) AS before FROM (
      SELECT ${CHUNK_COLUMNS} FROM powersync.bucket_data
      WHERE definition = ${definition} AND (key, last_op) > (${escapeLiteral(key)}, ${op}::bigint)
      ORDER BY key, last_op LIMIT ${SCAN_ROWS}) page
  ) sized WHERE before < ${SCAN_BYTES} ORDER BY key, last_op`;

export async function* scanDefinition(
  database: Database,
  identity: WriterIdentity,
  definition: number,
  signal?: AbortSignal,
): AsyncGenerator<Chunk> {
  let key = '';
  let op = 0;
  for (;;) {
    signal?.throwIfAborted();
    await assertLeading(database, identity);
    const chunks = chunksOfCopy(definition, await database.copy(scanQuery(definition, key, op)));
    yield* chunks;
    const last = chunks.at(-1);
    if (!last) return;
    key = indexKey(last.key);
    op = last.lastOp;
  }
}

const SCAN_ENTRIES: Statement = {
  name: 'scan_lookup',
  text: `SELECT key, key_whole, row, row_whole, op, "values" FROM powersync.lookups
    WHERE lookup = $1 AND (key, row, op) > ($2, $3, $4::bigint) ORDER BY key, row, op LIMIT ${SCAN_LOOKUPS}`,
};

export async function* scanLookup(
  database: Database,
  identity: WriterIdentity,
  lookup: number,
  signal?: AbortSignal,
): AsyncGenerator<LookupEntry> {
  let after: [string, string, number] = ['', '', 0];
  for (;;) {
    signal?.throwIfAborted();
    await assertLeading(database, identity);
    const rows = await database.read<LookupRow>(SCAN_ENTRIES, [lookup, ...after]);
    for (const row of rows) yield lookupEntryOf(lookup, row);
    const last = rows.at(-1);
    if (!last) return;
    after = [last.key, last.row, last.op];
  }
}
