/** The worker process of bench/serve.ts: one API worker that hears of commits from its parent, and tells it what it has used. */
import { Registry } from 'prom-client';
import { startApiWorker } from '#api-worker/main.ts';
import type { BucketStorage, CommitNotice } from '#core/bucket-storage/contract.ts';
import { open as openMongodb } from '#core/bucket-storage/mongodb/opener.fixture.ts';
import { open as openPostgres } from '#core/bucket-storage/postgres/opener.fixture.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import { createRevocationList } from '#core/platform/auth/revocations.ts';
import { createTokenVerifier } from '#core/platform/auth/token-verifier.ts';
import { realClock } from '#core/platform/clock.ts';
import { tuneCollector } from '#core/platform/collector.ts';
import { collectAtRest, thisCollector } from '#core/platform/collect-at-rest.ts';
import { createHealth } from '#core/platform/health.ts';
import type { Log } from '#core/platform/log.ts';
import { createMetrics } from '#core/platform/metrics.ts';
import { createSessionResolver } from '#core/sync-config/evaluate/session-resolver.ts';

/** What the parent sends first. */
export interface WorkerStart {
  readonly kind: 'postgresql' | 'mongodb';
  readonly url: string;
  readonly secret: string;
  readonly audience: string;
}
export type ToWorker = { readonly notice: CommitNotice } | { readonly figures: true } | { readonly collect: true };
export interface WorkerFigures {
  readonly cpuMs: number;
  readonly systemMs: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly heapTotalBytes: number;
  readonly externalBytes: number;
  readonly connections: number;
}

tuneCollector('serves');
collectAtRest(thisCollector(), realClock);
const silent: Log = { debug() {}, info() {}, warn() {}, error: (fields, message) => console.error(message, fields) };
const start = JSON.parse(process.env['WORKER_START'] ?? '{}') as WorkerStart;
const storage: BucketStorage = await (start.kind === 'mongodb' ? openMongodb : openPostgres)({ url: start.url });
let heard: (notice: CommitNotice) => void = () => undefined;
const coordination = {
  shared: true,
  onCommit(listener: (notice: CommitNotice) => void) {
    heard = listener;
    return () => undefined;
  },
  onNudge: () => () => undefined,
  nudge: () => undefined,
} as unknown as Coordination;
const health = createHealth(realClock);
const clientAuth = {
  keys: [{ kty: 'oct', alg: 'HS256', kid: 'k', k: start.secret }],
  jwksUris: [],
  audience: [start.audience],
  issuers: [],
  rejectIpRanges: [],
} as unknown as Parameters<typeof createTokenVerifier>[0]['clientAuth'];
const worker = await startApiWorker({
  storage,
  coordination,
  config: {
    api: {
      maxConcurrentConnections: 20_000,
      maxDataFetchConcurrency: 10,
      maxBucketsPerConnection: 1000,
      maxParameterQueryResults: 1000,
    },
    port: 0,
    host: '127.0.0.1',
    probes: false,
  },
  tokenVerifier: await createTokenVerifier({ clientAuth, clock: realClock, log: silent }),
  revocations: createRevocationList(realClock),
  createResolver: createSessionResolver,
  log: silent,
  metrics: createMetrics(new Registry(), ['api']),
  health,
  clock: realClock,
  signal: new AbortController().signal,
});

function figures(): WorkerFigures {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  return {
    cpuMs: (user + system) / 1000,
    systemMs: system / 1000,
    rssBytes: rss,
    heapBytes: heapUsed,
    heapTotalBytes: heapTotal,
    externalBytes: external,
    connections: worker.connections(),
  };
}

process.on('message', (message: ToWorker) => {
  if ('notice' in message) heard(message.notice);
  else if ('collect' in message) {
    (globalThis as { gc?: (options: object) => void }).gc?.({ type: 'major', flavor: 'last-resort' });
    setTimeout(() => process.send?.({ figures: figures() }), 200);
  } else process.send?.({ figures: figures() });
});
process.on('disconnect', () => process.exit(0));
process.send?.({ port: worker.address.port });
