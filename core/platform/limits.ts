/**
 * Documented limits and defaults, in one place and with their numbers. Units are in the names.
 * What an operator may change is a default here; its effective value is in the service configuration.
 */

const MEGABYTE = 1024 * 1024;
const MINUTE_MS = 60_000;

// Rows (R-60, S-641)
/** Largest source row and largest row after transformation; above: PSYNC_S1002. */
export const MAX_ROW_BYTES = 15 * MEGABYTE;
/** Levels of arrays and objects in JSON of the source; more: PSYNC_S1004 (R-61, S-273). */
export const MAX_JSON_DEPTH = 20;

// Connections and buckets (O-57 … O-62, O-143, O-146; S-640, S-644)
export const DEFAULT_MAX_CONCURRENT_CONNECTIONS = 200;
export const DEFAULT_MAX_DATA_FETCH_CONCURRENCY = 10;
export const DEFAULT_MAX_BUCKETS_PER_CONNECTION = 1000;
export const DEFAULT_MAX_PARAMETER_QUERY_RESULTS = 1000;
export const DEFAULT_CHECKPOINT_REQUEST_RETENTION_MINUTES = 60;
export const DEFAULT_BUCKET_COUNT_CACHE_TTL_MINUTES = 60;

// Tokens (O-83 … O-96, O-107; S-646)
/** Longest time between `iat` and `exp`; above: PSYNC_S2104 (O-87). */
export const MAX_TOKEN_LIFETIME_SECONDS = 86_400;
/** Difference of clocks that is forgiven when `exp` and `nbf` are checked (O-91). */
export const TOKEN_CLOCK_TOLERANCE_SECONDS = 30;
/** Lifetime of development tokens (O-107, O-264). */
export const DEVELOPMENT_TOKEN_LIFETIME_SECONDS = 43_200;
/** A longer authorization header is refused unread. */
export const MAX_TOKEN_BYTES = 16 * 1024;
/** Operators may count on keys being refreshed within this time (O-95). */
export const KEY_SET_REFRESH_MS = 5 * MINUTE_MS;
/** Entries of the deny list at a time; more are refused (PSYNC_S4108). */
export const MAX_REVOCATIONS = 100_000;
/** New connections are refused when the deny list could not be read for longer. */
export const REVOCATIONS_STALE_MS = MINUTE_MS;

// Client metadata (O-194; S-647)
export const MAX_APP_METADATA_KEYS = 20;
export const MAX_APP_METADATA_VALUE_LENGTH = 100;

// Source connections
export const MIN_SOURCE_PORT = 1024;
export const MAX_SOURCE_PORT = 65_535;
export const DEFAULT_POSTGRES_PORT = 5432;
export const DEFAULT_MYSQL_PORT = 3306;
export const DEFAULT_SQL_SERVER_PORT = 1433;
export const DEFAULT_HEARTBEAT_SECONDS = 60;
export const MIN_HEARTBEAT_SECONDS = 5;
export const MAX_HEARTBEAT_SECONDS = 60;
export const DEFAULT_POOL_SIZE = 8;
/** Our choice; the documentation names none. */
export const DEFAULT_CONNECT_TIMEOUT_SECONDS = 30;

// Bucket storage (O-41, O-43, O-45, O-46, O-47)
export const DEFAULT_STORAGE_VERSION = 2;
export const DEFAULT_CLEAR_BATCH_THROTTLE_RATE = 0.2;
export const DEFAULT_OBJECT_STORAGE_INLINE_BYTES = 1024;
export const DEFAULT_STORAGE_BATCH_MAX_BYTES = 5_000_000;
export const DEFAULT_STORAGE_BATCH_MAX_RECORDS = 2_000;
export const DEFAULT_STORAGE_BATCH_MAX_CURRENT_DATA_BYTES = 50_000_000;

// Replication (R-68, O-11)
/** Diagnostics warn when nothing was replicated for longer. */
export const REPLICATION_LAG_WARNING_MS = 5 * MINUTE_MS;
/** … and report a fatal issue after this. */
export const REPLICATION_LAG_FATAL_MS = 15 * MINUTE_MS;
/**
 * Heartbeats are commits: a source without one for this long counts as not connected where its leader is another process. It has none, or one
 * that gets nowhere.
 */
export const SOURCE_SILENT_MS = 3 * MINUTE_MS;
/** An API process has at most this long for closing its streams after SIGTERM (O-11). */
export const SHUTDOWN_GRACE_MS = 2 * MINUTE_MS;

// API
export const DEFAULT_API_PORT = 8080; // O-26
