import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { isCodedError } from '../errors/coded-error.ts';
import { ERROR_REGISTRY } from '../errors/registry.ts';
import { loadServiceConfig, parseServiceConfig, readSyncConfig, type ParsedConfig } from './load.ts';
import type { ConfigProblem } from './problems.ts';
import type { ServiceConfig } from './service-config.ts';
import { serviceConfigJsonSchema } from './service-schema.ts';

const ENVIRONMENT = {
  PS_SOURCE_URI: 'postgresql://app:secret-password@db.example:5432/app',
  PS_STORAGE_URI: 'mongodb://storage.example/buckets',
  PS_ADMIN_TOKEN: 'secret-admin-token-0123456789',
  PS_PORT: '8081',
  PS_HTTP: 'true',
  HOME: '/root',
};

const EXAMPLE = `
replication:
  connections:
    - type: postgresql
      uri: !env PS_SOURCE_URI
storage:
  type: mongodb
  uri: !env PS_STORAGE_URI
port: 8080
sync_config:
  path: sync-config.yaml
client_auth:
  jwks_uri: https://id.example.org/.well-known/jwks.json
  audience: [my-app]
api:
  tokens: [!env PS_ADMIN_TOKEN]
telemetry:
  prometheus_port: 9464
  disable_telemetry_sharing: true
healthcheck:
  probes: {use_http: true}
system:
  logging: {level: info, format: json}
`;

const parse = (text: string, environment: Record<string, string> = ENVIRONMENT): ParsedConfig =>
  parseServiceConfig(text, { environment, folder: '/config' });

function configOf(text: string, environment?: Record<string, string>): ServiceConfig {
  const parsed = parse(text, environment);
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems, null, 1));
  return parsed.config;
}

function problemsOf(text: string, environment?: Record<string, string>): ConfigProblem[] {
  const parsed = parse(text, environment);
  return 'problems' in parsed ? [...parsed.problems] : [];
}

describe('a documented configuration', () => {
  test('is read with all defaults (O-25 … O-68, R-7, R-10, R-100, R-131)', () => {
    expect(configOf(EXAMPLE)).toEqual({
      replication: {
        connections: [
          {
            type: 'postgresql',
            id: 'default',
            tag: 'default',
            debugApi: false,
            hosts: [{ hostname: 'db.example', port: 5432 }],
            database: 'app',
            username: 'app',
            password: 'secret-password',
            sslmode: 'verify-full',
            cacert: undefined,
            clientCertificate: undefined,
            clientPrivateKey: undefined,
            tlsServername: undefined,
            rejectIpRanges: [],
            maxPoolSize: 8,
            connectTimeoutMs: 30_000,
            heartbeatIntervalMs: 60_000,
            snapshotSocketTimeoutMs: undefined,
            slotNamePrefix: 'powersync_',
          },
        ],
      },
      storage: {
        type: 'mongodb',
        uri: 'mongodb://storage.example/buckets',
        database: 'buckets',
        username: undefined,
        password: undefined,
        maxPoolSize: 8,
        rejectIpRanges: [],
        defaultStorageVersion: 2,
        bulkReadPreference: undefined,
        clearBatchThrottleRate: 0.2,
        objectStorage: undefined,
      },
      redis: undefined,
      port: 8080,
      syncConfig: { from: { file: '/config/sync-config.yaml' }, exitOnError: true, versionLabel: undefined },
      clientAuth: {
        jwksUris: ['https://id.example.org/.well-known/jwks.json'],
        keys: [],
        audience: ['my-app'],
        issuers: [],
        rejectIpRanges: [],
      },
      api: {
        tokens: ['secret-admin-token-0123456789'],
        maxConcurrentConnections: 200,
        maxDataFetchConcurrency: 10,
        maxBucketsPerConnection: 1000,
        maxParameterQueryResults: 1000,
        checkpointRequestRetentionMs: 3_600_000,
        bucketCountCacheTtlMs: 3_600_000,
        inspector: false,
      },
      instanceId: undefined,
      telemetry: { prometheusPort: 9464 },
      healthcheck: { probes: { filesystem: false, http: 'on' } },
      logging: { level: 'info', format: 'json' },
      migrations: { disableAutoMigration: false },
      metadata: {},
      parameters: {},
    } satisfies ServiceConfig);
  });

  test('reads the same as JSON, also indented with tabs (O-13)', () => {
    const yaml = 'storage: {type: mongodb, uri: "mongodb://h/b"}\nport: 9000\nmetadata: {region: eu}';
    const json = JSON.stringify(
      { storage: { type: 'mongodb', uri: 'mongodb://h/b' }, port: 9000, metadata: { region: 'eu' } },
      null,
      '\t',
    );
    expect(configOf(json)).toEqual(configOf(yaml));
  });

  test('logging and ports follow the environment (O-17, O-19, O-26 … O-28)', () => {
    const text = `storage: {type: mongodb, uri: "mongodb://h/b"}
port: !env PS_PORT
healthcheck: {probes: {use_http: !env PS_HTTP::boolean}}
telemetry: {prometheus_port: !env PS_PORT::number}
system: {logging: {level: warn}}`;
    const environment = { ...ENVIRONMENT, NODE_ENV: 'production', PS_LOG_LEVEL: 'debug' };
    expect(configOf(text, environment)).toMatchObject({
      port: 8081,
      telemetry: { prometheusPort: 8081 },
      healthcheck: { probes: { http: 'on', filesystem: false } },
      logging: { level: 'debug', format: 'json' },
    });
    expect(configOf(text).logging).toEqual({ level: 'warn', format: 'text' });
    expect(configOf(text, { ...environment, PS_LOG_FORMAT: 'text' }).logging.format).toBe('text');
  });

  test('probes without configuration: files always, HTTP with the API (O-66 … O-68, O-167)', () => {
    const storage = 'storage: {type: mongodb, uri: "mongodb://h/b"}';
    const probes = (text: string) => configOf(`${storage}\n${text}`).healthcheck.probes;
    expect(probes('')).toEqual({ filesystem: true, http: 'with-api' });
    expect(probes('healthcheck: {probes: {}}')).toEqual({ filesystem: false, http: 'off' });
    expect(probes('healthcheck: {probes: {use_legacy: true}}')).toEqual({ filesystem: true, http: 'with-api' });
  });

  test('sync_rules is a deprecated alias; both names together are refused (O-36)', () => {
    const storage = 'storage: {type: mongodb, uri: "mongodb://h/b"}\n';
    const parsed = parse(`${storage}sync_rules: {content: "streams: {}", exit_on_error: false}`);
    expect(parsed).toMatchObject({
      config: { syncConfig: { from: { content: 'streams: {}' }, exitOnError: false } },
      notices: expect.arrayContaining([expect.objectContaining({ level: 'warn', key: 'sync_rules' })]) as unknown,
    });
    expect(problemsOf(`${storage}sync_rules: {content: a}\nsync_config: {content: b}`)).toMatchObject([
      { code: 'PSYNC_S3224', key: 'sync_rules', line: 2 },
    ]);
  });
});

describe('problems (O-18, O-20)', () => {
  test('all are listed at once, each with key, line and a hint', () => {
    const text = `replication:
  connections:
    - type: postgresql
      uri: !env PS_SOURCE_URI
      heartbeat_interval_secs: 5
      sslmode: require
    - type: postgres
      uri: x
    - type: postgresql
      uri: mysql://x
storage:
  type: mongodb
  uri: !env PS_NOT_SET
  max_pool_size: many
ports: 8080
client_auth:
  audience: my-app
  telemetry: {prometheus_port: 1}
  jwks_uri: [ftp://x/keys, nonsense]
`;
    const problems = problemsOf(text).toSorted((a, b) => a.line - b.line || a.column - b.column);
    expect(
      problems.map(({ line, column, key, code, message }) => `${line}:${column} ${key} ${code} ${message}`),
    ).toEqual([
      '5:7 replication.connections[0].heartbeat_interval_secs PSYNC_S3223 unknown key, did you mean "heartbeat_interval_seconds"?',
      '6:16 replication.connections[0].sslmode PSYNC_S1160 must be one of verify-full, verify-ca, disable',
      '7:13 replication.connections[1].type PSYNC_S3224 must be one of postgresql, mongodb, mysql, mssql, convex',
      '10:12 replication.connections[2].uri PSYNC_S1109 must look like postgresql://user:password@host:5432/database, with special characters percent-encoded',
      '13:13 storage.uri PSYNC_S3225 the environment variable PS_NOT_SET is not set',
      '14:18 storage.max_pool_size PSYNC_S3224 must be a whole number, not a text',
      '15:1 ports PSYNC_S3223 unknown key, did you mean "port"?',
      '17:13 client_auth.audience PSYNC_S3224 must be a list, not a text',
      '18:3 client_auth.telemetry PSYNC_S3223 unknown here: it belongs to the top level of the file',
    ]);
  });

  test.each([
    ['!env HOME', 'PSYNC_S3225', 'only environment variables starting with PS_ may be used, not "HOME"'],
    ['!env PS_ADMIN_TOKEN::number', 'PSYNC_S3225', 'the environment variable PS_ADMIN_TOKEN is not a number'],
    ['!env PS_PORT::boolean', 'PSYNC_S3225', 'the environment variable PS_PORT is neither true nor false'],
    ['70000', 'PSYNC_S3224', 'must be between 1 and 65535'],
    ['-1', 'PSYNC_S3224', 'must be between 1 and 65535'],
    ['{}', 'PSYNC_S3224', 'must be a whole number or a text, not a map'],
    ['*x', 'PSYNC_S3222', 'no anchor of this name stands above; put text that starts with * into quotes'],
    ['&x [*x]', 'PSYNC_S3222', 'this alias contains itself'],
    ['!secret x', 'PSYNC_S3222', 'unknown tag, only !env is known; put text that starts with ! into quotes'],
  ])('port: %s', (value, code, message) => {
    expect(problemsOf(`storage: {type: mongodb, uri: "mongodb://h/b"}\nport: ${value}`)).toMatchObject([
      { code, message, line: 2 },
    ]);
  });

  test.each([
    ['', 'is empty'],
    ['5', 'must be a map, not a number'],
    ['[]', 'must be a map, not a list'],
    ['a: 1\na: 2', 'this key is given twice'],
    ['{"storage": ', /./],
    ['--- {}\n--- {}', 'only one document is allowed; remove the line "---"'],
    ['? [a]\n: b', 'keys must be plain text'],
  ])('text %j', (text, message) => {
    const [problem] = problemsOf(text);
    expect(problem?.message).toMatch(message);
  });

  test('a file that grows without bounds through aliases is refused', () => {
    const levels = 'abcdefgh'.split('').map((name, i, all) => {
      const item = i === 0 ? 'x' : `*${all[i - 1]}`;
      return `${name}: &${name} [${Array.from({ length: 10 }, () => item).join(',')}]`;
    });
    expect(problemsOf(levels.join('\n'))).toMatchObject([{ code: 'PSYNC_S3222' }]);
  });

  test('mutated configurations give a configuration or coded problems with lines, and never show a secret', () => {
    const base = {
      replication: {
        connections: [
          {
            type: 'postgresql',
            tag: 'a',
            uri: 'postgresql://u:secret-1@h:5432/d',
            sslmode: 'disable',
            debug_api: true,
          },
          { type: 'mongodb', tag: 'b', uri: 'mongodb://u:secret-2@h/d', post_images: 'read_only' },
          { type: 'mysql', tag: 'c', hostname: 'h', database: 'd', username: 'u', password: 'secret-3', port: 3306 },
          { type: 'mssql', tag: 'd', uri: 'mssql://u:secret-4@h:1433/d', additionalConfig: { pollingBatchSize: 5 } },
          { type: 'convex', tag: 'e', deployment_url: 'https://c.example', deploy_key: 'secret-5' },
        ],
      },
      storage: {
        type: 'postgresql',
        hostname: 'h',
        database: 'd',
        username: 'u',
        password: 'secret-6',
        batch_limits: {},
      },
      redis: { uri: 'redis://u:secret-7@h:6379' },
      port: '8080',
      sync_config: { content: 'streams: {}' },
      client_auth: {
        jwks: { keys: [{ kty: 'oct', alg: 'HS256', k: 'secret-8' }] },
        supabase_jwt_secret: 'secret-9',
        audience: ['x'],
        issuer: ['https://id.example'],
        jwks_reject_ip_ranges: ['10.0.0.0/8', 'local'],
      },
      api: { tokens: ['secret-10'], parameters: { max_buckets_per_connection: 5 } },
      telemetry: { prometheus_port: 9464, disable_telemetry_sharing: false },
      healthcheck: { probes: { use_filesystem: true } },
      migrations: { disable_auto_migration: true },
      system: { logging: { level: 'info', format: 'text' } },
      metadata: { a: 'b' },
      parameters: { n: 1, s: 'x', b: true, nothing: null },
    };
    expect(parse(stringify(base))).toHaveProperty('config');

    const check = (text: string): void => {
      const parsed = parse(text);
      const said = JSON.stringify([parsed.notices, 'problems' in parsed ? parsed.problems : []]);
      expect(said).not.toContain('secret-');
      if (!('problems' in parsed)) return;
      expect(parsed.problems.length).toBeGreaterThan(0);
      const lines = text.split('\n').length;
      for (const { code, line, column, message } of parsed.problems) {
        expect(ERROR_REGISTRY).toHaveProperty(code);
        expect(line).toBeGreaterThanOrEqual(1);
        expect(line).toBeLessThanOrEqual(lines);
        expect(column).toBeGreaterThanOrEqual(1);
        expect(message).not.toBe('');
      }
    };
    const mutation = fc.record({
      at: fc.array(fc.nat(100), { maxLength: 5 }),
      action: fc.constantFrom('remove', 'rename', 'replace', 'swap type'),
      value: fc.jsonValue({ maxDepth: 2 }),
    });
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
        const config = structuredClone(base) as Record<string, unknown>;
        for (const each of mutations) mutate(config, each);
        check(stringify(config));
      }),
      { numRuns: 400 },
    );
    const text = stringify(base);
    fc.assert(
      fc.property(
        fc.nat(text.length),
        fc.nat(8),
        fc.oneof(
          fc.string({ maxLength: 5 }),
          fc.constantFrom(':', '- ', '&a ', '*a', '!env X', '\n', '\t', '{', ']', '"', '|'),
        ),
        (at, removed, inserted) => {
          check(text.slice(0, at) + inserted + text.slice(at + removed));
        },
      ),
      { numRuns: 400 },
    );
  });
});

/** Walks down `at` (each number picks a child) and changes what it arrives at. */
function mutate(
  root: Record<string, unknown>,
  { at, action, value }: { at: number[]; action: string; value: unknown },
): void {
  let parent = root;
  let key = '';
  for (const pick of at.length === 0 ? [0] : at) {
    const target = (key === '' ? parent : parent[key]) as Record<string, unknown>;
    if (typeof target !== 'object' || target === null || Object.keys(target).length === 0) break;
    parent = target;
    key = Object.keys(target)[pick % Object.keys(target).length]!;
  }
  if (key === '') return;
  if (action === 'remove') delete parent[key];
  else if (action === 'replace') parent[key] = value;
  else if (action === 'swap type') parent['type'] = value;
  else if (!Array.isArray(parent)) {
    parent[`${key}x`] = parent[key];
    delete parent[key];
  }
}

describe('where the configuration comes from (O-14 … O-16)', () => {
  let folder: string;
  const withPort = (port: number): string => `storage: {type: mongodb, uri: "mongodb://h/b"}\nport: ${port}\n`;
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-config-'));
    await writeFile(join(folder, 'one.yaml'), `${withPort(1001)}sync_config: {path: sync.yaml}\n`);
    await writeFile(join(folder, 'two.yaml'), withPort(1002));
    await writeFile(join(folder, 'sync.yaml'), 'streams: {}');
    await writeFile(join(folder, 'bad.yaml'), 'port: x');
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('flags win over the environment, base64 over a path', async () => {
    const full = {
      flags: { path: 'one.yaml', base64: base64(withPort(1003)) },
      environment: { POWERSYNC_CONFIG_PATH: 'two.yaml', POWERSYNC_CONFIG_B64: base64(withPort(1004)) },
      workingFolder: folder,
    };
    const port = async (options: Parameters<typeof loadServiceConfig>[0]) =>
      (await loadServiceConfig(options)).config.port;
    expect(await port(full)).toBe(1003);
    expect(await port({ ...full, flags: { path: 'one.yaml' } })).toBe(1001);
    expect(await port({ ...full, flags: {} })).toBe(1004);
    expect(await port({ ...full, flags: {}, environment: { POWERSYNC_CONFIG_PATH: 'two.yaml' } })).toBe(1002);
    expect(
      await port({
        environment: { POWERSYNC_CONFIG_B64: '', POWERSYNC_CONFIG_PATH: 'two.yaml' },
        workingFolder: folder,
      }),
    ).toBe(1002);
  });

  test('the sync config comes from the file, relative to it, or from base64 (O-16, O-32)', async () => {
    const load = async (options: object): Promise<string> => {
      const { config } = await loadServiceConfig({ environment: {}, workingFolder: '/', ...options });
      return readSyncConfig(config.syncConfig!);
    };
    const flags = { path: join(folder, 'one.yaml') };
    expect(await load({ flags })).toBe('streams: {}');
    const environment = { POWERSYNC_SYNC_RULES_B64: base64('from: variable') };
    expect(await load({ flags, environment })).toBe('from: variable');
    expect(await load({ flags: { ...flags, syncConfigBase64: base64('from: flag') }, environment })).toBe('from: flag');
    const missing = { from: { file: join(folder, 'none.yaml') }, exitOnError: true, versionLabel: undefined };
    await expect(readSyncConfig(missing)).rejects.toMatchObject({ code: 'PSYNC_S3221' });
  });

  test('failures are coded and name what was read', async () => {
    const load = (flags: object, more: object = {}) =>
      loadServiceConfig({ flags, environment: {}, workingFolder: folder, ...more }).then(
        () => null,
        (error: unknown) => (isCodedError(error) ? error : null),
      );
    expect(await load({})).toMatchObject({ code: 'PSYNC_S3220' });
    expect((await load({ path: 'none.yaml' }))?.message).toMatch(/S3221.*none\.yaml \(ENOENT\)/);
    expect(await load({ base64: '%%%' })).toMatchObject({ code: 'PSYNC_S3221' });
    expect(await load({ base64: Buffer.from([0xff, 0xfe, 0x00]).toString('base64') })).toMatchObject({
      code: 'PSYNC_S3221',
    });
    const bad = await load({ path: 'bad.yaml' });
    expect(bad?.code).toBe('PSYNC_S3224');
    expect(bad?.message).toContain('bad.yaml has 2 problems:\n  line 1, column 1: storage: is required [PSYNC_S3224]');
    expect(bad?.details).toHaveLength(2);
    expect(await load({ path: 'two.yaml' }, { needsSource: true })).toMatchObject({ code: 'PSYNC_S3224' });
  });
});

test('the published schema is plain JSON schema with every top-level key (O-21)', () => {
  const schema = serviceConfigJsonSchema() as { properties: object; $schema: string };
  expect(JSON.stringify(schema)).not.toContain('errorCode');
  expect(schema.$schema).toContain('json-schema.org');
  expect(Object.keys(schema.properties)).toEqual(
    expect.arrayContaining(
      'replication storage port sync_config client_auth api telemetry healthcheck migrations system metadata parameters'.split(
        ' ',
      ),
    ),
  );
});
