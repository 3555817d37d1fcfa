/** See ../compaction-store.ts. Touches neither the instance document nor anything that a writer writes. */
import { Binary, type AnyBulkWriteOperation, type ClientSession, type MongoClient } from 'mongodb';
import { compressOperations } from '../chunk-compression.ts';
import type {
  BucketRewrite,
  BucketState,
  ChunkRewrite,
  CompactionHorizon,
  CompactionStore,
} from '../compaction-store.ts';
import type { BucketRef, Chunk } from '../contract.ts';
import { chunkOf, totalsAsOf } from './chunks.ts';
import type { ChunkDocument, Collections, CompactedDocument, Instance } from './documents.ts';
import { coded } from './failure.ts';
import { bucketEnd, bucketOf, bucketPrefix, chunkId, definitionRange } from './ids.ts';
import { viewOf } from './recent-view.ts';

const MAJORITY = { readConcern: { level: 'majority' } } as const;
const TRANSACTION = {
  readConcern: { level: 'snapshot' },
  writeConcern: { w: 'majority' },
  readPreference: 'primary',
} as const;
/** Ids read at a time to find buckets: of a bucket with more chunks no more are read. */
const IDS_PER_PAGE = 500;
/** Chunks of one answer at the most. */
const CHUNKS_PER_PAGE = 500;
const RUN = 'last';

export function createCompactionStore(client: MongoClient, collections: Collections): CompactionStore {
  const { compacted, compactionRuns } = collections;
  return {
    horizon: () => coded(() => horizonOf(collections)),
    buckets: (definition, after, upTo, limit) => coded(() => bucketsOf(collections, definition, after, upTo, limit)),
    chunksBefore: (bucket, before, maxBytes) => coded(() => chunksBefore(collections, bucket, before, maxBytes)),
    rewrite: (bucket, rewrite) =>
      coded(() =>
        client.withSession((session) =>
          session.withTransaction(() => apply(collections, bucket, rewrite, session), TRANSACTION),
        ),
      ),
    settle: (list) =>
      coded(async () => {
        if (list.length === 0) return;
        const updates = list.map(({ lastOp, count, ...bucket }): AnyBulkWriteOperation<CompactedDocument> => ({
          updateOne: {
            filter: { _id: bucketPrefix(bucket) },
            update: { $max: { lastOp, count } },
            upsert: true,
          },
        }));
        await compacted.bulkWrite(updates, { ordered: false });
      }),
    recordRun: ({ endedMs, succeeded }) =>
      coded(async () => {
        const $set = { endedMs, ...(succeeded ? { lastSuccessMs: endedMs } : {}) };
        await compactionRuns.updateOne({ _id: RUN }, { $set }, { upsert: true });
      }),
    lastRun: () =>
      coded(async () => {
        const run = await compactionRuns.findOne({ _id: RUN });
        return run === null ? null : { endedMs: run.endedMs, lastSuccessMs: run.lastSuccessMs ?? null };
      }),
  };
}

async function horizonOf({ instance, versions }: Collections): Promise<CompactionHorizon | null> {
  const projection = { active: 1, visible: 1, 'recent.notice': 1, 'recent.chunks': 1, 'recent.reached': 1 };
  const now = await instance.findOne<Pick<Instance, 'active' | 'visible' | 'recent'>>(
    { _id: 'instance' },
    { ...MAJORITY, projection },
  );
  if (now === null || now.active === null) return null;
  const version = await versions.findOne({ _id: now.active });
  if (version === null) return null;
  const { settled } = viewOf(now);
  const definitions = version.definitions.filter(({ kind }) => kind === 'bucket');
  return { op: settled, definitions: definitions.map(({ id, name }) => ({ id, name })) };
}

async function bucketsOf(
  collections: Collections,
  definition: number,
  after: string | null,
  upTo: number,
  limit: number,
): Promise<{ buckets: BucketState[]; next: string | null }> {
  const { chunks, compacted } = collections;
  const range = definitionRange(definition);
  const found: BucketRef[] = [];
  let position = after ?? range.after;
  let isEnd = false;
  while (found.length < limit && !isEnd) {
    const options = { sort: { _id: 1 }, limit: IDS_PER_PAGE, projection: { _id: 1 } } as const;
    const ids = await chunks.find({ _id: { $gt: position, $lt: range.before } }, options).toArray();
    isEnd = ids.length < IDS_PER_PAGE;
    for (const { _id } of ids) {
      const last = found.at(-1);
      if (last !== undefined && _id.startsWith(bucketPrefix(last))) continue;
      if (found.length >= limit) {
        isEnd = false;
        break;
      }
      const bucket = bucketOf(_id);
      found.push(bucket);
      position = bucketEnd(bucket);
    }
  }
  const [totals, states] = await Promise.all([
    totalsAsOf(collections, found, upTo),
    compacted.find({ _id: { $in: found.map(bucketPrefix) } }).toArray(),
  ]);
  const known = new Map(states.map((state) => [state._id, state]));
  const buckets = found.map((bucket, index) => stateOf(bucket, totals[index]!, known.get(bucketPrefix(bucket))));
  return { buckets, next: isEnd ? null : position };
}

async function chunksBefore(
  { chunks }: Collections,
  bucket: BucketRef,
  before: number,
  maxBytes: number,
): Promise<Chunk[]> {
  const ids = { $gt: bucketPrefix(bucket), $lt: chunkId(bucket.definition, bucket.key, before) };
  const options = { sort: { _id: -1 }, limit: CHUNKS_PER_PAGE, batchSize: 64 } as const;
  const page: Chunk[] = [];
  let bytes = 0;
  for await (const document of chunks.find({ _id: ids }, options)) {
    const chunk = chunkOf(document);
    bytes += chunk.operations.length;
    if (page.length > 0 && bytes > maxBytes) break;
    page.push(chunk);
  }
  return page;
}

/** Aborts when a chunk is not as it was read. */
async function apply(
  { chunks, compacted }: Collections,
  bucket: BucketRef,
  { rewrites, clearedBelow, removed }: BucketRewrite,
  session: ClientSession,
): Promise<boolean> {
  const updates = rewrites.map(updateOf);
  if (updates.length > 0) {
    const { matchedCount } = await chunks.bulkWrite(updates, { session });
    if (matchedCount !== updates.length) {
      await session.abortTransaction();
      return false;
    }
  }
  if (clearedBelow === null) return true;
  const gone = { $gt: bucketPrefix(bucket), $lt: chunkId(bucket.definition, bucket.key, clearedBelow) };
  await chunks.deleteMany({ _id: gone }, { session });
  const most = { $max: { removed: removed ?? 0 } };
  await compacted.updateOne({ _id: bucketPrefix(bucket) }, most, { session, upsert: true });
  return true;
}

function stateOf(bucket: BucketRef, totals: BucketState['totals'], state: CompactedDocument | undefined): BucketState {
  const { removed = 0, lastOp, count } = state ?? {};
  return {
    ...bucket,
    totals: removed === 0 ? totals : { ...totals, removed },
    compacted: lastOp === undefined || count === undefined ? null : { lastOp, count },
  };
}

/** Marks of unfinished transactions stay: they are of operations below the horizon, which no take-over touches. */
function updateOf({ was, chunk }: ChunkRewrite): AnyBulkWriteOperation<ChunkDocument> {
  const stored = compressOperations(chunk.operations);
  return {
    updateOne: {
      filter: {
        _id: chunkId(was.definition, was.key, was.lastOp),
        f: was.firstOp,
        n: was.count,
        c: was.checksum,
        m: was.needs ?? { $exists: false },
      },
      update: {
        $set: {
          f: chunk.firstOp,
          n: chunk.count,
          c: chunk.checksum,
          d: new Binary(stored.bytes),
          ...(chunk.needs === undefined ? {} : { m: chunk.needs }),
          ...(stored.rawLength > 0 ? { z: stored.rawLength } : {}),
        },
        ...(stored.rawLength > 0 ? {} : { $unset: { z: true } }),
      },
    },
  };
}
