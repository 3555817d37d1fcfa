/** What readers know of the commits that stand in the instance document (recent-commits.ts). */
import type { Document } from 'mongodb';
import type { BucketRef, BucketTotals, Checkpoint, Chunk } from '../contract.ts';
import { chunkOf } from './chunks.ts';
import type { ChunkDocument, Collections, CommitDocument, Instance } from './documents.ts';
import { bucketPrefix, opOf } from './ids.ts';

/** Visible operations up to `settled` are in the collections; those after it, up to `through`, are here. Stays true for ever. */
export interface RecentView {
  readonly settled: number;
  readonly through: number;
  readonly chunks: readonly ChunkDocument[];
  readonly reached: readonly RecentReached[];
}
/** A managed write checkpoint that was reached with `op`. */
interface RecentReached {
  readonly pair: string;
  readonly checkpoint: bigint;
  readonly op: number;
}

type VisiblePart = Pick<Instance, 'active' | 'visible'> & Partial<Pick<Instance, 'recent'>>;

export function viewOf({ visible, recent = [] }: Pick<VisiblePart, 'visible' | 'recent'>): RecentView {
  return {
    settled: recent[0]?.notice.previous ?? visible,
    through: visible,
    chunks: recent.flatMap(({ chunks }) => chunks),
    reached: recent.flatMap(({ notice, reached }) =>
      reached.map(([pair, number]) => ({ pair, checkpoint: BigInt(number), op: notice._id })),
    ),
  };
}

/** The greatest number that a pair reached up to `op`; null when there is none here. */
export function recentReached({ reached }: RecentView, pair: string, op: number): bigint | null {
  return reached.findLast((item) => item.pair === pair && item.op <= op)?.checkpoint ?? null;
}

/** Chunks of a bucket with operations in (after, upTo]. */
export function recentChunks(view: RecentView, bucket: BucketRef, after: number, upTo: number): Chunk[] {
  const found = ofBucket(view, bucket).filter(({ _id, f }) => opOf(_id) > after && f <= upTo);
  return found.map(chunkOf);
}

/** `totals` as of an op at or before `settled`, brought up to `op`. */
export function withRecentTotals(view: RecentView, bucket: BucketRef, totals: BucketTotals, op: number): BucketTotals {
  const last = ofBucket(view, bucket).findLast(({ _id }) => opOf(_id) <= op);
  return last === undefined ? totals : { lastOp: opOf(last._id), count: last.tn, checksum: last.tc };
}

function ofBucket({ chunks }: RecentView, bucket: BucketRef): ChunkDocument[] {
  const prefix = bucketPrefix(bucket);
  return chunks.filter(({ _id }) => _id.startsWith(prefix));
}

/** Checkpoints survive a failover: they are read from what a majority has. */
const MAJORITY = { readConcern: { level: 'majority' } } as const;
const ONLY_CHECKPOINT = { active: 1, visible: 1 } as const;
const WITH_NOTICES = { ...ONLY_CHECKPOINT, 'recent.notice': 1 } as const;
/** Commits after `op`, without their lists. */
const withContentAfter = (op: number) => ({
  ...ONLY_CHECKPOINT,
  recent: {
    $map: {
      input: { $filter: { input: '$recent', as: 'commit', cond: { $gt: ['$$commit.notice._id', op] } } },
      as: 'commit',
      in: {
        notice: { _id: '$$commit.notice._id', previous: '$$commit.notice.previous' },
        chunks: '$$commit.chunks',
        reached: '$$commit.reached',
      },
    },
  },
});

export interface RecentReader {
  checkpoint(): Promise<Checkpoint | null>;
  /** The same, with the notices that are not in `commits` yet. */
  notices(): Promise<{ readonly checkpoint: Checkpoint; readonly notices: readonly CommitDocument[] } | null>;
  /** A view for reading up to `op`, or up to the visible checkpoint, if that is lower. */
  through(op: number): Promise<RecentView>;
}

/** Chunks and write checkpoints kept. */
const MOST_KNOWN = 500;

const joined = (known: RecentView, news: RecentView): RecentView => ({
  settled: known.settled,
  through: news.through,
  chunks: [...known.chunks, ...news.chunks],
  reached: [...known.reached, ...news.reached],
});

export function createRecentReader({ instance }: Collections): RecentReader {
  let known: RecentView = { settled: 0, through: 0, chunks: [], reached: [] };
  let reading: Promise<void> | null = null;

  const read = (projection: Document): Promise<VisiblePart | null> =>
    instance.findOne<VisiblePart>({ _id: 'instance' }, { ...MAJORITY, projection });
  const checkpointOf = (document: VisiblePart | null): Checkpoint | null =>
    document === null || document.active === null ? null : { version: document.active, op: document.visible };

  const readView = async (): Promise<void> => {
    // From time to time all of them, to forget those that have gone to the collections.
    const after = known.chunks.length + known.reached.length < MOST_KNOWN ? known.through : 0;
    const document = await read(withContentAfter(after));
    if (document === null || document.active === null || document.visible < known.through) return;
    const news = viewOf(document);
    // Unless they follow on what is known, all that comes before them is in the collections.
    known = after > 0 && news.settled === after ? joined(known, news) : news;
  };

  return {
    checkpoint: async () => checkpointOf(await read(ONLY_CHECKPOINT)),
    async notices() {
      const document = await read(WITH_NOTICES);
      const checkpoint = checkpointOf(document);
      if (checkpoint === null) return null;
      return { checkpoint, notices: (document!.recent ?? []).map(({ notice }) => notice) };
    },
    async through(op) {
      // A read in flight may have begun before `op` was visible.
      if (op > known.through && reading !== null) await reading;
      if (op > known.through) {
        reading ??= readView().finally(() => (reading = null));
        await reading;
      }
      return known;
    },
  };
}
