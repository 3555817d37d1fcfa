import type {
  BucketRef,
  BucketTotals,
  CommitNotice,
  LookupKey,
  ReachedWriteCheckpoint,
} from '../../bucket-storage/contract.ts';

/** A longer message loses its longest lists (they become null: re-read what is held), until it fits. */
export const MAX_MESSAGE_BYTES = 512 * 1024;
/** Changes with the form; a reader that does not know it treats the message as a missed one. */
const FORM = 1;

type Bucket = BucketRef & BucketTotals;

/**
 * A notice as one flat JSON array, `[form, version, op, previous, sourceTimeMs, storedMs, buckets, lookups, checkpoints]`,
 * whose lists are flat as well (five, two and three values an entry): a third of the bytes of plain JSON, and read at the
 * speed of JSON.parse. Write checkpoints are strings, because they are 64 bit wide.
 */
export function encodeCommit(notice: CommitNotice): string {
  const head = JSON.stringify([FORM, notice.version, notice.op, notice.previous, notice.sourceTimeMs, notice.storedMs]);
  const lists = [encodeBuckets(notice.buckets), encodeLookups(notice.lookups), encodeReached(notice.writeCheckpoints)];
  const sizes = lists.map((list) => Buffer.byteLength(list));
  let total = head.length + 3;
  for (const size of sizes) total += size;
  while (total > MAX_MESSAGE_BYTES) {
    const longest = sizes.indexOf(Math.max(...sizes));
    total -= sizes[longest]! - 4;
    lists[longest] = 'null';
    sizes[longest] = 4;
  }
  return `${head.slice(0, -1)},${lists[0]},${lists[1]},${lists[2]}]`;
}

/** Null when the text is not of this form. */
export function decodeCommit(text: string): CommitNotice | null {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(message) || message.length !== 9 || message[0] !== FORM) return null;
  const [, version, op, previous, sourceTimeMs, storedMs] = message as unknown[];
  if (!isWhole(version) || !isWhole(op) || !isWhole(previous) || !isNumber(storedMs)) return null;
  if (sourceTimeMs !== null && !isNumber(sourceTimeMs)) return null;
  const buckets = decodeBuckets(message[6]);
  const lookups = decodeLookups(message[7]);
  const writeCheckpoints = decodeReached(message[8]);
  if (buckets === undefined || lookups === undefined || writeCheckpoints === undefined) return null;
  return { version, op, previous, buckets, lookups, writeCheckpoints, sourceTimeMs, storedMs };
}

/** Too long for certain is not even written: the shortest entry has this many bytes. */
const SHORTEST_BUCKET = 12;
const SHORTEST_LOOKUP = 5;

function encodeBuckets(buckets: CommitNotice['buckets']): string {
  if (buckets === null || buckets.length * SHORTEST_BUCKET > MAX_MESSAGE_BYTES) return 'null';
  const flat: (string | number)[] = [];
  for (const { definition, key, lastOp, count, checksum } of buckets)
    flat.push(definition, key, lastOp, count, checksum);
  return JSON.stringify(flat);
}

function decodeBuckets(flat: unknown): readonly Bucket[] | null | undefined {
  if (flat === null) return null;
  if (!Array.isArray(flat) || flat.length % 5 !== 0) return undefined;
  const buckets: Bucket[] = [];
  for (let i = 0; i < flat.length; i += 5) {
    const [definition, key, lastOp, count, checksum] = [
      flat[i],
      flat[i + 1],
      flat[i + 2],
      flat[i + 3],
      flat[i + 4],
    ] as unknown[];
    if (!isWhole(definition) || typeof key !== 'string' || !isWhole(lastOp) || !isWhole(count) || !isWhole(checksum)) {
      return undefined;
    }
    buckets.push({ definition, key, lastOp, count, checksum });
  }
  return buckets;
}

function encodeLookups(lookups: CommitNotice['lookups']): string {
  if (lookups === null || lookups.length * SHORTEST_LOOKUP > MAX_MESSAGE_BYTES) return 'null';
  const flat: (string | number)[] = [];
  for (const { lookup, key } of lookups) flat.push(lookup, key);
  return JSON.stringify(flat);
}

function decodeLookups(flat: unknown): readonly LookupKey[] | null | undefined {
  if (flat === null) return null;
  if (!Array.isArray(flat) || flat.length % 2 !== 0) return undefined;
  const lookups: LookupKey[] = [];
  for (let i = 0; i < flat.length; i += 2) {
    const lookup: unknown = flat[i];
    const key: unknown = flat[i + 1];
    if (!isWhole(lookup) || typeof key !== 'string') return undefined;
    lookups.push({ lookup, key });
  }
  return lookups;
}

function encodeReached(reached: CommitNotice['writeCheckpoints']): string {
  if (reached === null) return 'null';
  const flat: string[] = [];
  for (const { userId, clientId, checkpoint } of reached) flat.push(userId, clientId, checkpoint.toString());
  return JSON.stringify(flat);
}

const CHECKPOINT = /^-?\d{1,20}$/;

function decodeReached(flat: unknown): readonly ReachedWriteCheckpoint[] | null | undefined {
  if (flat === null) return null;
  if (!Array.isArray(flat) || flat.length % 3 !== 0) return undefined;
  const reached: ReachedWriteCheckpoint[] = [];
  for (let i = 0; i < flat.length; i += 3) {
    const userId: unknown = flat[i];
    const clientId: unknown = flat[i + 1];
    const checkpoint: unknown = flat[i + 2];
    if (typeof userId !== 'string' || typeof clientId !== 'string') return undefined;
    if (typeof checkpoint !== 'string' || !CHECKPOINT.test(checkpoint)) return undefined;
    reached.push({ userId, clientId, checkpoint: BigInt(checkpoint) });
  }
  return reached;
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}
