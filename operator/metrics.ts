import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { MetricDefinition, MetricOf } from '#core/platform/metrics.ts';

type Definition = Omit<MetricDefinition, 'owner'>;

const INSTANCE = ['namespace', 'instance'] as const;
const SOURCE = ['namespace', 'instance', 'source'] as const;

/**
 * Every metric of the operator: of its own work, and of each SyncInstance what its status says (O-185, O-211). Those of an
 * instance are there as long as it is; what is unknown has no sample rather than a zero. Alerts and dashboards of the chart
 * (helm/) read these names and labels.
 */
export const OPERATOR_METRICS = {
  millrace_operator_leader: { kind: 'gauge', help: '1 while this process holds the Lease and works' },
  millrace_operator_reconciles_total: {
    kind: 'counter',
    help: 'Reconciled instances by outcome: success or failure',
    labels: ['outcome'],
  },
  millrace_operator_reconcile_seconds: {
    kind: 'histogram',
    help: 'Duration of one reconciliation',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  millrace_operator_queue_length: { kind: 'gauge', help: 'Instances that wait to be reconciled now' },
  millrace_operator_writes_total: {
    kind: 'counter',
    help: 'Objects written to the Kubernetes API, by kind and verb; none in steady state',
    labels: ['kind', 'verb'],
  },
  millrace_operator_kube_errors_total: {
    kind: 'counter',
    help: 'Failed requests to the Kubernetes API by reason',
    labels: ['reason'],
  },
  millrace_instance_info: {
    kind: 'gauge',
    help: 'Always 1; version is empty while nothing runs',
    labels: [...INSTANCE, 'image', 'version'],
  },
  millrace_instance_condition: {
    kind: 'gauge',
    help: '1 for the status that a condition of the SyncInstance has (True, False or Unknown), 0 for the other two',
    labels: [...INSTANCE, 'type', 'status'],
  },
  millrace_instance_last_reconcile_timestamp_seconds: {
    kind: 'gauge',
    help: 'When the instance was last reconciled to the end',
    labels: INSTANCE,
  },
  millrace_instance_replication_lag_seconds: {
    kind: 'gauge',
    help: 'From commit in the source to bucket storage',
    labels: SOURCE,
  },
  millrace_instance_replication_lag_bytes: {
    kind: 'gauge',
    help: 'Change log not yet acknowledged, where the source tells',
    labels: SOURCE,
  },
  millrace_instance_source_log_retained_bytes: {
    kind: 'gauge',
    help: 'Change log that the source keeps for the instance',
    labels: SOURCE,
  },
  millrace_instance_source_log_limit_bytes: {
    kind: 'gauge',
    help: 'Change log that the source keeps at most, where it has a limit',
    labels: SOURCE,
  },
  millrace_instance_source_log_hours_until_loss: {
    kind: 'gauge',
    help: 'Until the source drops changes that are not replicated, at the present rate of writes',
    labels: SOURCE,
  },
  millrace_instance_snapshot_rows_copied: {
    kind: 'gauge',
    help: 'Rows that the copy on its way has copied; no sample without one',
    labels: SOURCE,
  },
  millrace_instance_snapshot_rows_estimated: {
    kind: 'gauge',
    help: 'Rows that the copy on its way has to copy, by the statistics of the source',
    labels: SOURCE,
  },
  millrace_instance_connected_clients: {
    kind: 'gauge',
    help: 'Open sync streams of all API workers',
    labels: INSTANCE,
  },
  millrace_instance_api_replicas: {
    kind: 'gauge',
    help: 'API workers by state: desired or ready',
    labels: [...INSTANCE, 'state'],
  },
  millrace_instance_compaction_last_success_timestamp_seconds: {
    kind: 'gauge',
    help: 'End of the last successful compaction',
    labels: INSTANCE,
  },
  millrace_instance_compaction_last_failure_timestamp_seconds: {
    kind: 'gauge',
    help: 'End of the last failed compaction',
    labels: INSTANCE,
  },
} as const satisfies Record<string, Definition>;

/** The metrics of the operator by their exposed names. */
export type OperatorMetrics = {
  readonly [N in keyof typeof OPERATOR_METRICS]: MetricOf<(typeof OPERATOR_METRICS)[N]>;
};

/** Makes the metrics of an operator and registers them. */
export function createOperatorMetrics(registry: Registry): OperatorMetrics {
  const create = ([name, definition]: [string, Definition]) => {
    const common = { name, help: definition.help, labelNames: [...(definition.labels ?? [])], registers: [registry] };
    if (definition.kind === 'counter') return [name, new Counter(common)] as const;
    if (definition.kind === 'gauge') return [name, new Gauge(common)] as const;
    return [name, new Histogram({ ...common, buckets: [...(definition.buckets ?? [])] })] as const;
  };
  return Object.fromEntries(Object.entries<Definition>(OPERATOR_METRICS).map(create)) as OperatorMetrics;
}
