/** What commits changed, as lists: gathered while flushing, stored as JSON text, merged when several commits become visible at once. */
import {
  type BucketRef,
  type BucketTotals,
  type CommitNotice,
  type FlushContent,
  type LookupKey,
  NOTICE_LIST_LIMIT,
  type ReachedWriteCheckpoint,
} from '../contract.ts';
import type { CommitDocument } from './documents.ts';

/** A list that grew beyond `NOTICE_LIST_LIMIT` is null: too many to list. */
export interface NoticeLists {
  readonly buckets: readonly (BucketRef & BucketTotals)[] | null;
  readonly lookups: readonly LookupKey[] | null;
  readonly writeCheckpoints: readonly ReachedWriteCheckpoint[] | null;
}

export const UNLISTED: NoticeLists = { buckets: null, lookups: null, writeCheckpoints: null };

export function listsOf(content: FlushContent, writeCheckpoints: readonly ReachedWriteCheckpoint[]): NoticeLists {
  return mergeLists([
    {
      buckets: content.chunks.map(({ definition, key, totals }) => ({ definition, key, ...totals })),
      lookups: content.lookups.map(({ lookup, key }) => ({ lookup, key })),
      writeCheckpoints,
    },
  ]);
}

/** What changed when all of `parts` become visible together: each bucket with its newest totals, each pair with its greatest number. */
export function mergeLists(parts: readonly NoticeLists[]): NoticeLists {
  return {
    buckets: distinct(
      parts.map((part) => part.buckets),
      bucketKey,
      (a, b) => b.lastOp > a.lastOp,
    ),
    lookups: distinct(
      parts.map((part) => part.lookups),
      (item) => `${item.lookup}${item.key}`,
      () => false,
    ),
    writeCheckpoints: distinct(
      parts.map((part) => part.writeCheckpoints),
      (item) => JSON.stringify([item.userId, item.clientId]),
      (a, b) => b.checkpoint > a.checkpoint,
    ),
  };
}

const bucketKey = (bucket: BucketRef): string => `${bucket.definition}${bucket.key}`;

function distinct<T>(
  lists: readonly (readonly T[] | null)[],
  keyOf: (item: T) => string,
  replaces: (known: T, item: T) => boolean,
): T[] | null {
  const found = new Map<string, T>();
  for (const list of lists) {
    if (list === null) return null;
    for (const item of list) {
      const key = keyOf(item);
      const known = found.get(key);
      if (known === undefined || replaces(known, item)) found.set(key, item);
      if (found.size > NOTICE_LIST_LIMIT) return null;
    }
  }
  return [...found.values()];
}

/** Longer lists are not stored: keys may be long. */
const TEXT_LIMIT = 2_000_000;

type StoredLists = [
  buckets: [definition: number, key: string, lastOp: number, count: number, checksum: number][] | null,
  lookups: [lookup: number, key: string][] | null,
  writeCheckpoints: [userId: string, clientId: string, checkpoint: string][] | null,
];

export function encodeLists({ buckets, lookups, writeCheckpoints }: NoticeLists): string {
  const stored: StoredLists = [
    buckets?.map((item) => [item.definition, item.key, item.lastOp, item.count, item.checksum]) ?? null,
    lookups?.map((item) => [item.lookup, item.key]) ?? null,
    writeCheckpoints?.map((item) => [item.userId, item.clientId, String(item.checkpoint)]) ?? null,
  ];
  const text = JSON.stringify(stored);
  return text.length > TEXT_LIMIT ? JSON.stringify([null, null, null] satisfies StoredLists) : text;
}

export function decodeLists(text: string): NoticeLists {
  const [buckets, lookups, writeCheckpoints] = JSON.parse(text) as StoredLists;
  return {
    buckets:
      buckets?.map(([definition, key, lastOp, count, checksum]) => ({ definition, key, lastOp, count, checksum })) ??
      null,
    lookups: lookups?.map(([lookup, key]) => ({ lookup, key })) ?? null,
    writeCheckpoints:
      writeCheckpoints?.map(([userId, clientId, checkpoint]) => ({
        userId,
        clientId,
        checkpoint: BigInt(checkpoint),
      })) ?? null,
  };
}

export function noticeDocument(notice: CommitNotice): CommitDocument {
  const { op, version, previous, sourceTimeMs, storedMs } = notice;
  return { _id: op, version, previous, lists: encodeLists(notice), sourceTimeMs, storedMs };
}

export function noticeOf({ _id: op, version, previous, lists, sourceTimeMs, storedMs }: CommitDocument): CommitNotice {
  return { version, op, previous, ...decodeLists(lists), sourceTimeMs, storedMs };
}
