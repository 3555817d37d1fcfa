/** The buckets of one session: what the client was told about each, and what it holds of it (S-608). */
import type { BucketTotals } from '#core/bucket-storage/contract.ts';
import type { BucketEntry, SubscriptionReason } from '#core/protocol/lines.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { ResolvedBucket } from '#core/sync-config/contract.ts';
import type { ActiveDefinition, ActiveVersion } from '../feed/active-version.ts';
import type { Feed } from '../feed/feed.ts';
import type { BucketHolder, Follower } from '../feed/follower.ts';
import type { HeldBucket } from '../feed/held-buckets.ts';
import { receivedBy, sameReasons, type SharedLines } from './shared-lines.ts';

export interface SessionBucket extends BucketHolder {
  readonly held: HeldBucket;
  readonly stream: string;
  priority: number;
  reasons: readonly SubscriptionReason[];
  /** The client has every operation up to it. */
  position: number;
  /** Totals as announced last; null when never. */
  announced: BucketTotals | null;
  /** The entry that the client was sent last. */
  told: BucketEntry | null;
  /** Something in the bucket's entry may differ from what was announced. */
  dirty: boolean;
}

export interface Holdings {
  size(): number;
  /**
   * Takes over a resolution. Buckets that come back before their removal was announced continue; all other new ones start where the
   * request says, or, once the first checkpoint is out, from the beginning (S-566). Answers whether buckets came, went or were re-reasoned.
   */
  apply(buckets: readonly ResolvedBucket[], version: ActiveVersion): boolean;
  /** Something would have to be told to the client. */
  changed(): boolean;
  /** A bucket came or went since the last announcement. */
  setChanged(): boolean;
  /** Buckets whose totals are needed for the next announcement. */
  needed(full: boolean): SessionBucket[];
  /**
   * The entries of the next checkpoint and the names removed; from here on they count as announced. `totalsOf` answers totals as of `op`.
   */
  announce(full: boolean, op: number, totalsOf: (bucket: SessionBucket) => BucketTotals): Announcement;
  names(): string[];
  releaseAll(): void;
}

export interface Announcement {
  readonly entries: BucketEntry[];
  /** Those of the entries, and any other that has something to send. */
  readonly buckets: SessionBucket[];
  readonly removed: string[];
}

export interface HoldingsOptions {
  readonly feed: Feed;
  readonly shared: SharedLines;
  readonly follower: Follower;
  /** Told when the totals of a bucket have changed, once until the next announcement. */
  readonly onBucketChanged: (bucket: SessionBucket) => void;
  /** Where the client says it stands in buckets that it holds. */
  readonly positions: ReadonlyMap<string, number>;
}

export function createHoldings({
  feed,
  shared,
  follower,
  onBucketChanged,
  positions: requested,
}: HoldingsOptions): Holdings {
  const buckets = new Map<string, SessionBucket>();
  /** Announced once, not resolved any more, removal not announced yet. */
  let leaving: Map<string, SessionBucket> | null = null;
  let dirty: SessionBucket[] = [];
  let setChanged = false;
  /** Let go after the first announcement: from then on the client holds nothing that was not announced. */
  let positions: ReadonlyMap<string, number> | null = requested;

  const touch = (bucket: SessionBucket): void => {
    if (bucket.dirty) return;
    bucket.dirty = true;
    dirty.push(bucket);
  };

  const add = (name: string, { id, stream }: ActiveDefinition, resolved: ResolvedBucket): void => {
    const bucket = feed.hold(id, resolved.key, name, (held): SessionBucket => {
      const created: SessionBucket = {
        follower,
        held,
        stream,
        priority: resolved.priority,
        reasons: resolved.reasons,
        position: positions?.get(name) ?? 0,
        announced: null,
        told: null,
        dirty: false,
        bucketChanged() {
          touch(created);
          onBucketChanged(created);
        },
      };
      return created;
    });
    buckets.set(name, bucket);
    touch(bucket);
    setChanged = true;
  };

  const update = (bucket: SessionBucket, resolved: ResolvedBucket): boolean => {
    if (bucket.priority === resolved.priority && sameReasons(bucket.reasons, resolved.reasons)) return false;
    bucket.priority = resolved.priority;
    bucket.reasons = resolved.reasons;
    touch(bucket);
    return true;
  };

  const apply: Holdings['apply'] = (list, version) => {
    const names = new Set<string>();
    let changed = false;
    for (const resolved of list) {
      const definition = version.buckets.get(resolved.identity);
      if (definition === undefined) {
        throw codedError(
          'PSYNC_S0001',
          'The plan of the active sync config names a bucket definition that was not deployed with it.',
        );
      }
      const name = definition.prefix + resolved.key;
      names.add(name);
      const back = leaving?.get(name);
      if (back !== undefined) {
        leaving!.delete(name);
        buckets.set(name, back);
        touch(back);
        changed = true;
      }
      const known = buckets.get(name);
      if (known !== undefined) {
        changed = update(known, resolved) || changed;
      } else {
        add(name, definition, resolved);
        changed = true;
      }
    }
    if (names.size !== buckets.size) {
      changed = true;
      for (const [name, bucket] of buckets) if (!names.has(name)) leave(name, bucket);
    }
    return changed;
  };

  const leave = (name: string, bucket: SessionBucket): void => {
    buckets.delete(name);
    setChanged = true;
    if (bucket.announced === null) {
      feed.release(bucket.held, bucket);
      bucket.dirty = false;
    } else {
      (leaving ??= new Map()).set(name, bucket);
    }
  };

  const current = (bucket: SessionBucket): boolean => buckets.get(bucket.held.name) === bucket;

  const announce: Holdings['announce'] = (full, op, totalsOf) => {
    const due = full ? [...buckets.values()] : dirty.filter(current);
    const entries: BucketEntry[] = [];
    const listed: SessionBucket[] = [];
    dirty = [];
    for (const bucket of due) {
      bucket.dirty = false;
      const totals = totalsOf(bucket);
      if (bucket.announced === null && bucket.position > op) bucket.position = op;
      bucket.announced = totals;
      if (full || !isTold(bucket, totals)) {
        bucket.told = shared.entry(bucket.held, totals, bucket.priority, bucket.reasons);
        entries.push(bucket.told);
        listed.push(bucket);
      } else if (bucket.position < totals.lastOp) {
        listed.push(bucket);
      }
      // Announced as of an earlier op than the feed's: it has to be looked at again.
      if (bucket.held.totals !== totals && bucket.held.totals?.lastOp !== totals.lastOp) touch(bucket);
    }
    const removed = [...(leaving?.keys() ?? [])];
    for (const bucket of leaving?.values() ?? []) feed.release(bucket.held, bucket);
    leaving = null;
    setChanged = false;
    positions = null;
    return { entries, buckets: listed, removed };
  };

  return {
    size: () => buckets.size,
    apply,
    changed: () => dirty.length > 0 || (leaving?.size ?? 0) > 0,
    setChanged: () => setChanged,
    needed: (full) => (full ? [...buckets.values()] : dirty.filter(current)),
    announce,
    names: () => [...buckets.keys()],
    releaseAll() {
      for (const bucket of [...buckets.values(), ...(leaving?.values() ?? [])]) feed.release(bucket.held, bucket);
      buckets.clear();
      leaving = null;
      dirty = [];
    },
  };
}

/** The client was sent just this entry (S-564). */
function isTold({ told, priority, reasons }: SessionBucket, totals: BucketTotals): boolean {
  return (
    told !== null &&
    told.checksum === totals.checksum &&
    told.count === receivedBy(totals) &&
    told.priority === priority &&
    sameReasons(told.subscriptions, reasons)
  );
}

/** The newest op id that a client brought along. */
export function newestOf(positions: ReadonlyMap<string, number>): number {
  let result = 0;
  for (const position of positions.values()) if (position > result) result = position;
  return result;
}
