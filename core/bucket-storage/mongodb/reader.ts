/** Reads for API workers: only what is visible. */
import type { BucketReader, BucketRef, BucketTotals, Chunk } from '../contract.ts';
import { expectedSizes, readPage, totalsAsOf } from './chunks.ts';
import { oldestLeft, removedFrom } from './compacted.ts';
import type { Collections } from './documents.ts';
import { coded } from './failure.ts';
import { bucketPrefix } from './ids.ts';
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
    const [settled, removed] = await Promise.all([
      totalsAsOf(collections, buckets, Math.min(at, view.settled)),
      removedFrom(collections, buckets),
    ]);
    const found = buckets.map((bucket, index) => withRecentTotals(view, bucket, settled[index]!, at));
    const empty = buckets.filter((_, index) => found[index]!.lastOp === 0);
    // After they were looked for in vain: what is gone has left something behind by then.
    const left = await oldestLeft(collections, empty, at);
    return buckets.map((bucket, index) => {
      const totals = found[index]!.lastOp === 0 ? (left.get(bucketPrefix(bucket)) ?? found[index]!) : found[index]!;
      const gone = removed.get(bucketPrefix(bucket)) ?? 0;
      return gone === 0 ? totals : { ...totals, removed: gone };
    });
  };

  const chunks: BucketReader['chunks'] = async (bucket, after, upTo, maxBytes) => {
    const view = await recent.through(upTo);
    const end = Math.min(upTo, view.through);
    const page: { chunks: Chunk[]; more: boolean } =
      after >= Math.min(end, view.settled)
        ? { chunks: [], more: false }
        : await readPage(collections, sizes, bucket, after, end, maxBytes);
    // What was moved meanwhile is in both, and may have been compacted there.
    const last = page.chunks.at(-1)?.lastOp ?? after;
    if (!page.more) page.chunks.push(...recentChunks(view, bucket, last, end));
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
