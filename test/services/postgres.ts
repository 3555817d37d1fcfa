import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import type { Origin, Postgres, PostgresOptions, PrivatePostgres, TestDatabase } from './contract.ts';
import { environmentNames } from './contract.ts';
import { startDockerServer } from './docker-server.ts';
import { type LocalRecipe, startLocalServer } from './local-server.ts';
import { type PostgresPrograms, newestPostgres, postgresPrograms } from './postgres-programs.ts';

const run = promisify(execFile);
const shared = new Map<number | undefined, Promise<Postgres>>();
const password = 'postgres';

/**
 * The Postgres of this test run. With `version` one of that major version, started for this process when the one of the
 * run is another.
 */
export function postgres(options: { version?: number } = {}): Promise<Postgres> {
  let server = shared.get(options.version);
  if (server === undefined) {
    server = sharedPostgres(options.version);
    shared.set(options.version, server);
  }
  return server;
}

async function sharedPostgres(version: number | undefined): Promise<Postgres> {
  const url = process.env[environmentNames.postgres];
  if (url !== undefined && url !== '') {
    const given = await fromEnvironment(url);
    if (version === undefined || version === given.version) return given;
  }
  return startPostgres(version === undefined ? {} : { version });
}

async function fromEnvironment(url: string): Promise<Postgres> {
  const [row] = await query(
    url,
    `select current_setting('server_version_num') as version, current_setting('wal_level') as wal`,
  );
  const { version, wal } = row as { version: string; wal: string };
  if (wal !== 'logical') {
    throw new Error(
      `The Postgres in ${environmentNames.postgres} has wal_level=${wal}; start it with wal_level=logical.`,
    );
  }
  return describe('environment', url, Math.floor(Number(version) / 10_000));
}

/** A Postgres of the test's own, to stop, kill, and start again. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PrivatePostgres> {
  const version = options.version ?? newestPostgres;
  const settings = Object.entries(serverSettings(options)).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // Files go into a data folder on this machine, so a test that needs them gets a local server.
  const docker =
    options.files === undefined
      ? await startDockerServer({
          name: 'Postgres',
          image: `postgres:${version}`,
          command: (port) => ['postgres', '-p', String(port), '-c', 'listen_addresses=*', ...settings],
          environment: { POSTGRES_PASSWORD: password, POSTGRES_INITDB_ARGS: '--encoding=UTF8 --locale=C.UTF-8' },
        })
      : undefined;
  if (docker !== undefined) {
    const url = serverUrl(docker.host, docker.port);
    await untilAnswers(url);
    const start = () => docker.start().then(() => untilAnswers(url));
    return { ...docker, ...describe('docker', url, version), start };
  }
  const server = await startLocalServer(localRecipe(await postgresPrograms(version), settings, options.files ?? {}));
  return { ...server, ...describe('local', serverUrl('127.0.0.1', server.port), version) };
}

function serverSettings({ durable = true, settings = {} }: PostgresOptions): Record<string, string> {
  return {
    wal_level: 'logical',
    max_replication_slots: '60',
    max_wal_senders: '60',
    max_connections: '300',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
    ...settings,
  };
}

function localRecipe(programs: PostgresPrograms, settings: string[], files: Record<string, string>): LocalRecipe {
  // Messages in English: the ready line is one.
  const environment = { LC_ALL: 'C' };
  return {
    name: 'postgres',
    command: join(programs.folder, 'postgres'),
    arguments: (port, folder) => [
      ...['-D', join(folder, 'data'), '-p', String(port)],
      ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
      ...settings,
    ],
    user: programs.user,
    environment,
    prepare: (folder) => initialise(programs, folder, files, environment),
    readyLine: /database system is ready to accept (read-only )?connections/,
    // Fast shutdown: ends open connections instead of waiting for them.
    stopSignal: 'SIGINT',
  };
}

async function initialise(
  programs: PostgresPrograms,
  folder: string,
  files: Record<string, string>,
  environment: Record<string, string>,
): Promise<void> {
  const write = async (path: string, content: string) => {
    await writeFile(path, content, { mode: 0o600 });
    if (programs.user !== undefined) await chown(path, programs.user.uid, programs.user.gid);
  };
  const passwordFile = join(folder, 'password');
  const data = join(folder, 'data');
  await write(passwordFile, password);
  const locale = process.platform === 'linux' ? 'C.UTF-8' : 'C';
  const words = ['-D', data, '--username=postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
  // No sync here: a machine that fails during a test run takes the data folder with it.
  await run(join(programs.folder, 'initdb'), [...words, '--encoding=UTF8', `--locale=${locale}`, '--no-sync'], {
    cwd: folder,
    env: { ...process.env, ...environment },
    ...programs.user,
  });
  await rm(passwordFile);
  for (const [name, content] of Object.entries(files)) await write(join(data, name), content);
}

function describe(origin: Origin, url: string, version: number): Postgres {
  return { origin, url, version, createDatabase: () => createDatabase(url) };
}

function serverUrl(host: string, port: number): string {
  return `postgresql://postgres:${password}@${host}:${port}/postgres`;
}

async function createDatabase(serverUrl: string): Promise<TestDatabase> {
  const name = `t_${process.pid}_${randomBytes(6).toString('hex')}`;
  await query(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const drop = () => dropDatabase(serverUrl, name);
  return { url: url.href, name, drop, [Symbol.asyncDispose]: drop };
}

async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  // A slot of the database would forbid the drop, and a slot in use forbids its own: end its reader, try until it is gone.
  for (let attempt = 0; ; attempt += 1) {
    const slots = await query(
      serverUrl,
      `select slot_name, pg_terminate_backend(active_pid) from pg_replication_slots where database = '${name}'`,
    );
    if (slots.length === 0) break;
    await query(
      serverUrl,
      `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = '${name}' and not active`,
    );
    if (attempt === 100) throw new Error(`The replication slots of test database ${name} stay in use.`);
    if (attempt > 0) await delay(50);
  }
  await query(serverUrl, `drop database if exists ${name} with (force)`);
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 30_000 });
  // A server that is stopped meanwhile ends the connection; the query's own promise tells.
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows as unknown[];
  } finally {
    await client.end();
  }
}

/** A container's port is open before its server is ready. */
async function untilAnswers(url: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await query(url, 'select 1');
      return;
    } catch (error) {
      if (attempt === 300) throw error;
      await delay(100);
    }
  }
}
