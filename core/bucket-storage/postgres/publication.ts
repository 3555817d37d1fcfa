/** Makes commits visible: moves the checkpoint, and stores the notice that workers poll (the durable twin of the bus message). */
import type { CommitNotice } from '../contract.ts';
import type { Queryable } from './database.ts';
import { decodeLists, encodeLists, mergeLists, type NoticeLists, type StoredLists } from './notice-lists.ts';
import { publishableOp } from './visibility.ts';

/** Part of a commit to come, as in the table `pending`. */
export interface PendingPart extends NoticeLists {
  /** Null when it is not stored. */
  readonly id: number | null;
  readonly stream: number;
  readonly state: 'open' | 'held' | 'closed';
  readonly firstOp: number;
  readonly op: number;
  /** The version that is served once this is visible. */
  readonly version: number;
  readonly sourceTimeMs: number | null;
}

export interface Publication {
  readonly notice: CommitNotice;
  /** All that became visible with it. */
  readonly parts: readonly PendingPart[];
}

/** What can be made visible now, as one step; null when nothing can. */
export function publicationOf(
  parts: readonly PendingPart[],
  openFrom: number | null,
  visibleOp: number,
  storedMs: number,
): Publication | null {
  const closed = parts.filter((part) => part.state === 'closed');
  const op = publishableOp(closed, openFrom);
  if (op === null) return null;
  const visible = closed.filter((part) => part.op <= op).toSorted((a, b) => a.op - b.op);
  const { version } = visible.at(-1)!;
  const sourceTimeMs = visible.findLast((part) => part.sourceTimeMs !== null)?.sourceTimeMs ?? null;
  const { buckets, lookups, writeCheckpoints } = mergeLists(visible);
  return {
    notice: { version, op, previous: visibleOp, buckets, lookups, writeCheckpoints, sourceTimeMs, storedMs },
    parts: visible,
  };
}

/** The statements that carry it out, given to `transaction` in this order; to be awaited by the caller. */
export function writePublication(transaction: Queryable, { notice, parts }: Publication): Promise<unknown>[] {
  const { version, op, previous, sourceTimeMs, storedMs } = notice;
  const lists = encodeLists(notice);
  const work: Promise<unknown>[] = [
    transaction.change(INSERT_COMMIT, [
      op,
      previous,
      version,
      lists.buckets,
      lists.lookups,
      lists.write_checkpoints,
      sourceTimeMs,
      storedMs,
    ]),
  ];
  const stored = parts.flatMap((part) => part.id ?? []);
  if (stored.length > 0) work.push(transaction.change(DELETE_PENDING, [stored]));
  return work;
}

const INSERT_COMMIT = {
  name: 'insert_commit',
  text: `INSERT INTO powersync.commits (op, previous, version, buckets, lookups, write_checkpoints, source_time_ms, stored_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
};
const DELETE_PENDING = { name: 'delete_pending', text: 'DELETE FROM powersync.pending WHERE id = ANY($1::bigint[])' };

const INSERT_PENDING = {
  name: 'insert_pending',
  text: `INSERT INTO powersync.pending (stream, state, first_op, op, version, buckets, lookups, write_checkpoints, source_time_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
};
export const READ_PENDING = {
  name: 'read_pending',
  text: `SELECT id, stream, state, first_op, op, version, buckets, lookups, write_checkpoints, source_time_ms
    FROM powersync.pending ORDER BY id`,
};

export function insertPending(transaction: Queryable, part: PendingPart): Promise<number> {
  const { stream, state, firstOp, op, version, sourceTimeMs } = part;
  const lists = encodeLists(part);
  const values = [
    stream,
    state,
    firstOp,
    op,
    version,
    lists.buckets,
    lists.lookups,
    lists.write_checkpoints,
    sourceTimeMs,
  ];
  return transaction.change(INSERT_PENDING, values);
}

export function deletePending(transaction: Queryable, parts: readonly PendingPart[]): Promise<number> {
  return transaction.change(DELETE_PENDING, [parts.map((part) => part.id)]);
}

export interface PendingRow extends StoredLists {
  readonly id: number;
  readonly stream: number;
  readonly state: PendingPart['state'];
  readonly first_op: number;
  readonly op: number;
  readonly version: number;
  readonly source_time_ms: number | null;
}

export function pendingPart(row: PendingRow): PendingPart {
  const { id, stream, state, first_op: firstOp, op, version, source_time_ms: sourceTimeMs } = row;
  return { id, stream, state, firstOp, op, version, sourceTimeMs, ...decodeLists(row) };
}
