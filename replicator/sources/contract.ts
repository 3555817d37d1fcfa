/**
 * The seam between the replication job and a kind of source database. A source only reads: it checks, copies, streams, compares
 * positions. It knows nothing of buckets, storage or sync config beyond which tables are wanted.
 *
 * Laid out for Postgres (LSN, slots), MongoDB (resume tokens), MySQL (GTID), SQL Server (polled CDC) and Convex (cursor, no
 * transactions: each page of deltas is one); see docs/adr/. `conformance.ts` is passed by each.
 */
import type { SourceRow, SourceTable } from '#core/sync-config/values.ts';

/** Opaque text; ordered by `SourceModule.comparePositions` only. */
export type Position = string;

/** A table the source offers, at one incarnation. The same object is passed with all its changes until it changes. */
export interface ReplicatedTable extends SourceTable {
  /** The source's own id (Postgres: oid). */
  readonly relation: string;
  /** Indexes of the identity columns, in order. Empty with identity 'full' or 'none'. */
  readonly identityColumns: readonly number[];
  /** key: identified by some columns. full: by all columns, before images are complete. none: cannot be replicated. */
  readonly identity: 'key' | 'full' | 'none';
  /** Every update and delete carries the complete former row although the table has a key (MySQL, SQL Server). Absent: only with identity 'full'. */
  readonly completeBeforeImages?: boolean;
  /** Canonical text of the identity (kind, column names and types): another text means another table. */
  readonly identityText: string;
}

/**
 * One change. `key` identifies the row: canonical text of its identity values, the same in snapshot and stream.
 * `before`: complete before image, or null. `keyBefore`: the former key if an update changed it.
 * `omitted`: indexes of columns that the source did not send because they are unchanged; their place in `after` is null.
 * `retain`: JSON-able texts of columns that the source may omit in later changes, to be handed back by the pipeline through
 * `fill`; null when there are none.
 */
export type Change =
  | {
      readonly kind: 'insert' | 'update';
      readonly table: ReplicatedTable;
      readonly key: string;
      readonly keyBefore: string | null;
      readonly before: SourceRow | null;
      /** The former identity values in their columns, all else null; given with `keyBefore`. */
      readonly keyRowBefore: SourceRow | null;
      readonly after: SourceRow;
      readonly omitted: readonly number[] | null;
      readonly retain: RetainedValues | null;
      /** Bytes the source sent for it. */
      readonly bytes: number;
    }
  | {
      readonly kind: 'delete';
      readonly table: ReplicatedTable;
      readonly key: string;
      readonly before: SourceRow | null;
      readonly keyRow: SourceRow;
      readonly bytes: number;
    }
  | { readonly kind: 'truncate'; readonly table: ReplicatedTable };

/** Column name -> value text as the source sent it. */
export type RetainedValues = Readonly<Record<string, string>>;

/** What a stream delivers, in source order. Between `begin` and `commit` only changes, relations and nothing of another transaction. */
export type StreamEvent =
  | { readonly kind: 'begin' }
  | Change
  /** First sight of a table, or of a new incarnation of it (new, renamed, other identity; R-121…R-124). Precedes its changes. */
  | { readonly kind: 'table'; readonly table: ReplicatedTable; readonly replaces: ReplicatedTable | null }
  | { readonly kind: 'commit'; readonly position: Position; readonly timeMs: number }
  /** Nothing before this position is still to come; no transaction is open. */
  | { readonly kind: 'keepalive'; readonly position: Position };

/** Handles events. A returned promise holds the stream back: that is the back-pressure. */
export interface StreamHandler {
  event(event: StreamEvent): void | Promise<void>;
  /** The source has nothing more to say at the moment: flush what is complete. */
  idle(): void;
}

export interface TableReport {
  readonly schema: string;
  readonly name: string;
  readonly identityColumns: readonly string[];
  readonly errors: readonly { readonly level: 'warning' | 'fatal'; readonly code: string; readonly message: string }[];
  /** Which rows the source shows, in its own words; '' all. Absent: it shows none, or knows nothing like it. */
  readonly rows?: string;
}

/** Something an operator should know or do about a source. */
export interface Finding {
  readonly level: 'warning' | 'fatal';
  readonly code: string;
  readonly message: string;
  /** The source could not be asked: says nothing about its settings. */
  readonly unanswered?: true;
}

/** Result of a connection test: each failure its own message. */
export interface CheckReport {
  /** Nothing is fatal for the source as a whole; single tables may still be unusable. */
  readonly ok: boolean;
  readonly serverVersion: string | null;
  readonly findings: readonly Finding[];
  /** One per wanted table (`want`), with what is wrong with it. */
  readonly tables: readonly TableReport[];
}

export interface CopyPart {
  readonly table: ReplicatedTable;
  /** Source specific text; stored when its rows are, so that a restart skips it. */
  readonly range: string;
}

/** A consistent view of the source at `position`: every transaction at or before it, none after. */
export interface Snapshot {
  readonly position: Position;
  /** Wanted tables that exist and can be replicated, with an estimate of their rows; tables that cannot come as reports. */
  readonly tables: readonly {
    readonly table: ReplicatedTable;
    readonly rowsEstimated: number;
    readonly ranges: readonly string[];
  }[];
  readonly reports: readonly TableReport[];
  /**
   * Reads the parts with `connections` readers side by side; `rows` is called for batches of rows of one part (a returned promise holds
   * that reader back), `done` after the last rows of a part.
   */
  copy(
    parts: readonly CopyPart[],
    handler: {
      rows(part: CopyPart, rows: readonly CopiedRow[]): void | Promise<void>;
      done(part: CopyPart): void | Promise<void>;
    },
    signal: AbortSignal,
  ): Promise<void>;
  close(): Promise<void>;
}
export interface CopiedRow {
  readonly key: string;
  readonly row: SourceRow;
  readonly retain: RetainedValues | null;
  readonly bytes: number;
}

/** What somebody knows of a row: the canonical text of its identity, or the text of one of these columns. */
export interface RowQuery {
  readonly schema: string;
  readonly name: string;
  readonly text: string;
  /** Columns that may hold it; those that the table does not have count for nothing. */
  readonly columns: readonly string[];
}

export interface FoundRow {
  readonly key: string;
  /** As the stream would give it; null where a fault speaks against it. */
  readonly row: SourceRow | null;
  readonly fault: { readonly code: string; readonly message: string } | null;
  /** The source shows it to replication. */
  readonly shown: boolean;
  /** The column that holds the text; null: it is the identity. */
  readonly by: string | null;
}

export interface FoundRows {
  /** Null: there is no table of this name, or it cannot be replicated as it is: see `report`. */
  readonly table: ReplicatedTable | null;
  /** Null: there is none. */
  readonly report: TableReport | null;
  /** A few, those found by identity first. */
  readonly rows: readonly FoundRow[];
  /** Columns that were not searched to the end in the time there is. */
  readonly unsearched: readonly string[];
}

export interface SourceStatus {
  readonly slot: string | null;
  readonly lagBytes: number | null;
  /** Log that the source keeps for this cursor; at least `lagBytes`. */
  readonly retainedBytes: number | null;
  readonly walStatus: string | null;
  readonly safeWalBytes: number | null;
  readonly maxWalBytes: number | null;
}

/** The slot/cursor is gone or unusable: start over with a new one while clients are still served. */
export type OpenResult =
  | { readonly kind: 'ok' }
  | {
      readonly kind: 'lost';
      readonly code: string;
      /** What happened, and what prevents it next time; whole sentences. */
      readonly reason: string;
      /**
       * missing: it does not exist. invalidated: the source gave it up, and may do so again. diverged: it is there, but does not
       * continue what was stored (storage or source were restored, a fail-over lost transactions).
       */
      readonly why: 'missing' | 'invalidated' | 'diverged';
    };

/** One connection of `replication.connections[]`, opened for replication. */
export interface Source {
  readonly tag: string;
  comparePositions(a: Position, b: Position): number;
  /**
   * Prerequisites, permissions, publication, wanted tables (R-80…R-99). Never rejects. `connect` false: without trying whether another
   * replication connection can be opened, for looking again while a stream runs.
   */
  check(options?: { readonly connect?: boolean }): Promise<CheckReport>;
  /** All tables that the role can see, for validation. */
  schema(): Promise<readonly (SourceTable & { readonly columnTypes: readonly string[] })[]>;
  /** Values of omitted columns from what was retained; same mapping as the stream's own. */
  fill(change: Extract<Change, { kind: 'insert' | 'update' }>, retained: RetainedValues): SourceRow;
  /** The row as it is now, for the rare case that nothing was retained; null if it is gone. PSYNC_S1152 when the table may not be read. */
  fetchRow(table: ReplicatedTable, key: string): Promise<SourceRow | null>;
  /**
   * Rows as they are now, for people who ask about one; through the mapping of the stream. Needs no cursor, writes nothing, and is bounded in
   * time. Absent: this kind of source cannot be asked yet.
   */
  findRows?(query: RowQuery): Promise<FoundRows>;

  /** Creates a new cursor (Postgres: slot `name`) and a snapshot at its very start. */
  createCursor(name: string, signal: AbortSignal): Promise<Snapshot>;
  /**
   * A fresh snapshot not before now: to resume a copy, or to copy a table that appeared. Its position is at or after
   * everything it shows; the stream, begun before, brings the rest up to there.
   */
  openSnapshot(signal: AbortSignal): Promise<Snapshot>;
  /** With `position`: also whether the stream can go on from there. */
  cursorState(name: string, position?: Position | null): Promise<OpenResult>;
  /** Streams from `position` (exclusive) until `signal` aborts, or rejects with a coded error. Acknowledges only what `acknowledge` was told. */
  stream(options: {
    cursor: string;
    position: Position;
    handler: StreamHandler;
    signal: AbortSignal;
    /**
     * Tables as they were registered, so that what happened to them while nobody streamed is recognised. Absent: those of
     * this cursor's snapshot, if this process created it.
     */
    known?: readonly ReplicatedTable[];
  }): Promise<void>;
  /** Stored durably up to here (G5): the source may forget. */
  acknowledge(cursor: string, position: Position): void;
  dropCursor(name: string): Promise<void>;
  /** Names a new cursor for a version. */
  cursorName(version: number, random: string): string;

  /** Head of the source now, after making sure that the stream will move past it. */
  head(): Promise<Position>;
  /** Moves the position of an idle source. */
  heartbeat(): Promise<void>;
  status(cursor: string): Promise<SourceStatus>;
  /** Tables wanted by the sync config: others are discarded as early as possible. May change while streaming. */
  want(
    matches: IsWanted,
    /** Columns of a wanted table that are read; others may come as null. Absent: all. */
    columns?: (table: SourceTable) => readonly boolean[] | null,
  ): void;
  close(): Promise<void>;
}

/** Whether a sync config names a table. `if published`: only by the pattern of a schema, so that it need not be published. */
export type IsWanted = (table: { readonly schema: string; readonly name: string }) => boolean | 'if published';

/** Opens a source from its configuration. Known kinds are registered in `sources/registry.ts`. */
export interface SourceModule<Connection> {
  readonly type: string;
  readonly defaultSchema: (connection: Connection) => string;
  open(connection: Connection, dependencies: SourceDependencies): Source;
}
export interface SourceDependencies {
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
  readonly metrics?: { replicatedBytes(bytes: number): void };
  readonly snapshotConnections: number;
  /** Bucket storage is on the same server. */
  readonly sharesServerWithStorage?: boolean;
  /** Value options that change the mapping of types (S-43…S-49, S-285…S-302). */
  readonly valueOptions: () => ValueOptions;
}
export interface ValueOptions {
  readonly timestampsIso8601: boolean;
  readonly timestampMaxPrecision: 'seconds' | 'milliseconds' | 'microseconds' | 'nanoseconds' | null;
  readonly customPostgresTypes: boolean;
}
