/** A private Postgres for `millrace dev`: source and bucket storage on a machine that has nothing but Node and npm. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, chown, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { commandOf, openDataFolder } from './data-folder.ts';
import { embeddedPrograms, type PostgresPrograms } from './embedded-programs.ts';

const run = promisify(execFile);
const READY = /database system is ready to accept connections/;
const START_MS = 60_000;
/** A server that was killed recovers first; one that is stopping waits for its checkpoint. */
const STOP_MS = 20_000;

/**
 * A small shell that outlives this process just long enough to stop the server: after a kill -9 nobody else would.
 * It reads until its input ends, which happens when this process ends in whatever way.
 */
const JANITOR = `read -r done
[ "$done" = done ] && exit 0
kill -INT "$1" 2>/dev/null
n=0
while kill -0 "$1" 2>/dev/null && [ $n -lt 20 ]; do sleep 0.5; n=$((n + 1)); done
kill -KILL "$1" 2>/dev/null`;

export interface EmbeddedPostgres {
  /** Data and secrets; private to the server's user. */
  readonly folder: string;
  /** `postgresql://…/database` on 127.0.0.1; the user is a superuser. Known before the start. */
  urlOf(database: string): string;
  /** Resolves when it accepts connections. The first start also creates the data. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Nothing runs yet. Data survive between starts, in one folder per checkout. */
export async function openEmbeddedPostgres(project: string): Promise<EmbeddedPostgres> {
  const programs = await embeddedPrograms();
  if (!programs) {
    throw codedError(
      'PSYNC_S0121',
      `npm has no embedded Postgres for ${process.platform}/${process.arch}. Use a Postgres of your own: millrace start -c service.yaml (see README.md)`,
    );
  }
  const folder = await openDataFolder(project, programs.user);
  const data = join(folder, 'postgres');
  const password = await passwordOf(folder, programs);
  const port = await portOf(folder);
  let child: ChildProcess | null = null;
  let janitor: ChildProcess | null = null;
  return {
    folder,
    urlOf: (database) => `postgresql://postgres:${password}@127.0.0.1:${port}/${database}`,
    async start() {
      await stopLeftOver(data);
      await createData(programs, folder, data);
      child = spawn(join(programs.folder, 'postgres'), ['-D', data, '-p', String(port), ...settings()], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, LC_ALL: 'C' },
        cwd: folder,
        // A group of its own: Ctrl-C in the terminal is for us, who stop the server last.
        detached: true,
        ...programs.user,
      });
      janitor = startJanitor(child);
      await untilReady(child, folder);
    },
    async stop() {
      if (child) await stopServer(child);
      janitor?.stdin?.end('done\n');
    },
  };
}

function settings(): string[] {
  const values = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    wal_level: 'logical',
    max_replication_slots: '20',
    max_wal_senders: '20',
    // A slot left by an aborted start must not fill the disk of a laptop.
    max_slot_wal_keep_size: '1GB',
  };
  return Object.entries(values).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
}

async function passwordOf(folder: string, { user }: PostgresPrograms): Promise<string> {
  const file = join(folder, 'password');
  const present = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (present !== '') return present;
  // Of data whose password is lost nothing can be read.
  await rm(join(folder, 'postgres'), { recursive: true, force: true });
  const password = randomBytes(12).toString('hex');
  await writeFile(file, password, { mode: 0o600 });
  if (user) await chown(file, user.uid, user.gid);
  return password;
}

/** Into a folder of another name first: an interrupted `initdb` leaves nothing that looks like data. */
async function createData({ folder: programs, user }: PostgresPrograms, folder: string, data: string): Promise<void> {
  if (await exists(join(data, 'PG_VERSION'))) return;
  const half = `${data}.half`;
  await rm(half, { recursive: true, force: true });
  await rm(data, { recursive: true, force: true });
  const secret = join(folder, 'password');
  const words = [
    '-D',
    half,
    '--username=postgres',
    `--pwfile=${secret}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
  ];
  await run(join(programs, 'initdb'), words, { cwd: folder, env: { ...process.env, LC_ALL: 'C' }, ...user });
  await rename(half, data);
}

/** The server of a start that was killed together with its janitor: it would hold the data and the slots. */
async function stopLeftOver(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid');
  const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0]);
  if (!(pid > 0)) return;
  const command = await commandOf(pid);
  if (command?.includes(data)) {
    process.kill(pid, 'SIGINT');
    const end = performance.now() + STOP_MS;
    while ((await commandOf(pid)) !== null) {
      if (performance.now() > end) process.kill(pid, 'SIGKILL');
      await sleep(50);
    }
  }
  // Where it names a process of another kind by now, the server would take that one for itself.
  if (command !== undefined) await rm(file, { force: true });
}

function startJanitor(server: ChildProcess): ChildProcess {
  const janitor = spawn('/bin/sh', ['-c', JANITOR, 'millrace-janitor', String(server.pid)], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  janitor.unref();
  janitor.stdin.on('error', () => undefined);
  return janitor;
}

function untilReady(child: ChildProcess, folder: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    const timer = setTimeout(() => fail(`it was not ready after ${START_MS / 1000} s`), START_MS);
    const fail = (reason: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      const advice = `What it said:\n${output.slice(-2000)}\nTo begin anew, without the demo's data: rm -r ${folder}`;
      reject(codedError('PSYNC_S0121', `The embedded Postgres did not start: ${reason}. ${advice}`));
    };
    const onExit = (code: number | null): void => fail(`it ended with code ${code}`);
    child.once('exit', onExit);
    child.once('error', (error) => fail(error.message));
    // Read to the end of its life: a full pipe would stop it.
    child.stderr!.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-10_000);
      if (!READY.test(output)) return;
      clearTimeout(timer);
      child.off('exit', onExit);
      resolve();
    });
  });
}

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  const overdue = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(overdue);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The port of the last start where it is free: a psql command in somebody's history goes on working. */
async function portOf(folder: string): Promise<number> {
  const file = join(folder, 'port');
  const last = Number(await readFile(file, 'utf8').catch(() => '0'));
  const port = await freePort(last).catch(() => freePort(0));
  await writeFile(file, String(port), { mode: 0o600 });
  return port;
}

function freePort(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
