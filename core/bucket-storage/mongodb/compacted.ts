/** What readers have to know of compaction. */
import type { BucketRef, BucketTotals } from '../contract.ts';
import type { Collections } from './documents.ts';
import { bucketPrefix, opOf, opText } from './ids.ts';
import { oldestPerPrefix } from './newest-per-prefix.ts';

/** Names per query: each is looked up by itself. */
const NAMES_PER_QUERY = 1000;

/** Operations that compaction took away, by bucket prefix; buckets where there are none are missing. */
export async function removedFrom(
  { compacted }: Collections,
  buckets: readonly BucketRef[],
): Promise<Map<string, number>> {
  const names = [...new Set(buckets.map(bucketPrefix))];
  const found = new Map<string, number>();
  for (let at = 0; at < names.length; at += NAMES_PER_QUERY) {
    const filter = { _id: { $in: names.slice(at, at + NAMES_PER_QUERY) }, removed: { $gt: 0 } };
    const documents = await compacted.find(filter, { projection: { removed: 1 } }).toArray();
    for (const { _id, removed } of documents) found.set(_id, removed ?? 0);
  }
  return found;
}

const LAST_OP = opText(Number.MAX_SAFE_INTEGER);

/** Totals of the first chunk of buckets that began at or before `op`, but of which nothing that old is left (`BucketReader.totals`). */
export async function oldestLeft(
  { chunks }: Collections,
  buckets: readonly BucketRef[],
  op: number,
): Promise<Map<string, BucketTotals>> {
  if (buckets.length === 0) return new Map();
  const oldest = await oldestPerPrefix(chunks, buckets.map(bucketPrefix), LAST_OP, { f: 1, m: 1, tn: 1, tc: 1 });
  const left = new Map<string, BucketTotals>();
  for (const [prefix, { _id, f, m, tn, tc }] of oldest) {
    if (m !== undefined && f <= op) left.set(prefix, { lastOp: opOf(_id), count: tn, checksum: tc });
  }
  return left;
}
