/** A checkout of its own to run `npm start` in, as somebody who just cloned the repository, and optionally as another user. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chown, cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { dataFolderOf, type Owner } from '../../cli/dev/data-folder.ts';
import { unprivilegedUser } from '../../cli/dev/embedded-programs.ts';
import { freePort } from '../services/free-port.ts';
import { until } from './instance.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
/** What `npm start` needs of the sources; dependencies are linked. */
const SOURCES = ['api-worker', 'cli', 'core', 'demo', 'replicator', 'package.json', 'package-lock.json'];
const READY = /The demo is ready/;

export interface DevCheckout {
  readonly folder: string;
  readonly syncConfigFile: string;
  /** Embedded Postgres and its password. */
  readonly dataFolder: string;
  /** `npm start -- -p <free port>`; does not wait. */
  start(options?: { readonly port?: number }): Promise<DevRun>;
  editSyncConfig(change: (text: string) => string): Promise<void>;
  /** Ends what still runs and removes everything. */
  close(): Promise<void>;
}

export interface DevRun {
  readonly port: number;
  readonly url: string;
  readonly npm: ChildProcess;
  output(): string;
  untilReady(): Promise<void>;
  untilSaid(text: RegExp | string, timeoutMs?: number): Promise<void>;
  /** What its page says to run: `psql <url> …`. */
  sourceUrl(): Promise<string>;
  token(user: string): Promise<string>;
  /** To npm alone, or as a terminal does: to the whole group. Resolves with the exit code of npm. */
  signal(name: NodeJS.Signals, to: 'npm' | 'group'): Promise<number | null>;
  /** Processes of this checkout that are alive: npm, the service, Postgres, its janitor. */
  alive(): Promise<string[]>;
}

/** @param user who owns it and runs it; default: whoever runs the tests */
export async function createDevCheckout(user?: Owner): Promise<DevCheckout> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-checkout-'));
  for (const name of SOURCES) {
    await cp(join(PROJECT, name), join(folder, name), {
      recursive: true,
      filter: (path) => !path.endsWith('.test.ts'),
    });
  }
  await symlink(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  if (user) await promisify(execFile)('chown', ['-R', '-h', `${user.uid}:${user.gid}`, folder]);
  const dataFolder = await dataFolderOf(folder, user ? undefined : await unprivilegedUser());
  if (user) await chown(join(folder, '.cache'), user.uid, user.gid);
  const syncConfigFile = join(folder, 'demo', 'sync-config.yaml');
  const runs: DevRun[] = [];
  return {
    folder,
    syncConfigFile,
    dataFolder,
    async start(options = {}) {
      const run = startRun({ folder, dataFolder, user, port: options.port ?? (await freePort()) });
      runs.push(run);
      return run;
    },
    editSyncConfig: async (change) => writeFile(syncConfigFile, change(await readFile(syncConfigFile, 'utf8'))),
    async close() {
      for (const run of runs) {
        if (run.npm.exitCode === null && run.npm.signalCode === null) await run.signal('SIGTERM', 'npm');
      }
      await until(
        'all processes to end',
        async () => (await runs[0]?.alive())?.length === 0 || runs.length === 0,
        20_000,
      );
      await rm(dataFolder, { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

function startRun(options: { folder: string; dataFolder: string; user: Owner | undefined; port: number }): DevRun {
  const { folder, dataFolder, user, port } = options;
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    HOME: user ? folder : process.env['HOME'],
    npm_config_update_notifier: 'false',
  };
  for (const name of Object.keys(environment)) {
    // What a test runner under npm leaves behind is not what a terminal has.
    if (/^(npm_(?!config_update)|NODE_ENV|NODE_OPTIONS|VITEST)/.test(name)) delete environment[name];
  }
  const npm = spawn('npm', ['start', '--', '-p', String(port)], {
    cwd: folder,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, as in a terminal.
    detached: true,
    ...user,
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-100_000);
  };
  npm.stdout.on('data', keep);
  npm.stderr.on('data', keep);
  const url = `http://localhost:${port}`;
  const ended = new Promise<number | null>((resolve) => npm.once('exit', (code) => resolve(code)));
  const run: DevRun = {
    port,
    url,
    npm,
    output: () => output,
    untilReady: () => run.untilSaid(READY, 90_000),
    async untilSaid(text, timeoutMs = 20_000) {
      const said = (): boolean => {
        if (typeof text === 'string' ? output.includes(text) : text.test(output)) return true;
        if (npm.exitCode !== null)
          throw new Error(`npm start ended with ${npm.exitCode} before it said ${text}:\n${output}`);
        return false;
      };
      await until(`npm start to say ${text}`, said, timeoutMs, () => output);
    },
    async sourceUrl() {
      const { psql } = (await (await fetch(`${url}/demo/status`)).json()) as { psql: string };
      return /postgresql:\S+/.exec(psql)![0];
    },
    async token(name) {
      const { token } = (await (await fetch(`${url}/demo/token?user=${name}`)).json()) as { token: string };
      return token;
    },
    async signal(name, to) {
      process.kill(to === 'group' ? -npm.pid! : npm.pid!, name);
      return ended;
    },
    alive: () => aliveIn(folder, dataFolder, npm),
  };
  return run;
}

/** Processes that run in the checkout or on its data; /proc where there is one, else npm alone. */
async function aliveIn(folder: string, dataFolder: string, npm: ChildProcess): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))) {
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (command !== '' && [folder, dataFolder].some((path) => command.includes(path) || environment.includes(path)))
      found.push(`${pid} ${command}`);
  }
  if (found.length === 0 && npm.exitCode === null && npm.signalCode === null) found.push(`${npm.pid} npm`);
  return found;
}
