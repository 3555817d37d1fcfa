/** Pieces of PromQL that the dashboards share. */
import type { Query, Step, VariableDescription } from './description.ts';

/** The instances that are chosen above the dashboard. */
export const SCOPE = 'namespace=~"$namespace", instance=~"$instance"';
/** The sources of these. */
export const SOURCE_SCOPE = `${SCOPE}, source=~"$source"`;
/** The pods of these. */
export const POD_SCOPE = `${SCOPE}, pod=~"$pod"`;

/** `p99` and the like of a histogram, over the labels `by`. */
export function quantile(q: number, histogram: string, scope: string, by = ''): string {
  const labels = by === '' ? 'le' : `le, ${by}`;
  return `histogram_quantile(${q}, sum by (${labels}) (rate(${histogram}_bucket{${scope}}[$__rate_interval])))`;
}

/** What half of all takes at most, and all but one in a hundred. */
export function medianAndP99(histogram: string, scope: string): Query[] {
  return [
    { expr: quantile(0.5, histogram, scope), legend: 'median' },
    { expr: quantile(0.99, histogram, scope), legend: 'p99' },
  ];
}

/** How fast a counter grows, per second, over the labels `by`. */
export function rate(counter: string, scope: string, by = ''): string {
  const sum = by === '' ? 'sum' : `sum by (${by})`;
  return `${sum} (rate(${counter}{${scope}}[$__rate_interval]))`;
}

/** 1 where the condition holds, 0 where it does not or nobody knows. */
export function conditionHolds(type: string, by: string): string {
  return `max by (${by}) (millrace_instance_condition{${SCOPE}, type=~"${type}", status="True"})`;
}

export const LAG_STEPS: readonly Step[] = [
  { from: 10, color: 'yellow' },
  { from: 60, color: 'red' },
];

export const ERROR_STEPS: readonly Step[] = [{ from: 0.000001, color: 'red' }];

/** Hours until the change log is lost: the fewer the worse. */
export const HOURS_STEPS: readonly Step[] = [
  { from: -1, color: 'red' },
  { from: 4, color: 'orange' },
  { from: 24, color: 'green' },
];

export const NAMESPACE: VariableDescription = {
  name: 'namespace',
  query: 'label_values(millrace_instance_info, namespace)',
};

export const INSTANCE: VariableDescription = {
  name: 'instance',
  query: 'label_values(millrace_instance_info{namespace=~"$namespace"}, instance)',
};

export const SOURCE: VariableDescription = {
  name: 'source',
  query:
    'label_values(millrace_instance_replication_lag_seconds{namespace=~"$namespace", instance=~"$instance"}, source)',
};

/** Pods that serve clients. */
export const API_POD: VariableDescription = {
  name: 'pod',
  query: 'label_values(powersync_concurrent_connections{namespace=~"$namespace", instance=~"$instance"}, pod)',
};
