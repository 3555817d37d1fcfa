import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SourceSpec } from '#crds/sync-instance/sources.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { parseServiceConfig } from '#core/platform/config/load.ts';
import type { ServiceConfig, SourceConnection } from '#core/platform/config/service-config.ts';
import { createTestCertificates } from '#core/platform/config/test-certificates.ts';
import { containerEnvironment } from '../testing/container-environment.ts';
import { randomInstance } from '../testing/random-instances.ts';
import { serviceConfig, type ConfigFor } from './service-config.ts';

const certificates = createTestCertificates('db.example.org', 'reader')!;

const KEY_SET = { keys: [{ kty: 'oct', alg: 'HS256', kid: 'a', k: 'c2VjcmV0' }] };
const URIS: Readonly<Record<string, string>> = {
  postgresql: 'postgresql://in-uri:p%40ss@uri.example.org:5555/indb',
  mongodb: 'mongodb://in-uri:p%40ss@uri.example.org:27018/indb',
  mysql: 'mysql://in-uri:p%40ss@uri.example.org:5555/indb',
  mssql: 'mssql://in-uri:p%40ss@uri.example.org:5555/indb',
};

/** Made here, not within a test: it takes seconds on a busy machine. */
const anyInstance = randomInstance();
const FEWER = { numRuns: 30 };

/** Any text that a Secret may hold and a process may get: everything but nothing and NUL. */
const secretText = fc
  .oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.constantFrom('$(PS_A)', '!env PS_A', 'a: b', '"', "'\n", ' x '),
  )
  .map((text) => text.replaceAll('\0', '0'));

/** The values of the variables of one file, as their Secrets hold them. */
function valuesFor(instance: SyncInstance, text: string, variable: string): string {
  if (variable === 'PS_CLIENT_AUTH__KEYS') return JSON.stringify(KEY_SET, null, 2);
  if (variable === 'PS_REDIS__URI') return 'rediss://default:p%40ss@redis:6380/2';
  if (variable === 'PS_STORAGE__URI') return URIS[instance.spec.storage.type]!;
  if (variable.endsWith('__URI')) return URIS[sourceOf(instance, variable).type]!;
  if (variable.endsWith('__CA')) return certificates.authority;
  if (variable.endsWith('__CLIENT_CERTIFICATE')) return certificates.client.certificate;
  if (variable.endsWith('__CLIENT_PRIVATE_KEY')) return certificates.client.key;
  if (variable === 'PS_API__FURTHER_TOKENS') return 'token-of-somebody-else\n\ntoken-of-a-third-one\r\n';
  return text;
}

function sourceOf({ spec }: SyncInstance, variable: string): SourceSpec {
  return spec.sources.find(({ name }) => variable.startsWith(`PS_SOURCE_${name.toUpperCase()}__`))!;
}

function load(instance: SyncInstance, part: ConfigFor, text: string): ServiceConfig {
  const { text: file, env } = serviceConfig(instance, part);
  const environment = containerEnvironment([...env], (_name, _key, variable) => valuesFor(instance, text, variable));
  const needsSource = part === 'api' || part === 'replicator';
  const parsed = parseServiceConfig(file, { environment, folder: '/etc/millrace', needsSource });
  if ('problems' in parsed) throw new Error(`${JSON.stringify(parsed.problems)}\n${file}`);
  return parsed.config;
}

test('every instance gives a file that the data plane reads, with the same meaning (O-13 … O-24, O-25)', () => {
  fc.assert(
    fc.property(anyInstance, secretText, (instance, text) => {
      const config = load(instance, 'api', text);
      expect(config).toMatchObject(meaningForAll(instance));
      expect(config.storage).toMatchObject(storageMeaning(instance, text));
      expect(config.api).toMatchObject(apiMeaning(instance, text));
      expect(config.clientAuth).toMatchObject(authMeaning(instance, text));
      const sources = new Map(config.replication.connections.map((connection) => [connection.tag, connection]));
      expect(sources.size).toBe(instance.spec.sources.length);
      for (const source of instance.spec.sources)
        expect(sources.get(source.name)).toMatchObject(sourceMeaning(source, text));
    }),
  );
});

test('replicators learn nothing of clients, compaction and migration nothing of sources (O-156)', () => {
  fc.assert(
    fc.property(anyInstance, secretText, (instance, text) => {
      const all = load(instance, 'api', text);
      const replicator = load(instance, 'replicator', text);
      expect(replicator.replication).toEqual(all.replication);
      expect(replicator.clientAuth.keys).toEqual([]);
      expect(replicator.api.tokens).toEqual([]);
      for (const part of ['replicator', 'compactor', 'migration'] as const) {
        const config = load(instance, part, text);
        expect(config).toMatchObject(meaningForAll(instance, part === 'migration'));
        expect(config.storage).toEqual(all.storage);
        if (part !== 'replicator') expect(config.replication.connections).toEqual([]);
      }
    }),
    FEWER,
  );
});

test('neither the order of sources nor anything else that means nothing makes another file', () => {
  fc.assert(
    fc.property(anyInstance, (instance) => {
      const { spec } = instance;
      const turned = { ...instance, spec: { ...spec, paused: !spec.paused, sources: spec.sources.toReversed() } };
      expect(serviceConfig(turned, 'api')).toEqual(serviceConfig(structuredClone(instance), 'api'));
    }),
    FEWER,
  );
});

test('a variable belongs to one secret', () => {
  fc.assert(
    fc.property(anyInstance, (instance) => {
      const { env, references } = serviceConfig(instance, 'api');
      const variables = env.map(({ name }) => name);
      expect(new Set(variables).size).toBe(variables.length);
      for (const variable of variables) expect(variable).toMatch(/^PS_[A-Z0-9_]+__[A-Z0-9_]+$/);
      expect(references.map(({ variable }) => variable)).toEqual(variables.filter((name) => name !== 'PS_API__TOKENS'));
    }),
    FEWER,
  );
});

function meaningForAll({ metadata, spec }: SyncInstance, withoutRedis = false): Partial<ServiceConfig> {
  const keyPrefix = spec.redis?.keyPrefix ?? `millrace:${metadata.namespace}/${metadata.name}:`;
  const hasRedis = spec.redis !== undefined && !withoutRedis;
  return {
    redis: hasRedis ? { uri: 'rediss://default:p%40ss@redis:6380/2', keyPrefix } : undefined,
    port: 8080,
    syncConfig: undefined,
    instanceId: metadata.uid,
    telemetry: { prometheusPort: 9464 },
    healthcheck: { probes: { filesystem: false, http: 'on' } },
    migrations: { disableAutoMigration: true },
    logging: { level: spec.telemetry.logLevel, format: spec.telemetry.logFormat },
  };
}

interface Login {
  username?: string;
  usernameSecretRef?: object;
  passwordSecretRef?: object;
}

/** Fields win over the URI; the MongoDB driver reads the URI itself. */
function loginMeaning(spec: Login, text: string, inUri: { user?: string; password?: string }) {
  return {
    username: spec.username ?? (spec.usernameSecretRef ? text : inUri.user),
    password: spec.passwordSecretRef ? text : inUri.password,
  };
}

const IN_URI = { user: 'in-uri', password: 'p@ss' };

interface Server extends Login {
  hostname?: string;
  port?: number;
  database?: string;
}

function serverMeaning(spec: Server, text: string, defaultPort: number) {
  const host = spec.hostname === undefined ? 'uri.example.org' : spec.hostname;
  const address = { hostname: host, port: spec.port ?? (spec.hostname === undefined ? 5555 : defaultPort) };
  return { address, database: spec.database ?? 'indb', ...loginMeaning(spec, text, IN_URI) };
}

type Postgres = NonNullable<SyncInstance['spec']['storage']['postgresql']>;

function postgresMeaning(spec: Postgres, text: string) {
  const { address, ...server } = serverMeaning(spec, text, 5432);
  return {
    ...server,
    hosts: [address],
    sslmode: spec.sslMode ?? 'verify-full',
    cacert: spec.caSecretRef && certificates.authority,
    clientCertificate: spec.clientCertificateSecretRef && certificates.client.certificate,
    clientPrivateKey: spec.clientPrivateKeySecretRef && certificates.client.key,
    tlsServername: spec.tlsServerName,
    rejectIpRanges: spec.rejectIpRanges,
    maxPoolSize: spec.maxPoolSize ?? 8,
    connectTimeoutMs: (spec.connectTimeoutSeconds ?? 30) * 1000,
  };
}

function mongodbMeaning(spec: Login & { database?: string; rejectIpRanges: string[] }, text: string) {
  return {
    uri: URIS['mongodb'],
    database: spec.database ?? 'indb',
    ...loginMeaning(spec, text, {}),
    rejectIpRanges: spec.rejectIpRanges,
  };
}

function storageMeaning({ spec }: SyncInstance, text: string): object {
  const { type, mongodb, postgresql } = spec.storage;
  if (type === 'postgresql') return { type, endpoint: postgresMeaning(postgresql!, text) };
  return { type, ...mongodbMeaning(mongodb!, text), maxPoolSize: mongodb!.maxPoolSize ?? 8 };
}

function apiMeaning({ spec }: SyncInstance, text: string): object {
  const { api } = spec;
  const others = ['token-of-somebody-else', 'token-of-a-third-one'];
  // As lines, blanks around a token do not count. A Secret of the operator holds one plain token.
  const own = text.split('\n').flatMap((line) => line.trim() || []);
  return {
    tokens: api.adminTokensSecretRef ? [...own, ...others] : [text],
    inspector: api.inspector,
    maxConcurrentConnections: api.maxConnections,
    ...api.limits,
  };
}

function authMeaning({ spec }: SyncInstance, text: string): object {
  const { clientAuth } = spec;
  const k = Buffer.from(text).toString('base64url');
  const supabaseKeys = clientAuth.supabaseJwtSecretRef ? [{ kty: 'oct', alg: 'HS256', k }] : [];
  const addsAudience = clientAuth.supabaseJwtSecretRef && !clientAuth.audience.includes('authenticated');
  return {
    jwksUris: clientAuth.jwksUris,
    keys: [...(clientAuth.keysSecretRef ? KEY_SET.keys : []), ...supabaseKeys],
    audience: [...clientAuth.audience, ...(addsAudience ? ['authenticated'] : [])],
    issuers: clientAuth.issuers,
    rejectIpRanges: clientAuth.rejectIpRanges,
  };
}

const POST_IMAGES: Readonly<Record<string, string>> = {
  Off: 'off',
  Disabled: 'off',
  AutoConfigure: 'auto_configure',
  ReadOnly: 'read_only',
};

function sourceMeaning(source: SourceSpec, text: string): Partial<Record<keyof SourceConnection | string, unknown>> {
  const identity = { type: source.type, id: source.name, tag: source.name, debugApi: source.debugApi };
  const { postgresql, mongodb, mysql, mssql, convex } = source;
  if (postgresql) {
    return {
      ...identity,
      ...postgresMeaning(postgresql, text),
      heartbeatIntervalMs: postgresql.heartbeatIntervalSeconds * 1000,
      snapshotSocketTimeoutMs:
        postgresql.snapshotSocketTimeoutSeconds === undefined
          ? undefined
          : postgresql.snapshotSocketTimeoutSeconds * 1000,
      slotNamePrefix: postgresql.slotNamePrefix,
    };
  }
  if (mongodb) {
    const heartbeatIntervalMs = mongodb.heartbeatIntervalSeconds * 1000;
    const postImages = POST_IMAGES[mongodb.postImages];
    return { ...identity, ...mongodbMeaning(mongodb, text), postImages, heartbeatIntervalMs };
  }
  if (mysql) {
    const { address, ...server } = serverMeaning(mysql, text, 3306);
    return {
      ...identity,
      ...address,
      ...server,
      cacert: mysql.caSecretRef && certificates.authority,
      clientCertificate: mysql.clientCertificateSecretRef && certificates.client.certificate,
      clientPrivateKey: mysql.clientPrivateKeySecretRef && certificates.client.key,
      rejectIpRanges: mysql.rejectIpRanges,
      serverId: mysql.serverId,
      binlogQueueMemoryLimitBytes: mysql.binlogQueueMemoryLimitMegabytes * 1024 * 1024,
    };
  }
  if (mssql) return { ...identity, ...mssqlMeaning(mssql, text) };
  return {
    ...identity,
    deploymentUrl: convex!.deploymentUrl,
    deployKey: text,
    rejectIpRanges: convex!.rejectIpRanges,
    pollingIntervalMs: convex!.pollingIntervalMilliseconds,
    requestTimeoutMs: convex!.requestTimeoutMilliseconds,
  };
}

function mssqlMeaning(spec: NonNullable<SourceSpec['mssql']>, text: string): object {
  const { address, database, username, password } = serverMeaning(spec, text, 1433);
  const { authentication } = spec;
  const login = authentication
    ? {
        type: authentication.type,
        clientId: authentication.clientId,
        tenantId: authentication.tenantId,
        clientSecret: text,
      }
    : { type: 'default', username, password };
  return {
    ...address,
    database,
    login,
    cacert: spec.caSecretRef && certificates.authority,
    tlsServername: spec.tlsServerName,
    rejectIpRanges: spec.rejectIpRanges,
    schema: spec.schema,
    heartbeatIntervalMs: spec.heartbeatIntervalSeconds * 1000,
    pollingIntervalMs: spec.pollingIntervalMilliseconds,
    pollingBatchSize: spec.pollingBatchSize,
    trustServerCertificate: spec.trustServerCertificate,
  };
}
