import type { PanelDescription } from './description.ts';

/** What Node.js says of the processes of `scope`: the last row of the dashboards of a part. */
export function processPanels(scope: string): PanelDescription[] {
  return [
    {
      kind: 'curves',
      title: 'Event loop lag, p99',
      description:
        'How late a process gets to what is due. Above 100 ms everything that it does is late: give it more CPU or less work.',
      unit: 's',
      width: 8,
      queries: [{ expr: `max by (pod) (millrace_nodejs_eventloop_lag_p99_seconds{${scope}})`, legend: '{{pod}}' }],
      steps: [{ from: 0.1, color: 'red' }],
    },
    {
      kind: 'curves',
      title: 'Memory',
      description: 'Resident memory. The heap takes at most 80 % of the container’s limit (O-226).',
      unit: 'bytes',
      width: 8,
      queries: [
        { expr: `max by (pod) (millrace_process_resident_memory_bytes{${scope}})`, legend: '{{pod}}' },
        { expr: `max by (pod) (millrace_nodejs_heap_size_used_bytes{${scope}})`, legend: '{{pod}} heap' },
      ],
    },
    {
      kind: 'curves',
      title: 'CPU',
      description:
        'Cores in use. One process has one main thread; compression and parsing of large results use others.',
      unit: 'none',
      width: 8,
      queries: [
        {
          expr: `sum by (pod) (rate(millrace_process_cpu_seconds_total{${scope}}[$__rate_interval]))`,
          legend: '{{pod}}',
        },
      ],
    },
  ];
}
