/** Many rows with few statements: columns as binary arrays, unnested by the server. */
import type { Chunk, LookupEntry, ReachedWriteCheckpoint, RowStateWrite } from '../contract.ts';
import { bigintArray, byteaArray, int4Array, int8Array, textArray } from './binary-arrays.ts';
import type { Queryable } from './database.ts';
import { HORIZON } from './instance.ts';
import { indexKey, wholeKey } from './key-text.ts';

/** How much goes into one statement (O-47). */
export interface BatchLimits {
  readonly maxBytes: number;
  readonly maxRecords: number;
}

/** Cuts a list into runs within the limits; an item above them stands alone. */
export function* runs<T>(
  items: readonly T[],
  sizeOf: (item: T) => number,
  limits: BatchLimits,
): Generator<readonly T[]> {
  let start = 0;
  let bytes = 0;
  for (let at = 0; at < items.length; at++) {
    const size = sizeOf(items[at]!);
    if (at > start && (bytes + size > limits.maxBytes || at - start >= limits.maxRecords)) {
      yield items.slice(start, at);
      start = at;
      bytes = 0;
    }
    bytes += size;
  }
  if (start < items.length) yield start === 0 ? items : items.slice(start);
}

const chunkSize = (chunk: Chunk): number => chunk.operations.length + chunk.key.length + 100;
const lookupSize = (entry: LookupEntry): number =>
  entry.key.length + entry.row.length + (entry.values?.length ?? 0) + 50;
const stateSize = (write: RowStateWrite): number => write.key.length + (write.state?.length ?? 0) + 30;

const INSERT_CHUNKS = {
  name: 'insert_chunks',
  text: `INSERT INTO powersync.bucket_data
      (definition, key, last_op, first_op, count, checksum, total_count, total_checksum, key_whole, operations)
    SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::int[], $6::bigint[], $7::bigint[], $8::bigint[],
      $9::text[], $10::bytea[])`,
};

export function insertChunks(
  transaction: Queryable,
  chunks: readonly Chunk[],
  limits: BatchLimits,
): Promise<unknown>[] {
  return [...runs(chunks, chunkSize, limits)].map((run) =>
    transaction.change(INSERT_CHUNKS, [
      int4Array(run, (chunk) => chunk.definition),
      textArray(run, (chunk) => indexKey(chunk.key)),
      int8Array(run, (chunk) => chunk.lastOp),
      int8Array(run, (chunk) => chunk.firstOp),
      int4Array(run, (chunk) => chunk.count),
      int8Array(run, (chunk) => chunk.checksum),
      int8Array(run, (chunk) => chunk.totals.count),
      int8Array(run, (chunk) => chunk.totals.checksum),
      textArray(run, (chunk) => wholeKey(chunk.key)),
      byteaArray(run, (chunk) => chunk.operations),
    ]),
  );
}

const LOOKUP_KEYS = 'unnest($1::int[], $2::text[], $3::text[], $4::bigint[])';
/** Entries that replace an older one make garbage; most entries are new. */
const NOTE_GARBAGE = {
  name: 'note_garbage',
  text: `INSERT INTO powersync.lookup_garbage (lookup, key, row, op)
    SELECT n.* FROM ${LOOKUP_KEYS} AS n(lookup, key, row, op)
    WHERE EXISTS (SELECT FROM powersync.lookups o
      WHERE o.lookup = n.lookup AND o.key = n.key AND o.row = n.row AND o.op < n.op)`,
};
const INSERT_LOOKUPS = {
  name: 'insert_lookups',
  text: `INSERT INTO powersync.lookups (lookup, key, row, op, "values", key_whole, row_whole)
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[])`,
};

export function insertLookups(
  transaction: Queryable,
  entries: readonly LookupEntry[],
  limits: BatchLimits,
): Promise<unknown>[] {
  return [...runs(entries, lookupSize, limits)].flatMap((run) => {
    const keys = [
      int4Array(run, (entry) => entry.lookup),
      textArray(run, (entry) => indexKey(entry.key)),
      textArray(run, (entry) => indexKey(entry.row)),
      int8Array(run, (entry) => entry.op),
    ];
    const rest = [
      textArray(run, (entry) => entry.values),
      textArray(run, (entry) => wholeKey(entry.key)),
      textArray(run, (entry) => wholeKey(entry.row)),
    ];
    return [transaction.change(INSERT_LOOKUPS, [...keys, ...rest]), transaction.change(NOTE_GARBAGE, keys)];
  });
}

const WRITE_STATES = {
  name: 'write_states',
  text: `INSERT INTO powersync.row_states (key, state) SELECT * FROM unnest($1::text[], $2::text[])
    ON CONFLICT (key) DO UPDATE SET state = excluded.state`,
};
const DELETE_STATES = { name: 'delete_states', text: 'DELETE FROM powersync.row_states WHERE key = ANY($1::text[])' };

export function writeRowStates(
  transaction: Queryable,
  writes: readonly RowStateWrite[],
  limits: BatchLimits,
): Promise<unknown>[] {
  const work: Promise<unknown>[] = [];
  for (const run of runs(writes, stateSize, limits)) {
    const kept = run.filter((write) => write.state !== null);
    const removed = kept.length === run.length ? [] : run.filter((write) => write.state === null);
    if (kept.length > 0) {
      const values = [textArray(kept, (write) => indexKey(write.key)), textArray(kept, (write) => write.state)];
      work.push(transaction.change(WRITE_STATES, values));
    }
    if (removed.length > 0)
      work.push(transaction.change(DELETE_STATES, [textArray(removed, (write) => indexKey(write.key))]));
  }
  return work;
}

const NOTE_CHUNKS = {
  name: 'note_undo_chunks',
  text: `INSERT INTO powersync.undo (stream, chunk_definitions, chunk_keys, chunk_ops) VALUES ($1, $2::int[], $3::text[], $4::bigint[])`,
};
const NOTE_LOOKUPS = {
  name: 'note_undo_lookups',
  text: `INSERT INTO powersync.undo (stream, lookup_ids, lookup_keys, lookup_rows, lookup_ops)
    VALUES ($1, $2::int[], $3::text[], $4::text[], $5::bigint[])`,
};
const NOTE_STATES = {
  name: 'note_undo_states',
  text: 'INSERT INTO powersync.undo (stream, state_keys, state_previous) VALUES ($1, $2::text[], $3::text[])',
};
export const FORGET_UNDO = { name: 'forget_undo', text: 'DELETE FROM powersync.undo WHERE stream = $1' };

/** How to take a flush back that is not final (take-over.ts). */
export function noteUndo(
  transaction: Queryable,
  stream: number,
  flush: { chunks: readonly Chunk[]; lookups: readonly LookupEntry[]; rowStates: readonly RowStateWrite[] },
  limits: BatchLimits,
): Promise<unknown>[] {
  const undoSize = (write: RowStateWrite): number => write.key.length + (write.previous?.length ?? 0) + 30;
  return [
    ...[...runs(flush.chunks, (chunk) => chunk.key.length + 40, limits)].map((run) =>
      transaction.change(NOTE_CHUNKS, [
        stream,
        int4Array(run, (chunk) => chunk.definition),
        textArray(run, (chunk) => indexKey(chunk.key)),
        int8Array(run, (chunk) => chunk.lastOp),
      ]),
    ),
    ...[...runs(flush.lookups, lookupSize, limits)].map((run) =>
      transaction.change(NOTE_LOOKUPS, [
        stream,
        int4Array(run, (entry) => entry.lookup),
        textArray(run, (entry) => indexKey(entry.key)),
        textArray(run, (entry) => indexKey(entry.row)),
        int8Array(run, (entry) => entry.op),
      ]),
    ),
    ...[...runs(flush.rowStates, undoSize, limits)].map((run) =>
      transaction.change(NOTE_STATES, [
        stream,
        textArray(run, (write) => indexKey(write.key)),
        textArray(run, (write) => write.previous),
      ]),
    ),
  ];
}

/** The pair of a write checkpoint as one key. */
export function pairText({ userId, clientId }: { readonly userId: string; readonly clientId: string }): string {
  return JSON.stringify([userId, clientId]);
}

const INSERT_REACHED = {
  name: 'insert_reached',
  text: `INSERT INTO powersync.write_checkpoints_reached AS r (pair, source, custom, op, stream, checkpoint)
    SELECT n.pair, $3, $4, $5, $6, max(n.checkpoint) FROM unnest($1::text[], $2::bigint[]) AS n(pair, checkpoint) GROUP BY n.pair
    ON CONFLICT (pair, source, custom, op) DO UPDATE SET checkpoint = greatest(r.checkpoint, excluded.checkpoint)`,
};
/** Of earlier numbers only those stay that a reader at an older checkpoint may ask for. */
const PRUNE_REACHED = {
  name: 'prune_reached',
  text: `DELETE FROM powersync.write_checkpoints_reached o USING unnest($1::text[]) AS p(pair)
    WHERE o.pair = p.pair AND o.source = $2 AND o.custom = $3 AND EXISTS (SELECT FROM powersync.write_checkpoints_reached n
      WHERE n.pair = o.pair AND n.source = o.source AND n.custom = o.custom AND n.op > o.op AND n.checkpoint >= o.checkpoint
        AND n.op <= ${HORIZON})`,
};
const DELETE_WAITING = {
  name: 'delete_waiting',
  text: `DELETE FROM powersync.write_checkpoints_waiting w USING unnest($1::text[], $2::bigint[]) AS n(pair, checkpoint)
    WHERE w.source = $3 AND w.pair = n.pair AND w.checkpoint <= n.checkpoint`,
};

export interface ReachedAt {
  readonly source: string;
  readonly stream: number;
  readonly custom: boolean;
  readonly op: number;
}

/** The numbers count as reached from `at.op` on. */
export function writeReached(
  transaction: Queryable,
  reached: readonly ReachedWriteCheckpoint[],
  at: ReachedAt,
): Promise<unknown>[] {
  if (reached.length === 0) return [];
  const keys = [
    textArray(reached, (item) => indexKey(pairText(item))),
    bigintArray(reached, (item) => item.checkpoint),
  ];
  const work: Promise<unknown>[] = [
    transaction.change(INSERT_REACHED, [...keys, at.source, at.custom, at.op, at.stream]),
    transaction.change(PRUNE_REACHED, [keys[0], at.source, at.custom]),
  ];
  if (!at.custom) work.push(transaction.change(DELETE_WAITING, [...keys, at.source]));
  return work;
}
