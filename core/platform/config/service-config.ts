/**
 * The service configuration as the program uses it: checked, defaults applied, names in camelCase. Durations are
 * milliseconds and say so. What the operator left out and has no default is `undefined`.
 */

/** How to reach one Postgres database, as source or as bucket storage (R-4 … R-26, O-40). */
export interface PostgresEndpoint {
  /** Tried in order; the first available primary is used (R-70). At least one. */
  readonly hosts: readonly HostAddress[];
  readonly database: string;
  readonly username: string;
  readonly password: string;
  readonly sslmode: 'verify-full' | 'verify-ca' | 'disable';
  /** PEM text; always present with `verify-ca` (R-15). */
  readonly cacert: string | undefined;
  readonly clientCertificate: string | undefined;
  readonly clientPrivateKey: string | undefined;
  /** The name that the certificate must carry, when it is not the host name (R-19). */
  readonly tlsServername: string | undefined;
  /** As in the file; read with `parseAddressRanges`. */
  readonly rejectIpRanges: readonly string[];
  readonly maxPoolSize: number;
  readonly connectTimeoutMs: number;
}

export interface HostAddress {
  readonly hostname: string;
  readonly port: number;
}

interface ConnectionIdentity {
  /** Name in diagnostics. */
  readonly id: string;
  /** Name in the sync config; unique within the instance. */
  readonly tag: string;
  /** Queries through the admin API are allowed (R-9). */
  readonly debugApi: boolean;
}

export interface PostgresConnection extends ConnectionIdentity, PostgresEndpoint {
  readonly type: 'postgresql';
  readonly heartbeatIntervalMs: number;
  readonly snapshotSocketTimeoutMs: number | undefined;
  readonly slotNamePrefix: string;
}

export interface MongodbConnection extends ConnectionIdentity {
  readonly type: 'mongodb';
  /** As given, with its driver options (R-144). */
  readonly uri: string;
  readonly database: string;
  /** When given separately: they win over the URI. */
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly postImages: 'off' | 'auto_configure' | 'read_only';
  readonly heartbeatIntervalMs: number;
  readonly rejectIpRanges: readonly string[];
}

export interface MysqlConnection extends ConnectionIdentity, HostAddress {
  readonly type: 'mysql';
  readonly database: string;
  readonly username: string;
  readonly password: string;
  readonly cacert: string | undefined;
  readonly clientCertificate: string | undefined;
  readonly clientPrivateKey: string | undefined;
  readonly rejectIpRanges: readonly string[];
  /** Undefined: the source chooses a unique one (R-190). */
  readonly serverId: number | undefined;
  readonly binlogQueueMemoryLimitBytes: number;
}

export type SqlServerLogin =
  | { readonly type: 'default'; readonly username: string; readonly password: string }
  | {
      readonly type: 'azure-active-directory-service-principal-secret';
      readonly clientId: string;
      readonly clientSecret: string;
      readonly tenantId: string;
    };

export interface MssqlConnection extends ConnectionIdentity, HostAddress {
  readonly type: 'mssql';
  readonly database: string;
  readonly login: SqlServerLogin;
  readonly cacert: string | undefined;
  readonly tlsServername: string | undefined;
  readonly rejectIpRanges: readonly string[];
  readonly schema: string;
  readonly heartbeatIntervalMs: number;
  readonly pollingIntervalMs: number;
  readonly pollingBatchSize: number;
  readonly trustServerCertificate: boolean;
}

export interface ConvexConnection extends ConnectionIdentity {
  readonly type: 'convex';
  readonly deploymentUrl: string;
  readonly deployKey: string;
  readonly rejectIpRanges: readonly string[];
  readonly pollingIntervalMs: number;
  readonly requestTimeoutMs: number;
}

export type SourceConnection =
  | PostgresConnection
  | MongodbConnection
  | MysqlConnection
  | MssqlConnection
  | ConvexConnection;

/** S3-compatible storage of large chunks (O-46). */
export interface ObjectStorageConfig {
  readonly bucket: string;
  readonly region: string | undefined;
  readonly prefix: string;
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: string | undefined;
  readonly concurrencyLimit: number | undefined;
  readonly defaultsMode: string | undefined;
  readonly inlineThresholdBytes: number;
}

export interface MongodbStorageConfig {
  readonly type: 'mongodb';
  readonly uri: string;
  readonly database: string;
  /** When given separately: they win over the URI (O-39). */
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly maxPoolSize: number;
  readonly rejectIpRanges: readonly string[];
  readonly defaultStorageVersion: number;
  readonly bulkReadPreference:
    | 'primary'
    | 'primaryPreferred'
    | 'secondary'
    | 'secondaryPreferred'
    | 'nearest'
    | undefined;
  readonly clearBatchThrottleRate: number;
  readonly objectStorage: ObjectStorageConfig | undefined;
}

export interface PostgresStorageConfig {
  readonly type: 'postgresql';
  readonly endpoint: PostgresEndpoint;
  readonly defaultStorageVersion: number;
  readonly batchLimits: {
    readonly maxBytes: number;
    readonly maxRecords: number;
    readonly maxCurrentDataBytes: number;
  };
}

export type StorageConfig = MongodbStorageConfig | PostgresStorageConfig;

export interface RedisConfig {
  readonly uri: string;
  readonly keyPrefix: string;
}

/** Where the sync config comes from when it does not come through the API. Read it with `readSyncConfig`. */
export interface SyncConfigSource {
  readonly from: { readonly file: string } | { readonly content: string };
  readonly exitOnError: boolean;
  readonly versionLabel: string | undefined;
}

/** A JSON Web Key as configured; the members depend on `kty`. */
export type ConfiguredKey = Readonly<Record<string, unknown>> & { readonly kty: 'RSA' | 'EC' | 'OKP' | 'oct' };

export interface ClientAuthConfig {
  /** Key set endpoints, checked addresses with http or https. Includes the derived one of Supabase (O-101). */
  readonly jwksUris: readonly string[];
  /** Static keys. Includes the legacy secret of Supabase (O-102). */
  readonly keys: readonly ConfiguredKey[];
  /** Accepted audiences. Empty: no token is accepted (O-86). */
  readonly audience: readonly string[];
  /** Accepted issuers. Empty: any. */
  readonly issuers: readonly string[];
  /** Addresses that key set endpoints may not have; as in the file (O-53). */
  readonly rejectIpRanges: readonly string[];
}

export interface ApiConfig {
  /** Empty: admin routes are refused (O-110). */
  readonly tokens: readonly string[];
  readonly maxConcurrentConnections: number;
  readonly maxDataFetchConcurrency: number;
  readonly maxBucketsPerConnection: number;
  readonly maxParameterQueryResults: number;
  readonly checkpointRequestRetentionMs: number;
  readonly bucketCountCacheTtlMs: number;
  /** The inspector's page is served at /inspector. */
  readonly inspector: boolean;
}

/** What may be said of how much is logged, from all to least (O-27), and in which form (O-28). */
export const LOG_LEVELS = ['silly', 'debug', 'verbose', 'http', 'info', 'warn', 'error'] as const;
export const LOG_FORMATS = ['json', 'text'] as const;

export interface LoggingConfig {
  readonly level: (typeof LOG_LEVELS)[number];
  readonly format: (typeof LOG_FORMATS)[number];
}

export interface ProbesConfig {
  /** Probe files are written. */
  readonly filesystem: boolean;
  /** `/probes/*` is served: always, never, or by processes with the API only (O-167). */
  readonly http: 'on' | 'off' | 'with-api';
}

export interface ServiceConfig {
  /** Bucket storage is claimed by this name and refused to others (O-69). Undefined: this instance has none. */
  readonly instanceId: string | undefined;
  readonly replication: { readonly connections: readonly SourceConnection[] };
  readonly storage: StorageConfig;
  readonly redis: RedisConfig | undefined;
  readonly port: number;
  /** Undefined: it is deployed through the API (O-115). */
  readonly syncConfig: SyncConfigSource | undefined;
  readonly clientAuth: ClientAuthConfig;
  readonly api: ApiConfig;
  readonly telemetry: { readonly prometheusPort: number | undefined };
  readonly healthcheck: { readonly probes: ProbesConfig };
  readonly logging: LoggingConfig;
  readonly migrations: { readonly disableAutoMigration: boolean };
  readonly metadata: Readonly<Record<string, string>>;
  readonly parameters: Readonly<Record<string, number | string | boolean | null>>;
}
