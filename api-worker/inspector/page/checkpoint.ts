/** What the service has announced on the present stream: its last checkpoint, as a client tracks it. */
import type { WireLine } from './stream-frames.ts';

export interface AnnouncedBucket {
  readonly bucket: string;
  readonly checksum: number;
  readonly count: number;
  readonly priority: number;
}

export interface Checkpoint {
  readonly opId: string;
  /** Newest write checkpoint of this client, when it has one. */
  readonly writeCheckpoint: string | null;
  readonly buckets: ReadonlyMap<string, AnnouncedBucket>;
  /** Everything of it has been sent. */
  readonly isComplete: boolean;
  /** Buckets with this priority number or a smaller one are there; -1: none yet (S-498). */
  readonly completePriority: number;
  /** What the service says about single subscriptions: `stream: message`. */
  readonly problems: readonly string[];
}

interface CheckpointMembers {
  readonly last_op_id: string;
  readonly write_checkpoint?: string | null;
}
interface Full extends CheckpointMembers {
  readonly buckets: readonly AnnouncedBucket[];
  readonly streams?: readonly { readonly name: string; readonly errors?: readonly { readonly message: string }[] }[];
}
interface Difference extends CheckpointMembers {
  readonly updated_buckets: readonly AnnouncedBucket[];
  readonly removed_buckets: readonly string[];
}

/** The checkpoint after a line, and what is worth a line in the log; the same object when nothing changed. */
export function afterLine(
  before: Checkpoint | null,
  line: WireLine,
): { readonly checkpoint: Checkpoint | null; readonly event?: string } {
  const full = line['checkpoint'] as Full | undefined;
  if (full) {
    const problems = (full.streams ?? []).flatMap(({ name, errors = [] }) =>
      errors.map(({ message }) => `${name}: ${message}`),
    );
    const checkpoint = announced(full, new Map(full.buckets.map((entry) => [entry.bucket, entry])), problems);
    return {
      checkpoint,
      event: `checkpoint ${checkpoint.opId} announced: ${plural(checkpoint.buckets.size, 'bucket')}`,
    };
  }
  const difference = line['checkpoint_diff'] as Difference | undefined;
  if (difference && before) {
    const buckets = new Map(before.buckets);
    for (const bucket of difference.removed_buckets) buckets.delete(bucket);
    for (const entry of difference.updated_buckets) buckets.set(entry.bucket, entry);
    const checkpoint = announced(difference, buckets, before.problems);
    const changed = plural(difference.updated_buckets.length, 'bucket');
    const removed = difference.removed_buckets.length > 0 ? `, ${difference.removed_buckets.length} removed` : '';
    return { checkpoint, event: `checkpoint ${checkpoint.opId} announced: ${changed} changed${removed}` };
  }
  if ('checkpoint_complete' in line && before)
    return {
      checkpoint: { ...before, isComplete: true, completePriority: Infinity },
      event: `checkpoint ${before.opId} complete`,
    };
  const partial = line['partial_checkpoint_complete'] as { readonly priority: number } | undefined;
  if (partial && before)
    return {
      checkpoint: { ...before, completePriority: partial.priority },
      event: `checkpoint ${before.opId}: priority ${partial.priority} complete`,
    };
  return { checkpoint: before };
}

function announced(
  { last_op_id, write_checkpoint }: CheckpointMembers,
  buckets: ReadonlyMap<string, AnnouncedBucket>,
  problems: readonly string[],
): Checkpoint {
  return {
    opId: last_op_id,
    writeCheckpoint: write_checkpoint ?? null,
    buckets,
    isComplete: false,
    completePriority: -1,
    problems,
  };
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
