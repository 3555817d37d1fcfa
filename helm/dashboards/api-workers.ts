import type { DashboardDescription } from './description.ts';
import { processPanels } from './process-rows.ts';
import { API_POD, ERROR_STEPS, INSTANCE, medianAndP99, NAMESPACE, POD_SCOPE, quantile, rate } from './queries.ts';

/** The workers that serve clients: rate, errors, duration, and what they hold. */
export const apiWorkers: DashboardDescription = {
  name: 'api-workers',
  title: 'Millrace / API workers',
  description: 'The workers that serve clients: connections against their limit, rate, errors, duration, caches.',
  variables: [{ ...NAMESPACE, single: true }, { ...INSTANCE, single: true }, API_POD],
  rows: [
    {
      title: 'Connections',
      panels: [
        {
          kind: 'curves',
          title: 'Open sync streams',
          description: 'Per worker, and what one takes at most.',
          unit: 'short',
          width: 8,
          queries: [
            { expr: `max by (pod) (powersync_concurrent_connections{${POD_SCOPE}})`, legend: '{{pod}}' },
            { expr: `min(millrace_connection_limit{${POD_SCOPE}})`, legend: 'limit of a worker' },
          ],
        },
        {
          kind: 'curves',
          title: 'Ended sync streams',
          description:
            'By reason. Clients reconnect by themselves; many `error` or `draining` at once are worth a look.',
          unit: 'cps',
          width: 8,
          stacked: true,
          queries: [
            { expr: rate('millrace_sync_streams_total', POD_SCOPE, 'close_reason'), legend: '{{close_reason}}' },
          ],
        },
        {
          kind: 'curves',
          title: 'Refused tokens',
          description: 'By code. Some are normal (expired tokens); a jump means keys or clocks.',
          unit: 'cps',
          width: 8,
          queries: [{ expr: rate('millrace_authentication_failures_total', POD_SCOPE, 'code'), legend: '{{code}}' }],
        },
      ],
    },
    {
      title: 'Delivery',
      panels: [
        {
          kind: 'curves',
          title: 'Stored to sent',
          description: 'From the commit of a checkpoint in bucket storage until a stream has sent it.',
          unit: 's',
          width: 8,
          queries: [
            { expr: quantile(0.5, 'millrace_checkpoint_delivery_seconds', POD_SCOPE), legend: 'median' },
            { expr: quantile(0.95, 'millrace_checkpoint_delivery_seconds', POD_SCOPE), legend: 'p95' },
            { expr: quantile(0.99, 'millrace_checkpoint_delivery_seconds', POD_SCOPE), legend: 'p99' },
          ],
          steps: [{ from: 5, color: 'red' }],
        },
        {
          kind: 'curves',
          title: 'Stored to visible',
          description:
            'Until the worker can announce it. High without Redis is normal: workers then look every so often.',
          unit: 's',
          width: 8,
          queries: medianAndP99('millrace_commit_visible_seconds', POD_SCOPE),
        },
        {
          kind: 'heatmap',
          title: 'Stored to sent',
          description: 'How many deliveries took how long.',
          unit: 's',
          width: 8,
          queries: [
            {
              expr: `sum by (le) (increase(millrace_checkpoint_delivery_seconds_bucket{${POD_SCOPE}}[$__rate_interval]))`,
              legend: '{{le}}',
            },
          ],
        },
        {
          kind: 'curves',
          title: 'Operations',
          description: 'Sent to clients, by stream of the sync config: the ten largest.',
          unit: 'ops',
          width: 8,
          queries: [
            {
              expr: `topk(10, ${rate('millrace_stream_operations_synced_total', POD_SCOPE, 'stream')})`,
              legend: '{{stream}}',
            },
          ],
        },
        {
          kind: 'curves',
          title: 'Bytes by stream',
          description: 'Uncompressed size of the operations, by stream of the sync config: the ten largest.',
          unit: 'Bps',
          width: 8,
          queries: [
            {
              expr: `topk(10, ${rate('millrace_stream_data_synced_bytes_total', POD_SCOPE, 'stream')})`,
              legend: '{{stream}}',
            },
          ],
        },
        {
          kind: 'curves',
          title: 'Bytes',
          description: 'Before compression, and on the wire (what the network costs).',
          unit: 'Bps',
          width: 8,
          queries: [
            { expr: rate('powersync_data_synced_bytes_total', POD_SCOPE), legend: 'synced' },
            { expr: rate('powersync_data_sent_bytes_total', POD_SCOPE), legend: 'sent' },
          ],
        },
        {
          kind: 'curves',
          title: 'Sync streams woken, and waiting for their client',
          description: 'Streams that a commit concerned; times that a slow client made one wait.',
          unit: 'cps',
          width: 8,
          queries: [
            { expr: rate('millrace_sessions_woken_total', POD_SCOPE), legend: 'woken' },
            { expr: rate('millrace_client_waits_total', POD_SCOPE), legend: 'waiting for the client' },
          ],
        },
        {
          kind: 'curves',
          title: 'Operations per worker',
          description: 'Uneven: the load balancer keeps old connections on old workers, which is normal after scaling.',
          unit: 'ops',
          width: 8,
          queries: [{ expr: rate('powersync_operations_synced_total', POD_SCOPE, 'pod'), legend: '{{pod}}' }],
        },
        {
          kind: 'curves',
          title: 'Storage errors',
          description: 'Of bucket storage, by code.',
          unit: 'cps',
          width: 8,
          queries: [{ expr: rate('millrace_storage_errors_total', POD_SCOPE, 'code'), legend: '{{code}}' }],
          steps: ERROR_STEPS,
        },
      ],
    },
    {
      title: 'Caches',
      panels: [
        {
          kind: 'curves',
          title: 'Reads of chunks that needed no storage',
          description:
            'From the cache, or shared with another stream that reads the same. Low: the chunk cache is too small for what clients read.',
          unit: 'percentunit',
          width: 6,
          queries: [
            {
              expr: `${rate('millrace_chunk_cache_reads_total', `${POD_SCOPE}, result=~"hit|shared"`)} / ${rate('millrace_chunk_cache_reads_total', POD_SCOPE)}`,
              legend: 'hits',
            },
          ],
        },
        {
          kind: 'curves',
          title: 'Cached',
          description: 'Bytes of cached chunks and lookup results.',
          unit: 'bytes',
          width: 6,
          queries: [
            { expr: `sum by (pod) (millrace_chunk_cache_bytes{${POD_SCOPE}})`, legend: '{{pod}} chunks' },
            { expr: `sum by (pod) (millrace_lookup_cache_bytes{${POD_SCOPE}})`, legend: '{{pod}} lookups' },
          ],
        },
        {
          kind: 'curves',
          title: 'Reads of chunks that wait',
          description: 'For their turn at bucket storage. Above 0 for long: storage is slow, or the pool is small.',
          unit: 'short',
          width: 6,
          queries: [{ expr: `max by (pod) (millrace_chunk_reads_waiting{${POD_SCOPE}})`, legend: '{{pod}}' }],
        },
        {
          kind: 'curves',
          title: 'Buckets held',
          description: 'Different buckets that streams of a worker hold.',
          unit: 'short',
          width: 6,
          queries: [{ expr: `max by (pod) (millrace_held_buckets{${POD_SCOPE}})`, legend: '{{pod}}' }],
        },
      ],
    },
    { title: 'Processes', panels: processPanels(POD_SCOPE) },
  ],
};
