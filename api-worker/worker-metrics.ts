/** Figures of an API worker (O chapter 11), set on the metrics of the process. */
import type { Clock, Timer } from '#core/platform/clock.ts';
import type { Metrics } from '#core/platform/metrics.ts';
import type { ChunkPages } from './chunks/pages.ts';
import type { FeedFigures } from './feed/feed.ts';
import type { CloseReason } from './session/contract.ts';

export interface WorkerMetrics {
  operationsSynced(count: number, stream: string, bytes: number): void;
  clientAwaited(): void;
  dataSynced(bytes: number): void;
  dataSent(bytes: number): void;
  connections(count: number): void;
  /** From the commit in bucket storage until this worker has entered it; and how many sessions it concerned. */
  commitVisible(seconds: number, sessions: number): void;
  /** From the commit in bucket storage until a session has been given all of it. */
  commitSent(seconds: number): void;
  streamEnded(reason: CloseReason): void;
  authenticationFailed(code: string): void;
  storageFailed(code: string): void;
  stop(): void;
}

export interface WorkerMetricsOptions {
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly feed: () => FeedFigures;
  readonly pages: () => ReturnType<ChunkPages['figures']>;
}

/** Streams beyond this many share a label: a sync config decides how many there are, not we. */
const MAX_STREAM_LABELS = 200;
const OTHER_STREAMS = 'other';

/** Gauges follow what they show at this interval. */
const GAUGE_INTERVAL_MS = 5000;

export function createWorkerMetrics({ metrics, clock, feed, pages }: WorkerMetricsOptions): WorkerMetrics {
  let timer: Timer;
  const streams = new Set<string>();
  const labelOf = (stream: string): string => {
    if (streams.has(stream)) return stream;
    if (streams.size >= MAX_STREAM_LABELS) return OTHER_STREAMS;
    streams.add(stream);
    return stream;
  };
  /** What sessions count many times a millisecond is added up first. */
  const sums = { operations: 0, synced: 0, sent: 0 };
  const byStream = new Map<string, { operations: number; bytes: number }>();
  let isAdding = false;
  const addSoon = (): void => {
    if (isAdding) return;
    isAdding = true;
    setImmediate(add);
  };
  const add = (): void => {
    isAdding = false;
    metrics.powersync_operations_synced_total.inc(sums.operations);
    metrics.powersync_data_synced_bytes_total.inc(sums.synced);
    metrics.powersync_data_sent_bytes_total.inc(sums.sent);
    sums.operations = sums.synced = sums.sent = 0;
    for (const [stream, { operations, bytes }] of byStream) {
      metrics.millrace_stream_operations_synced_total.inc({ stream }, operations);
      metrics.millrace_stream_data_synced_bytes_total.inc({ stream }, bytes);
    }
    byStream.clear();
  };
  let before = { hits: 0, shared: 0, misses: 0 };
  const update = (): void => {
    const { heldBuckets, lookupBytes } = feed();
    const now = pages();
    metrics.millrace_held_buckets.set(heldBuckets);
    metrics.millrace_lookup_cache_bytes.set(lookupBytes);
    metrics.millrace_chunk_cache_bytes.set(now.bytes);
    metrics.millrace_chunk_reads_waiting.set(now.waiting);
    metrics.millrace_chunk_cache_reads_total.inc({ result: 'hit' }, now.hits - before.hits);
    metrics.millrace_chunk_cache_reads_total.inc({ result: 'shared' }, now.shared - before.shared);
    metrics.millrace_chunk_cache_reads_total.inc({ result: 'miss' }, now.misses - before.misses);
    before = now;
    timer = clock.setTimer(GAUGE_INTERVAL_MS, update);
  };
  timer = clock.setTimer(GAUGE_INTERVAL_MS, update);

  return {
    operationsSynced(count, stream, bytes) {
      sums.operations += count;
      const label = labelOf(stream);
      const sum = byStream.get(label);
      if (sum === undefined) byStream.set(label, { operations: count, bytes });
      else {
        sum.operations += count;
        sum.bytes += bytes;
      }
      addSoon();
    },
    clientAwaited: () => metrics.millrace_client_waits_total.inc(),
    dataSynced(bytes) {
      sums.synced += bytes;
      addSoon();
    },
    dataSent(bytes) {
      sums.sent += bytes;
      addSoon();
    },
    connections: (count) => metrics.powersync_concurrent_connections.set(count),
    commitVisible(seconds, sessions) {
      metrics.millrace_commit_visible_seconds.observe(Math.max(seconds, 0));
      metrics.millrace_sessions_woken_total.inc(sessions);
    },
    commitSent: (seconds) => metrics.millrace_checkpoint_delivery_seconds.observe(Math.max(seconds, 0)),
    streamEnded: (reason) => metrics.millrace_sync_streams_total.inc({ close_reason: reason }),
    authenticationFailed: (code) => metrics.millrace_authentication_failures_total.inc({ code }),
    storageFailed: (code) => metrics.millrace_storage_errors_total.inc({ code }),
    stop() {
      timer.cancel();
      add();
    },
  };
}
