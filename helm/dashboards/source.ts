import type { DashboardDescription } from './description.ts';
import { processPanels } from './process-rows.ts';
import {
  ERROR_STEPS,
  HOURS_STEPS,
  INSTANCE,
  LAG_STEPS,
  medianAndP99,
  NAMESPACE,
  rate,
  SCOPE,
  SOURCE,
  SOURCE_SCOPE,
} from './queries.ts';

/** The processes of the source, also in metrics without a label `source`: the PodMonitor puts the pod's label on all. */
const PROCESSES = `${SCOPE}, millrace_dev_source=~"$source"`;

/** One source: its leader, its lag, its change log. */
export const source: DashboardDescription = {
  name: 'source',
  title: 'Millrace / Source',
  description:
    'One source of a SyncInstance: who replicates it, how far behind, how much of its change log is kept for us.',
  variables: [
    { ...NAMESPACE, single: true },
    { ...INSTANCE, single: true },
    { ...SOURCE, single: true },
  ],
  rows: [
    {
      title: 'State',
      panels: [
        {
          kind: 'timeline',
          title: 'Leader',
          description:
            'The pod that replicates; the others are warm standbys. None for more than a few seconds: replication stands still.',
          unit: 'none',
          width: 12,
          queries: [{ expr: `max by (pod) (millrace_replication_leader{${SOURCE_SCOPE}})`, legend: '{{pod}}' }],
        },
        {
          kind: 'figure',
          title: 'Lag',
          description: 'Age of the oldest change of the source that bucket storage does not have yet.',
          unit: 's',
          width: 4,
          queries: [{ expr: `max(millrace_replication_lag_seconds{${SOURCE_SCOPE}})`, legend: 'lag' }],
          steps: LAG_STEPS,
        },
        {
          kind: 'figure',
          title: 'Connected',
          description: 'Whether the leader reaches the source.',
          unit: 'bool_yes_no',
          width: 4,
          queries: [{ expr: `max(millrace_source_connected{${SOURCE_SCOPE}})`, legend: 'connected' }],
          steps: [
            { from: 0, color: 'red' },
            { from: 1, color: 'green' },
          ],
        },
        {
          kind: 'figure',
          title: 'Change log lost in',
          description:
            'At the present rate of writes. After that the source drops what we have not read, and it is copied anew.',
          unit: 'h',
          width: 4,
          queries: [{ expr: `min(millrace_instance_source_log_hours_until_loss{${SOURCE_SCOPE}})`, legend: 'hours' }],
          steps: HOURS_STEPS,
        },
      ],
    },
    {
      title: 'Lag',
      panels: [
        {
          kind: 'curves',
          title: 'Lag in time',
          description: 'Age of the oldest change of the source that bucket storage does not have yet.',
          unit: 's',
          width: 8,
          queries: [{ expr: `max by (pod) (millrace_replication_lag_seconds{${SOURCE_SCOPE}})`, legend: '{{pod}}' }],
          steps: LAG_STEPS,
        },
        {
          kind: 'curves',
          title: 'Change log not acknowledged',
          description: 'What the source keeps because we have not confirmed it (Postgres: WAL).',
          unit: 'bytes',
          width: 8,
          queries: [
            { expr: `max(millrace_replication_lag_bytes{${SOURCE_SCOPE}})`, legend: 'not acknowledged' },
            {
              expr: `max(millrace_instance_replication_lag_bytes{${SOURCE_SCOPE}})`,
              legend: 'as the operator reads it',
            },
          ],
        },
        {
          kind: 'curves',
          title: 'Change log kept, and its limit',
          description:
            'What the source keeps for this instance, and where it starts to drop it (Postgres: max_slot_wal_keep_size).',
          unit: 'bytes',
          width: 8,
          queries: [
            { expr: `max(millrace_instance_source_log_retained_bytes{${SOURCE_SCOPE}})`, legend: 'kept' },
            { expr: `max(millrace_instance_source_log_limit_bytes{${SOURCE_SCOPE}})`, legend: 'limit' },
          ],
        },
      ],
    },
    {
      title: 'Copy',
      panels: [
        {
          kind: 'curves',
          title: 'Copied',
          description: 'Share of the copy on its way, by the statistics of the source; nothing without one.',
          unit: 'percentunit',
          width: 12,
          queries: [
            {
              expr: `max(millrace_instance_snapshot_rows_copied{${SOURCE_SCOPE}}) / max(millrace_instance_snapshot_rows_estimated{${SOURCE_SCOPE}})`,
              legend: 'copied',
            },
          ],
        },
        {
          kind: 'curves',
          title: 'Rows copied',
          description: 'By snapshots, per second.',
          unit: 'ops',
          width: 12,
          queries: [{ expr: rate('millrace_snapshot_rows_total', SOURCE_SCOPE, 'pod'), legend: '{{pod}}' }],
        },
      ],
    },
    {
      title: 'Work',
      panels: [
        {
          kind: 'curves',
          title: 'Commit to decoded',
          description:
            'From commit in the source until it is decoded, evaluated and its flush begins. High: the leader lacks CPU, or the source sends late.',
          unit: 's',
          width: 8,
          queries: medianAndP99('millrace_commit_decoded_seconds', SOURCE_SCOPE),
        },
        {
          kind: 'curves',
          title: 'Commit to stored',
          description: 'The same and the flush to bucket storage.',
          unit: 's',
          width: 8,
          queries: medianAndP99('millrace_commit_stored_seconds', SOURCE_SCOPE),
        },
        {
          kind: 'curves',
          title: 'Flush',
          description: 'Duration of a flush. High: bucket storage is slow.',
          unit: 's',
          width: 8,
          queries: medianAndP99('millrace_flush_seconds', SOURCE_SCOPE),
        },
        {
          kind: 'curves',
          title: 'Rows',
          description: 'Streamed, and copied by snapshots.',
          unit: 'ops',
          width: 8,
          queries: [
            { expr: rate('powersync_rows_replicated_total', PROCESSES), legend: 'streamed' },
            { expr: rate('millrace_snapshot_rows_total', SOURCE_SCOPE), legend: 'copied' },
          ],
        },
        {
          kind: 'curves',
          title: 'Transactions and chunks',
          description: 'Of the change stream.',
          unit: 'ops',
          width: 8,
          queries: [
            { expr: rate('powersync_transactions_replicated_total', PROCESSES), legend: 'transactions' },
            { expr: rate('powersync_chunks_replicated_total', PROCESSES), legend: 'chunks' },
          ],
        },
        {
          kind: 'curves',
          title: 'Bytes',
          description: 'Read from the source, uncompressed.',
          unit: 'Bps',
          width: 8,
          queries: [{ expr: rate('powersync_data_replicated_bytes_total', PROCESSES), legend: 'replicated' }],
        },
        {
          kind: 'curves',
          title: 'Errors',
          description: 'By code; the log and the status of the SyncInstance say what to do.',
          unit: 'cps',
          width: 8,
          queries: [{ expr: rate('millrace_replication_errors_total', SOURCE_SCOPE, 'code'), legend: '{{code}}' }],
          steps: ERROR_STEPS,
        },
        {
          kind: 'heatmap',
          title: 'Commit to stored',
          description: 'How many commits took how long.',
          unit: 's',
          width: 16,
          queries: [
            {
              expr: `sum by (le) (increase(millrace_commit_stored_seconds_bucket{${SOURCE_SCOPE}}[$__rate_interval]))`,
              legend: '{{le}}',
            },
          ],
        },
      ],
    },
    { title: 'Processes', panels: processPanels(PROCESSES) },
  ],
};
