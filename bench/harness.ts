/** What the benchmark programs share: servers, Millrace as real processes, and the operating system's figures of each. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import pg from 'pg';
import type { PrivateMongodb, PrivatePostgres, PrivateRedis } from '#test/services/contract.ts';
import { startMongodb } from '#test/services/mongodb.ts';
import { startPostgres } from '#test/services/postgres.ts';
import { startRedis } from '#test/services/redis.ts';

const LAUNCHER = new URL('../cli/millrace.mjs', import.meta.url).pathname;
const AUDIENCE = 'bench';

export interface Stack {
  readonly postgres: PrivatePostgres;
  readonly mongodb: PrivateMongodb | null;
  readonly redis: PrivateRedis | null;
  readonly sourceUrl: string;
  readonly folder: string;
  readonly port: number;
  readonly endpoint: string;
  query(text: string, values?: unknown[]): Promise<pg.QueryResult>;
  start(role: 'unified' | 'sync' | 'api', extra?: { port?: number }): Promise<Service>;
  token(userId: string): Promise<string>;
  close(): Promise<void>;
}

export interface StackOptions {
  readonly storage: 'mongodb' | 'postgresql';
  readonly redis: boolean;
  readonly syncConfig: string;
  readonly schema: string;
  readonly limits?: Readonly<Record<string, number>>;
}

export interface Service {
  readonly pid: number;
  readonly child: ChildProcess;
  output(): string;
  stop(): Promise<void>;
}

/** Starts the servers and prepares the source database. Nothing of Millrace runs yet. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  const [postgres, mongodb, redis] = await Promise.all([
    startPostgres({ settings: { max_wal_size: '4GB', shared_buffers: '512MB' } }),
    options.storage === 'mongodb' ? startMongodb() : null,
    options.redis ? startRedis() : null,
  ]);
  const source = await postgres.createDatabase();
  const pool = new pg.Pool({ connectionString: source.url, max: 4 });
  await pool.query(options.schema);
  const port = await freePort();
  const secret = randomBytes(32);
  const services: Service[] = [];
  const storageUrl = mongodb ? (await mongodb.createDatabase()).url : (await postgres.createDatabase()).url;
  await writeFile(join(folder, 'sync-config.yaml'), options.syncConfig);

  const configOf = (apiPort: number): string => `
replication:
  connections:
    - type: postgresql
      uri: ${source.url}
      sslmode: disable
storage:
  type: ${options.storage}
  uri: ${storageUrl}
  ${mongodb ? '' : 'sslmode: disable'}
${redis ? `redis:\n  uri: ${redis.url}` : ''}
port: ${apiPort}
sync_config:
  path: ${join(folder, 'sync-config.yaml')}
client_auth:
  jwks:
    keys:
      - {kty: oct, alg: HS256, kid: bench, k: ${secret.toString('base64url')}}
  audience: [${AUDIENCE}]
api:
  tokens: [bench-admin]
  parameters:
${Object.entries({ max_concurrent_connections: 20000, ...options.limits })
  .map(([key, value]) => `    ${key}: ${value}`)
  .join('\n')}
`;
  return {
    postgres,
    mongodb,
    redis,
    sourceUrl: source.url,
    folder,
    port,
    endpoint: `http://127.0.0.1:${port}`,
    query: (text, values) => pool.query(text, values),
    async start(role, extra = {}) {
      const file = join(folder, `service-${role}-${extra.port ?? port}.yaml`);
      await writeFile(file, configOf(extra.port ?? port));
      const service = spawnService(['start', '-r', role, '-c', file]);
      services.push(service);
      return service;
    },
    token: (userId) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'HS256', kid: 'bench' })
        .setSubject(userId)
        .setAudience(AUDIENCE)
        .setIssuedAt()
        .setExpirationTime('6h')
        .sign(secret),
    async close() {
      await Promise.all(services.map((service) => service.stop()));
      await pool.end();
      await Promise.all([postgres.close(), mongodb?.close(), redis?.close()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function spawnService(words: readonly string[]): Service {
  const child = spawn(process.execPath, [LAUNCHER, ...words], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_ENV: 'production', PS_LOG_LEVEL: process.env['BENCH_LOG'] ?? 'warn' } });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-20_000);
    if (process.env['BENCH_LOG']) process.stderr.write(chunk);
  };
  child.stdout!.on('data', keep);
  child.stderr!.on('data', keep);
  child.on('exit', (code) => {
    if (code) process.stderr.write(`millrace ${words.join(' ')} ended with ${code}:\n${output}\n`);
  });
  return {
    pid: child.pid!,
    child,
    output: () => output,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

export interface ProcessFigures {
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
  readonly rssMb: number;
}

/** User and system time so far, resident memory now and at its highest, from /proc. */
export async function figuresOf(pid: number): Promise<ProcessFigures> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100, peakRssMb: kilobytes('VmHWM') / 1024, rssMb: kilobytes('VmRSS') / 1024 };
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 300_000, everyMs = 50): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** One JSON line: what the programs print. */
export function report(name: string, figures: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ bench: name, ...figures }, (_key, value: unknown) => (typeof value === 'number' ? Math.round(value * 1000) / 1000 : value))}\n`);
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
