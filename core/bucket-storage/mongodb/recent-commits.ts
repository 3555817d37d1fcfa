/**
 * Small commits stand in the instance document first: one update of one document instead of a transaction over three, which halves the
 * time until clients see them. They move to `bucket_data` and `commits`, several at a time, with the next change that makes anything
 * visible in another way. So everything visible up to some op is in the collections, and everything above it here.
 */
import { Binary, type ClientSession } from 'mongodb';
import type { CommitNotice, FlushBatch, FlushContent, StreamCommit } from '../contract.ts';
import { chunkBytes, chunkDocuments, insertChunks, type PreparedChunks } from './chunks.ts';
import type { CommitPlan } from './commit-plan.ts';
import type { ChunkDocument, Collections, Instance, RecentCommit } from './documents.ts';
import { listsOf, noticeDocument } from './notice-lists.ts';
import { pairFrom, pairOf, recordReached } from './reached-write-checkpoints.ts';

/** The document is written as a whole by each commit, so what stands in it has to stay small. */
const MOST_COMMITS = 32;
const MOST_BYTES = 32 * 1024;
const MOST_BYTES_OF_ONE = 8 * 1024;
const MOST_OPERATIONS = 64;
/** What a chunk or notice takes besides keys and data. */
const OVERHEAD = 200;

/** Whether a flush writes nothing but chunks and managed write checkpoints, and is visible at once and alone. */
export function maySitInInstance(plan: CommitPlan, batch: FlushBatch): boolean {
  const { commit } = batch;
  if (commit === undefined || commit.progress !== undefined) return false;
  // With several sources it takes the document of a write checkpoint to tell whether it is reached.
  if (commit.reachedWriteCheckpoints.length > 0 && plan.before.activeSources.length !== 1) return false;
  if (batch.operations > MOST_OPERATIONS || batch.rowStates.length > 0 || plan.stream.dirty) return false;
  if ((batch.customWriteCheckpoints ?? []).length > 0) return false;
  const isAlone = plan.published.length === 1 && plan.published[0] === plan.range;
  return isAlone && plan.activated === null && plan.stream.heldFrom === null;
}

/** The instance with the commit in it; null when it has no room, or the content is of another kind. */
export function withRecent(
  { before, instance }: CommitPlan,
  { reachedWriteCheckpoints, sourceTimeMs }: StreamCommit,
  content: FlushContent,
  prepared: PreparedChunks,
  storedMs: number,
): { readonly instance: Instance; readonly notice: CommitNotice } | null {
  if (content.lookups.length > 0 || before.recent.length >= MOST_COMMITS) return null;
  let bytes = OVERHEAD;
  for (const { key, operations } of content.chunks) bytes += OVERHEAD + 2 * key.length + operations.length;
  for (const { userId, clientId } of reachedWriteCheckpoints) bytes += OVERHEAD + 4 * (userId.length + clientId.length);
  if (bytes > MOST_BYTES_OF_ONE || bytes + bytesOf(before.recent) > MOST_BYTES) return null;
  const notice: CommitNotice = {
    version: instance.active!,
    op: instance.visible,
    previous: before.visible,
    ...listsOf(content, reachedWriteCheckpoints),
    sourceTimeMs,
    storedMs,
  };
  const commit: RecentCommit = {
    notice: noticeDocument(notice),
    chunks: chunkDocuments(content.chunks, null, prepared).map(withOwnBytes),
    reached: reachedWriteCheckpoints.map((item) => [pairOf(item), String(item.checkpoint)]),
  };
  return { instance: { ...instance, recent: [...before.recent, commit] }, notice };
}

/** The bytes of a batch are overwritten after its flush; these are kept in memory until they are moved. */
function withOwnBytes(document: ChunkDocument): ChunkDocument {
  return { ...document, d: new Binary(Buffer.from(chunkBytes(document.d))) };
}

function bytesOf(recent: readonly RecentCommit[]): number {
  let bytes = 0;
  for (const { notice, chunks, reached } of recent) {
    bytes += OVERHEAD + notice.lists.length;
    for (const [pair] of reached) bytes += OVERHEAD + pair.length;
    for (const chunk of chunks) bytes += OVERHEAD + chunk._id.length + chunkBytes(chunk.d).length;
  }
  return bytes;
}

/** Moves the recent commits of `instance` to where they stay. The same transaction takes them out of it. */
export async function settle(collections: Collections, instance: Instance, session: ClientSession): Promise<void> {
  const { recent, activeSources } = instance;
  if (recent.length === 0) return;
  const chunks = recent.flatMap((commit) => commit.chunks);
  const notices = recent.map(({ notice }) => notice);
  await insertChunks(collections, chunks, session);
  await collections.commits.insertMany(notices, { session });
  const reached = recent.filter((commit) => commit.reached.length > 0);
  if (reached.length === 0) return;
  const commits = reached.map((commit) => ({
    instance,
    source: activeSources[0]!,
    op: commit.notice._id,
    nowMs: commit.notice.storedMs,
    managed: commit.reached.map(([pair, checkpoint]) => ({ ...pairFrom(pair), checkpoint: BigInt(checkpoint) })),
  }));
  await recordReached(collections, commits, session);
}
