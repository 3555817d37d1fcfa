import type { DashboardDescription } from './description.ts';
import { conditionHolds, HOURS_STEPS, INSTANCE, LAG_STEPS, NAMESPACE, rate, SCOPE } from './queries.ts';

/** The operator's own metrics have no instance; there may be several operators. */
const operatorRate = (counter: string, by: string) => `sum by (${by}) (rate(${counter}[$__rate_interval]))`;
const reconcileQuantile = (q: number) =>
  `histogram_quantile(${q}, sum by (le) (rate(millrace_operator_reconcile_seconds_bucket[$__rate_interval])))`;

/** All instances: which of them need attention. */
export const fleet: DashboardDescription = {
  name: 'fleet',
  title: 'Millrace / Fleet',
  description:
    'All SyncInstances: are they ready, how far behind, how many clients; and the operator that looks after them.',
  variables: [NAMESPACE, INSTANCE],
  rows: [
    {
      title: 'Now',
      panels: [
        {
          kind: 'figure',
          title: 'Instances',
          description: 'SyncInstances that the operator knows.',
          unit: 'none',
          width: 4,
          queries: [
            { expr: `count(count by (namespace, instance) (millrace_instance_info{${SCOPE}}))`, legend: 'instances' },
          ],
        },
        {
          kind: 'figure',
          title: 'Not ready',
          description: 'Instances whose condition Ready does not hold.',
          unit: 'none',
          width: 4,
          queries: [{ expr: `sum(1 - ${conditionHolds('Ready', 'namespace, instance')})`, legend: 'not ready' }],
          steps: [{ from: 1, color: 'red' }],
        },
        {
          kind: 'figure',
          title: 'Connected clients',
          description: 'Open sync streams, as the operator reads them from the API workers.',
          unit: 'short',
          width: 4,
          queries: [{ expr: `sum(millrace_instance_connected_clients{${SCOPE}})`, legend: 'clients' }],
        },
        {
          kind: 'figure',
          title: 'Largest lag',
          description: 'Of the source that is furthest behind.',
          unit: 's',
          width: 4,
          queries: [{ expr: `max(millrace_instance_replication_lag_seconds{${SCOPE}})`, legend: 'lag' }],
          steps: LAG_STEPS,
        },
        {
          kind: 'figure',
          title: 'Change log lost in',
          description:
            'Of the source whose retained change log is nearest to its limit. After that the source is copied anew.',
          unit: 'h',
          width: 4,
          queries: [{ expr: `min(millrace_instance_source_log_hours_until_loss{${SCOPE}})`, legend: 'hours' }],
          steps: HOURS_STEPS,
        },
        {
          kind: 'figure',
          title: 'Firing alerts',
          description: 'Alerts of Millrace that fire, also those about the operator.',
          unit: 'none',
          width: 4,
          queries: [
            { expr: 'count(ALERTS{alertname=~"Millrace.*", alertstate="firing"}) or vector(0)', legend: 'alerts' },
          ],
          steps: [{ from: 1, color: 'red' }],
        },
      ],
    },
    {
      title: 'Instances',
      panels: [
        {
          kind: 'table',
          title: 'Instances',
          description: 'A line per SyncInstance.',
          unit: 'none',
          width: 24,
          labels: ['namespace', 'instance', 'version', 'image'],
          columns: [
            {
              expr: `max by (namespace, instance, version, image) (millrace_instance_info{${SCOPE}})`,
              legend: 'Known',
              unit: 'bool_yes_no',
            },
            {
              expr: conditionHolds('Ready', 'namespace, instance'),
              legend: 'Ready',
              unit: 'bool_yes_no',
              steps: [
                { from: 0, color: 'red' },
                { from: 1, color: 'green' },
              ],
            },
            {
              expr: `sum by (namespace, instance) (millrace_instance_connected_clients{${SCOPE}})`,
              legend: 'Clients',
              unit: 'short',
            },
            {
              expr: `max by (namespace, instance) (millrace_instance_replication_lag_seconds{${SCOPE}})`,
              legend: 'Lag',
              unit: 's',
              steps: LAG_STEPS,
            },
            {
              expr: `min by (namespace, instance) (millrace_instance_source_log_hours_until_loss{${SCOPE}})`,
              legend: 'Log lost in',
              unit: 'h',
              steps: HOURS_STEPS,
            },
          ],
        },
        {
          kind: 'timeline',
          title: 'Ready',
          description: 'Since when an instance is ready or not.',
          unit: 'none',
          width: 12,
          queries: [{ expr: conditionHolds('Ready', 'namespace, instance'), legend: '{{namespace}}/{{instance}}' }],
        },
        {
          kind: 'curves',
          title: 'Lag',
          description:
            'Age of the oldest change of the source that bucket storage does not have yet; the largest of each instance.',
          unit: 's',
          width: 12,
          queries: [
            {
              expr: `max by (namespace, instance) (millrace_instance_replication_lag_seconds{${SCOPE}})`,
              legend: '{{namespace}}/{{instance}}',
            },
          ],
          steps: LAG_STEPS,
        },
        {
          kind: 'curves',
          title: 'Connected clients',
          description: 'Open sync streams of each instance.',
          unit: 'short',
          width: 12,
          stacked: true,
          queries: [
            {
              expr: `sum by (namespace, instance) (millrace_instance_connected_clients{${SCOPE}})`,
              legend: '{{namespace}}/{{instance}}',
            },
          ],
        },
        {
          kind: 'curves',
          title: 'Sent to clients',
          description: 'Bytes on the wire (O-174), of instances that are scraped.',
          unit: 'Bps',
          width: 12,
          stacked: true,
          queries: [
            {
              expr: rate('powersync_data_sent_bytes_total', SCOPE, 'namespace, instance'),
              legend: '{{namespace}}/{{instance}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Operator',
      panels: [
        {
          kind: 'timeline',
          title: 'Working operator',
          description:
            'Which operator holds the Lease. None: sync goes on, but nothing is scaled, upgraded or repaired.',
          unit: 'none',
          width: 8,
          queries: [{ expr: 'max by (pod) (millrace_operator_leader)', legend: '{{pod}}' }],
        },
        {
          kind: 'curves',
          title: 'Reconciled',
          description:
            'Instances per second by outcome. Failures are tried again, ever more rarely; the log and events say why.',
          unit: 'cps',
          width: 8,
          queries: [{ expr: operatorRate('millrace_operator_reconciles_total', 'outcome'), legend: '{{outcome}}' }],
        },
        {
          kind: 'curves',
          title: 'Time to reconcile',
          description: 'Of one instance.',
          unit: 's',
          width: 8,
          queries: [
            { expr: reconcileQuantile(0.5), legend: 'median' },
            { expr: reconcileQuantile(0.99), legend: 'p99' },
          ],
        },
        {
          kind: 'curves',
          title: 'Waiting instances',
          description: 'That are to be reconciled now. Above 0 for long: raise `concurrency` of the chart.',
          unit: 'short',
          width: 8,
          queries: [{ expr: 'max by (pod) (millrace_operator_queue_length)', legend: '{{pod}}' }],
        },
        {
          kind: 'curves',
          title: 'Objects written',
          description:
            'By kind and verb. None in steady state: a constant rate means that somebody else writes the same objects.',
          unit: 'cps',
          width: 8,
          queries: [
            { expr: operatorRate('millrace_operator_writes_total', 'kind, verb'), legend: '{{verb}} {{kind}}' },
          ],
        },
        {
          kind: 'curves',
          title: 'Errors of the Kubernetes API',
          description: 'By reason. Conflicts now and then are normal; Forbidden means that roles are missing.',
          unit: 'cps',
          width: 8,
          queries: [{ expr: operatorRate('millrace_operator_kube_errors_total', 'reason'), legend: '{{reason}}' }],
        },
      ],
    },
  ],
};
