/**
 * What a client makes of the lines of a session (S chapters 15.3, 16): it tracks the announced checkpoint, stores operations, and at each
 * completion verifies what the client core verifies, and the rules for the service that the core does not check. Throws at the first
 * violation.
 */
import { createBucketStore, type BucketStore, type WireBucket, type WireOperation } from './bucket-store.ts';
import type { LineCounts, WireLine } from './line-reader.ts';

export interface TrackedCheckpoint {
  lastOpId: string;
  writeCheckpoint: string | null;
  readonly buckets: Map<string, WireBucket>;
  streams: readonly unknown[];
}

export interface ClientModel {
  readonly store: BucketStore;
  readonly counts: LineCounts;
  /** The checkpoint announced last in this session; null before the first. */
  readonly tracked: TrackedCheckpoint | null;
  /** `last_op_id` of the newest validated full completion. */
  readonly completedOp: string | null;
  /** Newest write checkpoint in a validated full completion (S-469). */
  readonly writeCheckpoint: bigint | null;
  /** Rows as of the newest validated completion: what the application sees. Partial completions count for their buckets. */
  readonly visible: ReadonlyMap<string, string>;
  /** A new session begins. */
  begin(): void;
  handle(line: WireLine): void;
}

/** What was announced is not what was sent. */
export class ChecksumError extends Error {
  override readonly name = 'ChecksumError';
}

/** @param onComplete called after each validated full completion */
export function createClientModel(onComplete: () => void = () => undefined): ClientModel {
  const store = createBucketStore();
  const counts: LineCounts = { lines: 0, operations: 0, checkpoints: 0, completes: 0, bytes: 0 };
  let tracked: TrackedCheckpoint | null = null;
  let completedOp: string | null = null;
  let writeCheckpoint: bigint | null = null;
  let visible: ReadonlyMap<string, string> = new Map();
  /** Priority of the last partial completion of the present checkpoint: they come in order (S-505). */
  let completedPriority = -1;
  /** The present checkpoint was completed: what follows must announce another (S-580). */
  let isComplete = true;

  const handlers: Record<string, (content: never) => void> = {
    checkpoint(content: { last_op_id: string; write_checkpoint?: string; buckets: WireBucket[]; streams: unknown[] }) {
      counts.checkpoints++;
      announced(content.last_op_id);
      tracked = {
        lastOpId: content.last_op_id,
        writeCheckpoint: content.write_checkpoint ?? null,
        buckets: new Map(content.buckets.map((bucket) => [bucket.bucket, bucket])),
        streams: content.streams,
      };
      store.keepOnly(new Set(tracked.buckets.keys()));
    },
    checkpoint_diff(content: {
      last_op_id: string;
      write_checkpoint?: string;
      updated_buckets: WireBucket[];
      removed_buckets: string[];
    }) {
      counts.checkpoints++;
      if (tracked === null) throw new Error('checkpoint_diff before checkpoint (S-543)');
      announced(content.last_op_id);
      tracked.lastOpId = content.last_op_id;
      tracked.writeCheckpoint = content.write_checkpoint ?? null;
      for (const name of content.removed_buckets) {
        if (!tracked.buckets.delete(name)) throw new Error(`removed bucket ${name} was not there`);
        store.deleteBucket(name);
      }
      for (const bucket of content.updated_buckets) tracked.buckets.set(bucket.bucket, bucket);
    },
    data(content: { bucket: string; after: string; next_after: string; data: WireOperation[] }) {
      if (tracked === null || !tracked.buckets.has(content.bucket))
        throw new Error(`data of a bucket that is not in the checkpoint: ${content.bucket}`);
      const priority = tracked.buckets.get(content.bucket)!.priority;
      if (priority <= completedPriority)
        throw new Error(`data of priority ${priority} after partial completion ${completedPriority} (S-496)`);
      if (isComplete) throw new Error('data after the completion');
      counts.operations += content.data.length;
      for (const { op_id: opId } of content.data) {
        if (BigInt(opId) > BigInt(tracked.lastOpId))
          throw new Error(`operation ${opId} beyond checkpoint ${tracked.lastOpId} (S-574)`);
      }
      store.addOperations(content.bucket, content.data);
    },
    partial_checkpoint_complete(content: { priority: number; last_op_id: string }) {
      if (tracked === null) throw new Error('partial completion before checkpoint');
      const { priority } = content;
      if (isComplete) throw new Error('partial completion after the completion');
      if (priority <= completedPriority)
        throw new Error(`partial completion ${priority} after ${completedPriority} (S-505)`);
      completedPriority = priority;
      const included = [...tracked.buckets.values()].filter((bucket) => bucket.priority <= priority);
      validate(included, `partial completion ${priority}`);
      const names = new Set(included.map((bucket) => bucket.bucket));
      visible = new Map([...visible, ...store.rows((name) => names.has(name))]);
    },
    checkpoint_complete(content: { last_op_id: string }) {
      if (tracked === null) throw new Error('checkpoint_complete before checkpoint (S-543)');
      if (content.last_op_id !== tracked.lastOpId)
        throw new Error(`completed ${content.last_op_id}, announced ${tracked.lastOpId}`);
      if (isComplete) throw new Error('completed twice (S-580)');
      isComplete = true;
      validate(tracked.buckets.values(), 'completion');
      for (const { bucket, count } of tracked.buckets.values()) {
        if (store.countOf(bucket) > count)
          throw new Error(`bucket ${bucket} has ${store.countOf(bucket)} operations, announced ${count} (S-622)`);
      }
      counts.completes++;
      completedOp = tracked.lastOpId;
      const reached = tracked.writeCheckpoint === null ? null : BigInt(tracked.writeCheckpoint);
      if (reached !== null && writeCheckpoint !== null && reached < writeCheckpoint)
        throw new Error('write checkpoints went back (S-464)');
      writeCheckpoint = reached ?? writeCheckpoint;
      store.completed(tracked.buckets.keys(), tracked.lastOpId);
      visible = store.rows();
      onComplete();
    },
    token_expires_in() {},
  };

  const validate = (buckets: Iterable<WireBucket>, what: string): void => {
    const wrong = store.mismatches(buckets);
    if (wrong.length === 0) return;
    for (const name of wrong) store.deleteBucket(name);
    throw new ChecksumError(`${what} at ${tracked?.lastOpId}: checksums of ${wrong.join(', ')} do not match (S-414)`);
  };

  const announced = (lastOpId: string): void => {
    if (tracked !== null && BigInt(lastOpId) < BigInt(tracked.lastOpId)) throw new Error('checkpoints went back');
    completedPriority = -1;
    isComplete = false;
  };

  return {
    store,
    counts,
    get tracked() {
      return tracked;
    },
    get completedOp() {
      return completedOp;
    },
    get writeCheckpoint() {
      return writeCheckpoint;
    },
    get visible() {
      return visible;
    },
    begin() {
      tracked = null;
      isComplete = true;
    },
    handle(line) {
      counts.lines++;
      const [[kind, content] = ['', null], ...others] = Object.entries(line);
      if (others.length > 0) throw new Error('a line with two members (S-540)');
      handlers[kind]?.(content as never);
    },
  };
}
