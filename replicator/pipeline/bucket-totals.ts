/** Running totals of the buckets a writer touches: kept in memory within a bound, read back from storage when not at hand. */
import type { BucketRef, BucketTotals, Chunk, SourceWriter } from '#core/bucket-storage/contract.ts';

const MAX_BUCKETS = 500_000;
const READ_BUCKETS = 5000;
const EMPTY: BucketTotals = { lastOp: 0, count: 0, checksum: 0 };

export interface BucketTotalsCache {
  /** Totals in the order of the buckets, including flushes handed to `record`. */
  load(buckets: readonly BucketRef[]): Promise<BucketTotals[]>;
  record(chunks: readonly Chunk[]): void;
}

/** `empty`: the definitions have no operations at all yet, so what is unknown is empty (as long as nothing was evicted). */
export function createBucketTotalsCache(
  writer: Pick<SourceWriter, 'readTotals'>,
  empty: (definition: number) => boolean,
): BucketTotalsCache {
  const known = new Map<string, BucketTotals>();
  let evicted = false;
  const nameOf = (bucket: BucketRef): string => `${bucket.definition}${bucket.key}`;
  const remember = (name: string, totals: BucketTotals): void => {
    known.delete(name);
    known.set(name, totals);
    if (known.size <= MAX_BUCKETS) return;
    evicted = true;
    const oldest = known.keys().next();
    if (!oldest.done) known.delete(oldest.value);
  };

  return {
    async load(buckets) {
      const missing: BucketRef[] = [];
      for (const bucket of buckets) {
        const name = nameOf(bucket);
        if (known.has(name)) continue;
        if (!evicted && empty(bucket.definition)) remember(name, EMPTY);
        else missing.push(bucket);
      }
      const loaded = new Map<string, BucketTotals>();
      for (let at = 0; at < missing.length; at += READ_BUCKETS) {
        const page = missing.slice(at, at + READ_BUCKETS);
        const totals = await writer.readTotals(page);
        page.forEach((bucket, index) => {
          loaded.set(nameOf(bucket), totals[index]!);
          remember(nameOf(bucket), totals[index]!);
        });
      }
      return buckets.map((bucket) => known.get(nameOf(bucket)) ?? loaded.get(nameOf(bucket)) ?? EMPTY);
    },
    record(chunks) {
      for (const chunk of chunks) remember(nameOf(chunk), chunk.totals);
    },
  };
}
