/**
 * What the rest of the system sees of the sync config (S chapters 3-7, 9): text in, plan out; plan in, functions out.
 *
 * The plan (`plan.ts`) is plain JSON: stored with the deployed version, hashed for identity, never holds functions.
 * `client-schema.ts` derives from it what generated client schemas need (S-213).
 */
import type { SourceRow, SourceTable } from './values.ts';
import type { SyncPlan, TablePattern } from './plan.ts';

/** One finding, fatal or not; `line` and `column` count from 1 in the YAML text, offsets in UTF-16 units. */
export interface Diagnostic {
  readonly level: 'error' | 'warning';
  /** PSYNC_R… */
  readonly code: string;
  readonly message: string;
  readonly line: number;
  readonly column: number;
  readonly startOffset: number;
  readonly endOffset: number;
}

/** All findings are reported in one run. `plan` is null exactly when there is an error among them (G4: fail closed). */
export interface CompileResult {
  readonly plan: SyncPlan | null;
  readonly diagnostics: readonly Diagnostic[];
}

export interface CompileOptions {
  /** Tag of the connection that unprefixed tables belong to. */
  readonly defaultSource: string;
  /** Known tags; a prefix `"tag.schema"."table"` with another tag is an error. */
  readonly sources: readonly string[];
  /** Schema of unprefixed tables, by tag (`public` for Postgres, R-52). */
  readonly defaultSchemas: Readonly<Record<string, string>>;
  /** Sources whose schemas can be named by a pattern (`"tenant_%".t`, S-689), Postgres only. Absent: all. */
  readonly schemaPatterns?: readonly string[];
  /**
   * Known source schema: for warnings about missing tables and columns (S-33), to tell which table of a join a bare column belongs to, and
   * for global CTEs named like a table (S-686). A config that compiles without it has the same plan with it, or none.
   */
  readonly schema?: readonly SourceTable[];
}
/** `compileSyncConfig(text, options)` in compile.ts implements this. Never throws for bad input. */
export type CompileSyncConfig = (text: string, options: CompileOptions) => CompileResult;

/** Definitions as storage deploys them: `definitionSpecs(plan)` in plan.ts. `identity` decides what is kept between versions. */
export interface PlanDefinition {
  readonly kind: 'bucket' | 'lookup';
  readonly identity: string;
  readonly name: string;
  readonly source: string;
}

/** Receives what a row contributes. `definition` is the index in `TableEvaluator.definitions`. */
export interface RowSink {
  /**
   * The row is in this bucket. `data` is the row's JSON text (S-275, S-276, S-395); consecutive calls for the same output pass the
   * identical string. Null from `members`, which renders nothing.
   */
  bucket(definition: number, key: string, objectType: string, objectId: string, data: string | null): void;
  /** The row gives these output tuples (JSON array of arrays) to this lookup key. */
  lookup(definition: number, key: string, values: string): void;
  /** A custom write checkpoint carried by the row (S-484…S-488); `checkpoint` is a positive integer. */
  writeCheckpoint(userId: string, clientId: string, checkpoint: bigint): void;
  /** The row cannot be synced for this definition (null id S-265, too large S-641, too deep S-642): code and what to log, without row data. */
  rejected(definition: number, code: string, reason: string): void;
}

export interface TableDefinition {
  readonly kind: 'bucket' | 'lookup' | 'event';
  readonly identity: string;
  /**
   * Column indexes that decide where the row goes: filter, keys, object id and table, lookup values. When they are all part of the replica
   * identity, nothing has to be remembered of the row's earlier version.
   */
  readonly membershipColumns: readonly number[];
}

/** The compiled form of everything in a plan that reads one table. Pure; keeps no row. */
export interface TableEvaluator {
  readonly definitions: readonly TableDefinition[];
  /** Which columns are read at all; others may be passed as null. */
  readonly columnsRead: readonly boolean[];
  evaluate(row: SourceRow, sink: RowSink): void;
  /** As `evaluate` without rendering data: for removals, and for before images. */
  members(row: SourceRow, sink: RowSink): void;
}
/**
 * `createTableEvaluator(plan, table, identities)` in evaluate/table-evaluator.ts; null when nothing (of the given identities, all if absent) reads the table.
 */
export type CreateTableEvaluator = (
  plan: SyncPlan,
  table: SourceTable,
  identities?: ReadonlySet<string>,
) => TableEvaluator | null;

/** Does any query of the plan read this table? Cheap: asked for every relation in the change stream. */
export type MatchesTable = (pattern: TablePattern, table: { source: string; schema: string; name: string }) => boolean;

/** What a client asks for, and who it is (S-524…S-537, S-72…S-92). */
export interface SessionRequest {
  readonly userId: string;
  /** The verified JWT payload. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly connectionParameters: Readonly<Record<string, unknown>> | null;
  readonly includeDefaults: boolean;
  readonly subscriptions: readonly {
    readonly stream: string;
    /** Anything but an object or null gives a stream error (S-535). */
    readonly parameters: unknown;
    readonly overridePriority: number | null;
  }[];
}

export type BucketReason = { readonly default: number } | { readonly sub: number };

export interface ResolvedBucket {
  /** Identity of the definition. */
  readonly identity: string;
  /** Compact JSON array of parameter values. */
  readonly key: string;
  readonly priority: number;
  /** Every reason that applies (S-560). */
  readonly reasons: readonly BucketReason[];
}
export interface ResolvedStream {
  readonly name: string;
  readonly isDefault: boolean;
  readonly errors: readonly { readonly subscription: 'default' | number; readonly message: string }[];
}
export interface UsedLookup {
  readonly identity: string;
  readonly key: string;
}
export interface ResolvedSession {
  readonly buckets: readonly ResolvedBucket[];
  readonly streams: readonly ResolvedStream[];
  /** Every lookup key that was asked, with or without result: a change of one of them means resolving again. */
  readonly lookups: readonly UsedLookup[];
}

/** Answers output tuples (JSON texts of arrays of tuples) for keys, as of the session's checkpoint. One call per nesting level. */
export type ReadLookups = (keys: readonly UsedLookup[]) => Promise<readonly (readonly string[])[]>;

/**
 * `createSessionResolver(plan)` in evaluate/session-resolver.ts. `resolve` throws PSYNC_S2305 above the limits, listing the ten streams that
 * contribute most (S-386); only what the session gets counts, not what is read on the way. `hasLookups` false: the result never changes during a session.
 */
export interface SessionResolver {
  resolve(
    request: SessionRequest,
    read: ReadLookups,
    limits: { maxBuckets: number; maxParameterResults: number },
  ): Promise<ResolvedSession>;
}
export type CreateSessionResolver = (plan: SyncPlan) => SessionResolver;

export type { SourceRow, SourceTable, SyncPlan };
