/** The replicator: one job per source connection, each with its own lease (O-2, R-41). Composed by cli/. */
import { hostname } from 'node:os';
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import type { Clock } from '#core/platform/clock.ts';
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import { createSourceJob, type SourceJob } from './job.ts';
import type { FlushFigures } from './pipeline/flusher.ts';
import type { SourceReport } from './report.ts';
import { openSource } from './sources/registry.ts';
import type { RunnerLog } from './runner-log.ts';

/** Connections that read side by side while a table is copied. */
const SNAPSHOT_CONNECTIONS = 2;

/** The source and its slots are looked at with each heartbeat, and at least this often. */
const MOST_HEALTH_INTERVAL_MS = 30_000;

/** Receives figures; implemented by the process's metrics. */
export interface ReplicatorMetrics {
  replicatedBytes(bytes: number): void;
  replicated(rows: number, transactions: number): void;
  flushed(source: string, figures: FlushFigures): void;
  copied(source: string, rows: number): void;
  leads(source: string, leader: boolean): void;
  connected(source: string, connected: boolean): void;
  lagBytes(source: string, bytes: number): void;
  failed(source: string, code: string): void;
  versions(active: number | null, processing: number | null): void;
}

export interface ReplicatorOptions {
  readonly connections: readonly SourceConnection[];
  readonly storage: BucketStorage;
  readonly coordination: Coordination;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: RunnerLog & { child(fields: object): RunnerLog };
  readonly metrics: ReplicatorMetrics;
  /** Bucket storage is on the server of this source. Absent: it is not. */
  sharesServerWithStorage?(connection: SourceConnection): boolean;
}

export interface Replicator {
  reports(): SourceReport[];
  /** Gives the leases back and stops; what is not committed is done again by the next leader. */
  close(): Promise<void>;
}

export function startReplicator(options: ReplicatorOptions): Replicator {
  const stop = new AbortController();
  const jobs = options.connections.map((connection) => startJob(options, connection, stop.signal));
  return {
    reports: () => jobs.map(({ job }) => job.report()),
    async close() {
      stop.abort();
      await Promise.allSettled(jobs.map(({ running }) => running));
    },
  };
}

function startJob(
  options: ReplicatorOptions,
  connection: SourceConnection,
  signal: AbortSignal,
): { job: SourceJob; running: Promise<void> } {
  const { storage, coordination, clock, random, metrics } = options;
  const log = options.log.child({ source: connection.tag });
  const heartbeatIntervalMs = 'heartbeatIntervalMs' in connection ? connection.heartbeatIntervalMs : 60_000;
  const job = createSourceJob({
    tag: connection.tag,
    storage,
    coordination,
    clock,
    random,
    log,
    owner: `${hostname()}/${process.pid}`,
    signal,
    heartbeatIntervalMs,
    healthIntervalMs: Math.min(heartbeatIntervalMs, MOST_HEALTH_INTERVAL_MS),
    openSource: (valueOptions) =>
      openSource(connection, {
        log,
        metrics: { replicatedBytes: (bytes) => metrics.replicatedBytes(bytes) },
        snapshotConnections: SNAPSHOT_CONNECTIONS,
        sharesServerWithStorage: options.sharesServerWithStorage?.(connection) ?? false,
        valueOptions,
      }),
    flushed(figures) {
      metrics.flushed(connection.tag, figures);
      logFlush(log, figures, clock);
    },
    applied: (changes, transactions) => metrics.replicated(changes, transactions),
    copied(rows) {
      metrics.replicated(rows, 0);
      metrics.copied(connection.tag, rows);
    },
    leads: (leader) => metrics.leads(connection.tag, leader),
    connected: (connected) => metrics.connected(connection.tag, connected),
    lagBytes: (bytes) => metrics.lagBytes(connection.tag, bytes),
    failed: (code) => metrics.failed(connection.tag, code),
    versions: (active, processing) => metrics.versions(active, processing),
  });
  return { job, running: job.run() };
}

/** O-193: one line per flush with something in it. */
function logFlush(log: RunnerLog, figures: FlushFigures, clock: Clock): void {
  if (figures.operations + figures.lookups + figures.rowStates === 0) return;
  log.info(
    {
      bucket_ops_count: figures.operations,
      parameter_indexes_count: figures.lookups,
      source_records_count: figures.rowStates,
      size: figures.bytes,
      duration: Math.round(figures.durationMs),
      last_op_id: figures.lastOp,
      ...(figures.sourceTimeMs === null
        ? {}
        : { replication_lag_seconds: Math.max(0, Math.round(clock.now() - figures.sourceTimeMs) / 1000) }),
    },
    'Flushed',
  );
}
