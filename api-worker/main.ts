/** Composes an API worker from its parts. */
import type { FastifyInstance } from 'fastify';
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import type { RevocationList } from '#core/platform/auth/revocations.ts';
import type { TokenVerifier } from '#core/platform/auth/token-verifier.ts';
import type { Clock } from '#core/platform/clock.ts';
import type { ApiConfig } from '#core/platform/config/service-config.ts';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import type { Health } from '#core/platform/health.ts';
import type { Log } from '#core/platform/log.ts';
import type { Metrics } from '#core/platform/metrics.ts';
import type { CreateSessionResolver } from '#core/sync-config/contract.ts';
import { createChunkPages } from './chunks/pages.ts';
import { createFeed } from './feed/feed.ts';
import { addProbeRoutes } from './http/probe-routes.ts';
import { createRequestIds } from './http/request-ids.ts';
import { detachConnectionsOf } from './http/detachable-connections.ts';
import { createServer, DEFAULT_SERVER_LIMITS } from './http/server.ts';
import { addStreamRoute } from './http/stream-route.ts';
import { addWriteCheckpointRoutes } from './http/write-checkpoint-routes.ts';
import { loadInspectorFiles } from './inspector/inspector-files.ts';
import { addInspectorRoutes } from './inspector/inspector-route.ts';
import { followCompaction } from './feed/follow-compaction.ts';
import { followRevocations } from './revocation/follow-revocations.ts';
import { addWebSocketRoute } from './rsocket/websocket-route.ts';
import { createSharedLines } from './session/shared-lines.ts';
import { createSessions, type Sessions } from './session/sessions.ts';
import { createTimerWheel } from './session/timer-wheel.ts';
import { createWorkerMetrics } from './worker-metrics.ts';

export interface ApiWorkerOptions {
  readonly storage: BucketStorage;
  readonly coordination: Coordination;
  readonly config: {
    readonly api: Pick<
      ApiConfig,
      'maxConcurrentConnections' | 'maxDataFetchConcurrency' | 'maxBucketsPerConnection' | 'maxParameterQueryResults'
    > &
      Partial<Pick<ApiConfig, 'inspector'>>;
    readonly port: number;
    /** Address to listen on; default all. */
    readonly host?: string;
    /** Serves `/probes/*`. */
    readonly probes: boolean;
  };
  readonly tokenVerifier: TokenVerifier;
  /** The one that `tokenVerifier` asks; the worker keeps it up to date. */
  readonly revocations: RevocationList;
  readonly createResolver: CreateSessionResolver;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Readiness turns negative at the limit of connections (O-168). Also answers `/probes/*`. */
  readonly health: Health;
  readonly clock: Clock;
  readonly random?: () => number;
  /** Aborts: everything is cut at once. For an orderly end call `drain` first. */
  readonly signal: AbortSignal;
  readonly extraRoutes?: (server: FastifyInstance) => void;
}

export interface WorkerFigures {
  readonly sessions: number;
  /** WebSocket connections, with or without a session. */
  readonly webSockets: number;
  /** Sessions that hear of commits. */
  readonly followers: number;
  readonly heldBuckets: number;
  readonly lookups: number;
  /** Pairs of user and client whose write checkpoints are followed. */
  readonly clients: number;
  /** Sessions that wait for a time. */
  readonly timers: number;
}

export interface ApiWorker {
  readonly address: { readonly host: string; readonly port: number };
  readonly sessions: Sessions;
  connections(): number;
  /** What is held for sessions; all of it goes with the last one. */
  figures(): WorkerFigures;
  /** Refuses new sessions with PSYNC_S2003 and ends the present ones over at most `graceMs` (O-11, S-616). */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

/** Cached bucket data of this worker. */
const CHUNK_CACHE_BYTES = 96 * 1024 * 1024;
const LOOKUP_CACHE_BYTES = 32 * 1024 * 1024;
/** TCP connections beyond those that may stream: for other requests, and for telling the surplus why. */
const SPARE_CONNECTIONS = 1000;
const STALL_MS = 60_000;
const KEEPALIVE_MS = 20_000;

export async function startApiWorker(options: ApiWorkerOptions): Promise<ApiWorker> {
  const { storage, coordination, config, tokenVerifier, log, clock, signal, health } = options;
  const { api } = config;
  const random = options.random ?? Math.random;
  const stop = new AbortController();
  signal.addEventListener('abort', () => stop.abort(signal.reason), { once: true });
  const hasRoom = health.condition('connections');
  let storedMs = clock.now();

  const feed = createFeed({
    reader: storage.reader,
    configs: storage.configs,
    writeCheckpoints: storage.writeCheckpoints,
    coordination,
    createResolver: options.createResolver,
    lookupCacheBytes: LOOKUP_CACHE_BYTES,
    clock,
    random,
    signal: stop.signal,
    onFailure(error) {
      const code = isCodedError(error) ? error.code : undefined;
      metrics.storageFailed(code ?? 'unknown');
      log.error({ error, code }, 'Bucket storage cannot be followed; trying again');
    },
    onCommit(stored, sessions) {
      storedMs = stored;
      metrics.commitVisible((clock.now() - stored) / 1000, sessions);
    },
  });
  const pages = createChunkPages({
    reader: storage.reader,
    concurrency: api.maxDataFetchConcurrency,
    cacheBytes: CHUNK_CACHE_BYTES,
  });
  const metrics = createWorkerMetrics({ metrics: options.metrics, clock, feed: feed.figures, pages: pages.figures });
  options.metrics.millrace_connection_limit.set(api.maxConcurrentConnections);
  const wheel = createTimerWheel(clock);
  const sessions = createSessions({
    feed,
    pages,
    shared: createSharedLines(),
    wheel,
    clock,
    random,
    limits: {
      maxBuckets: api.maxBucketsPerConnection,
      maxParameterResults: api.maxParameterQueryResults,
      stallMs: STALL_MS,
      keepaliveMs: KEEPALIVE_MS,
    },
    maxSessions: api.maxConcurrentConnections,
    revocations: options.revocations,
    log,
    figures: {
      operationsSynced: metrics.operationsSynced,
      clientAwaited: metrics.clientAwaited,
      dataSynced: metrics.dataSynced,
      checkpointSent: () => metrics.commitSent((clock.now() - storedMs) / 1000),
      streamEnded: metrics.streamEnded,
    },
    onCount(count) {
      metrics.connections(count);
      hasRoom.set(count < api.maxConcurrentConnections);
    },
  });

  const nextRequestId = createRequestIds();
  const server = createServer({
    limits: { ...DEFAULT_SERVER_LIMITS, connections: api.maxConcurrentConnections + SPARE_CONNECTIONS },
    log,
    clock,
    nextRequestId,
    onRefusedToken: metrics.authenticationFailed,
  });
  if (config.probes) addProbeRoutes(server, health);
  const { detach, closeDetached } = detachConnectionsOf(server.server);
  addStreamRoute(server, { sessions, tokenVerifier, clock, onSent: metrics.dataSent, detach });
  const webSockets = addWebSocketRoute({
    server: server.server,
    detach,
    sessions,
    tokenVerifier,
    wheel,
    clock,
    log,
    maxMessageBytes: DEFAULT_SERVER_LIMITS.bodyBytes,
    nextRequestId,
    onSent: metrics.dataSent,
    onRefusedToken: metrics.authenticationFailed,
  });
  addWriteCheckpointRoutes(server, { store: storage.writeCheckpoints, coordination, tokenVerifier, feed });
  if (api.inspector === true) addInspectorRoutes(server, { load: loadInspectorFiles, log });
  options.extraRoutes?.(server);
  // Before anybody is let in: who came too early would be refused for now. A storage that is away is tried again and again.
  await followRevocations({
    store: storage.revocations,
    coordination,
    list: options.revocations,
    clock,
    signal: stop.signal,
    onRevoked: sessions.endRevoked,
    onFailure(error) {
      const code = isCodedError(error) ? error.code : undefined;
      metrics.storageFailed(code ?? 'unknown');
      log.error({ error, code }, 'The list of revoked tokens cannot be read; trying again');
    },
  });
  followCompaction({
    store: storage.compaction,
    clock,
    signal: stop.signal,
    onRun() {
      pages.forget();
      return feed.recount();
    },
  });
  await server.listen({ port: config.port, host: config.host ?? '::' });
  // A storage that is away must not keep the process from starting: it is tried again and again.
  await feed.refresh().catch(() => undefined);

  return {
    address: addressOf(server),
    sessions,
    connections: () => sessions.count,
    figures() {
      const { followers, heldBuckets, clients } = feed.figures();
      const lookups = feed.followedLookups();
      return {
        ...{ sessions: sessions.count, webSockets: webSockets.connections, timers: wheel.size },
        ...{ followers, heldBuckets, lookups, clients },
      };
    },
    drain: (graceMs) => sessions.drain(graceMs),
    async close() {
      sessions.endAll('shutting down');
      stop.abort(new Error('closed'));
      wheel.stop();
      metrics.stop();
      webSockets.close();
      const closed = server.close();
      closeDetached();
      await closed;
    },
  };
}

function addressOf(server: FastifyInstance): { host: string; port: number } {
  const address = server.server.address();
  return typeof address === 'object' && address !== null
    ? { host: address.address, port: address.port }
    : { host: address ?? '', port: 0 };
}
