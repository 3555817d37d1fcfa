/** One flush of a writer: what is decided on the instance, and the rest of its transaction. */
import type { ClientSession } from 'mongodb';
import { codedError } from '../../platform/errors/coded-error.ts';
import type { FlushBatch, FlushContent, FlushResult, ReachedWriteCheckpoint } from '../contract.ts';
import { chunkDocuments, insertChunks, type PreparedChunks } from './chunks.ts';
import type { CommitPlan } from './commit-plan.ts';
import type { Collections } from './documents.ts';
import { insertLookups } from './lookups.ts';
import { listsOf, mergeLists, type NoticeLists } from './notice-lists.ts';
import { announce, keepLists, takeHeld } from './publication.ts';
import { recordReached, stageCustom, takeStaged } from './reached-write-checkpoints.ts';
import { type BlockPresence, keepForUndo, writeRowStates } from './row-states.ts';
import { recordActivation } from './activation.ts';

export interface FlushContext {
  readonly collections: Collections;
  readonly source: string;
  readonly nowMs: number;
  /** Unique among the flushes of this stream. */
  readonly name: string;
  readonly prepared: PreparedChunks;
  readonly blockPresence: BlockPresence;
  /** What earlier flushes of the same transaction changed. */
  readonly gathered: NoticeLists;
}

export interface Flushed extends FlushResult {
  /** What the transaction changed so far; of interest when it goes on. */
  readonly lists: NoticeLists;
}

/** Everything after the instance document, which is changed already: in the same transaction. */
export async function writeFlush(
  context: FlushContext,
  plan: CommitPlan,
  batch: FlushBatch,
  session: ClientSession,
): Promise<Flushed> {
  const { collections, name } = context;
  const { commit, stream: id, rowStates } = batch;
  const content = batch.build(plan.firstOp);
  checkDefinitions(content, plan.stream.definitions, id);
  const unfinished = commit === undefined ? id : null;
  await insertChunks(collections, chunkDocuments(content.chunks, unfinished, context.prepared), session);
  await insertLookups(collections, content.lookups, unfinished, session);
  if (unfinished !== null) {
    await keepForUndo(collections, { stream: id, transaction: plan.stream.transaction, name }, rowStates, session);
  }
  // Undoing knows rows, not blocks.
  const blocksAt = unfinished === null ? plan.before.tick : null;
  await writeRowStates(collections, context.blockPresence, rowStates, blocksAt, session);
  const reached = await writeCheckpoints(context, plan, batch, session);
  const lists = mergeLists([context.gathered, listsOf(content, reached)]);
  if (commit?.progress !== undefined) {
    await collections.streams.updateOne({ _id: id }, { $set: { progress: commit.progress } }, { session });
  }
  const notice = commit === undefined ? null : await publishCommit(context, plan, batch, lists, session);
  return { firstOp: plan.firstOp, lastOp: plan.lastOp, notice, lists };
}

export function checkDefinitions(content: FlushContent, definitions: readonly number[], stream: number): void {
  const written = new Set(definitions);
  const foreign =
    content.chunks.find((chunk) => !written.has(chunk.definition))?.definition ??
    content.lookups.find((entry) => !written.has(entry.lookup))?.lookup;
  if (foreign === undefined) return;
  throw codedError('PSYNC_S0001', `Stream ${stream} does not write definition ${foreign}. The flush was not stored.`);
}

/** Answers what the commit's notice tells of. */
async function writeCheckpoints(
  { collections, nowMs, name }: FlushContext,
  plan: CommitPlan,
  batch: FlushBatch,
  session: ClientSession,
): Promise<readonly ReachedWriteCheckpoint[]> {
  const custom = batch.customWriteCheckpoints ?? [];
  const { commit, stream: id } = batch;
  const { stream } = plan;
  if (commit === undefined) {
    await stageCustom(collections, { stream: id, transaction: stream.transaction, name }, custom, session);
    return [];
  }
  const staged = stream.dirty ? await takeStaged(collections, id, stream.transaction, session) : [];
  const managed = stream.serving ? commit.reachedWriteCheckpoints : [];
  const allCustom = staged.length === 0 ? custom : [...staged, ...custom];
  if (managed.length === 0 && allCustom.length === 0) return [];
  const commitOf = { instance: plan.before, source: stream.source, op: plan.at, nowMs, managed };
  return recordReached(collections, [{ ...commitOf, custom: { stream: id, carried: allCustom } }], session);
}

async function publishCommit(
  { collections, nowMs }: FlushContext,
  plan: CommitPlan,
  { stream: id, commit }: FlushBatch,
  lists: NoticeLists,
  session: ClientSession,
): Promise<FlushResult['notice']> {
  const sourceTimeMs = commit!.sourceTimeMs;
  if (plan.range === null) {
    if (plan.keepLists) await keepLists(collections, { op: plan.at, lists, sourceTimeMs }, id, session);
    return null;
  }
  // A commit ends a hold: what was held becomes part of it.
  const heldBefore = plan.stream.heldFrom === null ? [] : await takeHeld(collections, id, session);
  const own = { op: plan.range.last, lists: mergeLists([...heldBefore, lists]), sourceTimeMs };
  if (plan.keepLists) await keepLists(collections, own, null, session);
  const isPublished = plan.published.includes(plan.range);
  const notice = await announce(collections, plan, plan.before, isPublished ? own : null, nowMs, session);
  await recordActivation(collections, plan.before, plan, nowMs, session);
  return notice;
}
