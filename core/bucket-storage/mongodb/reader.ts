/** Reads for API workers: only what is visible. */
import type { BucketReader, Checkpoint } from '../contract.ts';
import { expectedSizes, readPage, totalsAsOf } from './chunks.ts';
import type { Collections, Instance } from './documents.ts';
import { coded } from './failure.ts';
import { lookupsAsOf } from './lookups.ts';
import { noticeOf } from './notice-lists.ts';

/** Checkpoints survive a failover: they are read from what a majority has. */
const CHECKPOINT_READ = { readConcern: { level: 'majority' }, projection: { active: 1, visible: 1 } } as const;

export function createReader(collections: Collections): BucketReader {
  const { instance, commits } = collections;
  /** The greatest checkpoint seen. */
  let seen = 0;
  const sizes = expectedSizes();

  const readCheckpoint = async (): Promise<Checkpoint | null> => {
    const document = await instance.findOne<Pick<Instance, 'active' | 'visible'>>({ _id: 'instance' }, CHECKPOINT_READ);
    if (document === null || document.active === null) return null;
    seen = Math.max(seen, document.visible);
    return { version: document.active, op: document.visible };
  };

  /** `op`, or the visible checkpoint if that is lower: what is not published yet may have any id above it. */
  const atMostVisible = async (op: number): Promise<number> => {
    if (op > seen) await readCheckpoint();
    return Math.min(op, seen);
  };

  const noticesAfter: BucketReader['noticesAfter'] = async (op, limit) => {
    const checkpoint = await readCheckpoint();
    if (checkpoint === null || checkpoint.op <= op) return [];
    const documents = await commits
      .find({ _id: { $gt: op } }, { sort: { _id: 1 }, limit, readConcern: { level: 'majority' } })
      .toArray();
    const [first] = documents;
    if (first === undefined || first.previous > op) return 'gap';
    return documents.map(noticeOf);
  };

  return {
    checkpoint: () => coded(readCheckpoint),
    noticesAfter: (op, limit) => coded(() => noticesAfter(op, limit)),
    totals: (buckets, op) =>
      coded(async () => (buckets.length === 0 ? [] : totalsAsOf(collections, buckets, await atMostVisible(op)))),
    chunks: (bucket, after, upTo, maxBytes) =>
      coded(async () => readPage(collections, sizes, bucket, after, await atMostVisible(upTo), maxBytes)),
    lookups: (keys, op) =>
      coded(async () => (keys.length === 0 ? [] : lookupsAsOf(collections, keys, await atMostVisible(op)))),
  };
}
