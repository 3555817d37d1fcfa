/** The collections and what stands in them. Operators may read them (O-74); field names of what is numerous are short. */
import type { Binary, Collection, Db, UUID } from 'mongodb';
import type { StreamProgress, TableIdentity } from '../contract.ts';
import type { DeployedDefinition, VersionState } from '../sync-config-store.ts';

/** `_id`: see ids.ts. Clustered. */
export interface ChunkDocument {
  _id: string;
  /** First op. */
  f: number;
  /** Operations and their checksum. */
  n: number;
  c: number;
  /** Totals of the bucket including this chunk. */
  tn: number;
  tc: number;
  /** Operations in wire form, compressed when `z` is there. Written as Binary, read as Buffer. */
  d: Binary | Buffer;
  /** Length of the operations before compression. */
  z?: number;
  /** `Chunk.needs`. */
  m?: number;
  /** Stream and last op, only of flushes that were not final: what a take-over has to remove, if no commit followed. */
  u?: number;
  o?: number;
}

/** `_id`: see ids.ts. Clustered. `k`: length of lookup and key in it. `v`: output tuples; null withdraws. `u`, `o`: as in chunks. */
export interface LookupDocument {
  _id: string;
  k: number;
  v: string | null;
  u?: number;
  o?: number;
}

/** Hides what blocks hold under this key. `s`: null: the row of a block was removed. */
export interface RowStateDocument {
  _id: string;
  s: string | null;
}

/** States of rows as a first copy wrote them; never changed. See row-state-blocks.ts. */
export interface RowStateBlockDocument {
  _id: string;
  /** Hashes of the keys. */
  h: number[];
  d: Binary | Buffer;
}

/** Committed row states that an unfinished transaction of stream `s` replaced; `t`: number of that transaction. */
export interface UndoDocument {
  _id: string;
  s: number;
  t: number;
  keys: string[];
  states: (string | null)[];
}

/** Custom write checkpoints of an unfinished transaction. */
export interface StagedDocument {
  _id: string;
  s: number;
  t: number;
  pairs: string[];
  checkpoints: bigint[];
}

/** A visible commit. `lists`: see notice-lists.ts. Clustered by op. */
export interface CommitDocument {
  _id: number;
  version: number;
  previous: number;
  lists: string;
  sourceTimeMs: number | null;
  storedMs: number;
}

/** A small visible commit that stands in the instance document; see recent-commits.ts. */
export interface RecentCommit {
  /** Managed write checkpoints that it reached, numbers as text. Then there is one active source. */
  readonly reached: readonly (readonly [pair: string, checkpoint: string])[];
  readonly notice: CommitDocument;
  readonly chunks: readonly ChunkDocument[];
}

/** What a commit changed that is not visible yet. `hold`: the stream that waits by itself; null: waits for others. */
export interface HeldDocument {
  _id: number;
  hold: number | null;
  lists: string;
  sourceTimeMs: number | null;
}

export interface VersionDocument {
  _id: number;
  state: VersionState;
  content: string;
  plan: string;
  label: string | null;
  definitions: DeployedDefinition[];
  streams: number[];
  /** Streams made for it that have not taken over yet. */
  waiting: number[];
  error: string | null;
  createdMs: number;
  activatedMs: number | null;
  /** Its row states are gone. */
  cleared: boolean;
}

/** A definition that has data. */
export interface DefinitionDocument extends Omit<DeployedDefinition, 'id'> {
  _id: number;
}

/** What of a stream is too big or too rarely used for the instance document. After its end: all of it. */
export interface StreamDocument {
  _id: number;
  source: string;
  version: number;
  slot: string;
  progress: StreamProgress | null;
  ended: boolean;
  last?: { position: string | null; committedOp: number; lastCommitMs: number | null; definitions: number[] };
}

export interface TableDocument extends TableIdentity {
  _id: number;
  /** Canonical text of the identity. */
  text: string;
}

/** `_id`: JSON array of user and client. Numbers are int64. */
export interface WriteCheckpointDocument {
  _id: string;
  /** Greatest number that was given out, asked for, or carried by a row. */
  n: bigint;
  touchedMs: number;
  /** Source tags that have not resolved `n` yet; `['*']` all. Absent when there is nothing to wait for. */
  w?: string[];
  /** Order of waiting. */
  q?: number;
  /** Per source (field name): greatest number resolved. */
  r?: Record<string, bigint>;
  /** Numbers that all sources had resolved, with the op from which on; newest last. */
  h?: [checkpoint: bigint, op: number][];
  /** The same for custom ones, per stream. */
  k?: Record<string, [checkpoint: bigint, op: number][]>;
}

/** An entry of the deny list, or the document that counts their revisions. See revocations.ts. */
export interface RevocationDocument {
  /** The entry's key. */
  _id: string;
  revision?: number;
  issuedBeforeMs?: number | null;
  expiresMs?: number;
  /** Of the counter: the last revision that was given out. */
  last?: number;
}

/** `_id`: `bucketPrefix`. How far a bucket was compacted, and how many of its operations are gone. */
export interface CompactedDocument {
  _id: string;
  removed?: number;
  lastOp?: number;
  count?: number;
}

export interface CompactionRunDocument {
  _id: string;
  endedMs: number;
  lastSuccessMs?: number;
}

/** One, or none. */
export interface ClaimDocument {
  _id: string;
  instance: string;
  claimedMs: number;
}

export interface MigrationDocument {
  _id: string;
  appliedMs?: number;
  /** Programs that do not know it must not run. */
  breaking?: boolean;
  /** Of the lock. */
  owner?: string;
  until?: Date;
}

export interface SourceRecord {
  readonly epoch: number;
  readonly owner: string;
  /** Session that its writer's transactions run in, so that a successor can end them. */
  readonly session: UUID | Binary;
  /** The last change of this writer: whether a commit with unknown outcome took place. */
  readonly mark: string;
}

export interface StreamRecord {
  readonly source: string;
  readonly version: number;
  /** It writes for the active version (or the first one, as soon as that is active). */
  readonly serving: boolean;
  readonly definitions: readonly number[];
  readonly position: string | null;
  readonly committedOp: number;
  readonly lastCommitMs: number | null;
  /** Number of the present transaction; what flushes before its commit leave carries it. */
  readonly transaction: number;
  /** Whether such flushes exist. */
  readonly dirty: boolean;
  /** First and last op that are not published; null when there are none. */
  readonly openFrom: number | null;
  readonly openTo: number | null;
  /** The part of them that is committed, and waits for the end of the hold. */
  readonly heldFrom: number | null;
  readonly heldTo: number | null;
  readonly hold: boolean;
  /** Commits in `held`; null: too many, their lists are lost. */
  readonly heldCommits: number | null;
}

/** Ops of a commit that waits until no other transaction has ops among or below them. */
export interface ClosedRange {
  readonly first: number;
  readonly last: number;
  /** False: what it changed was too much to keep. */
  readonly listed: boolean;
}

/** A version that all its sources have switched to, active as soon as `op` is visible. */
export interface ReadyVersion {
  readonly version: number;
  readonly op: number;
}

/**
 * The one document that every change goes through. A change is prepared from a copy of it, and made only if `tick` is still that of the
 * copy; so all changes are serialised, and a writer with an old epoch changes nothing.
 */
export interface Instance {
  readonly _id: 'instance';
  readonly tick: number;
  readonly revision: number;
  /** Last op id that was given out. */
  readonly sequence: number;
  readonly visible: number;
  readonly active: number | null;
  readonly processing: number | null;
  readonly errored: number | null;
  readonly ready: ReadyVersion | null;
  readonly activeSources: readonly string[];
  /** Sources that active versions had before. */
  readonly formerSources: readonly string[];
  readonly next: {
    readonly version: number;
    readonly definition: number;
    readonly stream: number;
    readonly table: number;
  };
  /** By field name of the tag. */
  readonly sources: Readonly<Record<string, SourceRecord>>;
  /** By id. */
  readonly streams: Readonly<Record<string, StreamRecord>>;
  readonly closed: readonly ClosedRange[];
  /** The newest visible commits, oldest first, that are not in `bucket_data` and `commits` yet. */
  readonly recent: readonly RecentCommit[];
  /** Streams that ended without having served: their custom write checkpoints never count. */
  readonly unserved: readonly number[];
  /** Last changes that were not of a writer. */
  readonly marks: readonly string[];
  /** Sessions of processes that made such changes. */
  readonly sessions: readonly (UUID | Binary)[];
}

export interface Collections {
  readonly db: Db;
  readonly instance: Collection<Instance>;
  readonly chunks: Collection<ChunkDocument>;
  readonly lookups: Collection<LookupDocument>;
  readonly rowStates: Collection<RowStateDocument>;
  readonly rowStateBlocks: Collection<RowStateBlockDocument>;
  readonly undo: Collection<UndoDocument>;
  readonly staged: Collection<StagedDocument>;
  readonly commits: Collection<CommitDocument>;
  readonly held: Collection<HeldDocument>;
  readonly versions: Collection<VersionDocument>;
  readonly definitions: Collection<DefinitionDocument>;
  readonly streams: Collection<StreamDocument>;
  readonly tables: Collection<TableDocument>;
  readonly writeCheckpoints: Collection<WriteCheckpointDocument>;
  readonly revocations: Collection<RevocationDocument>;
  readonly compacted: Collection<CompactedDocument>;
  readonly compactionRuns: Collection<CompactionRunDocument>;
  readonly migrations: Collection<MigrationDocument>;
  readonly claim: Collection<ClaimDocument>;
}

/** Of chunks and lookups: those with `u`, by stream and op. */
export const UNFINISHED_INDEX = 'unfinished';

export const COLLECTION_NAMES = {
  instance: 'instance',
  chunks: 'bucket_data',
  lookups: 'lookups',
  rowStates: 'row_states',
  rowStateBlocks: 'row_state_blocks',
  undo: 'undo',
  staged: 'staged_write_checkpoints',
  commits: 'commits',
  held: 'held_commits',
  versions: 'sync_config_versions',
  definitions: 'definitions',
  streams: 'streams',
  tables: 'tables',
  writeCheckpoints: 'write_checkpoints',
  revocations: 'revocations',
  compacted: 'compacted_buckets',
  compactionRuns: 'compaction_runs',
  migrations: 'migrations',
  claim: 'claim',
} as const;

export function collectionsOf(db: Db): Collections {
  const names = COLLECTION_NAMES;
  const int64 = { useBigInt64: true };
  return {
    db,
    instance: db.collection(names.instance),
    chunks: db.collection(names.chunks, { promoteBuffers: true }),
    lookups: db.collection(names.lookups),
    rowStates: db.collection(names.rowStates),
    rowStateBlocks: db.collection(names.rowStateBlocks, { promoteBuffers: true }),
    undo: db.collection(names.undo),
    staged: db.collection(names.staged, int64),
    commits: db.collection(names.commits),
    held: db.collection(names.held),
    versions: db.collection(names.versions),
    definitions: db.collection(names.definitions),
    streams: db.collection(names.streams),
    tables: db.collection(names.tables),
    writeCheckpoints: db.collection(names.writeCheckpoints, int64),
    revocations: db.collection(names.revocations),
    compacted: db.collection(names.compacted),
    compactionRuns: db.collection(names.compactionRuns),
    migrations: db.collection(names.migrations),
    claim: db.collection(names.claim),
  };
}
