/** The metrics of one instance and its operator, exposed by the program's own registries, with every label in use. */
import { Counter, Gauge, Histogram, Registry, type Metric } from 'prom-client';
import { startHttpEndpoint, type HttpEndpoint } from '#core/platform/http-endpoint.ts';
import {
  collectProcessMetrics,
  createMetrics,
  METRICS,
  metricsAnswer,
  type MetricDefinition,
  type MetricOwner,
} from '#core/platform/metrics.ts';
import { createOperatorMetrics, OPERATOR_METRICS } from '#operator/metrics.ts';
import type { ScrapeTarget } from '#test/services/prometheus.ts';

/** What labels hold; each with values that queries ask for by name. */
const LABEL_VALUES: Record<string, readonly string[]> = {
  namespace: ['apps'],
  instance: ['demo'],
  source: ['default'],
  type: ['Ready', 'SyncConfigValid', 'SyncConfigDeployed', 'ApiAvailable'],
  status: ['True', 'False', 'Unknown'],
  result: ['hit', 'shared', 'miss'],
  outcome: ['success', 'failure'],
  state: ['active', 'processing', 'errored', 'desired', 'ready'],
};

type Exposed = { definitions: Record<string, Omit<MetricDefinition, 'owner'>>; registry: Registry; metrics: object };

export type Exposition = { targets: ScrapeTarget[]; close(): Promise<void> };

/** Starts a target per kind of process. Counters and histograms grow with every scrape, so that rates have values. */
export async function startExposition(): Promise<Exposition> {
  const endpoints: HttpEndpoint[] = [];
  const targets: ScrapeTarget[] = [];
  const expose = async (exposed: Exposed, labels: Record<string, string>, honorLabels: boolean) => {
    collectProcessMetrics(exposed.registry);
    const endpoint = await startHttpEndpoint({
      port: 0,
      host: '127.0.0.1',
      routes: {
        '/metrics'() {
          grow(exposed);
          return metricsAnswer(exposed.registry);
        },
      },
    });
    endpoints.push(endpoint);
    targets.push({ port: endpoint.port, labels, honorLabels });
  };
  const part = (owner: MetricOwner): Exposed => {
    const registry = new Registry();
    return { definitions: METRICS, registry, metrics: createMetrics(registry, [owner]) };
  };
  // What the PodMonitor of an instance puts on all metrics (operator/sync-instance/desired).
  const pod = (name: string, source?: string) => ({
    namespace: 'apps',
    instance: 'demo',
    pod: name,
    ...(source === undefined ? {} : { millrace_dev_source: source }),
  });
  await expose(part('api'), pod('demo-api-7d9c-abcde'), false);
  await expose(part('replicator'), pod('demo-replicator-default-58b6-xyz12', 'default'), false);
  await expose(part('compactor'), pod('demo-compact-29000-qwert'), false);
  const registry = new Registry();
  const operator = { definitions: OPERATOR_METRICS, registry, metrics: createOperatorMetrics(registry) };
  await expose(operator, { namespace: 'millrace-system', pod: 'millrace-operator-1' }, true);
  return { targets, close: async () => void (await Promise.all(endpoints.map((endpoint) => endpoint.close()))) };
}

function grow({ definitions, metrics }: Exposed): void {
  for (const [name, metric] of Object.entries(metrics as Record<string, Metric>)) {
    for (const labels of combinations(definitions[name]?.labels ?? [])) {
      if (metric instanceof Counter) metric.inc(labels, 5);
      else if (metric instanceof Histogram) metric.observe(labels, 0.02);
      else if (metric instanceof Gauge) metric.set(labels, name.endsWith('_leader') ? 1 : 42);
    }
  }
}

function combinations(labels: readonly string[]): Record<string, string>[] {
  let found: Record<string, string>[] = [{}];
  for (const label of labels) {
    const values = LABEL_VALUES[label] ?? ['some'];
    found = found.flatMap((one) => values.map((value) => ({ ...one, [label]: value })));
  }
  return found;
}
