import { resolve } from 'node:path';
import * as limits from '../limits.ts';
import { normalizeClientAuth } from './client-auth.ts';
import type { Environment } from './document.ts';
import { normalizePostgresEndpoint } from './postgres-connection.ts';
import type { ConfigPath, ConfigReport } from './problems.ts';
import {
  LOG_FORMATS,
  LOG_LEVELS,
  type ApiConfig,
  type LoggingConfig,
  type ObjectStorageConfig,
  type ProbesConfig,
  type RedisConfig,
  type ServiceConfig,
  type SourceConnection,
  type StorageConfig,
  type SyncConfigSource,
} from './service-config.ts';
import type { ServiceConfigKeys } from './service-schema.ts';
import { mongodbLocation, normalizeSourceConnection } from './source-connections.ts';

export interface NormalizeOptions {
  readonly report: ConfigReport;
  readonly environment: Environment;
  /** Folder that relative paths start from (O-32). */
  readonly folder: string;
  /** A sync config from the command line or the environment; wins over the file (O-16). */
  readonly syncConfigContent: string | undefined;
  /** False for parts of the file whose structure is wrong: they are skipped, their problems are known. */
  readonly isSound: (path: ConfigPath) => boolean;
}

/**
 * Applies defaults and checks what a schema cannot express. Returns null when a part could not be made; every reason was
 * reported, here or by the structural check.
 */
export function normalizeServiceConfig(keys: ServiceConfigKeys, options: NormalizeOptions): ServiceConfig | null {
  const { report, isSound } = options;
  const sound = <T>(path: ConfigPath, read: () => T): T | null => (isSound(path) ? read() : null);

  const connections = sourceConnections(keys, options);
  const storage = sound(['storage'], () => storageConfig(keys.storage, report));
  const clientAuth = sound(['client_auth'], () => normalizeClientAuth(keys.client_auth, connections ?? [], report));
  const redis = sound(['redis'], () => redisConfig(keys, report));
  const syncConfig = isSound(['sync_config']) && isSound(['sync_rules']) ? syncConfigSource(keys, options) : null;
  const port = sound(['port'], () => listenPort(keys.port, ['port'], report));
  const prometheusPort = sound(['telemetry'], () =>
    listenPort(keys.telemetry?.prometheus_port, ['telemetry', 'prometheus_port'], report),
  );
  const api = sound(['api'], () => apiConfig(keys, report));
  const logging = sound(['system'], () => loggingConfig(keys, options));
  const probes = sound(['healthcheck'], () => probesConfig(keys, report));

  if (connections === null || storage === null || clientAuth === null || redis === null || syncConfig === null)
    return null;
  if (port === null || prometheusPort === null || api === null || logging === null || probes === null) return null;
  if (!isSound([])) return null;
  return {
    instanceId: keys.system?.instance_id,
    replication: { connections },
    storage,
    redis: redis.value,
    port: port.value ?? limits.DEFAULT_API_PORT,
    syncConfig: syncConfig.value,
    clientAuth,
    api,
    telemetry: { prometheusPort: prometheusPort.value },
    healthcheck: { probes },
    logging,
    migrations: { disableAutoMigration: keys.migrations?.disable_auto_migration ?? false },
    metadata: keys.metadata ?? {},
    parameters: keys.parameters ?? {},
  };
}

/** A part that may be absent; null instead of this means that it is wrong. */
interface Optional<T> {
  readonly value: T | undefined;
}

function sourceConnections(keys: ServiceConfigKeys, { report, isSound }: NormalizeOptions): SourceConnection[] | null {
  const root = ['replication', 'connections'];
  if (!isShallowSound(isSound, root, keys?.replication?.connections)) return null;
  const connections: (SourceConnection | null)[] = [];
  const tags = new Map<string, number>();
  (keys.replication?.connections ?? []).forEach((connection, index) => {
    const path = [...root, index];
    if (!isSound(path)) return connections.push(null);
    const tag = connection.tag ?? 'default';
    const first = tags.get(tag);
    if (first === undefined) tags.set(tag, index);
    else {
      const message = `connections[${first}] has the tag "${tag}" too; give each connection a tag of its own`;
      report.problem([...path, 'tag'], 'PSYNC_S3226', message);
    }
    return connections.push(normalizeSourceConnection(connection, path, report));
  });
  return connections.every((connection) => connection !== null) ? connections : null;
}

/** The list itself can be read, even when something below one of its items is wrong. */
function isShallowSound(isSound: (path: ConfigPath) => boolean, path: ConfigPath, value: unknown): boolean {
  return value === undefined ? isSound(path) : Array.isArray(value);
}

function storageConfig(keys: ServiceConfigKeys['storage'], report: ConfigReport): StorageConfig | null {
  const path = ['storage'];
  const defaultStorageVersion = keys.default_storage_version ?? limits.DEFAULT_STORAGE_VERSION;
  if (keys.type === 'postgresql') {
    const endpoint = normalizePostgresEndpoint(keys, path, report);
    if (endpoint === null) return null;
    return {
      type: 'postgresql',
      endpoint,
      defaultStorageVersion,
      batchLimits: {
        maxBytes: keys.batch_limits?.max_estimated_size ?? limits.DEFAULT_STORAGE_BATCH_MAX_BYTES,
        maxRecords: keys.batch_limits?.max_record_count ?? limits.DEFAULT_STORAGE_BATCH_MAX_RECORDS,
        maxCurrentDataBytes:
          keys.batch_limits?.max_current_data_batch_size ?? limits.DEFAULT_STORAGE_BATCH_MAX_CURRENT_DATA_BYTES,
      },
    };
  }
  const location = mongodbLocation(keys, path, report);
  if (location === null) return null;
  return {
    type: 'mongodb',
    ...location,
    username: keys.username,
    password: keys.password,
    maxPoolSize: keys.max_pool_size ?? limits.DEFAULT_POOL_SIZE,
    rejectIpRanges: keys.reject_ip_ranges ?? [],
    defaultStorageVersion,
    bulkReadPreference: keys.bulk_read_preference,
    clearBatchThrottleRate: keys.clear_batch_throttle_rate ?? limits.DEFAULT_CLEAR_BATCH_THROTTLE_RATE,
    objectStorage: keys.object_storage === undefined ? undefined : objectStorageConfig(keys.object_storage),
  };
}

type ObjectStorageKeys = NonNullable<(ServiceConfigKeys['storage'] & { type: 'mongodb' })['object_storage']>;

function objectStorageConfig(keys: ObjectStorageKeys): ObjectStorageConfig {
  return {
    bucket: keys.bucket,
    region: keys.region,
    prefix: keys.prefix ?? '',
    endpoint: keys.endpoint,
    forcePathStyle: keys.force_path_style ?? false,
    accessKeyId: keys.access_key_id,
    secretAccessKey: keys.secret_access_key,
    concurrencyLimit: keys.concurrency_limit,
    defaultsMode: keys.defaults_mode,
    inlineThresholdBytes: keys.inline_threshold_bytes ?? limits.DEFAULT_OBJECT_STORAGE_INLINE_BYTES,
  };
}

function redisConfig(keys: ServiceConfigKeys, report: ConfigReport): Optional<RedisConfig> | null {
  if (keys.redis === undefined) return { value: undefined };
  const url = URL.parse(keys.redis.uri);
  if (url === null || (url.protocol !== 'redis:' && url.protocol !== 'rediss:') || url.hostname === '') {
    report.problem(
      ['redis', 'uri'],
      'PSYNC_S3224',
      'must look like redis://user:password@host:6379/0, or rediss:// for TLS',
    );
    return null;
  }
  return { value: { uri: keys.redis.uri, keyPrefix: keys.redis.key_prefix ?? 'millrace:' } };
}

function syncConfigSource(keys: ServiceConfigKeys, options: NormalizeOptions): Optional<SyncConfigSource> | null {
  const { report, folder, syncConfigContent } = options;
  if (keys.sync_rules !== undefined && keys.sync_config !== undefined) {
    report.problem(['sync_rules'], 'PSYNC_S3224', 'is the old name of sync_config: give only sync_config');
    return null;
  }
  if (keys.sync_rules !== undefined) report.notice('warn', ['sync_rules'], 'is deprecated: rename it to sync_config');
  const name = keys.sync_rules === undefined ? 'sync_config' : 'sync_rules';
  const section = keys[name];
  const common = { exitOnError: section?.exit_on_error ?? true, versionLabel: section?.version_label };
  if (syncConfigContent !== undefined) return { value: { from: { content: syncConfigContent }, ...common } };
  if (section?.path !== undefined && section.content !== undefined) {
    report.problem([name, 'content'], 'PSYNC_S3224', 'and path exclude each other');
    return null;
  }
  if (section?.path !== undefined) return { value: { from: { file: resolve(folder, section.path) }, ...common } };
  if (section?.content !== undefined) return { value: { from: { content: section.content }, ...common } };
  return { value: undefined };
}

function listenPort(
  value: number | string | undefined,
  path: ConfigPath,
  report: ConfigReport,
): Optional<number> | null {
  if (value === undefined) return { value: undefined };
  const port = Number(value);
  if (port >= 1 && port <= 65_535) return { value: port };
  report.problem(path, 'PSYNC_S3224', 'must be between 1 and 65535');
  return null;
}

/** Shorter admin tokens are accepted, but worth a warning (O-295). */
const SHORT_TOKEN_LENGTH = 20;

function apiConfig(keys: ServiceConfigKeys, report: ConfigReport): ApiConfig {
  const tokens = keys.api?.tokens ?? [];
  tokens.forEach((token, index) => {
    if (token.length >= SHORT_TOKEN_LENGTH) return;
    report.notice('warn', ['api', 'tokens', index], `is short: use at least ${SHORT_TOKEN_LENGTH} random characters`);
  });
  const parameters = keys.api?.parameters;
  const minutes = (value: number | undefined, fallback: number): number => (value ?? fallback) * 60_000;
  return {
    tokens,
    maxConcurrentConnections: parameters?.max_concurrent_connections ?? limits.DEFAULT_MAX_CONCURRENT_CONNECTIONS,
    maxDataFetchConcurrency: parameters?.max_data_fetch_concurrency ?? limits.DEFAULT_MAX_DATA_FETCH_CONCURRENCY,
    maxBucketsPerConnection: parameters?.max_buckets_per_connection ?? limits.DEFAULT_MAX_BUCKETS_PER_CONNECTION,
    maxParameterQueryResults: parameters?.max_parameter_query_results ?? limits.DEFAULT_MAX_PARAMETER_QUERY_RESULTS,
    checkpointRequestRetentionMs: minutes(
      parameters?.checkpoint_request_retention_minutes,
      limits.DEFAULT_CHECKPOINT_REQUEST_RETENTION_MINUTES,
    ),
    bucketCountCacheTtlMs: minutes(
      parameters?.bucket_count_cache_ttl_minutes,
      limits.DEFAULT_BUCKET_COUNT_CACHE_TTL_MINUTES,
    ),
    inspector: keys.api?.inspector ?? false,
  };
}

/** The environment wins over the file; production logs JSON unless told otherwise (O-27, O-28). */
function loggingConfig(keys: ServiceConfigKeys, { environment, report }: NormalizeOptions): LoggingConfig {
  const fromEnvironment = <T extends string>(name: string, allowed: readonly T[]): T | undefined => {
    const value = environment[name];
    if (value === undefined || value === '') return undefined;
    const found = allowed.find((each) => each === value.toLowerCase());
    if (found === undefined) {
      report.notice('warn', ['system', 'logging'], `${name} is not used: it must be one of ${allowed.join(', ')}`);
    }
    return found;
  };
  const logging = keys.system?.logging;
  const usualFormat = environment['NODE_ENV'] === 'production' ? 'json' : 'text';
  return {
    level: fromEnvironment('PS_LOG_LEVEL', LOG_LEVELS) ?? logging?.level ?? 'info',
    format: fromEnvironment('PS_LOG_FORMAT', LOG_FORMATS) ?? logging?.format ?? usualFormat,
  };
}

/** Without configuration: files always, HTTP with the API (O-66 … O-68, O-167). */
function probesConfig(keys: ServiceConfigKeys, report: ConfigReport): ProbesConfig {
  const probes = keys.healthcheck?.probes;
  if (probes?.use_legacy !== undefined) {
    report.notice('warn', ['healthcheck', 'probes', 'use_legacy'], 'is deprecated: use use_http and use_filesystem');
  }
  if (probes === undefined || probes.use_legacy === true) return { filesystem: true, http: 'with-api' };
  return { filesystem: probes.use_filesystem ?? false, http: probes.use_http === true ? 'on' : 'off' };
}
