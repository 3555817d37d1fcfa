/** Reads for API workers: only what is visible. */
import type { BucketReader, BucketRef, BucketTotals, Chunk } from '../contract.ts';
import { expectedSizes, readPage, totalsAsOf } from './chunks.ts';
import type { Collections } from './documents.ts';
import { coded } from './failure.ts';
import { lookupsAsOf } from './lookups.ts';
import { noticeOf } from './notice-lists.ts';
import { type RecentReader, recentChunks, withRecentTotals } from './recent-view.ts';

export function createReader(collections: Collections, recent: RecentReader): BucketReader {
  const { commits } = collections;
  const sizes = expectedSizes();

  const noticesAfter: BucketReader['noticesAfter'] = async (op, limit) => {
    const newest = await recent.notices();
    if (newest === null || newest.checkpoint.op <= op) return [];
    const settled = newest.notices[0]?.previous ?? newest.checkpoint.op;
    const options = { sort: { _id: 1 }, limit, readConcern: { level: 'majority' } } as const;
    const documents = op >= settled ? [] : await commits.find({ _id: { $gt: op } }, options).toArray();
    // What was moved meanwhile is in both.
    const last = documents.at(-1)?._id ?? op;
    documents.push(...newest.notices.filter(({ _id }) => _id > last));
    const [first] = documents;
    if (first === undefined || first.previous > op) return 'gap';
    return documents.slice(0, limit).map(noticeOf);
  };

  const totals = async (buckets: readonly BucketRef[], op: number): Promise<BucketTotals[]> => {
    if (buckets.length === 0) return [];
    const view = await recent.through(op);
    // What is not published yet may have any id above it.
    const at = Math.min(op, view.through);
    const settled = await totalsAsOf(collections, buckets, Math.min(at, view.settled));
    return buckets.map((bucket, index) => withRecentTotals(view, bucket, settled[index]!, at));
  };

  const chunks: BucketReader['chunks'] = async (bucket, after, upTo, maxBytes) => {
    const view = await recent.through(upTo);
    const end = Math.min(upTo, view.through);
    const settled = Math.min(end, view.settled);
    const page: { chunks: Chunk[]; more: boolean } =
      after >= settled
        ? { chunks: [], more: false }
        : await readPage(collections, sizes, bucket, after, settled, maxBytes);
    if (!page.more) page.chunks.push(...recentChunks(view, bucket, after, end));
    return page;
  };

  return {
    checkpoint: () => coded(recent.checkpoint),
    noticesAfter: (op, limit) => coded(() => noticesAfter(op, limit)),
    totals: (buckets, op) => coded(() => totals(buckets, op)),
    chunks: (bucket, after, upTo, maxBytes) => coded(() => chunks(bucket, after, upTo, maxBytes)),
    lookups: (keys, op) =>
      coded(async () => {
        if (keys.length === 0) return [];
        const { through } = await recent.through(op);
        return lookupsAsOf(collections, keys, Math.min(op, through));
      }),
  };
}
