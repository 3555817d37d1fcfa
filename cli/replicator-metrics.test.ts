import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { realClock } from '#core/platform/clock.ts';
import { createMetrics } from '#core/platform/metrics.ts';
import { replicatorMetrics } from './replicator-metrics.ts';

test('a process that does not lead any more tells nothing that only a leader knows', async () => {
  const registry = new Registry();
  const metrics = replicatorMetrics(createMetrics(registry, ['replicator']), realClock);
  const samples = async (): Promise<string[]> =>
    (await registry.metrics())
      .split('\n')
      .filter((line) => /^millrace_(replication_lag_bytes|source_connected|sync_config_version)\{/.test(line));
  for (const source of ['a', 'b']) {
    metrics.leads(source, true);
    metrics.connected(source, true);
    metrics.lagBytes(source, 42);
  }
  metrics.versions(3, 4);
  metrics.leads('a', false);
  expect(await samples()).toEqual([
    'millrace_replication_lag_bytes{source="b"} 42',
    'millrace_source_connected{source="b"} 1',
    'millrace_sync_config_version{state="active"} 3',
    'millrace_sync_config_version{state="processing"} 4',
  ]);
  metrics.leads('b', false);
  expect(await samples()).toEqual([]);
  // it cannot be reached, which is why it leads no more
  metrics.failed('b', 'PSYNC_S1170');
  expect(await samples()).toEqual(['millrace_source_connected{source="b"} 0']);
});

test('what the replicator tells stands in its metrics (O-185, R-66)', async () => {
  const registry = new Registry();
  const metrics = replicatorMetrics(createMetrics(registry, ['replicator']), realClock);
  metrics.leads('a', true);
  metrics.connected('a', true);
  metrics.lagBytes('a', 42);
  metrics.copied('a', 7);
  metrics.versions(3, null);
  metrics.connected('b', true);
  metrics.failed('b', 'PSYNC_S1170');
  const text = await registry.metrics();
  for (const line of [
    'millrace_replication_leader{source="a"} 1',
    'millrace_source_connected{source="a"} 1',
    'millrace_source_connected{source="b"} 0',
    'millrace_replication_lag_bytes{source="a"} 42',
    'millrace_snapshot_rows_total{source="a"} 7',
    'millrace_sync_config_version{state="active"} 3',
    'millrace_sync_config_version{state="processing"} 0',
    'millrace_replication_errors_total{source="b",code="PSYNC_S1170"} 1',
  ])
    expect(text.split('\n')).toContain(line);
});
