/** A private Postgres for `millrace dev`: source and bucket storage on a machine that has nothing but Node and npm. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { access, chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { embeddedPrograms, type PostgresPrograms } from './embedded-programs.ts';

const run = promisify(execFile);
const READY = /database system is ready to accept connections/;
const START_MS = 60_000;

export interface EmbeddedPostgres {
  /** `postgresql://…/postgres` on 127.0.0.1; the user is a superuser. */
  readonly url: string;
  urlOf(database: string): string;
  stop(): Promise<void>;
}

/**
 * Starts it with data that survive between starts in one folder per checkout. Root's goes to /var/tmp, because the server then runs as
 * another user, who may not enter the checkout.
 */
export async function startEmbeddedPostgres(project: string): Promise<EmbeddedPostgres> {
  const programs = await embeddedPrograms();
  if (!programs) {
    throw codedError('PSYNC_S3201', `npm has no embedded Postgres for ${process.platform}/${process.arch}. Start with a service.yaml instead: millrace start -c service.yaml`);
  }
  const name = createHash('sha1').update(project).digest('hex').slice(0, 8);
  const folder = programs.user ? `/var/tmp/millrace-dev-${name}` : join(project, '.cache', 'dev');
  const data = join(folder, 'postgres');
  const password = await prepare(programs, folder, data);
  await removeStaleLock(data);
  const port = await freePort();
  const child = spawn(join(programs.folder, 'postgres'), ['-D', data, '-p', String(port), ...settings()], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
    cwd: folder,
    ...programs.user,
  });
  await untilReady(child);
  const urlOf = (database: string): string => `postgresql://postgres:${password}@127.0.0.1:${port}/${database}`;
  return { url: urlOf('postgres'), urlOf, stop: () => stopServer(child) };
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

async function prepare(programs: PostgresPrograms, folder: string, data: string): Promise<string> {
  const secret = join(folder, 'password');
  await mkdir(folder, { recursive: true });
  if (programs.user) await chown(folder, programs.user.uid, programs.user.gid);
  await chmod(folder, 0o700);
  const present = await access(join(data, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (present) return (await readFile(secret, 'utf8')).trim();
  await rm(data, { recursive: true, force: true });
  const password = randomBytes(12).toString('hex');
  await writeFile(secret, password, { mode: 0o600 });
  if (programs.user) await chown(secret, programs.user.uid, programs.user.gid);
  const words = ['-D', data, '--username=postgres', `--pwfile=${secret}`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C'];
  await run(join(programs.folder, 'initdb'), words, { cwd: folder, env: { ...process.env, LC_ALL: 'C' }, ...programs.user });
  return password;
}

/** After a kill -9 the pid file stays behind; it is only in the way when its process is another one by now. */
async function removeStaleLock(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid');
  const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0]);
  if (!(pid > 0)) return;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  if (command.includes('postgres') && command.includes(data)) {
    process.kill(pid, 'SIGINT');
    for (let tries = 0; tries < 100 && (await access(file).then(() => true, () => false)); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  await rm(file, { force: true });
}

function untilReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    const timer = setTimeout(() => fail('it did not become ready'), START_MS);
    const fail = (reason: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(codedError('PSYNC_S3201', `The embedded Postgres could not be started: ${reason}.\n${output.slice(-2000)}`));
    };
    child.once('exit', (code) => fail(`it ended with code ${code}`));
    child.once('error', (error) => fail(error.message));
    child.stderr!.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-10_000);
      if (!READY.test(output)) return;
      clearTimeout(timer);
      child.removeAllListeners('exit');
      resolve();
    });
  });
}

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  await ended;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
