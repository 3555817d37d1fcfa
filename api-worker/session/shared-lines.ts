/**
 * Encoded lines that many sessions send alike: a commit to a bucket that thousands hold is encoded once. Bounded: only the newest few are
 * remembered.
 */
import type { BucketTotals } from '#core/bucket-storage/contract.ts';
import type {
  BucketEntry,
  CheckpointDiffLine,
  EncodedLine,
  LineEncoding,
  SubscriptionReason,
} from '#core/protocol/lines.ts';
import type { HeldBucket } from '../feed/held-buckets.ts';

export interface SharedLines {
  /** The entry of a bucket in a checkpoint; the same object for sessions that would get equal ones. */
  entry(
    bucket: HeldBucket,
    totals: BucketTotals,
    priority: number,
    reasons: readonly SubscriptionReason[],
  ): BucketEntry;
  diff(encoding: LineEncoding, line: CheckpointDiffLine): EncodedLine;
  complete(encoding: LineEncoding, op: number): EncodedLine;
  tokenExpiresIn(encoding: LineEncoding, seconds: number): EncodedLine;
}

const REMEMBERED_DIFFS = 16;
/** A diff with more in it is not likely to be anybody else's. */
const SHARED_ENTRIES = 8;

export function createSharedLines(): SharedLines {
  const entries = new WeakMap<HeldBucket, BucketEntry>();
  const diffs: { readonly encoding: LineEncoding; readonly line: CheckpointDiffLine; readonly encoded: EncodedLine }[] =
    [];
  const completes = new Map<LineEncoding, { op: number; encoded: EncodedLine }>();
  const expiries = new Map<LineEncoding, { seconds: number; encoded: EncodedLine }>();

  return {
    entry(bucket, totals, priority, reasons) {
      const known = entries.get(bucket);
      if (
        known !== undefined &&
        known.checksum === totals.checksum &&
        known.count === receivedBy(totals) &&
        known.priority === priority &&
        sameReasons(known.subscriptions, reasons)
      ) {
        return known;
      }
      const entry = {
        bucket: bucket.name,
        checksum: totals.checksum,
        count: receivedBy(totals),
        priority,
        subscriptions: reasons,
      };
      entries.set(bucket, entry);
      return entry;
    },
    diff(encoding, line) {
      if (line.updated.length + line.removed.length > SHARED_ENTRIES) return encoding.checkpointDiff(line);
      const known = diffs.find((item) => item.encoding === encoding && sameDiff(item.line, line));
      if (known !== undefined) return known.encoded;
      const encoded = encoding.checkpointDiff(line);
      diffs.unshift({ encoding, line, encoded });
      if (diffs.length > REMEMBERED_DIFFS) diffs.pop();
      return encoded;
    },
    complete(encoding, op) {
      const known = completes.get(encoding);
      if (known?.op === op) return known.encoded;
      const encoded = encoding.checkpointComplete(op);
      completes.set(encoding, { op, encoded });
      return encoded;
    },
    tokenExpiresIn(encoding, seconds) {
      const known = expiries.get(encoding);
      if (known?.seconds === seconds) return known.encoded;
      const encoded = encoding.tokenExpiresIn(seconds);
      expiries.set(encoding, { seconds, encoded });
      return encoded;
    },
  };
}

function sameDiff(a: CheckpointDiffLine, b: CheckpointDiffLine): boolean {
  return (
    a.lastOpId === b.lastOpId &&
    a.writeCheckpoint === b.writeCheckpoint &&
    a.updated.length === b.updated.length &&
    a.removed.length === b.removed.length &&
    a.updated.every((entry, index) => entry === b.updated[index]) &&
    a.removed.every((name, index) => name === b.removed[index])
  );
}

/** Equal in content and order. */
export function sameReasons(a: readonly SubscriptionReason[], b: readonly SubscriptionReason[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) {
    const [left, right] = [a[index]!, b[index]!];
    if ('sub' in left ? !('sub' in right) || left.sub !== right.sub : 'sub' in right || left.default !== right.default)
      return false;
  }
  return true;
}

/** What a client that begins now receives of a bucket (S-622). */
export function receivedBy({ count, removed = 0 }: BucketTotals): number {
  return count - removed;
}
