import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createMetrics, METRICS, type MetricOwner } from './metrics.ts';

const ALL: MetricOwner[] = ['api', 'replicator', 'compactor'];

// wire/14-metrics.txt: name and type as the existing service exposes them, without labels (O-172 … O-183).
const DOCUMENTED = {
  powersync_data_synced_bytes_total: 'counter',
  powersync_data_sent_bytes_total: 'counter',
  powersync_operations_synced_total: 'counter',
  powersync_concurrent_connections: 'gauge',
  powersync_data_replicated_bytes_total: 'counter',
  powersync_rows_replicated_total: 'counter',
  powersync_transactions_replicated_total: 'counter',
  powersync_chunks_replicated_total: 'counter',
  powersync_replication_lag_seconds: 'gauge',
  powersync_replication_storage_size_bytes: 'gauge',
  powersync_operation_storage_size_bytes: 'gauge',
  powersync_parameter_storage_size_bytes: 'gauge',
};

describe('metrics', () => {
  test('the documented ones are exposed under their names, from the start (O-172 … O-183)', async () => {
    const registry = new Registry();
    createMetrics(registry, ALL);
    const text = await registry.metrics();
    for (const [name, type] of Object.entries(DOCUMENTED)) {
      expect(text).toContain(`# TYPE ${name} ${type}\n${name} 0\n`);
    }
    const documented = Object.keys(METRICS).filter((name) => name.startsWith('powersync_'));
    expect(documented.toSorted()).toEqual(Object.keys(DOCUMENTED).toSorted());
  });

  test('names follow the conventions of Prometheus', () => {
    for (const [name, { kind, help }] of Object.entries(METRICS)) {
      expect(name).toMatch(/^(powersync|millrace)_[a-z_]+$/);
      expect([name, name.endsWith('_total')]).toEqual([name, kind === 'counter']);
      expect(help).not.toBe('');
    }
  });

  test('a process exposes only what it knows; the rest can be set and goes nowhere', async () => {
    const registry = new Registry();
    const metrics = createMetrics(registry, ['api']);
    metrics.powersync_rows_replicated_total.inc(5);
    metrics.powersync_operations_synced_total.inc(7);
    metrics.millrace_authentication_failures_total.inc({ code: 'PSYNC_S2103' });
    const text = await registry.metrics();
    expect(text).not.toContain('rows_replicated');
    expect(text).toContain('powersync_operations_synced_total 7');
    expect(text).toContain('millrace_authentication_failures_total{code="PSYNC_S2103"} 1');
    expect(text).toContain('# TYPE millrace_build_info gauge');
  });

  test('the documented lag is that of the source that lags most (O-183)', async () => {
    const registry = new Registry();
    const metrics = createMetrics(registry, ['replicator']);
    metrics.millrace_replication_lag_seconds.set({ source: 'a' }, 2);
    metrics.millrace_replication_lag_seconds.set({ source: 'b' }, 7.5);
    expect(await registry.metrics()).toContain('powersync_replication_lag_seconds 7.5\n');
    metrics.millrace_replication_lag_seconds.remove({ source: 'b' });
    expect(await registry.metrics()).toContain('powersync_replication_lag_seconds 2\n');
  });
});
