import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { roleMetrics } from './role-metrics.ts';
import { VERSION } from './version.ts';

const ONE_OF = {
  api: 'powersync_concurrent_connections',
  replicator: 'powersync_rows_replicated_total',
  compactor: 'millrace_compaction_buckets_total',
};

test.each([
  ['unified', ['api', 'replicator']],
  ['sync', ['replicator']],
  ['api', ['api']],
  ['compactor', ['compactor']],
] as const)('%s: its build, and what its parts know (docs/metrics.md)', async (role, parts) => {
  const registry = new Registry();
  roleMetrics(registry, role);
  const text = await registry.metrics();
  expect(text).toContain(`millrace_build_info{version="${VERSION}",role="${role}"} 1\n`);
  const known = Object.entries(ONE_OF).filter(([, name]) => text.includes(`\n${name} 0\n`));
  expect(known.map(([part]) => part)).toEqual(parts);
});
