/**
 * Results of parameter lookups, kept until a commit names their key, and the index from a lookup key to the sessions whose buckets depend
 * on it. Bounded in bytes: values that do not fit are read again.
 */
import type { BucketReader, LookupKey } from '#core/bucket-storage/contract.ts';
import { createBatchReader } from './batch-reader.ts';
import type { Follower } from './follower.ts';

/** One key. `values` are as of every op from `since` to the feed's present one. */
export interface LookupEntry extends LookupKey {
  values: readonly string[] | null;
  since: number;
  /** No later op has changed it. What happened before the entry was made is not known, so that counts as a change. */
  changedAt: number;
  readonly followers: Set<Follower>;
}

export interface LookupCache {
  /**
   * Values as of `op` (not later than the feed's). From now on `follower` hears of changes of these keys; it must `unfollow` every entry
   * added to `used`.
   */
  read(
    keys: readonly LookupKey[],
    op: number,
    follower: Follower,
    used: Set<LookupEntry>,
  ): Promise<(readonly string[])[]>;
  unfollow(entry: LookupEntry, follower: Follower): void;
  /** Enters the keys that a commit names; null: it may have been any. */
  apply(keys: readonly LookupKey[] | null, op: number, changed: (follower: Follower) => void): void;
  readonly bytes: number;
  /** How often sessions follow a key. Counted when asked. */
  readonly followed: number;
}

const LOOKUPS_PER_READ = 10_000;
/** What an entry takes besides its strings. */
const ENTRY_BYTES = 200;

/** @param currentOp the op that the feed stands at */
export function createLookupCache(
  reader: Pick<BucketReader, 'lookups'>,
  maxBytes: number,
  currentOp: () => number,
): LookupCache {
  const entries = new Map<string, LookupEntry>();
  const storage = createBatchReader<LookupKey, readonly string[]>(
    (keys, op) => reader.lookups(keys, op),
    LOOKUPS_PER_READ,
  );
  let bytes = 0;

  const nameOf = ({ lookup, key }: LookupKey): string => `${lookup}:${key}`;
  const sizeOf = (values: readonly string[]): number =>
    values.reduce((sum, value) => sum + value.length * 2 + 16, ENTRY_BYTES);

  const entryOf = (key: LookupKey): LookupEntry => {
    const name = nameOf(key);
    let entry = entries.get(name);
    if (entry === undefined) {
      entry = {
        lookup: key.lookup,
        key: key.key,
        values: null,
        since: 0,
        changedAt: currentOp(),
        followers: new Set(),
      };
      entries.set(name, entry);
    }
    return entry;
  };

  const forget = (entry: LookupEntry): void => {
    if (entry.values !== null) bytes -= sizeOf(entry.values);
    entry.values = null;
    const name = nameOf(entry);
    if (entry.followers.size === 0 && entries.get(name) === entry) entries.delete(name);
  };

  const store = (entry: LookupEntry, values: readonly string[], op: number): void => {
    if (entry.changedAt > op || entry.values !== null || entries.get(nameOf(entry)) !== entry) return;
    entry.values = values;
    entry.since = op;
    bytes += sizeOf(values);
    if (bytes <= maxBytes) return;
    // Oldest first. Entries stay where sessions follow them; only their values go.
    for (const candidate of entries.values()) {
      if (candidate !== entry && candidate.values !== null) forget(candidate);
      if (bytes <= maxBytes) return;
    }
  };

  const read: LookupCache['read'] = async (keys, op, follower, used) => {
    const found = keys.map(entryOf);
    const missing: LookupEntry[] = [];
    for (const entry of found) {
      entry.followers.add(follower);
      used.add(entry);
      // Commits after `op` are past and were not heard of by this follower.
      if (entry.changedAt > op) follower.lookupsChanged();
      if (entry.values === null || entry.since > op) missing.push(entry);
    }
    const values = found.map((entry) => entry.values);
    if (missing.length > 0) {
      const answers = await storage.readMany(missing, op);
      const byEntry = new Map(missing.map((entry, index) => [entry, answers[index]!]));
      for (const [entry, answer] of byEntry) store(entry, answer, op);
      for (const [index, entry] of found.entries()) values[index] = byEntry.get(entry) ?? values[index]!;
    }
    return values as (readonly string[])[];
  };

  return {
    read,
    unfollow(entry, follower) {
      if (entry.followers.delete(follower) && entry.values === null) forget(entry);
    },
    apply(keys, op, changed) {
      for (const entry of keys === null ? [...entries.values()] : keys.map((key) => entries.get(nameOf(key)))) {
        if (entry === undefined) continue;
        entry.changedAt = op;
        for (const follower of entry.followers) changed(follower);
        forget(entry);
      }
    },
    get bytes() {
      return bytes;
    },
    get followed() {
      return [...entries.values()].reduce((sum, { followers }) => sum + followers.size, 0);
    },
  };
}
