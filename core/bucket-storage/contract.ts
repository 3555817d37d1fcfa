/**
 * The seam between the data plane and the database that keeps buckets (design.md section 4, O-69).
 *
 * Two implementations, `mongodb/` and `postgres/`, pass `conformance/`. What is common to both (chunk encoding, row
 * state diffs, running totals) lives with the writer in `replicator/pipeline/`; an implementation only stores, fences
 * and reads.
 *
 * Invariants every implementation keeps:
 * - I1 An operation is visible to readers only when its id is not above `Checkpoint.op` (G1, S-402).
 * - I2 Whatever becomes visible later has a greater id than any announced `Checkpoint.op` (G7, S-400).
 * - I3 Every write of a source happens in one storage transaction that also checks the source's epoch (G6).
 * - I4 Chunks never span a commit, and only compaction rewrites them (compaction-store.ts). `totals` in a chunk are those of its bucket
 *   up to its `lastOp`, and never change.
 * - I5 A position and the data it covers are stored in the same transaction (G5, R-31).
 *
 * Op ids are JS numbers: whole, positive, below 2^53.
 */
import type { StorageClaim } from './claim.ts';
import type { CompactionStore } from './compaction-store.ts';
import type { RevocationStore } from './revocation-store.ts';
import type { StorageInspection } from './inspection.ts';
import type { SyncConfigStore } from './sync-config-store.ts';
import type { WriteCheckpointStore } from './write-checkpoint-store.ts';

/** One bucket: a definition (id given at deployment) and its parameter values as compact JSON array, `["u1",3]`. */
export interface BucketRef {
  readonly definition: number;
  readonly key: string;
}

/** Count and wrapping uint32 checksum of a bucket's operations up to and including `lastOp` (0 when empty). */
export interface BucketTotals {
  readonly lastOp: number;
  readonly count: number;
  readonly checksum: number;
  /** How many of `count` compaction has taken away (S-424): a client that begins now gets `count - removed`. Only readers tell; absent: 0. */
  readonly removed?: number;
}

/** A run of operations of one bucket, from one flush, in wire form (core/protocol/operations.ts). */
export interface Chunk extends BucketRef {
  readonly firstOp: number;
  readonly lastOp: number;
  readonly count: number;
  /** Wrapping sum of the checksums of the operations in this chunk. */
  readonly checksum: number;
  /** Totals of the bucket including this chunk. */
  readonly totals: BucketTotals;
  /** Consecutive BSON array elements with keys "0", "1", …: the content of the `data` array of a BSON line. */
  readonly operations: Uint8Array;
  /**
   * Absent: as it was written. Else compaction replaced operations in it by MOVE or CLEAR, because of operations up to this one: no
   * checkpoint below it can be completed with what is left (S-425, S-426).
   */
  readonly needs?: number;
}

/** What one source row contributes to one lookup key from `op` on; `values: null` withdraws it. */
export interface LookupEntry {
  readonly lookup: number;
  /** Compact JSON array of the input values. */
  readonly key: string;
  /** Identifies the source row: `${tableId}/${rowKey}`. */
  readonly row: string;
  readonly op: number;
  /** Compact JSON array of output tuples (`[["b-1"],["b-2"]]`), or null. */
  readonly values: string | null;
}

export interface LookupKey {
  readonly lookup: number;
  readonly key: string;
}

/** Where a source row currently is, as an opaque string of the pipeline; null removes the record. One write per key and batch. */
export interface RowStateWrite {
  readonly key: string;
  readonly state: string | null;
  /** The committed state before the present source transaction; needed when the flush is not final. */
  readonly previous: string | null;
  /**
   * There is certainly no record under this key, nor was there ever a committed one, except before `dropRowStates` (a first copy): it need
   * not be looked for, and many of them in one commit may be stored together.
   */
  readonly isNew?: true;
}

/** The keys of a row-state record, in order: definition group, table, generation of the table, row. */
export function rowStateKey(group: number, table: number, generation: number, row: string): string {
  return `${rowStatePrefix(group, table, generation)}${row}`;
}
export function rowStatePrefix(group: number, table: number, generation: number): string {
  return `${group}/${table}/${generation}/`;
}

/** Built once op ids are known. May be called again when the storage transaction is retried: no side effects. */
export interface FlushContent {
  readonly chunks: readonly Chunk[];
  readonly lookups: readonly LookupEntry[];
}

/**
 * One storage transaction of one replication stream.
 *
 * - `commit` absent: part of a source transaction (or of a table copy that is not published yet) that did not fit in
 *   memory. Durable but invisible, and undone by the next take-over.
 * - `commit` present: everything since the last commit becomes visible together, atomically with `position`.
 *
 * A stream of a version that was replaced or failed takes nothing any more: PSYNC_S1020. Chunks and lookups of definitions that the
 * stream does not write are refused with PSYNC_S0001, nothing of the batch is stored.
 */
export interface FlushBatch {
  readonly stream: number;
  /** How many op ids the content needs. 0 with a commit still takes one id when `commit.announce` is set. */
  readonly operations: number;
  /** The bytes of its chunks are the caller's memory: other ones stand there after the next call, and once the flush has ended. */
  build(firstOp: number): FlushContent;
  readonly rowStates: readonly RowStateWrite[];
  readonly commit?: StreamCommit;
  /** Custom write checkpoints carried by rows of this batch (S-484…S-488). */
  readonly customWriteCheckpoints?: readonly { userId: string; clientId: string; checkpoint: bigint }[];
}

export interface StreamCommit {
  /** Source position up to which everything is contained; opaque, compared by the source module only. Null: unchanged (a copy goes on). */
  readonly position: string | null;
  /** Replaces the stream's record of its tables and snapshot progress. Absent: unchanged. */
  readonly progress?: StreamProgress;
  /** Commit time in the source, for lag and latency figures. */
  readonly sourceTimeMs: number | null;
  /** Managed write checkpoints that this position covers for this stream's source. Ignored while its version is being processed. */
  readonly reachedWriteCheckpoints: readonly ReachedWriteCheckpoint[];
  /** True: workers must hear of it even if no operation is in it (a reached write checkpoint). */
  readonly announce: boolean;
}

export interface ReachedWriteCheckpoint {
  readonly userId: string;
  readonly clientId: string;
  readonly checkpoint: bigint;
}

/** What a stream knows about its tables; stored as is, so that a restart resumes a snapshot. */
export interface StreamProgress {
  readonly snapshot: 'copying' | 'catching-up' | 'done';
  /** Where the first copy began: streaming starts here. */
  readonly startPosition: string | null;
  /** Nothing may be published before this position is passed; null when free. */
  readonly holdUntil: string | null;
  readonly tables: readonly TableProgress[];
  /** What the source said of each wanted table when it was looked at last: diagnostics of every process show it. */
  readonly reports?: readonly {
    readonly schema: string;
    readonly name: string;
    readonly identityColumns: readonly string[];
    readonly errors: readonly {
      readonly level: 'warning' | 'fatal';
      readonly code: string;
      readonly message: string;
    }[];
    readonly rows?: string;
    readonly rowsCopied?: string;
    readonly altered?: true;
  }[];
  /** Why the first copy stands still until an operator acts; absent or null: it does not. */
  readonly blocked?: { readonly code: string; readonly message: string } | null;
}
export interface TableProgress {
  /** Id from `registerTable`. */
  readonly table: number;
  /** Its names, where known: absent in what earlier releases stored. */
  readonly schema?: string;
  readonly name?: string;
  readonly generation: number;
  readonly state: 'waiting' | 'copying' | 'done' | 'failed';
  /** Ranges of the copy that are stored (source specific strings). */
  readonly ranges: readonly string[];
  readonly rowsCopied: number;
  readonly rowsEstimated: number;
  readonly error?: string;
}

export interface FlushResult {
  /** Ids `firstOp … lastOp` were used. firstOp > lastOp when none. */
  readonly firstOp: number;
  readonly lastOp: number;
  /** The newest visible checkpoint after this flush, when it is a commit of an active stream; what to put on the bus. */
  readonly notice: CommitNotice | null;
}

/** A source table as it was when it got its id. A drop and re-creation, or another identity, is another table. */
export interface TableIdentity {
  readonly source: string;
  readonly schema: string;
  readonly name: string;
  /** The source's own id of the table (Postgres: oid). */
  readonly relation: string;
  /** Identity columns with types, in order, in a canonical text. */
  readonly identity: string;
}

/** A slot/cursor into one source, feeding the definitions of one deployment. */
export interface ReplicationStream {
  readonly id: number;
  readonly source: string;
  /** Version that created it. */
  readonly version: number;
  /** Source-side name (Postgres: the slot). Empty until set. */
  readonly slot: string;
  readonly position: string | null;
  readonly progress: StreamProgress | null;
  /** Ids of bucket and lookup definitions that this stream writes. */
  readonly definitions: readonly number[];
  /** Highest committed op id of this stream. */
  readonly committedOp: number;
  readonly lastCommitMs: number | null;
}

/**
 * The only writer of one source, as long as its epoch is the newest (G6). Every method fails with PSYNC_S1003 once fenced. After a flush
 * whose outcome could not be found out (storage was away too long) it refuses to go on: take the source over again.
 */
export interface SourceWriter {
  readonly source: string;
  readonly epoch: number;
  /** Streams of the active and the processing version, by id. */
  streams(): Promise<ReplicationStream[]>;
  setSlot(stream: number, slot: string): Promise<void>;
  registerTable(identity: TableIdentity): Promise<number>;
  /** States in the order of the keys; null where none is stored. At most 10,000 keys. */
  readRowStates(keys: readonly string[]): Promise<(string | null)[]>;
  /** Totals including this writer's own unpublished operations. */
  readTotals(buckets: readonly BucketRef[]): Promise<BucketTotals[]>;
  /**
   * Does the work on chunks that needs no transaction, for a flush that is expected to hold these very chunks (recognised by the identity
   * of `operations`, whose bytes must not change until then). Only saves time while another flush is on its way.
   */
  prepare(chunks: readonly Chunk[]): void;
  flush(batch: FlushBatch): Promise<FlushResult>;
  /** Confirms a position without operations (keep-alive): no checkpoint, no notice. */
  keepalive(stream: number, position: string): Promise<void>;
  /** All chunks of a definition in (bucket key, op) order, unpublished ones included: used to undo a table. */
  scanDefinition(definition: number, signal?: AbortSignal): AsyncIterable<Chunk>;
  /** All entries of a lookup in (key, row, op) order, unpublished ones included. */
  scanLookup(lookup: number, signal?: AbortSignal): AsyncIterable<LookupEntry>;
  /** Removes row states by prefix (see `rowStatePrefix`) in bounded steps; for generations that no progress names any more. */
  dropRowStates(prefix: string): Promise<void>;
  /**
   * Atomically: `to` takes over writing the definitions that its version keeps from `from`; when this was the last
   * source the version becomes active, and the version before it stops. Both streams must stand at the same position with nothing
   * unpublished (else PSYNC_S0001). `from` null: nothing is kept of this source, positions are not compared. Not the last source: `to`
   * feeds the active version from now on, `from` goes on with what only the earlier version uses. While another source has unpublished
   * operations a version cannot become active: `active` is false, and the commit that ends this activates it (its notice tells).
   * Repeating a call that was carried out answers the same state.
   */
  switchOver(options: {
    version: number;
    from: number | null;
    to: number;
  }): Promise<{ active: boolean; notice: CommitNotice | null }>;
}

/** The instance's newest consistent state. */
export interface Checkpoint {
  readonly version: number;
  readonly op: number;
}

/** What changed between two consecutive visible commits; what travels on the bus and is kept for a while in storage. */
export interface CommitNotice {
  readonly version: number;
  /** This commit's id; the visible checkpoint when it is the newest. */
  readonly op: number;
  /** The id of the commit before it (0 at first). A reader that did not see `previous` has a gap. */
  readonly previous: number;
  /** Buckets with their totals at `op`; null when there were too many to list: re-read what is held. */
  readonly buckets: readonly (BucketRef & BucketTotals)[] | null;
  readonly lookups: readonly LookupKey[] | null;
  readonly writeCheckpoints: readonly ReachedWriteCheckpoint[] | null;
  readonly sourceTimeMs: number | null;
  readonly storedMs: number;
}
/** Longer lists become null. */
export const NOTICE_LIST_LIMIT = 5000;

/** Reads for API workers: never the source, never unpublished data. */
export interface BucketReader {
  /** Null while no version is active (S2302). */
  checkpoint(): Promise<Checkpoint | null>;
  /**
   * Notices with id above `op`, visible ones only, oldest first; 'gap' when some are no longer kept. Kept for 10 minutes at least; removed
   * by later commits.
   */
  noticesAfter(op: number, limit: number): Promise<readonly CommitNotice[] | 'gap'>;
  /**
   * Totals as of `op` (or the visible checkpoint, if that is lower), in the order of the buckets. At most 10,000 buckets. Where compaction
   * has taken away how a bucket was at `op`, the oldest totals that are left, with `lastOp` above `op`; its chunks then say what they need.
   */
  totals(buckets: readonly BucketRef[], op: number): Promise<BucketTotals[]>;
  /**
   * Chunks of one bucket that hold operations in (after, upTo], in order, up to about `maxBytes`, at least one when there is
   * any. The first may begin at or below `after`, the last may end above `upTo`: the caller cuts. `more`: there may be more after
   * the last chunk's `lastOp`: call again.
   */
  chunks(bucket: BucketRef, after: number, upTo: number, maxBytes: number): Promise<{ chunks: Chunk[]; more: boolean }>;
  /** Output tuples (parsed from nothing: JSON texts of `values`) of each key as of `op`, in the order of the keys. */
  lookups(keys: readonly LookupKey[], op: number): Promise<readonly (readonly string[])[]>;
}

export interface StorageFigures {
  readonly operationBytes: number;
  readonly parameterBytes: number;
  readonly rowStateBytes: number;
}

export interface BucketStorage {
  readonly kind: 'mongodb' | 'postgresql';
  /** Brings the schema up to date, once however many processes call it (O-78, O-80). */
  migrate(): Promise<{ applied: readonly string[] }>;
  /** Throws PSYNC_S1005-like coded error naming the missing migration when the schema is not up to date (O-79). */
  assertMigrated(): Promise<void>;
  readonly configs: SyncConfigStore;
  readonly reader: BucketReader;
  readonly writeCheckpoints: WriteCheckpointStore;
  readonly inspection: StorageInspection;
  /** Client tokens that are refused before they expire. */
  readonly revocations: RevocationStore;
  /** Whose it is (O-69). */
  readonly claim: StorageClaim;
  readonly compaction: CompactionStore;
  /**
   * Takes over a source: raises its epoch, waits out or ends an unfinished transaction of the former writer (within 5 s even when
   * that process is stopped), and removes everything the former writer did not commit: chunks, lookups, row states.
   */
  takeOver(source: string, owner: string): Promise<SourceWriter>;
  figures(): Promise<StorageFigures>;
  /**
   * Deletes data of definitions that neither the active nor the processing version uses, and row states of versions that created none of
   * those in use; about `budgetMs` per call; false when nothing is left (O-134).
   */
  clearStopped(budgetMs: number): Promise<boolean>;
  /** Removes everything of this instance, its claim last (O-7). Can be repeated, also after it was killed. */
  destroy(): Promise<void>;
  close(): Promise<void>;
}
