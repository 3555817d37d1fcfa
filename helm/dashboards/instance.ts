import type { DashboardDescription, Query } from './description.ts';
import {
  conditionHolds,
  ERROR_STEPS,
  HOURS_STEPS,
  INSTANCE,
  LAG_STEPS,
  NAMESPACE,
  quantile,
  rate,
  SCOPE,
} from './queries.ts';

/** Where the time goes on a change's way from the source to a client. */
const stages = (q: number): Query[] => [
  { expr: quantile(q, 'millrace_commit_decoded_seconds', SCOPE), legend: 'commit to decoded' },
  { expr: quantile(q, 'millrace_commit_stored_seconds', SCOPE), legend: 'commit to stored' },
  { expr: quantile(q, 'millrace_commit_visible_seconds', SCOPE), legend: 'stored to visible' },
  { expr: quantile(q, 'millrace_checkpoint_delivery_seconds', SCOPE), legend: 'stored to sent' },
];

/** One instance, from the source to the client. */
export const instance: DashboardDescription = {
  name: 'instance',
  title: 'Millrace / Instance',
  description: 'One SyncInstance: its conditions, a change’s way from commit to client, and what goes wrong.',
  variables: [
    { ...NAMESPACE, single: true },
    { ...INSTANCE, single: true },
  ],
  rows: [
    {
      title: 'State',
      panels: [
        {
          kind: 'timeline',
          title: 'Conditions',
          description:
            'The conditions of the SyncInstance: `kubectl describe syncinstance` says why one does not hold.',
          unit: 'none',
          width: 12,
          queries: [{ expr: conditionHolds('.*', 'type'), legend: '{{type}}' }],
        },
        {
          kind: 'figure',
          title: 'Connected clients',
          description: 'Open sync streams.',
          unit: 'short',
          width: 4,
          queries: [{ expr: `sum(powersync_concurrent_connections{${SCOPE}})`, legend: 'clients' }],
        },
        {
          kind: 'figure',
          title: 'Connections in use',
          description: 'Of all that the API workers take. At 100 % clients are refused.',
          unit: 'percentunit',
          width: 4,
          queries: [
            {
              expr: `sum(powersync_concurrent_connections{${SCOPE}}) / sum(millrace_connection_limit{${SCOPE}})`,
              legend: 'in use',
            },
          ],
          steps: [
            { from: 0.7, color: 'yellow' },
            { from: 0.85, color: 'red' },
          ],
        },
        {
          kind: 'figure',
          title: 'Change log lost in',
          description: 'Of the source whose retained change log is nearest to its limit.',
          unit: 'h',
          width: 4,
          queries: [{ expr: `min(millrace_instance_source_log_hours_until_loss{${SCOPE}})`, legend: 'hours' }],
          steps: HOURS_STEPS,
        },
      ],
    },
    {
      title: 'From commit to client',
      panels: [
        {
          kind: 'curves',
          title: 'Replication lag',
          description: 'Age of the oldest change of the source that bucket storage does not have yet, per source.',
          unit: 's',
          width: 8,
          queries: [{ expr: `max by (source) (millrace_replication_lag_seconds{${SCOPE}})`, legend: '{{source}}' }],
          steps: LAG_STEPS,
        },
        {
          kind: 'curves',
          title: 'Stages, p99',
          description:
            'Where the time goes: decoded and stored count from the commit in the source; visible and sent from the commit in bucket storage.',
          unit: 's',
          width: 8,
          queries: stages(0.99),
        },
        {
          kind: 'curves',
          title: 'Stages, median',
          description: 'The same for half of the changes.',
          unit: 's',
          width: 8,
          queries: stages(0.5),
        },
        {
          kind: 'curves',
          title: 'Rows replicated',
          description: 'Rows read from the sources, from the change stream and from copies.',
          unit: 'ops',
          width: 8,
          queries: [
            { expr: rate('powersync_rows_replicated_total', SCOPE), legend: 'streamed' },
            { expr: rate('millrace_snapshot_rows_total', SCOPE, 'source'), legend: 'copied from {{source}}' },
          ],
        },
        {
          kind: 'curves',
          title: 'Operations sent',
          description: 'Operations sent to clients.',
          unit: 'ops',
          width: 8,
          queries: [{ expr: rate('powersync_operations_synced_total', SCOPE), legend: 'operations' }],
        },
        {
          kind: 'curves',
          title: 'Bytes',
          description: 'Read from the sources, and sent to clients: before compression and on the wire.',
          unit: 'Bps',
          width: 8,
          queries: [
            { expr: rate('powersync_data_replicated_bytes_total', SCOPE), legend: 'replicated' },
            { expr: rate('powersync_data_synced_bytes_total', SCOPE), legend: 'synced' },
            { expr: rate('powersync_data_sent_bytes_total', SCOPE), legend: 'sent' },
          ],
        },
      ],
    },
    {
      title: 'Errors',
      panels: [
        {
          kind: 'curves',
          title: 'Replication errors',
          description: 'By source and code: docs/sync-config/errors.md and the log say what to do.',
          unit: 'cps',
          width: 8,
          queries: [
            { expr: rate('millrace_replication_errors_total', SCOPE, 'source, code'), legend: '{{source}} {{code}}' },
          ],
          steps: ERROR_STEPS,
        },
        {
          kind: 'curves',
          title: 'Storage errors',
          description: 'Of bucket storage, by code and by what the process does.',
          unit: 'cps',
          width: 8,
          queries: [{ expr: rate('millrace_storage_errors_total', SCOPE, 'code'), legend: '{{code}}' }],
          steps: ERROR_STEPS,
        },
        {
          kind: 'curves',
          title: 'Refused tokens',
          description: 'By code. Some are normal (expired tokens); a jump means keys or clocks.',
          unit: 'cps',
          width: 8,
          queries: [{ expr: rate('millrace_authentication_failures_total', SCOPE, 'code'), legend: '{{code}}' }],
        },
      ],
    },
    {
      title: 'Scale, sync config and versions',
      panels: [
        {
          kind: 'curves',
          title: 'API workers',
          description: 'Desired and ready. Far apart for long: pods do not become ready, or do not fit on a node.',
          unit: 'short',
          width: 8,
          queries: [{ expr: `max by (state) (millrace_instance_api_replicas{${SCOPE}})`, legend: '{{state}}' }],
        },
        {
          kind: 'curves',
          title: 'Version of the sync config',
          description: 'Active, and being processed beside it: 0 means none.',
          unit: 'none',
          width: 8,
          queries: [{ expr: `max by (state) (millrace_sync_config_version{${SCOPE}})`, legend: '{{state}}' }],
        },
        {
          kind: 'curves',
          title: 'Processes by version',
          description: 'What runs: two versions while an upgrade rolls out.',
          unit: 'none',
          width: 8,
          stacked: true,
          queries: [
            { expr: `count by (role, version) (millrace_build_info{${SCOPE}})`, legend: '{{role}} {{version}}' },
          ],
        },
      ],
    },
  ],
};
