/** Totals of buckets and write checkpoints in the feed are right for its op or not known, held or resting, whatever happens in which order. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BucketTotals } from '#core/bucket-storage/contract.ts';
import type { BucketHolder, Follower } from './follower.ts';
import { createHeldBuckets, type HeldBucket } from './held-buckets.ts';
import { createWriteCheckpointIndex } from './write-checkpoint-index.ts';

const follower: Follower = { lookupsChanged() {}, writeCheckpointReached() {}, wake() {} };
const KEYS = ['["a"]', '["b"]', '["c"]'];
const step = fc.oneof(
  fc.record({ hold: fc.nat(2) }),
  fc.record({ release: fc.nat(2) }),
  fc.record({ load: fc.nat(2) }),
  fc.record({ commit: fc.uniqueArray(fc.nat(2), { maxLength: 3 }) }),
  fc.constant({ reset: true }),
  fc.constant({ turn: true }),
);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Storage: what each key has, by op. */
function createHistory() {
  const changes: { op: number; key: number }[] = [];
  let op = 1;
  return {
    op: () => op,
    commit(keys: readonly number[]): void {
      op++;
      for (const key of keys) changes.push({ op, key });
    },
    /** Number of changes of a key until `at`, and the last of them. */
    at(key: number, at: number): { count: number; lastOp: number } {
      const found = changes.filter((change) => change.key === key && change.op <= at);
      return { count: found.length, lastOp: found.at(-1)?.op ?? 0 };
    },
  };
}

test('totals of buckets (S-2)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const history = createHistory();
      let feedOp = 1;
      const totalsOf = (key: string, op: number): BucketTotals => {
        const { count, lastOp } = history.at(KEYS.indexOf(key), op);
        return { count, lastOp, checksum: count * 7 };
      };
      const buckets = createHeldBuckets(
        { totals: async (refs, op) => (await turn(), refs.map(({ key }) => totalsOf(key, op))) },
        () => feedOp,
      );
      const held: { bucket: HeldBucket; holder: BucketHolder }[] = [];
      const known = new Set<HeldBucket>();
      const right = (): void => {
        for (const bucket of known)
          if (bucket.holders.size > 0 && bucket.totals !== null)
            expect(bucket.totals).toEqual(totalsOf(bucket.key, feedOp));
      };
      for (const action of steps) {
        if ('hold' in action) {
          const key = KEYS[action.hold]!;
          const holder: BucketHolder = { follower, bucketChanged() {} };
          buckets.hold(1, key, key, (bucket) => {
            held.push({ bucket, holder });
            known.add(bucket);
            return holder;
          });
        } else if ('release' in action) {
          const [gone] = held.splice(action.release, 1);
          if (gone !== undefined) buckets.release(gone.bucket, gone.holder);
        } else if ('load' in action) {
          const item = held[action.load];
          if (item !== undefined) void buckets.load([item.bucket]);
        } else if ('commit' in action) {
          history.commit(action.commit);
          feedOp = history.op();
          buckets.apply(
            action.commit.map((key) => ({ definition: 1, key: KEYS[key]!, ...totalsOf(KEYS[key]!, feedOp) })),
            () => undefined,
          );
        } else if ('reset' in action) {
          // commits that nobody told of
          history.commit([0, 1]);
          const op = history.op();
          const preparing = buckets.prepareReset(op);
          await turn();
          await turn();
          const enter = await preparing;
          feedOp = op;
          enter(() => undefined);
        } else await turn();
        right();
        expect(buckets.size).toBe(new Set(held.map(({ bucket }) => bucket)).size);
      }
      await buckets.load(held.map(({ bucket }) => bucket));
      for (const { bucket } of held) expect(bucket.totals).toEqual(totalsOf(bucket.key, feedOp));
    }),
    { numRuns: 300 },
  );
});

test('numbers of write checkpoints (S chapter 13)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const history = createHistory();
      let feedOp = 1;
      const numberOf = (key: number, op: number): bigint | null => {
        const { count } = history.at(key, op);
        return count === 0 ? null : BigInt(count);
      };
      const index = createWriteCheckpointIndex(
        { reached: async (pairs, op) => (await turn(), pairs.map(({ clientId }) => numberOf(Number(clientId), op))) },
        () => feedOp,
      );
      const followed: { entry: ReturnType<typeof index.follow>; by: Follower }[] = [];
      const right = (): void => {
        for (const { entry } of followed)
          if (entry.value !== undefined) expect(entry.value).toBe(numberOf(Number(entry.clientId), feedOp));
      };
      for (const action of steps) {
        if ('hold' in action) {
          const by = { ...follower };
          followed.push({ entry: index.follow('user', String(action.hold), by), by });
        } else if ('release' in action) {
          const [gone] = followed.splice(action.release, 1);
          if (gone !== undefined) index.unfollow(gone.entry, gone.by);
        } else if ('load' in action) {
          const item = followed[action.load];
          if (item !== undefined) void index.load(item.entry);
        } else if ('commit' in action) {
          history.commit(action.commit);
          feedOp = history.op();
          const reached = action.commit.map((key) => ({
            ...{ userId: 'user', clientId: String(key), checkpoint: numberOf(key, feedOp)! },
          }));
          index.apply(reached, feedOp, () => undefined);
        } else if ('reset' in action) {
          history.commit([0, 1]);
          const op = history.op();
          const preparing = index.prepareReset(op);
          const by = { ...follower };
          // somebody comes while the reset is read
          followed.push({ entry: index.follow('user', '0', by), by });
          void index.load(followed.at(-1)!.entry);
          await turn();
          await turn();
          const enter = await preparing;
          feedOp = op;
          enter(() => undefined);
        } else await turn();
        right();
        expect(index.size).toBe(new Set(followed.map(({ entry }) => entry)).size);
      }
    }),
    { numRuns: 300 },
  );
});
