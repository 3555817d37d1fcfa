import type { DashboardDescription } from './description.ts';
import { ERROR_STEPS, INSTANCE, NAMESPACE, quantile, rate, SCOPE } from './queries.ts';

/** Bucket storage: how much it holds, how fast it is, whether it is compacted. */
export const storage: DashboardDescription = {
  name: 'storage',
  title: 'Millrace / Storage and compaction',
  description: 'Bucket storage of a SyncInstance: its size, its speed, its errors, and whether it is compacted.',
  variables: [
    { ...NAMESPACE, single: true },
    { ...INSTANCE, single: true },
  ],
  rows: [
    {
      title: 'Size',
      panels: [
        {
          kind: 'curves',
          title: 'Operation history',
          description: 'Grows with every change; compaction takes away what clients no longer need.',
          unit: 'bytes',
          width: 8,
          queries: [{ expr: `max(powersync_operation_storage_size_bytes{${SCOPE}})`, legend: 'operations' }],
        },
        {
          kind: 'curves',
          title: 'Current rows',
          description: 'What is kept of rows, where a source does not send it with each change.',
          unit: 'bytes',
          width: 8,
          queries: [{ expr: `max(powersync_replication_storage_size_bytes{${SCOPE}})`, legend: 'rows' }],
        },
        {
          kind: 'curves',
          title: 'Parameter lookups',
          description: 'What the parameter queries of the sync config read.',
          unit: 'bytes',
          width: 8,
          queries: [{ expr: `max(powersync_parameter_storage_size_bytes{${SCOPE}})`, legend: 'lookups' }],
        },
      ],
    },
    {
      title: 'Speed and errors',
      panels: [
        {
          kind: 'curves',
          title: 'Flush',
          description: 'Duration of a flush of the replicator.',
          unit: 's',
          width: 8,
          queries: [
            { expr: quantile(0.5, 'millrace_flush_seconds', SCOPE, 'source'), legend: '{{source}} median' },
            { expr: quantile(0.99, 'millrace_flush_seconds', SCOPE, 'source'), legend: '{{source}} p99' },
          ],
        },
        {
          kind: 'curves',
          title: 'Reads of chunks from storage',
          description: 'By API workers, that no cache could answer.',
          unit: 'cps',
          width: 8,
          queries: [
            { expr: rate('millrace_chunk_cache_reads_total', `${SCOPE}, result="miss"`, 'pod'), legend: '{{pod}}' },
          ],
        },
        {
          kind: 'curves',
          title: 'Errors',
          description: 'Of bucket storage, by code and pod.',
          unit: 'cps',
          width: 8,
          queries: [{ expr: rate('millrace_storage_errors_total', SCOPE, 'pod, code'), legend: '{{pod}} {{code}}' }],
          steps: ERROR_STEPS,
        },
      ],
    },
    {
      title: 'Compaction',
      panels: [
        {
          kind: 'figure',
          title: 'Since the last success',
          description: 'By the CronJob of the instance.',
          unit: 's',
          width: 6,
          queries: [
            {
              expr: `time() - max(millrace_instance_compaction_last_success_timestamp_seconds{${SCOPE}})`,
              legend: 'since success',
            },
          ],
          steps: [
            { from: 2 * 86_400, color: 'yellow' },
            { from: 8 * 86_400, color: 'red' },
          ],
        },
        {
          kind: 'figure',
          title: 'Since the last failure',
          description: 'Of interest when it is the shorter time of the two.',
          unit: 's',
          width: 6,
          queries: [
            {
              expr: `time() - max(millrace_instance_compaction_last_failure_timestamp_seconds{${SCOPE}})`,
              legend: 'since failure',
            },
          ],
        },
        {
          kind: 'curves',
          title: 'Work of a run',
          description: 'While one is scraped; short runs end before that.',
          unit: 'ops',
          width: 12,
          queries: [
            { expr: rate('millrace_compaction_buckets_total', SCOPE), legend: 'buckets' },
            { expr: rate('millrace_compaction_operations_removed_total', SCOPE), legend: 'operations taken away' },
          ],
        },
      ],
    },
  ],
};
