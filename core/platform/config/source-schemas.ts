import { Type, type Static } from 'typebox';
import * as limits from '../limits.ts';
import {
  IpRanges,
  oneOfBy,
  optionalCount,
  optionalFlag,
  optionalNumber,
  optionalText,
  Port,
  STRICT,
  text,
} from './schema-parts.ts';

/** The documented keys of every kind of source connection (R-1 … ). */

const identity = {
  id: optionalText('Name in diagnostics; default: the tag (R-3)'),
  tag: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z_][A-Za-z0-9_-]{0,62}$',
      description: 'Name in the sync config, unique among the connections; default "default" (R-3)',
    }),
  ),
  debug_api: optionalFlag('Allow queries through the admin API; default false (R-9)'),
};

const reachable = {
  uri: optionalText('Connection URI; the separate keys win over its parts (R-4)'),
  username: optionalText('User name'),
  password: optionalText('Password; use !env'),
  database: optionalText('Database'),
  reject_ip_ranges: Type.Optional(IpRanges),
};

const heartbeat = optionalNumber('Seconds between heartbeats, 5-60; default 60 (R-10)', {
  minimum: limits.MIN_HEARTBEAT_SECONDS,
  maximum: limits.MAX_HEARTBEAT_SECONDS,
});

const clientCertificate = {
  cacert: optionalText('Certificate authorities as PEM text (R-16)'),
  client_certificate: optionalText('Client certificate as PEM text (R-18)'),
  client_private_key: optionalText('Private key of the client certificate as PEM text (R-18)'),
};

/** Keys that a Postgres source and Postgres bucket storage share (O-40). */
export const postgresEndpointKeys = {
  ...reachable,
  hostname: optionalText('Host name, or several separated by commas, tried in order (R-70)'),
  port: Type.Optional(Port),
  sslmode: Type.Optional(
    Type.Enum(['verify-full', 'verify-ca', 'disable'], {
      description: 'verify-full (default), verify-ca (needs cacert) or disable (R-14)',
      errorCode: 'PSYNC_S1160',
    }),
  ),
  ...clientCertificate,
  tls_servername: optionalText('Name to verify the certificate against, if not the host name (R-19)'),
  max_pool_size: optionalCount('Connections per process; default 8 (R-131)', { minimum: 1, maximum: 1000 }),
  connect_timeout: optionalNumber('Seconds until a connection attempt fails (R-131)', { minimum: 1, maximum: 3600 }),
};

export const PostgresConnectionSchema = Type.Object(
  {
    type: Type.Literal('postgresql'),
    ...identity,
    ...postgresEndpointKeys,
    heartbeat_interval_seconds: heartbeat,
    snapshot_socket_timeout: optionalNumber('Seconds without data after which a snapshot query fails (R-131)', {
      minimum: 1,
    }),
    slot_name_prefix: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9_]{1,40}$',
        description: 'Start of the names of replication slots; default "powersync_" (R-100)',
      }),
    ),
  },
  STRICT,
);

export const MongodbConnectionSchema = Type.Object(
  {
    type: Type.Literal('mongodb'),
    ...identity,
    ...reachable,
    post_images: Type.Optional(
      Type.Enum(['off', 'auto_configure', 'read_only'], {
        description: 'Use of post-images; default off (R-148, R-152)',
      }),
    ),
    heartbeat_interval_seconds: heartbeat,
  },
  STRICT,
);

export const MysqlConnectionSchema = Type.Object(
  {
    type: Type.Literal('mysql'),
    ...identity,
    ...reachable,
    hostname: optionalText('Host name'),
    port: Type.Optional(Port),
    ...clientCertificate,
    server_id: optionalCount('Id of the replication client; default: a unique one (R-189, R-190)', {
      minimum: 1,
      maximum: 2 ** 32 - 1,
    }),
    binlog_queue_memory_limit: optionalNumber('MB of queued binlog events before reading waits; default 50 (R-189)', {
      minimum: 1,
    }),
  },
  STRICT,
);

const defaultLogin = { userName: optionalText('User name'), password: optionalText('Password; use !env') };
const principalLogin = {
  clientId: optionalText('Client id of the service principal'),
  clientSecret: optionalText('Client secret; use !env'),
  tenantId: optionalText('Tenant id'),
};

/** Both spellings occur: the values beside `type`, and below `options` as in the driver. */
const SqlServerAuthentication = oneOfBy<{
  type: 'default' | 'azure-active-directory-service-principal-secret';
  userName?: string;
  password?: string;
  clientId?: string;
  clientSecret?: string;
  tenantId?: string;
  options?: { userName?: string; password?: string; clientId?: string; clientSecret?: string; tenantId?: string };
}>('type', 'How to authenticate (R-214)', [
  Type.Object(
    { type: Type.Literal('default'), ...defaultLogin, options: Type.Optional(Type.Object(defaultLogin, STRICT)) },
    STRICT,
  ),
  Type.Object(
    {
      type: Type.Literal('azure-active-directory-service-principal-secret'),
      ...principalLogin,
      options: Type.Optional(Type.Object(principalLogin, STRICT)),
    },
    STRICT,
  ),
]);

export const MssqlConnectionSchema = Type.Object(
  {
    type: Type.Literal('mssql'),
    ...identity,
    ...reachable,
    hostname: optionalText('Host name'),
    port: Type.Optional(Port),
    cacert: clientCertificate.cacert,
    tls_servername: optionalText('Name to verify the certificate against, if not the host name (R-19)'),
    schema: optionalText('Schema of tables without prefix; default "dbo" (R-52)'),
    authentication: Type.Optional(SqlServerAuthentication),
    heartbeat_interval_seconds: heartbeat,
    additionalConfig: Type.Optional(
      Type.Object(
        {
          pollingIntervalMs: optionalNumber('Milliseconds between polls; default 1000 (R-213)', { minimum: 10 }),
          pollingBatchSize: optionalCount('Transactions per poll; default 10 (R-213)'),
          trustServerCertificate: optionalFlag('Accept any certificate; default false, for local use (R-213)'),
        },
        STRICT,
      ),
    ),
  },
  STRICT,
);

export const ConvexConnectionSchema = Type.Object(
  {
    type: Type.Literal('convex'),
    ...identity,
    deployment_url: text('Address of the Convex deployment (R-232)'),
    deploy_key: text('Deploy key; use !env (R-234)'),
    polling_interval_ms: optionalNumber('Milliseconds between polls; default 1000 (R-232)', { minimum: 10 }),
    request_timeout_ms: optionalNumber('Milliseconds until a request fails; default 60000 (R-232)', { minimum: 100 }),
    reject_ip_ranges: Type.Optional(IpRanges),
  },
  STRICT,
);

export type PostgresConnectionKeys = Static<typeof PostgresConnectionSchema>;
export type PostgresEndpointKeys = Omit<
  PostgresConnectionKeys,
  'type' | 'id' | 'tag' | 'debug_api' | 'heartbeat_interval_seconds' | 'snapshot_socket_timeout' | 'slot_name_prefix'
>;
export type MongodbConnectionKeys = Static<typeof MongodbConnectionSchema>;
export type MysqlConnectionKeys = Static<typeof MysqlConnectionSchema>;
export type MssqlConnectionKeys = Static<typeof MssqlConnectionSchema>;
export type ConvexConnectionKeys = Static<typeof ConvexConnectionSchema>;
export type SourceConnectionKeys =
  | PostgresConnectionKeys
  | MongodbConnectionKeys
  | MysqlConnectionKeys
  | MssqlConnectionKeys
  | ConvexConnectionKeys;

export const SourceConnectionSchema = oneOfBy<SourceConnectionKeys>('type', 'A source database (R-1)', [
  PostgresConnectionSchema,
  MongodbConnectionSchema,
  MysqlConnectionSchema,
  MssqlConnectionSchema,
  ConvexConnectionSchema,
]);
