/** The page `docs/metrics.md`: every metric with its labels, who exposes it, and what it means. Written by `node cli/metrics-reference.ts`. */
import { writeFile } from 'node:fs/promises';
import { METRICS, type MetricDefinition, type MetricOwner } from '#core/platform/metrics.ts';
import { OPERATOR_METRICS } from '#operator/metrics.ts';

export const METRICS_PAGE = new URL('../docs/metrics.md', import.meta.url);

const EXPOSED_BY: Readonly<Record<MetricOwner, string>> = {
  'every process': 'every process',
  api: 'API workers (`-r api`, `unified`)',
  replicator: 'replicators (`-r sync`, `unified`)',
  compactor: 'the compactor',
};

type Row = Omit<MetricDefinition, 'owner'>;

/** Kinds and labels as Prometheus knows them. */
export function metricsPage(): string {
  const metrics = Object.entries<MetricDefinition>(METRICS);
  const groups = (Object.keys(EXPOSED_BY) as MetricOwner[]).map((owner) =>
    section(
      EXPOSED_BY[owner],
      metrics.filter(([, definition]) => definition.owner === owner),
    ),
  );
  return `${INTRODUCTION}\n${[...groups, section('the operator', Object.entries<Row>(OPERATOR_METRICS), OPERATOR)].join('\n')}`;
}

function section(who: string, metrics: readonly (readonly [string, Row])[], about = ''): string {
  const rows = metrics.map(
    ([name, { kind, labels = [], help, reference = '' }]) =>
      `| \`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} | ${reference} |`,
  );
  return `## Exposed by ${who}\n\n${about}| name | kind | labels | meaning | requirement |\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`;
}

const OPERATOR = `On its own port, of its own work and of each SyncInstance what its status says (O-185, O-211). Those of an instance are there as long as it is; what is
unknown has no sample.

`;

const INTRODUCTION = `# Metrics

<!-- Generated from core/platform/metrics.ts and operator/metrics.ts by "node cli/metrics-reference.ts". Do not edit. -->

In the text format of Prometheus at \`GET /metrics\` on \`telemetry.prometheus_port\` (O-63, O-170), with \`/probes/*\` and \`/status\` on the same
port. It asks for no token: keep it inside of the cluster. Names beginning with \`powersync_\` are those of the PowerSync service and mean the same;
ours begin with \`millrace_\`. Besides, each process exposes what Node.js knows of itself: \`millrace_process_*\` and \`millrace_nodejs_*\`.

Histograms have the usual \`_bucket\`, \`_sum\` and \`_count\`. A counter with labels has a sample from the first time that something happened. Several
leaders expose the same sizes of bucket storage: take the \`max\`.
`;

if (import.meta.main) await writeFile(METRICS_PAGE, metricsPage());
