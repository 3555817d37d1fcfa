/**
 * What a running process says of itself at `GET /status` on its metrics port (docs/adr/0008-operator.md): the operator reads it, people may.
 * Never secrets, tokens, row data or user ids. Bounded: see `STATUS_LIMITS`; what was left out is named in `cut`.
 *
 * Sizes are bytes, durations seconds, times ISO 8601. Null means unknown or none, as said at each field.
 */
import { Type, type Static, type TSchema } from 'typebox';

/** Longest lists and texts, in items and UTF-16 units. */
export const STATUS_LIMITS = {
  sources: 100,
  findings: 20,
  versions: 5,
  definitions: 1000,
  tables: 1000,
  streams: 1000,
  name: 300,
  message: 1000,
} as const;

/** A longer answer is not a status. */
export const LONGEST_STATUS_BYTES = 4 * 1024 * 1024;

const closed = <P extends Record<string, TSchema>>(properties: P, description?: string) =>
  Type.Object(properties, { additionalProperties: false, ...(description === undefined ? {} : { description }) });
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const name = Type.String({ maxLength: STATUS_LIMITS.name });
const message = Type.String({ maxLength: STATUS_LIMITS.message });
const code = Type.String({ pattern: '^PSYNC_[A-Z][0-9]{4}$' });
const time = Type.String({ maxLength: 40, pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}T' });
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const seconds = Type.Number({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const problem = closed({ code, message });
const finding = closed({
  level: Type.Enum(['warning', 'fatal']),
  code,
  message,
  since: time,
});

/**
 * Pending: nothing is copied yet. Copying, CatchingUp: the first copy of what is (to be) served. Streaming: changes flow. Failed: it does
 * not go on by itself or an error keeps coming back; `error` says which. Unknown: neither this process nor storage can tell.
 */
const state = Type.Enum(['Pending', 'Copying', 'CatchingUp', 'Streaming', 'Failed', 'Unknown']);

const snapshot = closed(
  {
    /** Version of the sync config that is being copied. */
    version: count,
    rowsCopied: count,
    /** From the statistics of the source; may be less than what is copied in the end. */
    rowsEstimated: count,
    /** By the rate of the last minutes; null: not known yet, or nobody of this process copies. */
    secondsRemaining: nullable(seconds),
  },
  'A copy on its way, also beside an active version',
);

const source = closed({
  tag: name,
  /** This process leads; others show what storage knows. */
  leader: Type.Boolean(),
  state,
  /** Change log that is not confirmed yet; null: the source does not tell, or another process leads. */
  lagBytes: nullable(count),
  /**
   * Age of the oldest transaction of the source that bucket storage does not have yet; 0 when there is none. While nothing is streamed
   * although a version is active: time since the last commit. Null: nothing was ever copied, or another process leads.
   */
  lagSeconds: nullable(seconds),
  /** Newest commit of this source in bucket storage; heartbeats count, so an idle source has one every minute. */
  lastCommitAt: nullable(time),
  snapshot: nullable(snapshot),
  /** The source's change log kept for us, where it tells (Postgres: WAL of the slot). */
  log: nullable(
    closed({
      /** Kept for this instance. */
      retainedBytes: nullable(count),
      /** Most that the source keeps (max_slot_wal_keep_size); null: no limit. */
      limitBytes: nullable(count),
      /** What may still be written until the log is lost; null: no limit. */
      safeBytes: nullable(count),
    }),
  ),
  error: nullable(problem),
  findings: Type.Array(finding, { maxItems: STATUS_LIMITS.findings }),
});

const table = closed({
  source: name,
  /** Ends with % for several schemas (`anySchema`), likewise the name of a wildcard. */
  schema: name,
  name,
  /** When it was copied, or by the source's statistics then; null: not known. Of a wildcard: all its tables together. */
  rows: nullable(count),
});

const definition = closed({
  kind: Type.Enum(['bucket', 'lookup']),
  /** Equal kind, source and identity: kept when another sync config is deployed. */
  identity: name,
  name,
  source: name,
  /** Streams of the sync config that need it. */
  streams: Type.Array(name, { maxItems: STATUS_LIMITS.streams }),
  /** Indexes in `tables` of the version: what it reads. */
  tables: Type.Array(count, { maxItems: STATUS_LIMITS.tables }),
});

const syncConfigVersion = closed({
  version: count,
  state: Type.Enum(['active', 'processing', 'errored']),
  /** `syncConfigRevision` of its text. */
  revision: Type.String({ pattern: '^[0-9a-f]{16}$' }),
  label: nullable(name),
  createdAt: time,
  activatedAt: nullable(time),
  /** Why it could not be processed; of an active version, what went wrong since. */
  error: nullable(message),
  /** Names of its streams. */
  streams: Type.Array(name, { maxItems: STATUS_LIMITS.streams }),
  tables: Type.Array(table, { maxItems: STATUS_LIMITS.tables }),
  definitions: Type.Array(definition, { maxItems: STATUS_LIMITS.definitions }),
});

const PartStatusSchema = closed({
  format: Type.Literal(1),
  role: Type.Enum(['unified', 'sync', 'api']),
  version: name,
  /** The instance that it was started for; null: not told. */
  instance: nullable(name),
  hostName: name,
  startedAt: time,
  observedAt: time,
  ready: Type.Boolean(),
  /** Of processes with an API. */
  api: nullable(closed({ connections: count, connectionLimit: count, draining: Type.Boolean() })),
  /** Of processes that replicate; empty in others. */
  sources: Type.Array(source, { maxItems: STATUS_LIMITS.sources }),
  storage: closed({ reachable: Type.Boolean(), error: nullable(problem), observedAt: nullable(time) }),
  /** Newest first; null while storage has not been reached since the start. Stays as it was last when storage is away. */
  syncConfig: nullable(Type.Array(syncConfigVersion, { maxItems: STATUS_LIMITS.versions })),
  /** Lists that were too long, like `syncConfig.definitions`. */
  cut: Type.Array(name, { maxItems: 20 }),
});

export { PartStatusSchema };
export type PartStatus = Static<typeof PartStatusSchema>;
export type SourceState = Static<typeof state>;
export type SourcePartStatus = Static<typeof source>;
export type SyncConfigPartStatus = Static<typeof syncConfigVersion>;
