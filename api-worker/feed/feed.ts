/**
 * The worker's one view of the instance: its newest checkpoint, and of what sessions hold, the state as of that checkpoint. A commit costs
 * what it changes times who holds it; sessions that it does not concern are not touched (design.md section 5).
 *
 * A commit is entered in one synchronous step, after everything that has to be read for it was read. So whatever a session sees in one
 * turn of the event loop is as of one op.
 */
import type { BucketReader, BucketTotals, Checkpoint } from '#core/bucket-storage/contract.ts';
import type { WriteCheckpointStore } from '#core/bucket-storage/write-checkpoint-store.ts';
import type { SyncConfigStore } from '#core/bucket-storage/sync-config-store.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import type { Clock } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { CreateSessionResolver } from '#core/sync-config/contract.ts';
import { createVersionLoader, type ActiveVersion } from './active-version.ts';
import { createCommitSource, type Advance } from './commit-source.ts';
import type { BucketHolder, Follower } from './follower.ts';
import { createHeldBuckets, type HeldBucket } from './held-buckets.ts';
import { createLookupCache, type LookupEntry } from './lookup-cache.ts';
import { createWakeQueue } from './wake-queue.ts';
import { createWriteCheckpointIndex, type WriteCheckpointEntry } from './write-checkpoint-index.ts';

/** The checkpoint that is announced, and the version of the sync config it belongs to. */
export interface Current {
  readonly op: number;
  readonly version: ActiveVersion;
}

/** What sessions see. */
export interface Feed {
  /** Of the commit entered last; null while no version is active (S-432). */
  readonly current: Current | null;
  /** Catches up with storage. Afterwards `current` is at least what storage showed when this was called. */
  refresh(): Promise<void>;
  /** As `HeldBuckets.hold`. */
  hold<Holder extends BucketHolder>(
    definition: number,
    key: string,
    name: string,
    create: (bucket: HeldBucket) => Holder,
  ): Holder;
  release(bucket: HeldBucket, holder: BucketHolder): void;
  loadTotals(buckets: readonly HeldBucket[]): Promise<void>;
  /** As `HeldBuckets.recount`. */
  recount(): Promise<void>;
  totalsAt(buckets: readonly HeldBucket[], op: number): Promise<BucketTotals[]>;
  /** As `LookupCache.read`. */
  readLookups(
    keys: readonly { lookup: number; key: string }[],
    op: number,
    follower: Follower,
    used: Set<LookupEntry>,
  ): Promise<(readonly string[])[]>;
  unfollowLookup(entry: LookupEntry, follower: Follower): void;
  followWriteCheckpoint(userId: string, clientId: string, follower: Follower): WriteCheckpointEntry;
  unfollowWriteCheckpoint(entry: WriteCheckpointEntry, follower: Follower): void;
  loadWriteCheckpoint(entry: WriteCheckpointEntry): Promise<void>;
  /** Sessions that are woken when another version becomes active. */
  join(follower: Follower): void;
  leave(follower: Follower): void;
}

export interface FeedFigures {
  readonly heldBuckets: number;
  readonly lookupBytes: number;
  readonly followers: number;
  /** Pairs of user and client whose write checkpoints are followed. */
  readonly clients: number;
}

export interface FeedOptions {
  readonly reader: BucketReader;
  readonly configs: SyncConfigStore;
  readonly writeCheckpoints: Pick<WriteCheckpointStore, 'reached'>;
  readonly coordination: Pick<Coordination, 'onCommit' | 'onNudge' | 'shared'>;
  readonly createResolver: CreateSessionResolver;
  readonly lookupCacheBytes: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Storage could not be read; the feed tries again by itself. */
  readonly onFailure: (error: unknown) => void;
  /** A commit was entered: when it was stored (milliseconds since 1970), and how many sessions it concerned. */
  readonly onCommit: (storedMs: number, sessions: number) => void;
}

/** Follows the instance until `signal` aborts. */
export function createFeed(options: FeedOptions): Feed & { figures(): FeedFigures; followedLookups(): number } {
  const { reader, configs, createResolver } = options;
  let current: { op: number; version: ActiveVersion } | null = null;
  const currentOp = (): number => current?.op ?? 0;
  const buckets = createHeldBuckets(reader, currentOp);
  const lookups = createLookupCache(reader, options.lookupCacheBytes, currentOp);
  const writeCheckpoints = createWriteCheckpointIndex(options.writeCheckpoints, currentOp);
  const loadVersion = createVersionLoader(configs, createResolver);
  const followers = new Set<Follower>();
  const wakeQueue = createWakeQueue(options.clock);

  const enter = (
    target: Checkpoint,
    version: ActiveVersion,
    changes: (wake: (follower: Follower) => void) => void,
  ): number => {
    const woken = new Set<Follower>();
    const switched = current !== null && current.version !== version;
    current = { op: target.op, version };
    changes((follower) => void woken.add(follower));
    if (switched) for (const follower of followers) woken.add(follower);
    wakeQueue.add(woken);
    return woken.size;
  };

  const deliver = async (advance: Advance): Promise<void> => {
    const commit = advance.kind === 'commit' ? advance.notice : null;
    const target =
      advance.kind === 'commit' ? { version: advance.notice.version, op: advance.notice.op } : advance.checkpoint;
    const [version, resetBuckets, resetWriteCheckpoints] = await Promise.all([
      current?.version.version === target.version ? current.version : loadVersion(target.version),
      commit?.buckets ? null : buckets.prepareReset(target.op),
      commit?.writeCheckpoints ? null : writeCheckpoints.prepareReset(target.op),
    ]);
    const sessions = enter(target, version, (wake) => {
      const bucketChanged = (bucket: HeldBucket): void => {
        for (const holder of bucket.holders) {
          holder.bucketChanged();
          wake(holder.follower);
        }
      };
      if (resetBuckets) resetBuckets(bucketChanged);
      else buckets.apply(commit?.buckets ?? [], bucketChanged);
      lookups.apply(commit?.lookups ?? null, target.op, (follower) => {
        follower.lookupsChanged();
        wake(follower);
      });
      const reached = (follower: Follower): void => {
        follower.writeCheckpointReached();
        wake(follower);
      };
      if (resetWriteCheckpoints) resetWriteCheckpoints(reached);
      else writeCheckpoints.apply(commit?.writeCheckpoints ?? [], target.op, reached);
    });
    if (commit) options.onCommit(commit.storedMs, sessions);
  };

  const source = createCommitSource({
    reader,
    coordination: options.coordination,
    clock: options.clock,
    random: options.random,
    signal: options.signal,
    deliver,
    onFailure: options.onFailure,
  });

  return {
    get current() {
      return current;
    },
    followedLookups: () => lookups.followed,
    refresh: source.refresh,
    hold: buckets.hold,
    release: buckets.release,
    loadTotals: buckets.load,
    recount: buckets.recount,
    totalsAt: buckets.totalsAt,
    readLookups: lookups.read,
    unfollowLookup: lookups.unfollow,
    followWriteCheckpoint: writeCheckpoints.follow,
    unfollowWriteCheckpoint: writeCheckpoints.unfollow,
    loadWriteCheckpoint: writeCheckpoints.load,
    join: (follower) => void followers.add(follower),
    leave(follower) {
      followers.delete(follower);
      wakeQueue.remove(follower);
    },
    figures: () => ({
      heldBuckets: buckets.size,
      lookupBytes: lookups.bytes,
      followers: followers.size,
      clients: writeCheckpoints.size,
    }),
  };
}

/** The current checkpoint, or PSYNC_S2302. */
export function requireCurrent(feed: Feed): Current {
  if (feed.current === null) throw codedError('PSYNC_S2302', 'No sync config available');
  return feed.current;
}
