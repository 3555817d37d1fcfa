/** `npm start`: the whole service with its own Postgres, the demo page and a development token, in one process (O-301). */
import { createHash, randomBytes } from 'node:crypto';
import { watch } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { parseServiceConfig } from '#core/platform/config/load.ts';
import type { ServiceConfig } from '#core/platform/config/service-config.ts';
import { runDevService, type RunningService } from './service.ts';
import { formatDiagnostic } from '../deploy.ts';
import { bundleDemo } from './bundle.ts';
import { demoRoutes } from './demo-routes.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';

const SOURCE = 'demo';
const STORAGE = 'buckets';
const AUDIENCE = 'millrace-dev';
/** Editors write a file in several steps. */
const SETTLE_MS = 200;

export async function dev(options: { readonly port: number }): Promise<void> {
  const project = fileURLToPath(new URL('../..', import.meta.url));
  say('Starting an embedded Postgres …');
  const postgres = await startEmbeddedPostgres(project);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  try {
    await createDatabases(postgres.url, postgres.urlOf(SOURCE), join(project, 'demo', 'schema.sql'));
    // Only of this process: tokens of former starts are worth nothing.
    const secret = randomBytes(32);
    const config = devConfig(options.port, postgres.urlOf(SOURCE), postgres.urlOf(STORAGE), join(project, 'demo'), secret);
    say('Bundling the demo page …');
    const files = await bundleDemo(project);
    const pool = new pg.Pool({ connectionString: postgres.urlOf(SOURCE), max: 4 });
    const psql = `psql ${postgres.urlOf(SOURCE)} -c "UPDATE todos SET description = 'Bread and butter' WHERE id = 't-bread'"`;
    let service: RunningService | null = null;
    const routes = demoRoutes({ files, pool, secret, audience: AUDIENCE, psql, progress: () => service?.progress() ?? { ready: false, message: 'starting …' } });
    service = await runDevService({ config, extraRoutes: routes });
    try {
      await showProgress(service, stop.signal);
      if (!stop.signal.aborted) guide(options.port, psql, await hasPsql());
      const watcher = watchSyncConfig(join(project, 'demo', 'sync-config.yaml'), service);
      await aborted(stop.signal);
      watcher.close();
      say('\nStopping …');
    } finally {
      await service.stop();
      await pool.end();
    }
  } finally {
    await postgres.stop();
  }
}

async function createDatabases(admin: string, source: string, schema: string): Promise<void> {
  const client = new pg.Client({ connectionString: admin });
  await client.connect();
  try {
    for (const name of [SOURCE, STORAGE]) {
      const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
      if (rowCount === 0) await client.query(`CREATE DATABASE ${name}`);
    }
  } finally {
    await client.end();
  }
  const target = new pg.Client({ connectionString: source });
  await target.connect();
  try {
    await target.query(await readFile(schema, 'utf8'));
  } finally {
    await target.end();
  }
}

/** The same configuration that an operator would write; nothing of the demo is special to the service. */
function devConfig(port: number, source: string, storage: string, folder: string, secret: Buffer): ServiceConfig {
  const text = `
replication:
  connections: [{type: postgresql, uri: "${source}", sslmode: disable}]
storage: {type: postgresql, uri: "${storage}", sslmode: disable}
port: ${port}
sync_config: {path: sync-config.yaml}
client_auth:
  jwks: {keys: [{kty: oct, alg: HS256, kid: dev, k: ${secret.toString('base64url')}}]}
  audience: [${AUDIENCE}]
system: {logging: {level: warn, format: text}}
`;
  const parsed = parseServiceConfig(text, { environment: process.env, folder, needsSource: true });
  if ('problems' in parsed) throw codedError('PSYNC_S0001', `The development configuration is invalid: ${parsed.problems.map((problem) => problem.message).join('; ')}`);
  return parsed.config;
}

async function showProgress(service: RunningService, signal: AbortSignal): Promise<void> {
  let shown = '';
  while (!signal.aborted) {
    const { ready, message } = service.progress();
    if (message !== shown) say(message);
    shown = message;
    if (ready) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function guide(port: number, psql: string, hasPsql: boolean): void {
  say(`
The demo is ready:   http://localhost:${port}/demo?user=alice
as another user:     http://localhost:${port}/demo?user=bob     (open both, side by side)

Next:
  edit demo/sync-config.yaml and save it: it is deployed at once
  change a row:      ${psql}${hasPsql ? '' : '\n                     (psql is not on this machine; on Debian: apt-get install postgresql-client)'}
  your own client:   endpoint http://localhost:${port}, a token from http://localhost:${port}/demo/token?user=alice
  your own database: millrace start -c service.yaml (see README.md)

Ctrl-C stops everything; the data stay.`);
}

function watchSyncConfig(path: string, service: RunningService): { close(): void } {
  let known = '';
  let timer: NodeJS.Timeout | null = null;
  const hash = (text: string): string => createHash('sha1').update(text).digest('hex');
  void readFile(path, 'utf8').then((text) => {
    known = hash(text);
  });
  const look = async (): Promise<void> => {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (text === '' || hash(text) === known) return;
    known = hash(text);
    try {
      const { version, warnings } = await service.deploy(text);
      for (const warning of warnings) say(formatDiagnostic(warning));
      say(`Deployed demo/sync-config.yaml as version ${version.version} (${version.state})`);
    } catch (error) {
      say(`demo/sync-config.yaml was not deployed; the version before it goes on:\n${error instanceof Error ? error.message : String(error)}`);
    }
  };
  // The folder, not the file: editors replace files.
  const watcher = watch(dirname(path), () => {
    if (timer) clearTimeout(timer);
    timer = setTimeout(() => void look(), SETTLE_MS);
  });
  return {
    close() {
      if (timer) clearTimeout(timer);
      watcher.close();
    },
  };
}

async function hasPsql(): Promise<boolean> {
  const looked = (process.env['PATH'] ?? '').split(':').map((folder) => access(join(folder, 'psql')));
  return (await Promise.allSettled(looked)).some((result) => result.status === 'fulfilled');
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
