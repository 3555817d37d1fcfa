/** Figures of an API worker (O chapter 11): the documented names, and ours with the prefix `millrace_api_`. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ChunkPages } from './chunks/pages.ts';
import type { FeedFigures } from './feed/feed.ts';

export interface WorkerMetrics {
  operationsSynced(count: number): void;
  dataSynced(bytes: number): void;
  dataSent(bytes: number): void;
  connections(count: number): void;
  /** From the commit in bucket storage until this worker has entered it. */
  commitVisible(seconds: number, sessions: number): void;
  /** From the commit in bucket storage until a session has been given all of it. */
  commitSent(seconds: number): void;
  /** A request or session was refused or failed. */
  failure(code: string): void;
  /** Gauges that are read when metrics are collected. */
  observe(feed: () => FeedFigures, pages: () => ReturnType<ChunkPages['figures']>): void;
}

const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createWorkerMetrics(registry: Registry): WorkerMetrics {
  const registers = [registry];
  const operations = new Counter({ name: 'powersync_operations_synced_total', help: 'Operations sent to clients (O-178).', registers });
  const synced = new Counter({ name: 'powersync_data_synced_bytes_total', help: 'Uncompressed bytes sent to clients (O-173).', registers });
  const sent = new Counter({ name: 'powersync_data_sent_bytes_total', help: 'Bytes on the wire to clients (O-174).', registers });
  const connections = new Gauge({ name: 'powersync_concurrent_connections', help: 'Open sync streams (O-182).', registers });
  const visible = new Histogram({
    name: 'millrace_api_commit_visible_seconds',
    help: 'From a commit in bucket storage until this worker announces it.',
    buckets: LATENCY_BUCKETS,
    registers,
  });
  const delivered = new Histogram({
    name: 'millrace_api_commit_sent_seconds',
    help: 'From a commit in bucket storage until a session was given all of it.',
    buckets: LATENCY_BUCKETS,
    registers,
  });
  const woken = new Counter({ name: 'millrace_api_sessions_woken_total', help: 'Sessions that commits concerned.', registers });
  const failures = new Counter({
    name: 'millrace_api_failures_total',
    help: 'Sessions and requests that ended with an error, by code.',
    labelNames: ['code'],
    registers,
  });
  return {
    operationsSynced: (count) => operations.inc(count),
    dataSynced: (bytes) => synced.inc(bytes),
    dataSent: (bytes) => sent.inc(bytes),
    connections: (count) => connections.set(count),
    commitVisible(seconds, sessions) {
      visible.observe(Math.max(seconds, 0));
      woken.inc(sessions);
    },
    commitSent: (seconds) => delivered.observe(Math.max(seconds, 0)),
    failure: (code) => failures.inc({ code }),
    observe(feed, pages) {
      gauge(registry, 'millrace_api_held_buckets', 'Different buckets that sessions of this worker hold.', () => feed().heldBuckets);
      gauge(registry, 'millrace_api_lookup_cache_bytes', 'Cached results of parameter lookups.', () => feed().lookupBytes);
      gauge(registry, 'millrace_api_chunk_cache_bytes', 'Cached bucket data.', () => pages().bytes);
      gauge(registry, 'millrace_api_chunk_reads_running', 'Reads of bucket data under way (O-58).', () => pages().reading);
      gauge(registry, 'millrace_api_chunk_reads_waiting', 'Reads of bucket data that wait for their turn.', () => pages().waiting);
      gauge(registry, 'millrace_api_chunk_cache_hits', 'Pages of bucket data that were at hand, since the start.', () => pages().hits);
      gauge(registry, 'millrace_api_chunk_cache_misses', 'Pages of bucket data that were read, since the start.', () => pages().misses);
    },
  };
}

function gauge(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(value());
    },
  });
}
