/**
 * One flush: one storage transaction in two round trips. The first locks the instance and reads where it stands; the second carries all
 * writes and the commit.
 */
import type pg from 'pg';
import { codedError } from '../../platform/errors/coded-error.ts';
import type { Chunk, FlushBatch, FlushContent, FlushResult, LookupEntry, ReachedWriteCheckpoint } from '../contract.ts';
import {
  FORGET_UNDO,
  insertChunks,
  insertLookups,
  noteUndo,
  writeReached,
  writeRowStates,
  type BatchLimits,
} from './bulk-writes.ts';
import type { Queryable, Statement } from './database.ts';
import { ADVANCE_CHECKPOINT, ADVANCE_SEQUENCE, LOCK_INSTANCE, UNTIL_ACTIVE, type InstanceRow } from './instance.ts';
import { listsOf, mergeLists, noticeOf, type CommitRow } from './notice-lists.ts';
import {
  deletePending,
  insertPending,
  pendingPart,
  publicationOf,
  READ_PENDING,
  writePublication,
  type PendingPart,
  type PendingRow,
  type Publication,
} from './publication.ts';
import { type PassedByOthers, passedByOthers, reachedByAll } from './write-checkpoint-rows.ts';
import { fenced, READ_STREAM_STATE, streamEnded, type StreamState } from './stream-state.ts';

export interface FlushContext {
  readonly source: string;
  readonly epoch: number;
  /** Of this attempt and those before it: storage applies it once. */
  readonly flushId: string;
  readonly now: number;
  readonly limits: BatchLimits;
}

interface Standing {
  readonly instance: InstanceRow;
  readonly state: StreamState;
  readonly pending: readonly PendingPart[];
  /** What the other sources have passed of each managed write checkpoint of the batch. */
  readonly others: readonly PassedByOthers[];
}

/**
 * Writes a batch on a pipelined connection. Fails with PSYNC_S1003 when the epoch is not the newest. After any error of the server the
 * transaction is rolled back; after a lost connection its outcome is unknown, and the same `flushId` may be tried again.
 */
export async function flushOnce(client: pg.Client, context: FlushContext, batch: FlushBatch): Promise<FlushResult> {
  const transaction = pipelined(client);
  try {
    const standing = await begin(client, transaction, context, batch);
    const { state } = standing;
    if (state.flush_id === context.flushId) return await answerAgain(transaction, state);
    const plan = planFlush(batch, standing, context);
    const writes = [
      ...contentWrites(transaction, batch, plan, context),
      ...stateWrites(transaction, batch, plan, standing, context),
    ];
    await settled([...writes, commit(client)]);
    return { firstOp: plan.firstOp, lastOp: plan.lastOp, notice: plan.publication?.notice ?? null };
  } catch (error) {
    // After a failed COMMIT there is nothing to roll back, and the server only warns.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function begin(
  client: pg.Client,
  transaction: Queryable,
  context: FlushContext,
  batch: FlushBatch,
): Promise<Standing> {
  const managed = batch.commit?.reachedWriteCheckpoints ?? [];
  const [, instances, states, pending, others] = await settled([
    client.query('BEGIN ISOLATION LEVEL READ COMMITTED'),
    transaction.rows<InstanceRow>(LOCK_INSTANCE),
    transaction.rows<StreamState>(READ_STREAM_STATE, [context.source, batch.stream]),
    transaction.rows<PendingRow>(READ_PENDING),
    passedByOthers(transaction, context.source, managed),
  ]);
  const state = states[0];
  if (state?.epoch !== context.epoch) throw fenced(context.source);
  if (state.id === null || !state.live) throw streamEnded(batch.stream);
  return { instance: instances[0]!, state, pending: pending.map(pendingPart), others };
}

/** The flush was applied, its answer lost. */
async function answerAgain(transaction: Queryable, state: StreamState): Promise<FlushResult> {
  const [[row]] = await settled([
    transaction.rows<CommitRow>({ text: 'SELECT * FROM powersync.commits WHERE op = $1' }, [state.flush_notice]),
    transaction.change({ text: 'ROLLBACK' }),
  ]);
  return { firstOp: state.flush_first!, lastOp: state.flush_last!, notice: row ? noticeOf(row) : null };
}

interface FlushPlan {
  readonly firstOp: number;
  readonly lastOp: number;
  readonly chunks: readonly Chunk[];
  readonly lookups: readonly LookupEntry[];
  readonly publication: Publication | null;
  /** Parts to store for later, and stored ones they replace. */
  readonly keep: PendingPart | null;
  readonly replaced: readonly PendingPart[];
  readonly firstUncommitted: number | null;
  readonly firstHeld: number | null;
}

/** Decides what the flush does to op ids and visibility, and builds its content. */
function planFlush(batch: FlushBatch, standing: Standing, context: FlushContext): FlushPlan {
  const { instance, state, pending, others } = standing;
  const { commit } = batch;
  const custom = batch.customWriteCheckpoints ?? [];
  const reached = reachedOf(batch, state);
  const own = pending.filter((part) => part.stream === batch.stream && part.state !== 'closed');
  const held = commit !== undefined && state.serving !== null && holdOf(batch, state) !== null;
  const needsId = commit?.announce || custom.length > 0 || reached.length > 0;
  const firstOp = instance.op_sequence + 1;
  const lastOp = instance.op_sequence + (batch.operations === 0 && needsId ? 1 : batch.operations);
  const { chunks, lookups } = checked(batch.build(firstOp), firstOp, lastOp, new Set(state.writable));
  const used = lastOp >= firstOp ? firstOp : null;
  const firstUncommitted = commit ? null : (state.first_uncommitted ?? used);
  const firstHeld = held ? (state.first_held ?? state.first_uncommitted ?? used) : null;
  const base = { firstOp, lastOp, chunks, lookups, firstUncommitted, firstHeld };
  // Without an op of its own a commit still ends what flushes before it left open.
  const endsOpen = commit !== undefined && own.length > 0;
  if (state.serving === null || (used === null && !endsOpen)) {
    return { ...base, publication: null, keep: null, replaced: [] };
  }
  const kind = commit === undefined ? 'open' : held ? 'held' : 'closed';
  // A flush that is not final adds to what is open; a commit takes everything with it.
  const replaced = own.filter((part) => commit !== undefined || part.state === 'open');
  const part: PendingPart = {
    ...mergeLists([...replaced, listsOf(chunks, lookups, [...reachedByAll(reached, others), ...custom])]),
    id: null,
    stream: batch.stream,
    state: kind,
    firstOp: Math.min(used ?? lastOp, ...replaced.map((item) => item.firstOp)),
    op: used === null ? Math.max(...replaced.map((item) => item.op)) : lastOp,
    version: state.serving,
    sourceTimeMs: commit?.sourceTimeMs ?? null,
  };
  if (kind !== 'closed') return { ...base, publication: null, keep: part, replaced };
  const waiting = pending.filter((item) => item.state === 'closed');
  const publication = publicationOf([...waiting, part], state.others_open, instance.visible_op, context.now);
  const keep = publication?.parts.includes(part) ? null : part;
  return { ...base, publication, keep, replaced };
}

function holdOf(batch: FlushBatch, state: StreamState): string | null {
  const progress = batch.commit?.progress;
  return progress ? progress.holdUntil : state.hold_until;
}

/** What a version that is being processed reaches says nothing: clients see another one. */
function reachedOf({ commit }: FlushBatch, state: StreamState): readonly ReachedWriteCheckpoint[] {
  return commit === undefined || state.serving === null ? [] : commit.reachedWriteCheckpoints;
}

/** Ids outside of what was allocated would break the order of everything after; so would a second writer of a definition. */
function checked(content: FlushContent, firstOp: number, lastOp: number, writable: ReadonlySet<number>): FlushContent {
  const { chunks, lookups } = content;
  const fits =
    chunks.every((chunk) => chunk.firstOp >= firstOp && chunk.lastOp <= lastOp) &&
    lookups.every((entry) => entry.op >= firstOp && entry.op <= lastOp);
  if (!fits) throw codedError('PSYNC_S0001', `A flush holds op ids outside of the allocated ${firstOp}-${lastOp}.`);
  const foreign =
    chunks.find((chunk) => !writable.has(chunk.definition))?.definition ??
    lookups.find((entry) => !writable.has(entry.lookup))?.lookup;
  if (foreign === undefined) return content;
  throw codedError('PSYNC_S0001', `A flush holds data of definition ${foreign}, which its stream does not write.`);
}

function contentWrites(
  transaction: Queryable,
  batch: FlushBatch,
  plan: FlushPlan,
  { limits }: FlushContext,
): Promise<unknown>[] {
  const { chunks, lookups } = plan;
  const { rowStates } = batch;
  return [
    ...insertChunks(transaction, chunks, limits),
    ...insertLookups(transaction, lookups, limits),
    ...writeRowStates(transaction, rowStates, limits),
    ...(batch.commit ? [] : noteUndo(transaction, batch.stream, { chunks, lookups, rowStates }, limits)),
  ];
}

function stateWrites(
  transaction: Queryable,
  batch: FlushBatch,
  plan: FlushPlan,
  { instance, state }: Standing,
  context: FlushContext,
): Promise<unknown>[] {
  const { commit, stream } = batch;
  const { lastOp, publication, keep, replaced } = plan;
  const at = { source: context.source, stream, op: lastOp };
  const customOp = state.serving === null ? UNTIL_ACTIVE : lastOp;
  const work = [
    ...writeReached(transaction, batch.customWriteCheckpoints ?? [], { ...at, custom: true, op: customOp }),
    ...writeReached(transaction, reachedOf(batch, state), { ...at, custom: false }),
  ];
  if (commit) work.push(transaction.change(FORGET_UNDO, [stream]));
  if (replaced.length > 0) work.push(deletePending(transaction, replaced));
  if (keep) work.push(insertPending(transaction, keep));
  if (publication) work.push(...writePublication(transaction, publication));
  work.push(updateStream(transaction, batch, plan, state, context));
  if (publication) {
    work.push(transaction.change(ADVANCE_CHECKPOINT, [lastOp, publication.notice.op, publication.notice.version]));
  } else if (lastOp > instance.op_sequence) {
    work.push(transaction.change(ADVANCE_SEQUENCE, [lastOp]));
  }
  return work;
}

const UPDATE_STREAM: Statement = {
  name: 'update_stream',
  text: `UPDATE powersync.streams SET position = coalesce($2, position), progress = coalesce($3::json, progress), committed_op = $4,
      first_uncommitted = $5, first_held = $6, last_commit_ms = coalesce($7, last_commit_ms),
      flush_id = $8, flush_first = $9, flush_last = $10, flush_notice = $11
    WHERE id = $1`,
};

function updateStream(
  transaction: Queryable,
  { stream, commit }: FlushBatch,
  plan: FlushPlan,
  state: StreamState,
  { flushId, now }: FlushContext,
): Promise<unknown> {
  const { firstOp, lastOp, firstUncommitted, firstHeld, publication } = plan;
  const earlier = state.first_uncommitted === null ? state.committed_op : (state.flush_last ?? 0);
  const committedOp = commit ? Math.max(state.committed_op, lastOp >= firstOp ? lastOp : earlier) : state.committed_op;
  const progress = commit?.progress ? JSON.stringify(commit.progress) : null;
  const held = commit ? firstHeld : state.first_held;
  const values = [stream, commit?.position ?? null, progress, committedOp, firstUncommitted, held, commit ? now : null];
  return transaction.change(UPDATE_STREAM, [...values, flushId, firstOp, lastOp, publication?.notice.op ?? null]);
}

/** Statements sent at once; each answers when its turn comes. */
function pipelined(client: pg.Client): Queryable {
  return {
    rows: async <Row extends object>(statement: Statement, values: readonly unknown[] = []) =>
      (await client.query({ ...statement, values: values as unknown[] })).rows as Row[],
    change: async (statement, values = []) =>
      (await client.query({ ...statement, values: values as unknown[] })).rowCount ?? 0,
  };
}

async function commit(client: pg.Client): Promise<void> {
  const result = await client.query('COMMIT');
  // The server answers the COMMIT of a failed transaction with ROLLBACK; the failure is among the answers before.
  if (result.command !== 'COMMIT') throw codedError('PSYNC_S2404', 'Bucket storage rolled a flush back.');
}

/** All results, or the first error once every answer has come: the connection is then at rest. */
async function settled<T extends readonly unknown[]>(work: [...{ [K in keyof T]: Promise<T[K]> }]): Promise<T>;
async function settled(work: readonly Promise<unknown>[]): Promise<readonly unknown[]>;
async function settled(work: readonly Promise<unknown>[]): Promise<readonly unknown[]> {
  const results = await Promise.allSettled(work);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
