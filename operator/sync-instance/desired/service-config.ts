import type { V1ConfigMap, V1EnvVar } from '@kubernetes/client-node';
import { Document } from 'yaml';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { sourceKeys, storageKeys, type Keys } from './connection-keys.ts';
import type { KubeObject, ValueReference } from './contract.ts';
import { filled } from './filled.ts';
import { instanceLabels } from './labels.ts';
import { metadataOf } from './metadata.ts';
import { names, shortHash } from './names.ts';
import { HTTP_PORT, METRICS_PORT } from './ports.ts';
import { secretVariables, variableName, type SecretVariables } from './secret-variables.ts';

/**
 * What a part may know: API workers everything, replicators nothing of clients, compaction only storage and Redis (O-156), and
 * migration only storage.
 */
export type ConfigFor = 'api' | 'replicator' | 'compactor' | 'migration';

/** A `service.yaml`, without secrets: these stand in it as `!env` (O-23, O-24). */
export interface RenderedConfig {
  /** Of its ConfigMap; holds a hash of the text, so that another text never changes what a running pod has mounted. */
  readonly name: string;
  readonly hash: string;
  readonly text: string;
  /** Variables that the text names, in the order in which Kubernetes must know them. */
  readonly env: readonly V1EnvVar[];
  readonly references: readonly ValueReference[];
}

export const CONFIG_FILE = 'service.yaml';
/** Key of the operator's own token in the Secret `NAME-admin`. */
export const ADMIN_TOKEN_KEY = 'token';

/** The resource as the file that `core/platform/config` reads. Lists that are maps in Kubernetes have one order, so that theirs does not matter. */
export function serviceConfig(instance: SyncInstance, part: ConfigFor): RenderedConfig {
  const secrets = secretVariables();
  const { name, namespace } = instance.metadata;
  const document = new Document(keysOf(instance, part, secrets), { aliasDuplicateObjects: false });
  document.commentBefore = ` Made by the operator from the SyncInstance ${namespace}/${name}. Changes here are lost.`;
  const text = document.toString({ lineWidth: 0 });
  const hash = shortHash(`${name}\n${text}`, 10);
  return { name: names.config(name, hash), hash, text, env: secrets.env(), references: secrets.references() };
}

/** What the file of a part refers to, without rendering it: this is asked with every look and every change that is watched. */
export function configReferences(instance: SyncInstance, part: ConfigFor): readonly ValueReference[] {
  const secrets = secretVariables();
  keysOf(instance, part, secrets);
  return secrets.references();
}

/** The file of a part, rendered once however many pods mount it. */
export type ConfigOf = (part: ConfigFor) => RenderedConfig;

export function configsOf(instance: SyncInstance): ConfigOf {
  const rendered = new Map<ConfigFor, RenderedConfig>();
  return (part) => {
    const config = rendered.get(part) ?? serviceConfig(instance, part);
    rendered.set(part, config);
    return config;
  };
}

/** Immutable: the kubelet need not watch it, and a mistake cannot reach pods that run. */
export function configMap(instance: SyncInstance, config: RenderedConfig): KubeObject<V1ConfigMap> {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadataOf(instance, config.name, instanceLabels(instance.metadata.name)),
    immutable: true,
    data: { [CONFIG_FILE]: config.text },
  };
}

function keysOf(instance: SyncInstance, part: ConfigFor, secrets: SecretVariables): Keys {
  const { spec } = instance;
  const isApi = part === 'api';
  const sources = spec.sources.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return {
    ...(isApi || part === 'replicator'
      ? { replication: { connections: sources.map((source) => sourceKeys(source, secrets)) } }
      : {}),
    storage: storageKeys(spec, secrets),
    ...(spec.redis === undefined || part === 'migration' ? {} : { redis: redisKeys(instance, secrets) }),
    ...(isApi
      ? {
          port: HTTP_PORT.containerPort,
          client_auth: clientAuthKeys(instance, secrets),
          api: apiKeys(instance, secrets),
        }
      : {}),
    telemetry: { prometheus_port: METRICS_PORT.containerPort, disable_telemetry_sharing: true },
    healthcheck: { probes: { use_http: true } },
    // The migration Job does it, before anything of a new version runs (O-78, O-239).
    migrations: { disable_auto_migration: true },
    // Storage that another instance has claimed is neither served, nor migrated, nor destroyed.
    system: {
      instance_id: instance.metadata.uid,
      logging: { level: spec.telemetry.logLevel, format: spec.telemetry.logFormat },
    },
  };
}

/** Instances may share a Redis: keys start with namespace and name. */
function redisKeys({ metadata, spec }: SyncInstance, secrets: SecretVariables): Keys {
  return {
    uri: secrets.use('redis', 'uri', spec.redis?.uriSecretRef),
    key_prefix: spec.redis?.keyPrefix ?? `millrace:${metadata.namespace}/${metadata.name}:`,
  };
}

function clientAuthKeys({ spec }: SyncInstance, secrets: SecretVariables): Keys {
  const { clientAuth } = spec;
  return filled({
    jwks_uri: clientAuth.jwksUris,
    jwks: secrets.use('client auth', 'keys', clientAuth.keysSecretRef, 'json'),
    audience: clientAuth.audience,
    issuer: clientAuth.issuers,
    supabase: clientAuth.supabase,
    supabase_jwt_secret: secrets.use('client auth', 'supabase jwt secret', clientAuth.supabaseJwtSecretRef),
    jwks_reject_ip_ranges: clientAuth.rejectIpRanges,
  });
}

function apiKeys({ metadata, spec }: SyncInstance, secrets: SecretVariables): Keys {
  const { api } = spec;
  return {
    tokens: adminTokens(metadata.name, spec.api.adminTokensSecretRef, secrets),
    inspector: api.inspector,
    parameters: {
      max_concurrent_connections: api.maxConnections,
      max_data_fetch_concurrency: api.limits.maxDataFetchConcurrency,
      max_buckets_per_connection: api.limits.maxBucketsPerConnection,
      max_parameter_query_results: api.limits.maxParameterQueryResults,
    },
  };
}

/** The operator's token, then the user's: one list, which Kubernetes composes of both Secrets when the container starts. */
function adminTokens(
  instance: string,
  further: SyncInstance['spec']['api']['adminTokensSecretRef'],
  secrets: SecretVariables,
): unknown {
  const own = { name: names.adminSecret(instance), key: ADMIN_TOKEN_KEY };
  if (further === undefined) return [secrets.use('api', 'operator token', own)];
  secrets.use('api', 'operator token', own);
  secrets.use('api', 'further tokens', further);
  const text = ['operator token', 'further tokens'].map((field) => `$(${variableName('api', field)})`).join('\n');
  return secrets.compose('api', 'tokens', text, 'lines');
}
