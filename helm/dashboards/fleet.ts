import type { DashboardDescription } from './description.ts';
import { conditionHolds, HOURS_STEPS, INSTANCE, LAG_STEPS, NAMESPACE, rate, SCOPE } from './queries.ts';

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
          description: 'From commit in the source to bucket storage; the largest of each instance.',
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
  ],
};
