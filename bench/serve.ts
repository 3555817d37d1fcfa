/**
 * The API worker under load, in a process of its own, on real bucket storage. Prints one JSON line per scenario.
 *
 *     STORAGE=postgresql|mongodb CLIENTS=5000 OPERATIONS=200000 ENCODING=identity|gzip|zstd TRANSPORT=http|websocket \
 *       node bench/serve.ts [first-sync] [concurrent] [compression] [idle] [fan-out] [returning]
 *
 * `concurrent`: AT_ONCE (10) first syncs at the same time. `compression`: bytes and processor time of our gzip against a compressor per connection.
 * With ENCODING=gzip over WebSocket messages are compressed. `returning`: ROUNDS (6) times all clients. WARM_UP (60000): operations of
 * other buckets that WARM_UP_CLIENTS (1) get before, for a worker that has served.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent } from 'node:http';
import type { Socket } from 'node:net';
import { SignJWT } from 'jose';
import { commitAt, write } from '#core/bucket-storage/conformance/content.ts';
import type { CommitNotice } from '#core/bucket-storage/contract.ts';
import { open as openMongodb } from '#core/bucket-storage/mongodb/opener.fixture.ts';
import { open as openPostgres } from '#core/bucket-storage/postgres/opener.fixture.ts';
import { tuneCollector } from '#core/platform/collector.ts';
import { createProtocolClient, type ProtocolClient, type ProtocolClientOptions } from '#test/client/protocol-client.ts';
import { mongodb } from '#test/services/mongodb.ts';
import { postgres } from '#test/services/postgres.ts';
import { percentile, report } from './harness.ts';
import { activate } from './serve/instance.ts';
import { compareCompression } from './serve/compression.ts';
import { comeBack } from './serve/returning-client.ts';
import type { ToWorker, WorkerFigures, WorkerStart } from './serve/worker.ts';

// Clients take part in what they measure: what they receive is garbage at once.
tuneCollector('serves');
const STORAGE = (process.env['STORAGE'] ?? 'postgresql') as 'postgresql' | 'mongodb';
const CLIENTS = Number(process.env['CLIENTS'] ?? 5000);
const OPERATIONS = Number(process.env['OPERATIONS'] ?? 200_000);
const ENCODING = process.env['ENCODING'] ?? 'identity';
const TRANSPORT = (process.env['TRANSPORT'] ?? 'http') as 'http' | 'websocket';
const AT_ONCE = Number(process.env['AT_ONCE'] ?? 10);
const RUNS = Number(process.env['RUNS'] ?? 3);
const SETTLE_MS = Number(process.env['SETTLE_MS'] ?? 30_000);
const ROUNDS = Number(process.env['ROUNDS'] ?? 6);
const TURNS = Number(process.env['TURNS'] ?? 5);
/** Returning clients that connect at the same time. */
const ARRIVING = Number(process.env['ARRIVING'] ?? 50);
const WARM_UP_OPERATIONS = Number(process.env['WARM_UP'] ?? 60_000);
/** One after the other: code that is compiled for the objects of one session is compiled anew with the second. */
const WARM_UP_CLIENTS = Number(process.env['WARM_UP_CLIENTS'] ?? 1);
const AUDIENCE = 'bench';
const scenarios = new Set(
  process.argv.length > 2 ? process.argv.slice(2) : ['first-sync', 'idle', 'fan-out', 'returning'],
);
const server = STORAGE === 'mongodb' ? await mongodb() : await postgres();
await using database = await server.createDatabase();
const storage = await (STORAGE === 'mongodb' ? openMongodb : openPostgres)({ url: database.url });
await storage.migrate();
const { writer, stream, definition, bucketName } = await activate(storage);
const secret = randomBytes(32);
let position = 1;
let lastOp = 0;
const user = (index: number): string => `user-${index}`;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

if (['first-sync', 'concurrent', 'compression'].some((name) => scenarios.has(name))) await firstSync();
if (['idle', 'fan-out', 'returning'].some((name) => scenarios.has(name))) await manyClients();
await storage.close();
process.exit(0);

async function commit(rows: Parameters<typeof write>[2]['rows']): Promise<CommitNotice | null> {
  const { notice } = await write(writer, stream.id, { rows: rows!, chunkSize: 500 }, commitAt(`p${position++}`));
  lastOp = notice?.op ?? lastOp;
  return notice;
}

interface Worker {
  readonly endpoint: string;
  tell(notice: CommitNotice | null): void;
  figures(collect?: boolean): Promise<WorkerFigures>;
  stop(): void;
}

async function startWorker(): Promise<Worker> {
  const start: WorkerStart = {
    kind: STORAGE,
    url: database.url,
    secret: secret.toString('base64url'),
    audience: AUDIENCE,
  };
  const child: ChildProcess = fork(new URL('./serve/worker.ts', import.meta.url), {
    // The image starts it with this young generation.
    execArgv: [
      '--expose-gc',
      '--max-semi-space-size=16',
      ...(process.env['WORKER_FLAGS'] ?? '').split(' ').filter(Boolean),
    ],
    env: { ...process.env, WORKER_START: JSON.stringify(start) },
  });
  const [{ port }] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`The worker ended with ${code}.`);
    }),
  ])) as [{ port: number }];
  const send = (message: ToWorker): void => void child.send(message);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    tell(notice) {
      if (notice !== null) send({ notice });
    },
    async figures(collect = false) {
      send(collect ? { collect: true } : { figures: true });
      const [{ figures }] = (await once(child, 'message')) as [{ figures: WorkerFigures }];
      return figures;
    },
    stop: () => child.disconnect(),
  };
}

function tokenOf(userId: string): Promise<string> {
  return new SignJWT({})
    .setProtectedHeader({ alg: 'HS256', kid: 'k' })
    .setSubject(userId)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime('6h')
    .sign(secret);
}

async function firstSync(): Promise<void> {
  const data = JSON.stringify({ id: 'x', text: 'lorem ipsum '.repeat(31) });
  const fill = async (name: string, count: number, key: readonly string[] = []): Promise<void> => {
    const bucket = { definition: definition(name), key: JSON.stringify(key) };
    for (let at = 0; at < count; at += 20_000) {
      await commit(
        Array.from({ length: Math.min(20_000, count - at) }, (_, index) => ({
          ...bucket,
          id: `row-${at + index}`,
          data,
        })),
      );
    }
  };
  // A worker that has just started compiles its code; a running one has that behind it.
  const parts = Array.from({ length: WARM_UP_CLIENTS }, (_, part) => String(part));
  for (const part of parts) await fill('warm', WARM_UP_OPERATIONS / parts.length, [part]);
  await fill('large', OPERATIONS);
  for (let run = 1; run <= RUNS; run++) {
    const worker = await startWorker();
    for (const part of parts) await sync(worker, 'warm-up', { run, streams: only('warm', { part }) });
    if (scenarios.has('first-sync')) {
      await sync(worker, 'first-sync', { run });
      // The same again: what fits into the worker's cache comes from there.
      await sync(worker, 'second-sync', { run });
    }
    if (scenarios.has('concurrent')) await sync(worker, 'concurrent', { run, clients: AT_ONCE });
    if (scenarios.has('compression') && run === 1) {
      const token = await tokenOf('compression');
      const cpuMs = async (): Promise<number> => (await worker.figures()).cpuMs;
      const { endpoint } = worker;
      const figures = await compareCompression({
        endpoint,
        token,
        streams: only('large'),
        cpuMs,
        operations: OPERATIONS,
      });
      report('compression', { storage: STORAGE, ...figures });
    }
    worker.stop();
  }
}

function only(stream: string, parameters: object | null = null): object {
  return { include_defaults: false, subscriptions: [{ stream, parameters, override_priority: null }] };
}

function clientOf(
  worker: Worker,
  token: string,
  name: string,
  further: Partial<ProtocolClientOptions> = {},
): ProtocolClient {
  return createProtocolClient({
    endpoint: worker.endpoint,
    token,
    clientId: name,
    transport: TRANSPORT,
    counting: true,
    ...(ENCODING === 'identity' ? {} : { acceptEncoding: ENCODING }),
    ...further,
  });
}

/** So many clients that get the same data for the first time, at once. */
async function sync(
  worker: Worker,
  name: string,
  { run, clients: count = 1, streams = only('large') }: { run: number; clients?: number; streams?: object },
): Promise<void> {
  const clients = await Promise.all(
    Array.from({ length: count }, async (_, at) =>
      clientOf(worker, await tokenOf(`${name}-${at}`), `${name}-${at}`, { streams }),
    ),
  );
  const before = await worker.figures();
  const own = process.cpuUsage();
  const started = performance.now();
  await Promise.all(
    clients.map(async (client) => {
      await client.connect();
      await client.until(() => client.counts.completes > 0, 'the first sync', 300_000);
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  const { user: clientUser, system: clientSystem } = process.cpuUsage(own);
  const after = await worker.figures();
  const sum = (of: (client: ProtocolClient) => number): number =>
    clients.reduce((total, client) => total + of(client), 0);
  const operations = sum(({ counts }) => counts.operations);
  report(name, {
    storage: STORAGE,
    transport: TRANSPORT,
    encoding: ENCODING,
    clients: count,
    run,
    operations,
    megabytes: sum(({ counts }) => counts.bytes) / 1e6,
    seconds,
    operationsPerSecond: operations / seconds,
    workerCpuMicrosecondsPerOperation: ((after.cpuMs - before.cpuMs) * 1000) / operations,
    ofThatSystem: ((after.systemMs - before.systemMs) * 1000) / operations,
    clientCpuMicrosecondsPerOperation: (clientUser + clientSystem) / operations,
    workerRssMegabytes: after.rssBytes / 1e6,
  });
  for (const client of clients) client.disconnect();
}

async function manyClients(): Promise<void> {
  const worker = await startWorker();
  const shared = { definition: definition('shared'), key: '[]' };
  const rows = Array.from({ length: CLIENTS }, (_, index) => ({
    definition: definition('mine'),
    key: JSON.stringify([user(index)]),
    id: `n${index}`,
    data: '{"id":"n"}',
  }));
  worker.tell(await commit([{ ...shared, id: 's1', data: '{"id":"s1"}' }]));
  for (let at = 0; at < rows.length; at += 2000) worker.tell(await commit(rows.slice(at, at + 2000)));
  await wait(500);
  const agent = new Agent({ keepAlive: false, maxSockets: Infinity });
  const tokens = await Promise.all(rows.map((_, index) => tokenOf(user(index))));
  const empty = await worker.figures(true);
  const clients: ProtocolClient[] = [];
  const connecting = performance.now();
  for (let at = 0; at < CLIENTS; at += 50) {
    const batch = tokens.slice(at, at + 50).map((token, index) => {
      return clientOf(worker, token, `device-${at + index}`, { agent });
    });
    await Promise.all(
      batch.map(async (client) => {
        await client.connect();
        await client.until(() => client.counts.completes > 0, 'the first checkpoint', 60_000);
      }),
    );
    clients.push(...batch);
  }
  const connectSeconds = (performance.now() - connecting) / 1000;
  const connected = await worker.figures();
  // V8 gives memory back by itself when a process has little to do.
  await wait(scenarios.has('idle') ? SETTLE_MS : 0);
  const settled = await worker.figures();
  const idle = await worker.figures(true);
  report('idle', {
    storage: STORAGE,
    transport: TRANSPORT,
    encoding: ENCODING,
    clients: CLIENTS,
    connectSeconds,
    workerCpuMsPerConnect: (connected.cpuMs - empty.cpuMs) / CLIENTS,
    settledRssMegabytes: settled.rssBytes / 1e6,
    workerRssMegabytes: idle.rssBytes / 1e6,
    workerHeapTotalMegabytes: idle.heapTotalBytes / 1e6,
    workerExternalMegabytes: idle.externalBytes / 1e6,
    beforeRssMegabytes: empty.rssBytes / 1e6,
    rssKilobytesPerClient: (idle.rssBytes - empty.rssBytes) / 1000 / CLIENTS,
    heapKilobytesPerClient: (idle.heapBytes - empty.heapBytes) / 1000 / CLIENTS,
  });
  if (scenarios.has('idle')) await concernsOne(worker, clients);
  if (scenarios.has('fan-out')) await concernsAll(worker, clients, shared);
  if (scenarios.has('returning')) await returning(worker, clients, tokens);
  for (const client of clients) client.disconnect();
  worker.stop();
}

/** What a quiet worker with these clients uses in the same time is taken off. */
async function cpuBesides(worker: Worker, action: () => Promise<void>): Promise<{ cpuMs: number; ms: number }> {
  const first = await worker.figures();
  const started = performance.now();
  await action();
  const ms = performance.now() - started;
  await wait(1000);
  const second = await worker.figures();
  await wait(1000);
  const third = await worker.figures();
  const quietPerMs = (third.cpuMs - second.cpuMs) / 1000;
  return { ms, cpuMs: Math.max(0, second.cpuMs - first.cpuMs - quietPerMs * (ms + 1000)) };
}

async function concernsOne(worker: Worker, clients: readonly ProtocolClient[]): Promise<void> {
  const latencies: number[] = [];
  const COMMITS = 20;
  const { cpuMs } = await cpuBesides(worker, async () => {
    for (let turn = 0; turn < COMMITS; turn++) {
      const index = (turn * 37) % CLIENTS;
      const client = clients[index]!;
      const before = client.counts.completes;
      const notice = await commit([
        {
          definition: definition('mine'),
          key: JSON.stringify([user(index)]),
          id: `n${index}`,
          data: `{"id":"n","turn":${turn}}`,
        },
      ]);
      const committed = performance.now();
      worker.tell(notice);
      await client.until(() => client.counts.completes > before, 'the commit');
      latencies.push(performance.now() - committed);
    }
  });
  report('commit-for-one', {
    storage: STORAGE,
    transport: TRANSPORT,
    encoding: ENCODING,
    clients: CLIENTS,
    workerCpuMsPerCommit: cpuMs / COMMITS,
    p50Ms: percentile(latencies, 0.5),
    maxMs: percentile(latencies, 1),
  });
}

async function concernsAll(
  worker: Worker,
  clients: readonly ProtocolClient[],
  shared: { definition: number; key: string },
): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) {
    let ms = 0;
    const { cpuMs } = await cpuBesides(worker, async () => {
      const before = clients.map((client) => client.counts.completes);
      const notice = await commit([{ ...shared, id: 's1', data: `{"id":"s1","turn":${turn}}` }]);
      const committed = performance.now();
      worker.tell(notice);
      await Promise.all(
        clients.map((client, index) =>
          client.until(() => client.counts.completes > before[index]!, 'the commit', 60_000),
        ),
      );
      ms = performance.now() - committed;
    });
    report('commit-for-all', {
      storage: STORAGE,
      encoding: ENCODING,
      clients: CLIENTS,
      turn,
      workerCpuMs: cpuMs,
      untilLastClientMs: ms,
    });
  }
}

/** Clients that have everything, and whose connection was lost: each has another one, and hears that nothing is new. */
async function returning(worker: Worker, clients: readonly ProtocolClient[], tokens: readonly string[]): Promise<void> {
  for (const client of clients) client.disconnect();
  const sockets: Socket[] = [];
  // As it is after hours: the first round warms up code.
  for (let round = 1; round <= ROUNDS; round++) {
    for (const socket of sockets.splice(0)) socket.destroy();
    while ((await worker.figures()).connections > 0) await wait(50);
    const before = await worker.figures();
    const latencies: number[] = [];
    const began = performance.now();
    // So many are on their way at any time; each that arrives makes room for the next.
    const queue = tokens.entries();
    await Promise.all(
      Array.from({ length: ARRIVING }, async () => {
        for (const [index, token] of queue) {
          const started = performance.now();
          const positions = [
            { name: bucketName('shared', '[]'), after: String(lastOp) },
            { name: bucketName('mine', JSON.stringify([user(index)])), after: String(lastOp) },
          ];
          const { endpoint } = worker;
          sockets.push(await comeBack({ endpoint, token, clientId: `device-${index}`, positions }));
          latencies.push(performance.now() - started);
        }
      }),
    );
    const seconds = (performance.now() - began) / 1000;
    const after = await worker.figures();
    report('returning', {
      storage: STORAGE,
      clients: tokens.length,
      round,
      connectsPerSecond: tokens.length / seconds,
      workerCpuMsPerClient: (after.cpuMs - before.cpuMs) / tokens.length,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
    });
  }
  for (const socket of sockets) socket.destroy();
}
