/** Reached write checkpoints of the clients that are connected to this worker (S chapter 13), and who waits for them. */
import type { ReachedWriteCheckpoint } from '#core/bucket-storage/contract.ts';
import type { WriteCheckpointStore } from '#core/bucket-storage/write-checkpoint-store.ts';
import { createBatchReader } from './batch-reader.ts';
import type { Follower } from './follower.ts';
import { createResting } from './resting.ts';

/** One (user, client). `value` is right from op `since` to the feed's present one; undefined: not read yet. */
export interface WriteCheckpointEntry {
  readonly userId: string;
  readonly clientId: string;
  value: bigint | null | undefined;
  since: number;
  /** Two sessions of one client may overlap (S-614). */
  readonly followers: Set<Follower>;
}

export interface WriteCheckpointIndex {
  /** Pairs that are followed; those that rest are not counted. */
  readonly size: number;
  follow(userId: string, clientId: string, follower: Follower): WriteCheckpointEntry;
  unfollow(entry: WriteCheckpointEntry, follower: Follower): void;
  /** Afterwards `value` is known, unless a reset came in between: check again. */
  load(entry: WriteCheckpointEntry): Promise<void>;
  apply(reached: readonly ReachedWriteCheckpoint[], op: number, changed: (follower: Follower) => void): void;
  /** Reads all connected clients as of `op`; the returned function enters it. */
  prepareReset(op: number): Promise<(changed: (follower: Follower) => void) => void>;
}

const PAIRS_PER_READ = 1000;
/** Clients that are not connected whose number is kept right. */
const RESTING_CLIENTS = 50_000;
const RESTING_BYTES = 16 * 1024 * 1024;
/** What an entry takes besides its texts. */
const ENTRY_BYTES = 250;

export function createWriteCheckpointIndex(
  store: Pick<WriteCheckpointStore, 'reached'>,
  currentOp: () => number,
): WriteCheckpointIndex {
  const entries = new Map<string, WriteCheckpointEntry>();
  const reader = createBatchReader<WriteCheckpointEntry, bigint | null>(
    (pairs, op) =>
      store.reached(
        pairs.map(({ userId, clientId }) => ({ userId, clientId })),
        op,
      ),
    PAIRS_PER_READ,
  );
  let epoch = 0;
  let size = 0;

  // User ids may contain anything; the length keeps (a, bc) and (ab, c) apart.
  const nameOf = (userId: string, clientId: string): string => `${userId.length}:${userId}${clientId}`;

  const drop = (entry: WriteCheckpointEntry): void => void entries.delete(nameOf(entry.userId, entry.clientId));
  const resting = createResting<WriteCheckpointEntry>({
    ...{ maxEntries: RESTING_CLIENTS, maxBytes: RESTING_BYTES, drop },
  });

  const enter = (entry: WriteCheckpointEntry, value: bigint | null, op: number): boolean => {
    if (entry.value !== undefined && entry.value !== null && (value === null || value <= entry.value)) return false;
    const isNew = entry.value !== value;
    entry.value = value;
    entry.since = op;
    return isNew;
  };

  return {
    get size() {
      return size;
    },
    follow(userId, clientId, follower) {
      const name = nameOf(userId, clientId);
      let entry = entries.get(name);
      if (entry === undefined)
        entries.set(name, (entry = { userId, clientId, value: undefined, since: 0, followers: new Set() }));
      if (entry.followers.size === 0) {
        size++;
        resting.remove(entry);
      }
      entry.followers.add(follower);
      return entry;
    },
    unfollow(entry, follower) {
      if (!entry.followers.delete(follower) || entry.followers.size > 0) return;
      size--;
      if (entry.value === undefined) drop(entry);
      else resting.add(entry, ENTRY_BYTES + 2 * (entry.userId.length + entry.clientId.length));
    },
    async load(entry) {
      const readIn = epoch;
      const op = currentOp();
      const value = await reader.read(entry, op);
      if (epoch === readIn && entry.value === undefined) enter(entry, value, op);
    },
    apply(reached, op, changed) {
      for (const { userId, clientId, checkpoint } of reached) {
        const entry = entries.get(nameOf(userId, clientId));
        if (entry === undefined || !enter(entry, checkpoint, op)) continue;
        for (const follower of entry.followers) changed(follower);
      }
    },
    async prepareReset(op) {
      // Not worth reading for nobody.
      resting.clear();
      const all = [...entries.values()];
      const values = await reader.readMany(all, op);
      return (changed) => {
        epoch++;
        const known = new Map(all.map((entry, index) => [entry, values[index]!]));
        for (const entry of entries.values()) {
          const now = known.get(entry);
          // Came in after the read: what was loaded for it since may be out of date, so it is loaded again.
          const isNews = now === undefined ? entry.value !== undefined : enter(entry, now, op);
          if (now === undefined) entry.value = undefined;
          if (isNews) for (const follower of entry.followers) changed(follower);
        }
      };
    },
  };
}
