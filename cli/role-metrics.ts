import type { Registry } from 'prom-client';
import { createMetrics, type MetricOwner, type Metrics } from '#core/platform/metrics.ts';
import { VERSION } from './version.ts';

const OWNERS = {
  unified: ['api', 'replicator'],
  sync: ['replicator'],
  api: ['api'],
  compactor: ['compactor'],
} as const satisfies Record<string, readonly MetricOwner[]>;

/** The metrics that a process of this role exposes; what it is stands among them. */
export function roleMetrics(registry: Registry, role: keyof typeof OWNERS): Metrics {
  const metrics = createMetrics(registry, OWNERS[role]);
  metrics.millrace_build_info.set({ version: VERSION, role }, 1);
  return metrics;
}
