/**
 * The buckets that some session of this worker holds, with their totals as of the feed's op: the inverted index from a changed bucket to
 * its sessions (S-2: one entry however many users share it).
 *
 * Invariant: `totals` is either right for the feed's present op, or null (not known yet). Commits keep it right, as a notice carries the
 * new totals; only what was never read costs a look-up.
 */
import type { BucketRef, BucketReader, BucketTotals } from '#core/bucket-storage/contract.ts';
import { createBatchReader } from './batch-reader.ts';
import type { BucketHolder } from './follower.ts';
import { createResting } from './resting.ts';

export interface HeldBucket extends BucketRef {
  /** `${since}#${definition name}${key}` (S-377). */
  readonly name: string;
  totals: BucketTotals | null;
  readonly holders: Set<BucketHolder>;
}

export interface HeldBuckets {
  /** Buckets with holders; those that rest are not counted. */
  readonly size: number;
  /** Registers the holder that `create` makes; it hears of changes from now on, until it is released. */
  hold<Holder extends BucketHolder>(
    definition: number,
    key: string,
    name: string,
    create: (bucket: HeldBucket) => Holder,
  ): Holder;
  release(bucket: HeldBucket, holder: BucketHolder): void;
  /** Reads the totals of buckets where they are not known. Afterwards they are, unless a reset came in between: check again. */
  load(buckets: readonly HeldBucket[]): Promise<void>;
  /** Totals as of an op at or before the feed's, in the order of the buckets. */
  totalsAt(buckets: readonly HeldBucket[], op: number): Promise<BucketTotals[]>;
  /** Enters the changes of one commit; calls `changed` for each bucket that is held. */
  apply(changes: readonly (BucketRef & BucketTotals)[], changed: (bucket: HeldBucket) => void): void;
  /** Reads anew how many operations compaction has taken away of what is held; the rest of the totals does not depend on it. */
  recount(): Promise<void>;
  /** Reads everything held as of `op`; the returned function enters it, once the feed goes to `op`. */
  prepareReset(op: number): Promise<(changed: (bucket: HeldBucket) => void) => void>;
}

/** The most that storage takes in one call. */
const TOTALS_PER_READ = 10_000;
/** Buckets without a holder whose totals are kept right. */
const RESTING_BUCKETS = 50_000;
const RESTING_BYTES = 16 * 1024 * 1024;
/** What an entry takes besides its texts. */
const ENTRY_BYTES = 250;

/** @param currentOp the op that the feed stands at */
export function createHeldBuckets(reader: Pick<BucketReader, 'totals'>, currentOp: () => number): HeldBuckets {
  const byDefinition = new Map<number, Map<string, HeldBucket>>();
  const totals = createBatchReader<BucketRef, BucketTotals>((refs, op) => reader.totals(refs, op), TOTALS_PER_READ);
  let size = 0;
  /** Counts resets: what was read before one is not current after it. */
  let epoch = 0;

  const drop = (bucket: HeldBucket): void => {
    const keys = byDefinition.get(bucket.definition);
    if (keys?.get(bucket.key) !== bucket) return;
    keys.delete(bucket.key);
    if (keys.size === 0) byDefinition.delete(bucket.definition);
  };
  const resting = createResting<HeldBucket>({ maxEntries: RESTING_BUCKETS, maxBytes: RESTING_BYTES, drop });

  const hold: HeldBuckets['hold'] = (definition, key, name, create) => {
    let keys = byDefinition.get(definition);
    if (keys === undefined) byDefinition.set(definition, (keys = new Map<string, HeldBucket>()));
    let bucket = keys.get(key);
    if (bucket === undefined) {
      bucket = { definition, key, name, totals: null, holders: new Set() };
      keys.set(key, bucket);
    }
    if (bucket.holders.size === 0) {
      size++;
      resting.remove(bucket);
    }
    const holder = create(bucket);
    bucket.holders.add(holder);
    return holder;
  };

  const release: HeldBuckets['release'] = (bucket, holder) => {
    if (!bucket.holders.delete(holder) || bucket.holders.size > 0) return;
    size--;
    // What was never read has nothing worth keeping.
    if (bucket.totals === null) return drop(bucket);
    resting.add(bucket, ENTRY_BYTES + 2 * (bucket.key.length + bucket.name.length));
  };

  const load: HeldBuckets['load'] = async (buckets) => {
    const missing = buckets.filter((bucket) => bucket.totals === null);
    if (missing.length === 0) return;
    const readIn = epoch;
    const values = await totals.readMany(missing, currentOp());
    if (epoch !== readIn) return;
    // A commit in between has brought newer totals; those stay.
    for (const [index, bucket] of missing.entries()) bucket.totals ??= values[index]!;
  };

  const apply: HeldBuckets['apply'] = (changes, changed) => {
    for (const change of changes) {
      const bucket = byDefinition.get(change.definition)?.get(change.key);
      if (bucket === undefined) continue;
      const removed = bucket.totals?.removed;
      const { lastOp, count, checksum } = change;
      bucket.totals = { lastOp, count, checksum, ...(removed === undefined ? {} : { removed }) };
      changed(bucket);
    }
  };

  const recount: HeldBuckets['recount'] = async () => {
    resting.clear();
    const all = [...byDefinition.values()].flatMap((keys) => [...keys.values()]);
    const values = await totals.readMany(all, currentOp());
    for (const [index, bucket] of all.entries()) {
      const { removed } = values[index]!;
      if (bucket.totals !== null && removed !== undefined) bucket.totals = { ...bucket.totals, removed };
    }
  };

  const prepareReset: HeldBuckets['prepareReset'] = async (op) => {
    // Not worth reading for nobody.
    resting.clear();
    const all = [...byDefinition.values()].flatMap((keys) => [...keys.values()]);
    const values = await totals.readMany(all, op);
    return (changed) => {
      epoch++;
      const known = new Map(all.map((bucket, index) => [bucket, values[index]!]));
      for (const keys of byDefinition.values()) {
        for (const bucket of keys.values()) {
          const now = known.get(bucket) ?? null;
          const before = bucket.totals;
          bucket.totals = now;
          if (before === null || now === null || before.lastOp !== now.lastOp || before.checksum !== now.checksum)
            changed(bucket);
        }
      }
    };
  };

  return {
    get size() {
      return size;
    },
    hold,
    release,
    load,
    totalsAt: (buckets, op) => totals.readMany(buckets, op),
    apply,
    recount,
    prepareReset,
  };
}
