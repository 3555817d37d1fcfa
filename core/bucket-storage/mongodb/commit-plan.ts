/** What a flush does to the instance: op ids, what is open, what becomes visible. Pure. */
import { codedError } from '../../platform/errors/coded-error.ts';
import type { FlushBatch } from '../contract.ts';
import type { ClosedRange, Instance, StreamRecord } from './documents.ts';
import { close, publish, type Publication, withStream } from './visibility.ts';

/** Commits of one hold whose lists are kept; more are published unlisted. */
const HELD_COMMITS_LIMIT = 100;

export interface CommitPlan extends Publication {
  readonly before: Instance;
  readonly stream: StreamRecord;
  readonly firstOp: number;
  readonly lastOp: number;
  /** From this op on the commit counts. */
  readonly at: number;
  /** The commit's own range, when it is complete: published, or waiting for others. */
  readonly range: ClosedRange | null;
  /** Whether lists of this commit are kept until it is complete. */
  readonly keepLists: boolean;
}

/** Throws PSYNC_S1020 when the stream has ended. */
export function planFlush(before: Instance, source: string, batch: FlushBatch, nowMs: number): CommitPlan {
  const stream = before.streams[batch.stream];
  if (stream === undefined || stream.source !== source) throw streamEnded(batch.stream);
  const { commit } = batch;
  const ids = batch.operations === 0 && commit?.announce === true ? 1 : batch.operations;
  const firstOp = before.sequence + 1;
  const lastOp = before.sequence + ids;
  const openFrom = stream.openFrom ?? (ids > 0 ? firstOp : null);
  const openTo = ids > 0 ? lastOp : stream.openTo;
  const at = openTo ?? before.sequence;
  let instance: Instance = { ...before, sequence: lastOp };
  if (commit === undefined) {
    instance = withStream(instance, batch.stream, { openFrom, openTo, dirty: true });
    return {
      before,
      stream,
      instance,
      firstOp,
      lastOp,
      at,
      range: null,
      keepLists: false,
      published: [],
      activated: null,
    };
  }
  const hold = commit.progress === undefined ? stream.hold : commit.progress.holdUntil !== null;
  const common = {
    hold,
    position: commit.position ?? stream.position,
    committedOp: openTo === null ? stream.committedOp : Math.max(stream.committedOp, openTo),
    lastCommitMs: nowMs,
    transaction: stream.dirty ? stream.transaction + 1 : stream.transaction,
    dirty: false,
  };
  if (hold) {
    const news = openFrom !== null && openTo !== stream.heldTo;
    const heldCommits =
      stream.heldCommits === null || stream.heldCommits >= HELD_COMMITS_LIMIT
        ? null
        : stream.heldCommits + (news ? 1 : 0);
    const keepLists = news && heldCommits !== null && stream.serving;
    instance = withStream(instance, batch.stream, {
      ...common,
      openFrom,
      openTo,
      heldFrom: openFrom,
      heldTo: openTo,
      heldCommits,
    });
    return { before, stream, instance, firstOp, lastOp, at, range: null, keepLists, published: [], activated: null };
  }
  const nothingOpen = { openFrom: null, openTo: null, heldFrom: null, heldTo: null, heldCommits: 0 };
  instance = withStream(instance, batch.stream, { ...common, ...nothingOpen });
  if (openFrom === null || openTo === null || !stream.serving) {
    return {
      before,
      stream,
      instance,
      firstOp,
      lastOp,
      at,
      range: null,
      keepLists: false,
      published: [],
      activated: null,
    };
  }
  const range: ClosedRange = { first: openFrom, last: openTo, listed: stream.heldCommits !== null };
  const publication = publish(close(instance, range));
  const waits = publication.instance.closed.includes(range);
  return { before, stream, ...publication, firstOp, lastOp, at, range, keepLists: waits && range.listed };
}

export function streamEnded(stream: number): Error {
  return codedError(
    'PSYNC_S1020',
    `Stream ${stream} has ended: its sync config version was replaced or failed. Nothing was written.`,
  );
}
