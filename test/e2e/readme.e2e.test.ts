/** README.md at its word: its files and commands as they stand there are run on a real database and storage. */
import { spawn, type ChildProcess } from 'node:child_process';
import { access, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { MongoClient } from 'mongodb';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { compilerFor } from '../../cli/deploy.ts';
import { createProtocolClient, RefusedError, type ProtocolClient } from '../client/protocol-client.ts';
import { freePort, until } from '../instance/instance.ts';
import { mongodb } from '../services/mongodb.ts';
import { startPostgres } from '../services/postgres.ts';
import { startRedis } from '../services/redis.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const README = await readFile(join(PROJECT, 'README.md'), 'utf8');
/** Every command of README.md, and where it is run. A new one belongs here, and into a test. */
const COMMANDS = {
  'npm start': 'dev.e2e.test.ts',
  'helm install millrace helm/millrace --namespace millrace-system --create-namespace --wait': 'test/cluster',
  'kubectl apply -f docs/operations/quick-start/databases.yaml': 'test/cluster',
  'kubectl apply -f docs/operations/quick-start/instance.yaml': 'test/cluster',
  'kubectl wait --for=condition=Ready syncinstance/demo --timeout=180s': 'test/cluster',
  'kubectl get syncinstances': 'test/cluster',
  'kubectl exec deployment/demo-api -- node /app/cli/millrace.mjs generate token -c /etc/millrace/service.yaml --subject alice':
    'test/cluster',
  'kubectl port-forward service/demo-api 8081:80': 'test/cluster',
  'npx millrace test-connections -c service.yaml': 'here',
  'npx millrace start -c service.yaml': 'here',
  'npx millrace start -r sync -c service.yaml': 'here',
  'npx millrace start -r api -c service.yaml': 'here',
  'npx millrace migrate up -c service.yaml': 'here',
  'npx millrace teardown TEARDOWN -c service.yaml': 'here',
  'npm test': 'CI',
  'npx millrace test demo': 'here',
  'npm run bench initial-replication': 'bench/, by hand',
} as const;
type Command = keyof typeof COMMANDS;

/** The contents of README's code blocks in one language, in their order. */
function blocks(language: string): string[] {
  return [...README.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].flatMap(([, of, text]) => (of === language ? [text!] : []));
}

/** The code block that the text introduces by this name: "`service.yaml` …:" and the block after it. */
function file(name: string): string {
  const found = README.split('\n```yaml\n').findIndex((text) =>
    text.trimEnd().split('\n').at(-1)!.startsWith(`\`${name}\``),
  );
  return blocks('yaml')[found]!;
}

/** Replaces what a reader replaces; README must still hold it. */
function withOwn(text: string, values: Readonly<Record<string, string>>): string {
  return Object.entries(values).reduce((result, [theirs, own]) => {
    expect(result.split(theirs), theirs).toHaveLength(2);
    return result.replace(theirs, () => own);
  }, text);
}

test('every command and every code block of README.md is known here', () => {
  const commands = blocks('sh')
    .flatMap((block) => block.split('\n'))
    .map((line) => line.replace(/\s*#.*$/, ''))
    .filter((line) => line !== '');
  expect(commands.toSorted()).toEqual(Object.keys(COMMANDS).toSorted());
  const languages = [...README.matchAll(/^```(.*)$/gm)].map(([, language]) => language).filter((name) => name !== '');
  expect(languages.toSorted()).toEqual(['sh', 'sh', 'sh', 'sh', 'sql', 'yaml', 'yaml']);
  expect(file('service.yaml')).toContain('replication:');
  expect(file('sync-config.yaml')).toContain('streams:');
});

test('links of README.md that stay in the repository lead somewhere', async () => {
  const links = [...README.matchAll(/\]\((?!\w+:)([^)#]+)\)/g)].map(([, path]) => path!);
  expect(links).toContain('docs/sources/postgres.md');
  for (const path of links) await expect(access(join(PROJECT, path)), path).resolves.toBeUndefined();
});

test('the compiler has nothing to say against the sync config of README.md', () => {
  const { plan, diagnostics } = compilerFor([])(file('sync-config.yaml'));
  expect(diagnostics).toEqual([]);
  expect(plan).not.toBeNull();
});

interface Running {
  readonly child: ChildProcess;
  output(): string;
  /** Exit code or signal, when nobody can write to its output any more: whatever it started has ended too. */
  readonly closed: Promise<number | NodeJS.Signals | null>;
}

/** What is undone after a test, last first. */
const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

/** Runs a command line of README.md in a shell, in a process group of its own as in a terminal. */
function run(line: Command, folder: string, variables: Readonly<Record<string, string>>): Running {
  const environment: NodeJS.ProcessEnv = { ...process.env, ...variables, npm_config_offline: 'true' };
  for (const name of Object.keys(environment)) {
    // What a test runner under npm leaves behind is not what a terminal has.
    if (/^(npm_(?!config_offline)|NODE_ENV|NODE_OPTIONS|VITEST|PS_LOG)/.test(name)) delete environment[name];
  }
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  const child = spawn(`exec ${line}`, {
    shell: true,
    cwd: folder,
    env: environment,
    stdio: [...stdio],
    detached: true,
  });
  let output = '';
  const keep = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-50_000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const closed = new Promise<Awaited<Running['closed']>>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal)),
  );
  let ended = false;
  void closed.then(() => (ended = true));
  undo.push(async () => {
    if (!ended) process.kill(-child.pid!, 'SIGKILL');
    await closed;
  });
  return { child, output: () => output, closed };
}

/** Ctrl-C. */
async function interrupt(running: Running): Promise<void> {
  process.kill(-running.child.pid!, 'SIGINT');
  const end = await running.closed;
  // npm ends itself by the signal when what it runs has ended.
  expect([0, 'SIGINT'], running.output()).toContain(end);
  // That a client came before there was an active sync config is told too.
  const lines = running
    .output()
    .split(/^(?=\[)/m)
    .filter((line) => !line.includes('PSYNC_S2302'));
  const complaints = lines.filter((line) => /WARN|ERROR|FATAL|npm error/.test(line));
  expect([complaints, lines.at(-1)], running.output()).toEqual([[], expect.stringContaining('Stopped')]);
}

/** Keys at a `jwks_uri`, and tokens signed by one of them. */
async function startKeyServer() {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), alg: 'ES256', kid: 'readme' }] });
  const server = createServer((_request, response) => response.setHeader('content-type', 'application/json').end(keys));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/.well-known/jwks.json`,
    token: (user: string, audience: string) =>
      new SignJWT()
        .setProtectedHeader({ alg: 'ES256', kid: 'readme' })
        .setSubject(user)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(privateKey),
  };
}

/** A folder in which `npx millrace` finds this checkout, with the files of README.md. */
async function createFolder(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-readme-'));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  for (const name of ['api-worker', 'cli', 'core', 'demo', 'node_modules', 'package.json', 'replicator'])
    await symlink(join(PROJECT, name), join(folder, name));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

const rowsOf = (client: ProtocolClient): string[] => [...client.visible.keys()].toSorted();
/** Yes, as soon as somebody serves: until then nobody listens, or there is no active sync config yet. */
async function connects(client: ProtocolClient): Promise<boolean> {
  try {
    await client.connect();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return false;
    if (error instanceof RefusedError && error.body.includes('PSYNC_S2302')) return false;
    throw error;
  }
}

const STORAGES = {
  /** As it stands there. */
  mongodb: async () => {
    const database = await (await mongodb()).createDatabase();
    const collections = async (): Promise<number> => {
      const client = await MongoClient.connect(database.url);
      try {
        return (await client.db().collections()).length;
      } finally {
        await client.close();
      }
    };
    return { uri: database.url, drop: () => database.drop(), objects: collections };
  },
  /** As its comment offers. */
  postgresql: async (server: pg.Pool, url: (name: string) => string) => {
    await server.query('CREATE DATABASE storage');
    const tables = async (): Promise<number> => {
      const client = new pg.Client({ connectionString: url('storage') });
      await client.connect();
      try {
        const own = `schemaname <> 'information_schema' AND schemaname NOT LIKE 'pg\\_%'`;
        return (await client.query<{ n: number }>(`SELECT count(*)::int AS n FROM pg_tables WHERE ${own}`)).rows[0]!.n;
      } finally {
        await client.end();
      }
    };
    return { uri: url('storage'), drop: async () => undefined, objects: tables };
  },
};

test("the tests of the demo's sync config", async () => {
  const running = run('npx millrace test demo', await createFolder({}), {});
  expect(await running.closed, running.output()).toBe(0);
  expect(running.output()).toMatch(
    /^demo\/sync-config\.sync-test\.yaml\n( {2}✓ .*\n){3}3 tests in 1 file: 3 passed\n$/m,
  );
});

describe.each(['mongodb', 'postgresql'] as const)('on your database, storage %s', (type) => {
  test('set-up, every command, and what a client gets', async () => {
    // Roles belong to a server, and the Redis of README.md has no prefix: both are servers of our own.
    const server = await startPostgres({ durable: false });
    undo.push(() => server.close());
    const redis = await startRedis();
    undo.push(() => redis.close());
    const database = await server.createDatabase();
    const admin = new pg.Pool({ connectionString: database.url, max: 2 });
    undo.push(() => admin.end());
    const urlOf = (name: string, login?: string): string => {
      const url = new URL(database.url);
      url.pathname = name;
      url.searchParams.set('sslmode', 'disable');
      if (login !== undefined) [url.username, url.password] = login.split(':') as [string, string];
      return url.href;
    };
    await admin.query(`
      CREATE TABLE boats (id text PRIMARY KEY, name text NOT NULL);
      CREATE TABLE crew (id text PRIMARY KEY, boat_id text NOT NULL, sailor_id text NOT NULL);
      CREATE TABLE trips (id text PRIMARY KEY, boat_id text NOT NULL, port text NOT NULL);
      INSERT INTO boats VALUES ('b1', 'Argo'), ('b2', 'Bounty'), ('b3', 'Calypso');
      INSERT INTO crew VALUES ('c1', 'b1', 'ada'), ('c2', 'b2', 'ada'), ('c3', 'b3', 'bob');
      INSERT INTO trips VALUES ('t1', 'b1', 'Oslo'), ('t2', 'b2', 'Porto'), ('t3', 'b3', 'Riga')`);
    const [sql] = blocks('sql');
    await admin.query(withOwn(sql!, { "'…'": `'a password'` }));

    const storage = await STORAGES[type](admin, urlOf);
    undo.push(() => storage.drop());
    const keys = await startKeyServer();
    const port = await freePort();
    const service = withOwn(file('service.yaml'), {
      'https://id.example.org/.well-known/jwks.json': keys.uri,
      'port: 8080': `port: ${port}`,
      'type: mongodb': `type: ${type}`,
    });
    const folder = await createFolder({ 'service.yaml': service, 'sync-config.yaml': file('sync-config.yaml') });
    const variables = {
      PS_SOURCE_URI: urlOf(database.name, 'sync_reader:a%20password'),
      PS_STORAGE_URI: storage.uri,
      PS_REDIS_URI: redis.url,
    };
    const start = (line: Command): Running => run(line, folder, variables);
    const once = async (line: Command): Promise<string> => {
      const running = start(line);
      expect(await running.closed, running.output()).toBe(0);
      expect(running.output()).not.toMatch(/WARN|ERROR|warning|fatal|npm error/);
      return running.output();
    };
    const slots = async (): Promise<number> =>
      (await admin.query<{ n: number }>('SELECT count(*)::int AS n FROM pg_replication_slots')).rows[0]!.n;
    const connect = async (user: string, boats: readonly string[], services: readonly Running[]) => {
      const subscriptions = boats.map((boat) => ({ stream: 'trips', parameters: { boat }, override_priority: null }));
      const client = createProtocolClient({
        endpoint: `http://localhost:${port}`,
        token: await keys.token(user, 'my-app'),
        streams: { include_defaults: true, subscriptions },
      });
      undo.push(async () => client.disconnect());
      const output = (): string => services.map((each) => each.output()).join('\n');
      await until('the service to serve', () => connects(client), 60_000, output);
      return client;
    };
    const untilRows = (client: ProtocolClient, ...expected: string[]): Promise<void> =>
      client.until(() => rowsOf(client).join() === expected.join(), `rows ${expected.join()}`, 30_000);

    await once('npx millrace migrate up -c service.yaml');
    expect(await storage.objects()).toBeGreaterThan(0);
    expect(await once('npx millrace test-connections -c service.yaml')).toMatch(
      new RegExp(`source default: ok[^]*storage ${type}: ok`),
    );
    expect(await slots()).toBe(0);

    const unified = start('npx millrace start -c service.yaml');
    const ada = await connect('ada', [], [unified]);
    await untilRows(ada, 'boats/b1', 'boats/b2');
    // She subscribes to a boat of hers and to one that is not: the token decides.
    const abroad = await connect('ada', ['b1', 'b3'], [unified]);
    await untilRows(abroad, 'boats/b1', 'boats/b2', 'trips/t1');
    await admin.query(`INSERT INTO trips VALUES ('t4', 'b1', 'Cadiz'), ('t5', 'b3', 'Faro')`);
    await untilRows(abroad, 'boats/b1', 'boats/b2', 'trips/t1', 'trips/t4');
    const stranger = createProtocolClient({
      endpoint: `http://localhost:${port}`,
      token: await keys.token('ada', 'another-app'),
    });
    await expect(stranger.connect()).rejects.toMatchObject({ status: 401 });
    await interrupt(unified);

    // The same storage and slot, in two processes.
    await admin.query(`DELETE FROM crew WHERE id = 'c2'`);
    const replication = start('npx millrace start -r sync -c service.yaml');
    const api = start('npx millrace start -r api -c service.yaml');
    const back = await connect('ada', ['b1'], [replication, api]);
    await untilRows(back, 'boats/b1', 'trips/t1', 'trips/t4');
    await admin.query(`INSERT INTO crew VALUES ('c4', 'b3', 'ada')`);
    await untilRows(back, 'boats/b1', 'boats/b3', 'trips/t1', 'trips/t4');
    expect(await slots()).toBe(1);
    await interrupt(api);
    await interrupt(replication);

    await once('npx millrace teardown TEARDOWN -c service.yaml');
    expect(await slots()).toBe(0);
    expect(await storage.objects()).toBe(0);
  });
});
