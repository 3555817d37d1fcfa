import type { SyncInstanceSpec } from '#crds/sync-instance/sync-instance.ts';
import type { PostgresEndpointSpec } from '#crds/sync-instance/connections.ts';
import type { SecretKeyRef } from '#crds/sync-instance/metadata-names.ts';
import type { SourceSpec } from '#crds/sync-instance/sources.ts';
import { filled } from './filled.ts';
import type { SecretVariables } from './secret-variables.ts';

/** A section of `service.yaml`: documented keys, with `!env` where a secret belongs. */
export type Keys = Record<string, unknown>;

type Section<Name extends keyof SourceSpec> = NonNullable<SourceSpec[Name]>;

/** One item of `replication.connections` (R-1 … ). */
export function sourceKeys(source: SourceSpec, secrets: SecretVariables): Keys {
  return {
    type: source.type,
    tag: source.name,
    debug_api: source.debugApi,
    ...connectionKeys(source, `source ${source.name}`, secrets),
  };
}

function connectionKeys(source: SourceSpec, owner: string, secrets: SecretVariables): Keys {
  // The API server has checked that exactly the section of this type is there.
  switch (source.type) {
    case 'postgresql':
      return postgresKeys(source.postgresql!, owner, secrets);
    case 'mongodb':
      return mongodbKeys(source.mongodb!, owner, secrets);
    case 'mysql':
      return mysqlKeys(source.mysql!, owner, secrets);
    case 'mssql':
      return mssqlKeys(source.mssql!, owner, secrets);
    case 'convex':
      return convexKeys(source.convex!, owner, secrets);
  }
}

/** `storage` (O-37 … O-47). */
export function storageKeys({ storage }: SyncInstanceSpec, secrets: SecretVariables): Keys {
  if (storage.type === 'postgresql') {
    return { type: storage.type, ...postgresEndpointKeys(storage.postgresql!, 'storage', secrets) };
  }
  const mongodb = storage.mongodb!;
  return {
    type: storage.type,
    ...filled({
      uri: secrets.use('storage', 'uri', mongodb.uriSecretRef),
      ...loginKeys(mongodb, 'storage', secrets),
      database: mongodb.database,
      max_pool_size: mongodb.maxPoolSize,
      reject_ip_ranges: mongodb.rejectIpRanges,
    }),
  };
}

function postgresEndpointKeys(spec: PostgresEndpointSpec, owner: string, secrets: SecretVariables): Keys {
  return filled({
    uri: secrets.use(owner, 'uri', spec.uriSecretRef),
    hostname: spec.hostname,
    port: spec.port,
    database: spec.database,
    ...loginKeys(spec, owner, secrets),
    sslmode: spec.sslMode,
    ...certificateKeys(spec, owner, secrets),
    tls_servername: spec.tlsServerName,
    max_pool_size: spec.maxPoolSize,
    connect_timeout: spec.connectTimeoutSeconds,
    reject_ip_ranges: spec.rejectIpRanges,
  });
}

function postgresKeys(spec: Section<'postgresql'>, owner: string, secrets: SecretVariables): Keys {
  return {
    ...postgresEndpointKeys(spec, owner, secrets),
    ...filled({
      heartbeat_interval_seconds: spec.heartbeatIntervalSeconds,
      snapshot_socket_timeout: spec.snapshotSocketTimeoutSeconds,
      slot_name_prefix: spec.slotNamePrefix,
    }),
  };
}

const POST_IMAGES: Readonly<Record<string, string>> = {
  Off: 'off',
  Disabled: 'off',
  AutoConfigure: 'auto_configure',
  ReadOnly: 'read_only',
};

function mongodbKeys(spec: Section<'mongodb'>, owner: string, secrets: SecretVariables): Keys {
  return filled({
    uri: secrets.use(owner, 'uri', spec.uriSecretRef),
    database: spec.database,
    ...loginKeys(spec, owner, secrets),
    post_images: POST_IMAGES[spec.postImages],
    heartbeat_interval_seconds: spec.heartbeatIntervalSeconds,
    reject_ip_ranges: spec.rejectIpRanges,
  });
}

function mysqlKeys(spec: Section<'mysql'>, owner: string, secrets: SecretVariables): Keys {
  return filled({
    uri: secrets.use(owner, 'uri', spec.uriSecretRef),
    hostname: spec.hostname,
    port: spec.port,
    database: spec.database,
    ...loginKeys(spec, owner, secrets),
    ...certificateKeys(spec, owner, secrets),
    server_id: spec.serverId,
    binlog_queue_memory_limit: spec.binlogQueueMemoryLimitMegabytes,
    reject_ip_ranges: spec.rejectIpRanges,
  });
}

function mssqlKeys(spec: Section<'mssql'>, owner: string, secrets: SecretVariables): Keys {
  const { authentication } = spec;
  return filled({
    uri: secrets.use(owner, 'uri', spec.uriSecretRef),
    hostname: spec.hostname,
    port: spec.port,
    database: spec.database,
    ...loginKeys(spec, owner, secrets),
    authentication: authentication && {
      type: authentication.type,
      clientId: authentication.clientId,
      tenantId: authentication.tenantId,
      clientSecret: secrets.use(owner, 'client secret', authentication.clientSecretRef),
    },
    cacert: secrets.use(owner, 'ca', spec.caSecretRef),
    tls_servername: spec.tlsServerName,
    schema: spec.schema,
    heartbeat_interval_seconds: spec.heartbeatIntervalSeconds,
    additionalConfig: {
      pollingIntervalMs: spec.pollingIntervalMilliseconds,
      pollingBatchSize: spec.pollingBatchSize,
      trustServerCertificate: spec.trustServerCertificate,
    },
    reject_ip_ranges: spec.rejectIpRanges,
  });
}

function convexKeys(spec: Section<'convex'>, owner: string, secrets: SecretVariables): Keys {
  return filled({
    deployment_url: spec.deploymentUrl,
    deploy_key: secrets.use(owner, 'deploy key', spec.deployKeySecretRef),
    polling_interval_ms: spec.pollingIntervalMilliseconds,
    request_timeout_ms: spec.requestTimeoutMilliseconds,
    reject_ip_ranges: spec.rejectIpRanges,
  });
}

interface LoginSpec {
  username?: string;
  usernameSecretRef?: SecretKeyRef;
  passwordSecretRef?: SecretKeyRef;
}

function loginKeys(spec: LoginSpec, owner: string, secrets: SecretVariables): Keys {
  return {
    username: spec.username ?? secrets.use(owner, 'username', spec.usernameSecretRef),
    password: secrets.use(owner, 'password', spec.passwordSecretRef),
  };
}

interface CertificatesSpec {
  caSecretRef?: SecretKeyRef;
  clientCertificateSecretRef?: SecretKeyRef;
  clientPrivateKeySecretRef?: SecretKeyRef;
}

function certificateKeys(spec: CertificatesSpec, owner: string, secrets: SecretVariables): Keys {
  return {
    cacert: secrets.use(owner, 'ca', spec.caSecretRef),
    client_certificate: secrets.use(owner, 'client certificate', spec.clientCertificateSecretRef),
    client_private_key: secrets.use(owner, 'client private key', spec.clientPrivateKeySecretRef),
  };
}
