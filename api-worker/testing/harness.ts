/** A worker on the fakes, listening on a port of its own. */
import type { Socket } from 'node:net';
import { Registry } from 'prom-client';
import type { BucketStorage, CommitNotice } from '#core/bucket-storage/contract.ts';
import type { DeployedDefinition } from '#core/bucket-storage/sync-config-store.ts';
import type { Coordination, NudgeTopic } from '#core/coordination/contract.ts';
import { createRevocationList } from '#core/platform/auth/revocations.ts';
import type { TokenVerifier } from '#core/platform/auth/token-verifier.ts';
import { realClock, type Clock } from '#core/platform/clock.ts';
import { createHealth } from '#core/platform/health.ts';
import { createMetrics } from '#core/platform/metrics.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { Log } from '#core/platform/log.ts';
import { createProtocolClient, type ProtocolClient, type ProtocolClientOptions } from '#test/client/protocol-client.ts';
import { startApiWorker, type ApiWorker, type ApiWorkerOptions } from '../main.ts';
import { createFakeResolver, type FakePlan } from './fake-resolver.ts';
import { createFakeStorage, type FakeCommit, type FakeStorage } from './fake-storage.ts';

export interface Harness {
  readonly storage: FakeStorage;
  readonly worker: ApiWorker;
  readonly endpoint: string;
  readonly nudges: string[];
  /** Nudges the worker, as another process does. */
  wake(topic: NudgeTopic): void;
  readonly logged: { readonly level: string; readonly message: string; readonly fields: Record<string, unknown> }[];
  readonly registry: Registry;
  /** Commits and tells the worker. */
  commit(commit: FakeCommit): CommitNotice;
  /** Tells the worker of a commit made at the storage. */
  announce(notice: CommitNotice): void;
  deploy(version: number, plan: FakePlan, definitions: readonly DeployedDefinition[]): void;
  client(user: string, options?: Partial<ProtocolClientOptions>): ProtocolClient;
  /** The worker's ends of its connections. */
  readonly sockets: ReadonlySet<Socket>;
  /** Resolves when nothing is left of any client: no connection, session, follower, bucket, timer. Rejects after some seconds. */
  atRest(): Promise<void>;
  close(): Promise<void>;
}

/** Tokens of the harness are `user` or `user!<expiry in seconds from now>`; `bad` is refused. */
const createVerifier = (clock: Clock): TokenVerifier => ({
  verify(authorization) {
    const token = /^(?:Token|Bearer) (.+)$/.exec(authorization ?? '')?.[1];
    if (token === undefined) return Promise.reject(codedError('PSYNC_S2106', 'Authentication required'));
    if (token === 'bad') return Promise.reject(codedError('PSYNC_S2101', 'The token is not valid'));
    const [userId = '', seconds = '3600'] = token.split('!');
    return Promise.resolve({
      userId,
      claims: { sub: userId },
      claimsText: '{}',
      expiresAtMs: clock.now() + Number(seconds) * 1000,
    });
  },
  close() {},
});

export const PLAN: FakePlan = {
  streams: [
    { name: 'global', identity: 'global', priority: 1, autoSubscribe: true, keys: ['[]'] },
    { name: 'mine', identity: 'mine', priority: 3, autoSubscribe: true, keys: 'user' },
    { name: 'shared', identity: 'shared', priority: 2, autoSubscribe: true, keys: { lookup: 'members' } },
    { name: 'urgent', identity: 'urgent', priority: 0, autoSubscribe: false, keys: ['[]'] },
  ],
};
export const DEFINITIONS: readonly DeployedDefinition[] = [
  { kind: 'bucket', identity: 'global', name: 'global|0', source: 'default', id: 1, since: 1 },
  { kind: 'bucket', identity: 'mine', name: 'mine|0', source: 'default', id: 2, since: 1 },
  { kind: 'bucket', identity: 'shared', name: 'shared|0', source: 'default', id: 3, since: 1 },
  { kind: 'bucket', identity: 'urgent', name: 'urgent|0', source: 'default', id: 4, since: 1 },
  { kind: 'lookup', identity: 'members', name: 'members', source: 'default', id: 10, since: 1 },
];
export const GLOBAL = 1;
export const MINE = 2;
export const SHARED = 3;
export const URGENT = 4;
export const MEMBERS = 10;

/** Of 5 ms each. */
const AT_REST_TURNS = 1000;

export interface HarnessOptions {
  readonly storage?: FakeStorage;
  readonly maxConnections?: number;
  readonly maxBuckets?: number;
  readonly maxParameterResults?: number;
  /** Default: that of the machine. */
  readonly clock?: Clock;
  /** False: the worker polls. */
  readonly shared?: boolean;
  /** No version is active at first. */
  readonly empty?: boolean;
  readonly worker?: Partial<ApiWorkerOptions>;
}

export async function startHarness(options: HarnessOptions = {}): Promise<Harness> {
  const storage = options.storage ?? createFakeStorage();
  const listeners = new Set<(notice: CommitNotice) => void>();
  const nudgeListeners = new Set<{ readonly topic: string; readonly listener: () => void }>();
  const nudged: string[] = [];
  const logged: { level: string; message: string; fields: Record<string, unknown> }[] = [];
  const log = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [
      level,
      (fields: object, message: string) =>
        void logged.push({ level, message, fields: fields as Record<string, unknown> }),
    ]),
  ) as unknown as Log;
  const coordination = {
    shared: options.shared ?? true,
    onCommit(listener: (notice: CommitNotice) => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onNudge(topic: string, listener: () => void) {
      const listening = { topic, listener };
      nudgeListeners.add(listening);
      return () => void nudgeListeners.delete(listening);
    },
    nudge: (topic: string) => void nudged.push(topic),
  } as unknown as Coordination;
  if (options.empty !== true && options.storage === undefined) {
    storage.deploy(1, DEFINITIONS, PLAN);
    storage.commit({ version: 1 });
  }
  const clock = options.clock ?? realClock;
  const stop = new AbortController();
  const sockets = new Set<Socket>();
  const registry = new Registry();
  const health = createHealth(clock);
  const worker = await startApiWorker({
    storage: storage as unknown as BucketStorage,
    coordination,
    config: {
      api: {
        maxConcurrentConnections: options.maxConnections ?? 200,
        maxDataFetchConcurrency: 10,
        maxBucketsPerConnection: options.maxBuckets ?? 1000,
        maxParameterQueryResults: options.maxParameterResults ?? 1000,
      },
      port: 0,
      host: '127.0.0.1',
      probes: true,
    },
    tokenVerifier: createVerifier(clock),
    revocations: createRevocationList(clock),
    createResolver: createFakeResolver,
    log,
    metrics: createMetrics(registry, ['api']),
    health,
    clock,
    signal: stop.signal,
    extraRoutes({ server }) {
      server.on('connection', (socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
      });
    },
    ...options.worker,
  });
  health.started();
  const endpoint = `http://127.0.0.1:${worker.address.port}`;
  const announce = (notice: CommitNotice): void => {
    for (const listener of listeners) listener(notice);
  };
  const clients: ProtocolClient[] = [];
  return {
    sockets,
    async atRest() {
      let left = '';
      for (let turn = 0; turn < AT_REST_TURNS; turn++) {
        left = JSON.stringify({ sockets: sockets.size, ...worker.figures() });
        if (!/[1-9]/.test(left)) return;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      throw new Error(`something is left: ${left}`);
    },
    storage,
    worker,
    endpoint,
    nudges: nudged,
    wake(topic) {
      for (const each of nudgeListeners) if (each.topic === topic) each.listener();
    },
    logged,
    registry,
    announce,
    commit(commit) {
      const notice = storage.commit(commit);
      announce(notice);
      return notice;
    },
    deploy: (version, plan, definitions) => storage.deploy(version, definitions, plan),
    client(user, clientOptions = {}) {
      const client = createProtocolClient({ endpoint, token: user, clientId: `device of ${user}`, ...clientOptions });
      clients.push(client);
      return client;
    },
    async close() {
      for (const client of clients) client.disconnect();
      stop.abort(new Error('the test is over'));
      await worker.close();
      health.close();
    },
  };
}
