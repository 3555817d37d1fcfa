/** `npm start`: the whole service with its own Postgres, the demo page and a development token, in one process (O-301). */
import { randomBytes } from 'node:crypto';
import { access } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { bundlePage, type PageFile } from '#api-worker/inspector/bundle-page.ts';
import { realClock } from '#core/platform/clock.ts';
import { parseServiceConfig } from '#core/platform/config/load.ts';
import type { ServiceConfig } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { runLifecycle, type Part, type ProcessEvents } from '#core/platform/lifecycle.ts';
import { createLogger } from '#core/platform/logging.ts';
import { compose, type Composed } from '../start.ts';
import { holdFolder } from './data-folder.ts';
import { createDemoDatabases, SOURCE_DATABASE, STORAGE_DATABASE } from './demo-databases.ts';
import { demoRoutes } from './demo-routes.ts';
import { openEmbeddedPostgres, type EmbeddedPostgres } from './embedded-postgres.ts';
import { followProgress, progressOf } from './progress.ts';
import { syncConfigFile } from './sync-config-file.ts';

const AUDIENCE = 'millrace-dev';
/** Open pages reconnect to nothing: there is no reason to let them go slowly. */
const DRAIN_MS = 200;
const STOP_MS = 30_000;
/** npm and the terminal both pass a Ctrl-C on: only a later one means "at once". */
const SAME_SIGNAL_MS = 1000;

/** Sets the exit code: 0 after Ctrl-C or SIGTERM and an orderly stop, else 1. */
export async function dev(options: { readonly port: number }): Promise<void> {
  const { port } = options;
  const project = fileURLToPath(new URL('../..', import.meta.url));
  await assertFree(port);
  const postgres = await openEmbeddedPostgres(project);
  const held = await holdFolder(postgres.folder, `http://localhost:${port}/demo`);
  try {
    process.exitCode = await runDev({ port, project, postgres });
  } finally {
    await held.release();
  }
  // What a library left open must not keep a stopped process alive.
  setTimeout(() => process.exit(), 1000).unref();
}

async function runDev(context: {
  readonly port: number;
  readonly project: string;
  readonly postgres: EmbeddedPostgres;
}): Promise<number> {
  const { port, project, postgres } = context;
  // Only of this process: tokens of former starts are worth nothing.
  const secret = randomBytes(32);
  const sourceUrl = postgres.urlOf(SOURCE_DATABASE);
  const psql = `psql ${sourceUrl} -c "UPDATE todos SET description = 'Bread and butter' WHERE id = 't-bread'"`;
  const config = devConfig({ port, source: sourceUrl, storage: postgres.urlOf(STORAGE_DATABASE), secret });
  const log = createLogger({ ...config.logging });
  const pool = new pg.Pool({ connectionString: sourceUrl, max: 4 });
  pool.on('error', () => undefined);
  const files = new Map<string, PageFile>();
  const composed: Composed = compose({
    config,
    role: 'unified',
    log,
    extraRoutes: demoRoutes({
      files,
      pool,
      secret,
      audience: AUDIENCE,
      psql,
      progress: () => progressOf(composed.reports()),
    }),
  });
  const stopped = new AbortController();
  stopWithParent(stopped.signal);
  const code = await runLifecycle({
    parts: [
      postgresPart(postgres, project),
      pagePart(project, files, pool),
      ...composed.parts.map((part) => ({ ...part, ...(part.drain ? { drain: () => part.drain!(DRAIN_MS) } : {}) })),
      syncConfigPart(project, composed),
    ],
    log,
    clock: realClock,
    graceMs: STOP_MS,
    events: withoutRepeatedSignals(process),
    onStarted() {
      composed.started();
      void followProgress(() => progressOf(composed.reports()), say, stopped.signal).then(async (ready) => {
        if (ready) guide(port, psql, await hasPsql());
      });
    },
    onStopping() {
      stopped.abort();
      composed.stopping();
      say('\nStopping …');
    },
  });
  composed.close();
  return code;
}

function postgresPart(postgres: EmbeddedPostgres, project: string): Part {
  return {
    name: 'embedded Postgres',
    async start() {
      say('Starting an embedded Postgres …');
      try {
        await postgres.start();
        await createDemoDatabases(postgres.urlOf, project);
      } catch (error) {
        await postgres.stop();
        throw error;
      }
    },
    stop: () => postgres.stop(),
  };
}

function pagePart(project: string, files: Map<string, PageFile>, pool: pg.Pool): Part {
  return {
    name: 'demo page',
    async start() {
      say('Bundling the demo page …');
      for (const [path, file] of await bundlePage(join(project, 'demo', 'page'))) files.set(path, file);
    },
    stop: () => pool.end(),
  };
}

function syncConfigPart(project: string, composed: Composed): Part {
  const name = join('demo', 'sync-config.yaml');
  const { deploy, schemaWarnings } = composed;
  const file = syncConfigFile({ path: join(project, name), name, deploy, schemaWarnings, say });
  return { name, start: () => file.start(), stop: async () => file.close() };
}

/** The same configuration that an operator would write; nothing of the demo is special to the service. */
function devConfig(options: {
  readonly port: number;
  readonly source: string;
  readonly storage: string;
  readonly secret: Buffer;
}): ServiceConfig {
  const text = `
replication:
  connections: [{type: postgresql, uri: "${options.source}", sslmode: disable}]
storage: {type: postgresql, uri: "${options.storage}", sslmode: disable}
port: ${options.port}
client_auth:
  jwks: {keys: [{kty: oct, alg: HS256, kid: dev, k: ${options.secret.toString('base64url')}}]}
  audience: [${AUDIENCE}]
api: {inspector: true}
healthcheck: {probes: {use_http: true}}
system: {logging: {level: warn, format: text}}
`;
  const parsed = parseServiceConfig(text, { environment: process.env, folder: '.', needsSource: true });
  if ('problems' in parsed) {
    const problems = parsed.problems.map((problem) => problem.message).join('; ');
    throw codedError('PSYNC_S0001', `The development configuration is invalid: ${problems}`);
  }
  return parsed.config;
}

/** Says so before anything is started; the real listener could still lose a race, and then says it too. */
function assertFree(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be used (${error.message})`;
      reject(
        codedError(
          'PSYNC_S0120',
          `Port ${port} ${reason}. Stop the program that has it, or choose another: npm start -- -p ${port < 65_535 ? port + 1 : port - 1}`,
        ),
      );
    });
    server.listen(port, () => server.close(() => resolve()));
  });
}

/** Under npm the process that started us waits for us; when it was killed nobody is left who could stop us. */
function stopWithParent(stopped: AbortSignal): void {
  const parent = process.ppid;
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const timer = setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM');
  }, 500);
  stopped.addEventListener('abort', () => clearInterval(timer), { once: true });
}

function withoutRepeatedSignals(events: ProcessEvents): ProcessEvents {
  let last = Number.NEGATIVE_INFINITY;
  const wrapped = new Map<unknown, (value: unknown) => void>();
  return {
    on(event, listener) {
      const once = (value: unknown): void => {
        const isSignal = event.startsWith('SIG');
        if (isSignal && performance.now() - last < SAME_SIGNAL_MS) return;
        if (isSignal) last = performance.now();
        listener(value);
      };
      wrapped.set(listener, once);
      return events.on(event, once);
    },
    off: (event, listener) => events.off(event, wrapped.get(listener) ?? listener),
  };
}

function guide(port: number, psql: string, isInstalled: boolean): void {
  say(`
The demo is ready:   http://localhost:${port}/demo?user=alice
as another user:     http://localhost:${port}/demo?user=bob     (open both, side by side)

Next:
  edit demo/sync-config.yaml and save it: it is deployed at once
  change a row:      ${psql}${isInstalled ? '' : '\n                     (psql is not on this machine; on Debian: apt-get install postgresql-client)'}
  your own client:   endpoint http://localhost:${port}, a token from http://localhost:${port}/demo/token?user=alice
  what alice gets:   http://localhost:${port}/inspector, with that token
  your own database: npx millrace start -c service.yaml (see README.md)

Ctrl-C stops everything; the data stay.`);
}

async function hasPsql(): Promise<boolean> {
  const looked = (process.env['PATH'] ?? '').split(delimiter).map((folder) => access(join(folder, 'psql')));
  return (await Promise.allSettled(looked)).some((result) => result.status === 'fulfilled');
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
