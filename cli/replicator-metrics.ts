/** The replicator's figures as the documented metrics (O-172, O-175…O-177, O-183). */
import type { Clock } from '#core/platform/clock.ts';
import type { Metrics } from '#core/platform/metrics.ts';
import type { ReplicatorMetrics } from '#replicator/main.ts';
import type { SourceReport } from '#replicator/report.ts';

export function replicatorMetrics(metrics: Metrics, clock: Clock): ReplicatorMetrics {
  const led = new Set<string>();
  return {
    replicatedBytes: (bytes) => metrics.powersync_data_replicated_bytes_total.inc(bytes),
    replicated(rows, transactions) {
      metrics.powersync_rows_replicated_total.inc(rows);
      metrics.powersync_transactions_replicated_total.inc(transactions);
    },
    flushed(source, figures) {
      metrics.powersync_chunks_replicated_total.inc();
      const { sourceTimeMs, durationMs } = figures;
      metrics.millrace_flush_seconds.observe({ source }, durationMs / 1000);
      if (sourceTimeMs === null) return;
      const seconds = Math.max(0, clock.now() - sourceTimeMs) / 1000;
      metrics.millrace_commit_stored_seconds.observe({ source }, seconds);
      metrics.millrace_commit_decoded_seconds.observe({ source }, Math.max(0, seconds - durationMs / 1000));
    },
    copied: (source, rows) => metrics.millrace_snapshot_rows_total.inc({ source }, rows),
    leads(source, leader) {
      metrics.millrace_replication_leader.set({ source }, leader ? 1 : 0);
      if (leader) {
        led.add(source);
        return;
      }
      led.delete(source);
      // Another process may know better by now: what was seen last would hide it where the largest of all counts.
      metrics.millrace_replication_lag_bytes.remove({ source });
      metrics.millrace_source_connected.remove({ source });
      if (led.size > 0) return;
      for (const state of ['active', 'processing']) metrics.millrace_sync_config_version.remove({ state });
    },
    connected: (source, connected) => metrics.millrace_source_connected.set({ source }, connected ? 1 : 0),
    lagBytes: (source, bytes) => metrics.millrace_replication_lag_bytes.set({ source }, bytes),
    failed(source, code) {
      metrics.millrace_replication_errors_total.inc({ source, code });
      if (code.startsWith('PSYNC_S24')) metrics.millrace_storage_errors_total.inc({ code });
      if (/^PSYNC_S11[67]/.test(code)) metrics.millrace_source_connected.set({ source }, 0);
    },
    versions(active, processing) {
      metrics.millrace_sync_config_version.set({ state: 'active' }, active ?? 0);
      metrics.millrace_sync_config_version.set({ state: 'processing' }, processing ?? 0);
    },
  };
}

/**
 * Keeps the lag of each source that this process leads (O-183): what a flush observed last would stand still when nothing is flushed any more.
 * Called before every scrape.
 */
export function lagGauges(
  { millrace_replication_lag_seconds: gauge }: Pick<Metrics, 'millrace_replication_lag_seconds'>,
  clock: Clock,
): (reports: readonly SourceReport[]) => void {
  const known = new Map<string, { readonly atMs: number; readonly lagMs: number }>();
  return (reports) => {
    for (const { tag: source, leader, streams } of reports) {
      const [served] = streams.toSorted((a, b) => a.version - b.version);
      if (!leader) {
        known.delete(source);
        gauge.remove({ source });
      } else if (served?.lagMs != null) known.set(source, { atMs: clock.monotonic(), lagMs: served.lagMs });
      const last = known.get(source);
      // It streamed, and does not now: the lag grows with time.
      if (last) gauge.set({ source }, (last.lagMs + clock.monotonic() - last.atMs) / 1000);
    }
  };
}
