/** What the benchmark programs share: servers, Millrace as real processes, and the operating system's figures of each. */
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { createInstance, type Instance } from '#test/instance/instance.ts';
import type { PrivateMongodb, PrivatePostgres, PrivateRedis } from '#test/services/contract.ts';
import { startMongodb } from '#test/services/mongodb.ts';
import { startPostgres } from '#test/services/postgres.ts';
import { startRedis } from '#test/services/redis.ts';

export { until } from '#test/instance/instance.ts';

export interface Stack {
  readonly postgres: PrivatePostgres;
  readonly mongodb: PrivateMongodb | null;
  readonly redis: PrivateRedis | null;
  readonly sourceUrl: string;
  readonly instance: Instance;
  query(text: string, values?: unknown[]): Promise<pg.QueryResult>;
  close(): Promise<void>;
}

export interface StackOptions {
  readonly storage: 'mongodb' | 'postgresql';
  readonly redis: boolean;
  readonly syncConfig: string;
  readonly schema: string;
  readonly apiParameters?: Readonly<Record<string, number>>;
}

/** Starts the servers and prepares the source database. Nothing of Millrace runs yet. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const [postgres, mongodb, redis] = await Promise.all([
    startPostgres({ settings: { max_wal_size: '4GB', shared_buffers: '512MB' } }),
    options.storage === 'mongodb' ? startMongodb() : null,
    options.redis ? startRedis() : null,
  ]);
  const source = await postgres.createDatabase();
  const pool = new pg.Pool({ connectionString: source.url, max: 4 });
  await pool.query(options.schema);
  const storageUrl = mongodb ? (await mongodb.createDatabase()).url : (await postgres.createDatabase()).url;
  const instance = await createInstance({
    sourceUrl: source.url,
    storage: { type: options.storage, url: storageUrl },
    redis: redis ? { url: redis.url, prefix: 'bench:' } : undefined,
    syncConfig: options.syncConfig,
    logLevel: 'warn',
    ...(options.apiParameters ? { apiParameters: options.apiParameters } : {}),
  });
  return {
    postgres,
    mongodb,
    redis,
    sourceUrl: source.url,
    instance,
    query: (text, values) => pool.query(text, values),
    async close() {
      await instance.close();
      await pool.end();
      await Promise.all([postgres.close(), mongodb?.close(), redis?.close()]);
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
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
    peakRssMb: kilobytes('VmHWM') / 1024,
    rssMb: kilobytes('VmRSS') / 1024,
  };
}

/** CPU time so far of all processes of a program, and of those children of theirs that have ended. */
export async function cpuSecondsOf(program: string): Promise<number> {
  let ticks = 0;
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    if (!stat.includes(`(${program})`)) continue;
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    for (const field of fields.slice(11, 15)) ticks += Number(field);
  }
  return ticks / 100;
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** One JSON line: what the programs print. */
export function report(name: string, figures: Readonly<Record<string, unknown>>): void {
  process.stdout.write(
    `${JSON.stringify({ bench: name, ...figures }, (_key, value: unknown) => (typeof value === 'number' ? Math.round(value * 1000) / 1000 : value))}\n`,
  );
}
