/** What the operator exposes about each instance. */
import type { Gauge } from 'prom-client';
import type { Place } from './kube/contract.ts';
import { keyOf } from './kube/place.ts';
import type { OperatorMetrics } from './metrics.ts';
import type { Decision } from './sync-instance/decision.ts';
import type { Observed } from './sync-instance/observed.ts';

export interface InstanceMetrics {
  /** Replaces everything that was exposed about the instance. Values of now, also where the status keeps older ones. */
  looked(observed: Observed, decision: Decision): void;
  succeeded(place: Place, now: number): void;
  gone(place: Place): void;
  /** This process leads no longer: whoever does exposes them. */
  clear(): void;
}

type Labels = Readonly<Record<string, string>>;

const STATUSES = ['True', 'False', 'Unknown'] as const;

export function createInstanceMetrics(metrics: OperatorMetrics): InstanceMetrics {
  /** What is exposed, by instance. */
  const exposed = new Map<string, (readonly [Gauge, Labels])[]>();
  const lastLook: Gauge = metrics.millrace_instance_last_reconcile_timestamp_seconds;

  const drop = (key: string): void => {
    for (const [gauge, labels] of exposed.get(key) ?? []) gauge.remove(labels);
    exposed.delete(key);
  };
  const gone = (place: Place): void => {
    drop(keyOf(place));
    lastLook.remove(labelsOf(place));
  };

  return {
    looked(observed, decision) {
      const place = observed.instance.metadata;
      drop(keyOf(place));
      const figures = figuresOf(metrics, observed, decision);
      for (const [gauge, labels, value] of figures) gauge.set(labels, value);
      exposed.set(
        keyOf(place),
        figures.map(([gauge, labels]) => [gauge, labels]),
      );
    },
    succeeded: (place, now) => lastLook.set(labelsOf(place), now / 1000),
    gone,
    clear() {
      for (const key of exposed.keys()) drop(key);
      lastLook.reset();
    },
  };
}

function labelsOf({ namespace, name }: Place): Record<string, string> {
  return { namespace: namespace ?? '', instance: name };
}

type Figure = readonly [Gauge, Record<string, string>, number];

function figuresOf(metrics: OperatorMetrics, { instance, pods }: Observed, { current: status }: Decision): Figure[] {
  const own = labelsOf(instance.metadata);
  const conditions = (status.conditions ?? []).flatMap(({ type, status: present }) =>
    STATUSES.map((value): Figure => [
      metrics.millrace_instance_condition,
      { ...own, type, status: value },
      value === present ? 1 : 0,
    ]),
  );
  const clients = pods.reduce((sum, { report }) => sum + (report?.status?.api?.connections ?? 0), 0);
  const time = (gauge: Gauge, at: string | undefined): Figure[] =>
    at === undefined ? [] : [[gauge, own, Date.parse(at) / 1000]];
  return [
    [metrics.millrace_instance_info, { ...own, image: status.image ?? '', version: status.version ?? '' }, 1],
    [metrics.millrace_instance_connected_clients, own, clients],
    ...conditions,
    [metrics.millrace_instance_api_replicas, { ...own, state: 'desired' }, status.api?.desiredReplicas ?? 0],
    [metrics.millrace_instance_api_replicas, { ...own, state: 'ready' }, status.api?.readyReplicas ?? 0],
    ...time(metrics.millrace_instance_compaction_last_success_timestamp_seconds, status.compaction?.lastSuccessTime),
    ...time(metrics.millrace_instance_compaction_last_failure_timestamp_seconds, status.compaction?.lastFailureTime),
    ...(status.sources ?? []).flatMap((source): Figure[] => {
      const labels = { ...own, source: source.name };
      const given = (gauge: Gauge, value: number | undefined): Figure[] =>
        value === undefined ? [] : [[gauge, labels, value]];
      return [
        ...given(metrics.millrace_instance_replication_lag_seconds, source.lagSeconds),
        ...given(metrics.millrace_instance_replication_lag_bytes, source.lagBytes),
        ...given(metrics.millrace_instance_snapshot_rows_copied, source.snapshot?.rowsCopied),
        ...given(metrics.millrace_instance_snapshot_rows_estimated, source.snapshot?.rowsEstimated),
        ...given(metrics.millrace_instance_source_log_retained_bytes, source.log?.retainedBytes),
        ...given(metrics.millrace_instance_source_log_limit_bytes, source.log?.limitBytes),
        ...given(metrics.millrace_instance_source_log_hours_until_loss, source.log?.hoursUntilLoss),
      ];
    }),
  ];
}
