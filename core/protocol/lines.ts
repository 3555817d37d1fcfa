/**
 * The lines of a sync stream (S chapter 15.3), before they are encoded. Op ids and counts are JS numbers here; the encodings turn them
 * into what clients expect: decimal strings (S-544) and int32 (S-588).
 */

/** Why a client has a bucket: index into the checkpoint's `streams`, or into the request's subscriptions (S-551). */
export type SubscriptionReason = { readonly default: number } | { readonly sub: number };

/** A bucket as a checkpoint announces it (S-547…S-551). */
export interface BucketEntry {
  readonly bucket: string;
  /** Unsigned 32 bit (S-410). */
  readonly checksum: number;
  readonly count: number;
  readonly priority: number;
  readonly subscriptions: readonly SubscriptionReason[];
}

/** A stream that the client is subscribed to (S-552…S-555). */
export interface StreamEntry {
  readonly name: string;
  readonly isDefault: boolean;
  readonly errors: readonly { readonly subscription: 'default' | number; readonly message: string }[];
}

/** Replaces everything the client tracks (S-556). */
export interface CheckpointLine {
  readonly lastOpId: number;
  /** Newest number this client's writes have reached; null when there is none (S-545, S-467). */
  readonly writeCheckpoint: bigint | null;
  readonly buckets: readonly BucketEntry[];
  readonly streams: readonly StreamEntry[];
}

/** Changes against the checkpoint announced last, completed or not (S-563, S-564). */
export interface CheckpointDiffLine {
  readonly lastOpId: number;
  readonly writeCheckpoint: bigint | null;
  /** New buckets, and those whose checksum, count, priority or reasons changed. */
  readonly updated: readonly BucketEntry[];
  readonly removed: readonly string[];
}

/** Operations of one bucket (S-570…S-575), in wire form (operations.ts). */
export interface DataLine {
  readonly bucket: string;
  /** The client's position before this line. */
  readonly after: number;
  /** More operations of this bucket follow for the checkpoint being sent. Informative (S-570). */
  readonly hasMore: boolean;
  /** The last operation in it. */
  readonly nextAfter: number;
  readonly count: number;
  /** Elements of the operations array with keys from "0" on. */
  readonly operations: Buffer;
}

/** An encoded line. `parts` are written one after the other; they are shared and must not be changed. */
export interface EncodedLine {
  readonly parts: readonly Buffer[];
  readonly bytes: number;
  /** Operations in it; 0 but for data lines. */
  readonly operations: number;
}

/** One way of putting lines on the wire. Pure: the same line gives the same bytes. */
export interface LineEncoding {
  readonly name: 'bson' | 'ndjson' | 'ndjson-objects';
  readonly contentType: string;
  checkpoint(line: CheckpointLine): EncodedLine;
  checkpointDiff(line: CheckpointDiffLine): EncodedLine;
  data(line: DataLine): EncodedLine;
  checkpointComplete(lastOpId: number): EncodedLine;
  /** Every bucket with this priority number or a smaller one is complete (S-498). */
  partialCheckpointComplete(lastOpId: number, priority: number): EncodedLine;
  /** Whole seconds (S-581). */
  tokenExpiresIn(seconds: number): EncodedLine;
}
