/**
 * What a commit changed, as lists: gathered while flushing, kept as JSON text, merged when several commits become visible at once.
 * A list that grew beyond `NOTICE_LIST_LIMIT` is null: too many to list.
 */
import type {
  BucketRef,
  BucketTotals,
  Chunk,
  CommitNotice,
  LookupEntry,
  LookupKey,
  ReachedWriteCheckpoint,
} from '../contract.ts';
import { NOTICE_LIST_LIMIT } from '../contract.ts';

export interface NoticeLists {
  readonly buckets: readonly (BucketRef & BucketTotals)[] | null;
  readonly lookups: readonly LookupKey[] | null;
  readonly writeCheckpoints: readonly ReachedWriteCheckpoint[] | null;
}

/** As stored: JSON texts. */
export interface StoredLists {
  readonly buckets: string | null;
  readonly lookups: string | null;
  readonly write_checkpoints: string | null;
}

export const UNLISTED: NoticeLists = { buckets: null, lookups: null, writeCheckpoints: null };

/** The distinct elements of `items` by `key`, as `choose` decides between two; null when there are too many. */
function distinct<T>(items: Iterable<T>, key: (item: T) => string, choose: (a: T, b: T) => T): T[] | null {
  const found = new Map<string, T>();
  for (const item of items) {
    const id = key(item);
    const known = found.get(id);
    if (known === undefined && found.size === NOTICE_LIST_LIMIT) return null;
    found.set(id, known === undefined ? item : choose(known, item));
  }
  return [...found.values()];
}

const bucketKey = ({ definition, key }: BucketRef): string => `${definition}/${key}`;
const lookupKey = ({ lookup, key }: LookupKey): string => `${lookup}/${key}`;
const pairKey = ({ userId, clientId }: ReachedWriteCheckpoint): string => JSON.stringify([userId, clientId]);
const newer = <T extends BucketTotals>(a: T, b: T): T => (b.lastOp > a.lastOp ? b : a);
const greater = (a: ReachedWriteCheckpoint, b: ReachedWriteCheckpoint): ReachedWriteCheckpoint =>
  b.checkpoint > a.checkpoint ? b : a;

/** The lists of one flush. */
export function listsOf(
  chunks: readonly Chunk[],
  lookups: readonly LookupEntry[],
  writeCheckpoints: readonly ReachedWriteCheckpoint[],
): NoticeLists {
  const buckets = distinct(chunks, bucketKey, (a, b) => newerChunk(a, b));
  return {
    buckets: buckets && buckets.map(({ definition, key, totals }) => ({ definition, key, ...totals })),
    lookups: distinct(lookups, lookupKey, (a) => a)?.map(({ lookup, key }) => ({ lookup, key })) ?? null,
    writeCheckpoints: distinct(writeCheckpoints, pairKey, greater),
  };
}

function newerChunk(a: Chunk, b: Chunk): Chunk {
  return b.lastOp > a.lastOp ? b : a;
}

/** What changed when all of `parts` become visible together. */
export function mergeLists(parts: readonly NoticeLists[]): NoticeLists {
  if (parts.length === 1) return parts[0]!;
  const all = <T>(pick: (lists: NoticeLists) => readonly T[] | null): T[] | null => {
    const lists = parts.map(pick);
    return lists.includes(null) ? null : (lists as (readonly T[])[]).flat();
  };
  const buckets = all((lists) => lists.buckets);
  const lookups = all((lists) => lists.lookups);
  const writeCheckpoints = all((lists) => lists.writeCheckpoints);
  return {
    buckets: buckets && distinct(buckets, bucketKey, newer),
    lookups: lookups && distinct(lookups, lookupKey, (a) => a),
    writeCheckpoints: writeCheckpoints && distinct(writeCheckpoints, pairKey, greater),
  };
}

export function encodeLists({ buckets, lookups, writeCheckpoints }: NoticeLists): StoredLists {
  return {
    buckets:
      buckets &&
      JSON.stringify(buckets.map((item) => [item.definition, item.key, item.lastOp, item.count, item.checksum])),
    lookups: lookups && JSON.stringify(lookups.map((item) => [item.lookup, item.key])),
    write_checkpoints:
      writeCheckpoints &&
      JSON.stringify(writeCheckpoints.map((item) => [item.userId, item.clientId, String(item.checkpoint)])),
  };
}

type BucketTuple = [definition: number, key: string, lastOp: number, count: number, checksum: number];

export function decodeLists(stored: StoredLists): NoticeLists {
  const parse = <T>(text: string | null): T[] | null => (text === null ? null : (JSON.parse(text) as T[]));
  return {
    buckets:
      parse<BucketTuple>(stored.buckets)?.map(([definition, key, lastOp, count, checksum]) => ({
        definition,
        key,
        lastOp,
        count,
        checksum,
      })) ?? null,
    lookups: parse<[number, string]>(stored.lookups)?.map(([lookup, key]) => ({ lookup, key })) ?? null,
    writeCheckpoints:
      parse<[string, string, string]>(stored.write_checkpoints)?.map(([userId, clientId, checkpoint]) => ({
        userId,
        clientId,
        checkpoint: BigInt(checkpoint),
      })) ?? null,
  };
}

/** A row of `commits`. */
export interface CommitRow extends StoredLists {
  readonly op: number;
  readonly previous: number;
  readonly version: number;
  readonly source_time_ms: number | null;
  readonly stored_ms: number;
}

export function noticeOf(row: CommitRow): CommitNotice {
  const { op, previous, version, source_time_ms: sourceTimeMs, stored_ms: storedMs } = row;
  return { version, op, previous, ...decodeLists(row), sourceTimeMs, storedMs };
}
