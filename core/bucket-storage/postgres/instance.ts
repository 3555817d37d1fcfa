/** The one row that orders everything: op ids, and what is visible. Locked first, so what is read after it is current. */
import type { CommitNotice } from '../contract.ts';
import type { Queryable } from './database.ts';
import {
  insertPending,
  pendingPart,
  publicationOf,
  READ_PENDING,
  writePublication,
  type PendingPart,
  type PendingRow,
} from './publication.ts';

export interface InstanceRow {
  readonly op_sequence: number;
  readonly visible_op: number;
  readonly visible_version: number | null;
  readonly version_sequence: number;
}

export const LOCK_INSTANCE = {
  name: 'lock_instance',
  text: 'SELECT op_sequence, visible_op, visible_version, version_sequence FROM powersync.instance WHERE id = 1 FOR UPDATE',
};

/** To be the first statement of a transaction: in `READ COMMITTED` those after it see all that was committed before the lock was had. */
export async function lockInstance(transaction: Queryable): Promise<InstanceRow> {
  const [row] = await transaction.rows<InstanceRow>(LOCK_INSTANCE);
  return row!;
}

export const ADVANCE_SEQUENCE = {
  name: 'advance_sequence',
  text: 'UPDATE powersync.instance SET op_sequence = $1 WHERE id = 1',
};
export const ADVANCE_CHECKPOINT = {
  name: 'advance_checkpoint',
  text: `UPDATE powersync.instance SET op_sequence = $1, visible_op = $2, visible_version = $3,
    revision = revision + CASE WHEN visible_version IS DISTINCT FROM $3 THEN 1 ELSE 0 END WHERE id = 1`,
};

/** Streams that clients see: those of the active version. */
export const SERVING_STREAMS = `SELECT vs.stream FROM powersync.version_streams vs
  JOIN powersync.sync_config_versions v USING (version) WHERE v.state = 'active'`;
/** Versions that are not ended: what belongs to them is kept. */
export const LIVE_STATES = `('processing', 'active')`;

/** The oldest checkpoint that a reader may still work with: the one before the oldest notice. */
export const HORIZON = `(SELECT coalesce((SELECT previous FROM powersync.commits ORDER BY op LIMIT 1), visible_op)
  FROM powersync.instance WHERE id = 1)`;

/** Op of custom write checkpoints of a version that is not served yet: they count from the op of its activation on. */
export const UNTIL_ACTIVE = Number.MAX_SAFE_INTEGER;

/** For checks that the cheap poll of sync configs relies on. */
export function bumpRevision(transaction: Queryable): Promise<number> {
  return transaction.change({ text: 'UPDATE powersync.instance SET revision = revision + 1 WHERE id = 1' });
}

/**
 * Makes visible what can be, `added` included: for the rare changes outside of flushes. The instance is locked.
 * `added` takes the next op id.
 */
export async function publish(
  transaction: Queryable,
  instance: InstanceRow,
  now: number,
  added?: Omit<PendingPart, 'id' | 'firstOp' | 'op' | 'state'>,
): Promise<CommitNotice | null> {
  const sequence = instance.op_sequence + (added ? 1 : 0);
  const parts = (await transaction.rows<PendingRow>(READ_PENDING)).map(pendingPart);
  const part: PendingPart | null = added
    ? { ...added, id: null, state: 'closed', firstOp: sequence, op: sequence }
    : null;
  if (part) parts.push(part);
  const [open] = await transaction.rows<{ open_from: number | null }>({
    text: `SELECT min(least(first_uncommitted, first_held)) AS open_from FROM powersync.streams WHERE id IN (${SERVING_STREAMS})`,
  });
  const publication = publicationOf(parts, open!.open_from, instance.visible_op, now);
  if (part && !publication?.parts.includes(part)) await insertPending(transaction, part);
  if (publication) {
    const { op, version } = publication.notice;
    await Promise.all(writePublication(transaction, publication));
    await transaction.change(ADVANCE_CHECKPOINT, [sequence, op, version]);
    return publication.notice;
  }
  if (part) await transaction.change(ADVANCE_SEQUENCE, [sequence]);
  return null;
}
