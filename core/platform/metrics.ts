import { collectDefaultMetrics, Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { EndpointAnswer } from './http-endpoint.ts';

/** Which process knows a metric. Others do not expose it, so that their zeros do not mislead. */
export type MetricOwner = 'api' | 'replicator' | 'compactor' | 'every process';

export interface MetricDefinition {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly owner: MetricOwner;
  readonly help: string;
  /** Number of the requirement that asks for it. */
  readonly reference?: string;
  /** Few values each: never users, clients or buckets. */
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
}

/** Upper bounds for the stages of a change on its way: commit, decoded, stored, visible, sent. */
const STAGE_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * Every metric (O-172 … O-185, O-211). Names starting with `powersync_` are documented and keep their form
 * (wire/14-metrics.txt); ours start with `millrace_`. Append to the group a metric belongs to.
 */
export const METRICS = {
  // Documented: serving
  powersync_data_synced_bytes_total: {
    kind: 'counter',
    owner: 'api',
    reference: 'O-173',
    help: 'Uncompressed size of synced data',
  },
  powersync_data_sent_bytes_total: {
    kind: 'counter',
    owner: 'api',
    reference: 'O-174',
    help: 'Size of data sent to clients, compressed if it was',
  },
  powersync_operations_synced_total: {
    kind: 'counter',
    owner: 'api',
    reference: 'O-178',
    help: 'Operations sent to clients',
  },
  powersync_concurrent_connections: {
    kind: 'gauge',
    owner: 'api',
    reference: 'O-182',
    help: 'Open sync streams of this process',
  },

  // Documented: replication
  powersync_data_replicated_bytes_total: {
    kind: 'counter',
    owner: 'replicator',
    reference: 'O-172',
    help: 'Uncompressed size of replicated data',
  },
  powersync_rows_replicated_total: {
    kind: 'counter',
    owner: 'replicator',
    reference: 'O-175',
    help: 'Replicated rows',
  },
  powersync_transactions_replicated_total: {
    kind: 'counter',
    owner: 'replicator',
    reference: 'O-176',
    help: 'Replicated source transactions',
  },
  powersync_chunks_replicated_total: {
    kind: 'counter',
    owner: 'replicator',
    reference: 'O-177',
    help: 'Chunks read from the change stream',
  },
  powersync_replication_lag_seconds: {
    kind: 'gauge',
    owner: 'replicator',
    reference: 'O-183',
    help: 'Replication lag of the source that lags most',
  },
  powersync_replication_storage_size_bytes: {
    kind: 'gauge',
    owner: 'replicator',
    reference: 'O-179',
    help: 'Size of current rows in storage',
  },
  powersync_operation_storage_size_bytes: {
    kind: 'gauge',
    owner: 'replicator',
    reference: 'O-180',
    help: 'Size of the operation history',
  },
  powersync_parameter_storage_size_bytes: {
    kind: 'gauge',
    owner: 'replicator',
    reference: 'O-181',
    help: 'Size of parameter lookups',
  },

  // Ours: every process
  millrace_build_info: { kind: 'gauge', owner: 'every process', help: 'Always 1', labels: ['version', 'role'] },
  millrace_storage_errors_total: {
    kind: 'counter',
    owner: 'every process',
    reference: 'O-211',
    help: 'Errors of bucket storage by code',
    labels: ['code'],
  },

  // Ours: serving
  millrace_connection_limit: { kind: 'gauge', owner: 'api', help: 'Sync streams that this process takes at most' },
  millrace_authentication_failures_total: {
    kind: 'counter',
    owner: 'api',
    reference: 'O-185',
    help: 'Refused client tokens by code',
    labels: ['code'],
  },
  millrace_sync_streams_total: {
    kind: 'counter',
    owner: 'api',
    reference: 'O-185',
    help: 'Ended sync streams by reason',
    labels: ['close_reason'],
  },
  millrace_checkpoint_delivery_seconds: {
    kind: 'histogram',
    owner: 'api',
    reference: 'O-185',
    help: 'From the commit of a checkpoint until a stream has sent it',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  millrace_chunk_cache_reads_total: {
    kind: 'counter',
    owner: 'api',
    help: 'Reads of chunks by result: hit, shared or miss',
    labels: ['result'],
  },

  millrace_commit_visible_seconds: {
    kind: 'histogram',
    owner: 'api',
    help: 'From a commit in bucket storage until this process can announce it',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  millrace_stream_operations_synced_total: {
    kind: 'counter',
    owner: 'api',
    help: 'Operations sent to clients, by stream of the sync config',
    labels: ['stream'],
  },
  millrace_stream_data_synced_bytes_total: {
    kind: 'counter',
    owner: 'api',
    help: 'Uncompressed size of the operations sent to clients, by stream of the sync config',
    labels: ['stream'],
  },
  millrace_client_waits_total: {
    kind: 'counter',
    owner: 'api',
    help: 'Times that a sync stream had to wait until its client has read',
  },
  millrace_sessions_woken_total: { kind: 'counter', owner: 'api', help: 'Sync streams that commits concerned' },
  millrace_held_buckets: { kind: 'gauge', owner: 'api', help: 'Different buckets held by streams of this process' },
  millrace_lookup_cache_bytes: { kind: 'gauge', owner: 'api', help: 'Cached results of parameter lookups' },
  millrace_chunk_cache_bytes: { kind: 'gauge', owner: 'api', help: 'Cached chunks' },
  millrace_chunk_reads_waiting: { kind: 'gauge', owner: 'api', help: 'Reads of chunks that wait for their turn' },

  // Ours: replication
  millrace_replication_lag_seconds: {
    kind: 'gauge',
    owner: 'replicator',
    help: 'Age of the oldest change of the source that bucket storage does not have yet',
    labels: ['source'],
  },
  millrace_commit_decoded_seconds: {
    kind: 'histogram',
    owner: 'replicator',
    help: 'From commit in the source until it is decoded, evaluated and its flush begins',
    labels: ['source'],
    buckets: STAGE_SECONDS,
  },
  millrace_commit_stored_seconds: {
    kind: 'histogram',
    owner: 'replicator',
    help: 'From commit in the source until it is durable in bucket storage',
    labels: ['source'],
    buckets: STAGE_SECONDS,
  },
  millrace_flush_seconds: {
    kind: 'histogram',
    owner: 'replicator',
    help: 'Duration of a flush to bucket storage',
    labels: ['source'],
    buckets: STAGE_SECONDS,
  },
  millrace_replication_lag_bytes: {
    kind: 'gauge',
    owner: 'replicator',
    reference: 'O-185',
    help: 'Change stream not yet acknowledged, where the source tells',
    labels: ['source'],
  },
  millrace_replication_leader: {
    kind: 'gauge',
    owner: 'replicator',
    help: '1 while this process holds the lock of the source',
    labels: ['source'],
  },
  millrace_source_connected: {
    kind: 'gauge',
    owner: 'replicator',
    reference: 'O-211',
    help: '1 while the source can be reached',
    labels: ['source'],
  },
  millrace_replication_errors_total: {
    kind: 'counter',
    owner: 'replicator',
    reference: 'O-211',
    help: 'Replication errors by code',
    labels: ['source', 'code'],
  },
  millrace_snapshot_rows_total: {
    kind: 'counter',
    owner: 'replicator',
    help: 'Rows copied by snapshots',
    labels: ['source'],
  },
  millrace_sync_config_version: {
    kind: 'gauge',
    owner: 'replicator',
    reference: 'O-185',
    help: 'Version of the sync config by state: active or processing',
    labels: ['state'],
  },

  // Ours: compaction
  millrace_compaction_runs_total: {
    kind: 'counter',
    owner: 'compactor',
    help: 'Compaction runs by outcome: success or failure',
    labels: ['outcome'],
  },
  millrace_compaction_last_success_timestamp_seconds: {
    kind: 'gauge',
    // The compactor ends with its run; whoever leads a source is there to be asked.
    owner: 'replicator',
    reference: 'O-185',
    help: 'End of the last compaction that succeeded; 0: none yet',
  },
  millrace_compaction_buckets_total: { kind: 'counter', owner: 'compactor', help: 'Compacted buckets' },
  millrace_compaction_operations_removed_total: {
    kind: 'counter',
    owner: 'compactor',
    help: 'Operations whose data is gone, or that are gone altogether',
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;
type LabelsOf<D> = D extends { labels: readonly (infer L extends string)[] } ? L : never;
/** The metric that a definition stands for, with its labels. */
export type MetricOf<D extends Omit<MetricDefinition, 'owner'>> = D['kind'] extends 'counter'
  ? Counter<LabelsOf<D>>
  : D['kind'] extends 'gauge'
    ? Gauge<LabelsOf<D>>
    : Histogram<LabelsOf<D>>;

/** The metrics by their exposed names. */
export type Metrics = { readonly [N in MetricName]: MetricOf<(typeof METRICS)[N]> };

/**
 * Makes all metrics, and registers those of the given owners; the others may be set and go nowhere.
 *
 * @param owners what this process does; all of it when everything runs in one
 */
export function createMetrics(registry: Registry, owners: readonly MetricOwner[]): Metrics {
  const metrics: Record<string, unknown> = {};
  for (const [name, definition] of Object.entries<MetricDefinition>(METRICS)) {
    const isOurs = definition.owner === 'every process' || owners.includes(definition.owner);
    const common = {
      name,
      help: definition.help,
      labelNames: [...(definition.labels ?? [])],
      registers: isOurs ? [registry] : [],
    };
    if (definition.kind === 'counter') metrics[name] = new Counter(common);
    else if (definition.kind === 'histogram') {
      metrics[name] = new Histogram({ ...common, buckets: [...(definition.buckets ?? [])] });
    } else if (name === 'powersync_replication_lag_seconds')
      metrics[name] = largestLag(common, () => metrics as Metrics);
    else metrics[name] = new Gauge(common);
  }
  return metrics as Metrics;
}

/** The documented gauge has no label, so it follows the source that lags most. */
function largestLag(
  options: { name: string; help: string; registers: Registry[] },
  metrics: () => Pick<Metrics, 'millrace_replication_lag_seconds'>,
): Gauge {
  return new Gauge({
    ...options,
    async collect() {
      const { values } = await metrics().millrace_replication_lag_seconds.get();
      this.set(Math.max(0, ...values.map(({ value }) => value)));
    },
  });
}

/** Adds what Node.js knows of the process: memory, event loop, garbage collection. */
export function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, prefix: 'millrace_' });
}

/** The answer to `GET /metrics`: all of a registry in the text format of Prometheus (O-63, O-170). */
export async function metricsAnswer(registry: Registry): Promise<EndpointAnswer> {
  return { status: 200, contentType: registry.contentType, body: await registry.metrics() };
}
