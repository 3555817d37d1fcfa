/** Millrace as real processes, configured by files as an operator would: for end-to-end tests, fault tests and benchmarks. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';

const LAUNCHER = new URL('../../cli/millrace.mjs', import.meta.url).pathname;
export const AUDIENCE = 'millrace-test';
export const ADMIN_TOKEN = 'test-admin';

export interface InstanceOptions {
  readonly sourceUrl: string;
  readonly storage: { readonly type: 'mongodb' | 'postgresql'; readonly url: string };
  readonly redis?: { readonly url: string; readonly prefix: string } | undefined;
  /** Null: deployed through the API. */
  readonly syncConfig: string | null;
  /** `api.parameters` of service.yaml. */
  readonly apiParameters?: Readonly<Record<string, number>>;
  /** Further connections, by tag. */
  readonly otherSources?: Readonly<Record<string, string>>;
  /** Further keys of the source connection. */
  readonly sourceKeys?: Readonly<Record<string, string | number>>;
  /** Further keys of `client_auth`, in YAML: `jwks_uri: …`. */
  readonly clientAuth?: readonly string[];
  /** Further keys of `api`, in YAML. */
  readonly api?: readonly string[];
  /** Further lines of service.yaml, top level. */
  readonly extraYaml?: string;
  readonly logLevel?: string;
  /** Every process has a metrics port. */
  readonly metrics?: boolean;
}

export interface Service {
  readonly role: string;
  readonly port: number;
  readonly endpoint: string;
  /** Where metrics, probes and status are served; '' without `metrics`. */
  readonly metricsUrl: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** The end of what it printed. */
  output(): string;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
}

export interface Instance {
  /** On a free port, or the given one: that of a process before it. `words`: further arguments. */
  start(role: 'unified' | 'sync' | 'api', port?: number | null, words?: readonly string[]): Promise<Service>;
  /** Begins a one-shot command with this instance's configuration. */
  command(...words: string[]): Promise<Service>;
  /** Runs one to its end. */
  run(...words: string[]): Promise<{ code: number | null; output: string }>;
  token(userId: string, claims?: Readonly<Record<string, unknown>>, seconds?: number): Promise<string>;
  /** Replaces the sync config file; takes effect with the next start of a process that replicates. */
  writeSyncConfig(text: string): Promise<void>;
  diagnostics(service: Service): Promise<Diagnostics | null>;
  untilActive(service: Service, timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

export interface DiagnosticsError {
  readonly level: 'warning' | 'fatal';
  readonly code?: string;
  readonly message: string;
}
export interface DiagnosticsVersion {
  readonly content?: string;
  readonly errors: readonly DiagnosticsError[];
  readonly connections: readonly {
    readonly slot_name: string;
    readonly last_lsn?: string;
    readonly initial_replication_done: boolean;
    readonly wal_status?: string;
    readonly safe_wal_size?: number;
    readonly max_slot_wal_keep_size?: number;
    readonly replication_lag_bytes?: number;
    readonly tables: readonly {
      readonly name: string;
      readonly replication_id: readonly string[];
      readonly errors: readonly DiagnosticsError[];
    }[];
  }[];
}
export interface Diagnostics {
  readonly connections: readonly { readonly connected: boolean; readonly errors: readonly DiagnosticsError[] }[];
  readonly active_sync_rules?: DiagnosticsVersion;
  readonly deploying_sync_rules?: DiagnosticsVersion;
}

export async function createInstance(options: InstanceOptions): Promise<Instance> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-instance-'));
  const secret = randomBytes(32);
  const services = new Set<Service>();
  const syncConfigFile = join(folder, 'sync-config.yaml');
  if (options.syncConfig !== null) await writeFile(syncConfigFile, options.syncConfig);

  const writeConfig = async (port: number, metricsPort: number | null = null): Promise<string> => {
    const file = join(folder, `service-${port}.yaml`);
    const text = serviceYaml(options, port, options.syncConfig === null ? null : syncConfigFile, secret);
    await writeFile(file, metricsPort === null ? text : `${text}\ntelemetry: {prometheus_port: ${metricsPort}}\n`);
    return file;
  };
  const instance: Instance = {
    async start(role, at = null, words = []) {
      const port = at ?? (await freePort());
      const metricsPort = options.metrics ? await freePort() : null;
      const command = ['start', '-r', role, '-c', await writeConfig(port, metricsPort), ...words];
      const service = {
        ...spawnService(role, port, command, options.logLevel ?? 'info'),
        metricsUrl: metricsPort === null ? '' : `http://127.0.0.1:${metricsPort}`,
      };
      services.add(service);
      if (role !== 'sync') await until(`the API of ${role} on ${port}`, () => answers(service), 30_000);
      return service;
    },
    async command(...words) {
      const file = await writeConfig(await freePort());
      return spawnService(words[0]!, 0, [...words, '-c', file], 'info');
    },
    async run(...words) {
      const service = await instance.command(...words);
      const code = await ended(service.child);
      return { code, output: service.output() };
    },
    token: (userId, claims = {}, seconds = 3600) => {
      const now = Math.floor(Date.now() / 1000);
      return new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'HS256', kid: 'test' })
        .setSubject(userId)
        .setAudience(AUDIENCE)
        .setIssuedAt(now)
        .setExpirationTime(now + seconds)
        .sign(secret);
    },
    writeSyncConfig: (text) => writeFile(syncConfigFile, text),
    async diagnostics(service) {
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' };
      const response = await fetch(`${service.endpoint}/api/admin/v1/diagnostics`, {
        method: 'POST',
        headers,
        body: '{}',
      });
      if (!response.ok) return null;
      return ((await response.json()) as { data: Diagnostics }).data;
    },
    async untilActive(service, timeoutMs = 60_000) {
      const active = async (): Promise<boolean> =>
        Boolean((await instance.diagnostics(service).catch(() => null))?.active_sync_rules);
      await until('an active sync config', active, timeoutMs, () => service.output());
    },
    async close() {
      await Promise.all([...services].map((service) => service.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
  return instance;
}

function serviceYaml(options: InstanceOptions, port: number, syncConfigFile: string | null, secret: Buffer): string {
  const { sourceUrl, storage, redis, apiParameters = {}, extraYaml = '' } = options;
  const sourceKeys = Object.entries(options.sourceKeys ?? {}).map(([key, value]) => `, ${key}: ${value}`);
  const others = Object.entries(options.otherSources ?? {}).map(
    ([tag, url]) => `\n    - {type: postgresql, tag: ${tag}, uri: "${url}", sslmode: disable}`,
  );
  const parameters = Object.entries({ max_concurrent_connections: 20_000, ...apiParameters });
  return `replication:
  connections:
    - {type: postgresql, uri: "${sourceUrl}", sslmode: disable${sourceKeys.join('')}}${others.join('')}
storage: {type: ${storage.type}, uri: "${storage.url}"${storage.type === 'postgresql' ? ', sslmode: disable' : ''}}
${redis ? `redis: {uri: "${redis.url}", key_prefix: "${redis.prefix}"}` : ''}
port: ${port}
${syncConfigFile === null ? '' : `sync_config: {path: "${syncConfigFile}"}`}
client_auth:
  jwks: {keys: [{kty: oct, alg: HS256, kid: test, k: ${secret.toString('base64url')}}]}
  audience: [${AUDIENCE}]${(options.clientAuth ?? []).map((key) => `\n  ${key}`).join('')}
api:
  tokens: [${ADMIN_TOKEN}]${(options.api ?? []).map((key) => `\n  ${key}`).join('')}
  parameters: {${parameters.map(([key, value]) => `${key}: ${value}`).join(', ')}}
${extraYaml}
`;
}

function spawnService(role: string, port: number, words: readonly string[], logLevel: string): Service {
  const environment = {
    ...process.env,
    NODE_ENV: 'production',
    PS_LOG_LEVEL: process.env['MILLRACE_TEST_LOG'] ?? logLevel,
  };
  // The flag is that of the command and of the image.
  const child = spawn(process.execPath, ['--max-semi-space-size=16', LAUNCHER, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment,
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-50_000);
    if (process.env['MILLRACE_TEST_LOG']) process.stderr.write(chunk);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return {
    role,
    port,
    endpoint: `http://127.0.0.1:${port}`,
    metricsUrl: '',
    pid: child.pid!,
    child,
    output: () => output,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
      const code = await ended(child);
      clearTimeout(timer);
      return code;
    },
    async kill() {
      child.kill('SIGKILL');
      await ended(child);
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  };
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}

async function answers(service: Service): Promise<boolean> {
  if (service.child.exitCode !== null)
    throw new Error(`millrace ${service.role} ended with code ${service.child.exitCode}:\n${service.output()}`);
  return fetch(`${service.endpoint}/probes/liveness`).then(
    (response) => response.ok,
    () => false,
  );
}

/** Waits for a condition; says what it waited for, and more, when it does not come. */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  timeoutMs = 30_000,
  more: () => string = () => '',
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Waited ${timeoutMs} ms for ${what}.\n${more().slice(-6000)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
