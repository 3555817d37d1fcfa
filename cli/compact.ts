/** `millrace compact` (O-5, O-9, O-151…O-159): one run over all buckets, then exit. Needs bucket storage only (O-156). */
import { Registry } from 'prom-client';
import type { BucketOutcome } from '#compactor/compact-bucket.ts';
import { runCompaction, type RunResult } from '#compactor/run.ts';
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import { realClock } from '#core/platform/clock.ts';
import type { ConfigFlags } from '#core/platform/config/load.ts';
import type { ServiceConfig } from '#core/platform/config/service-config.ts';
import { startHttpEndpoint, type HttpEndpoint } from '#core/platform/http-endpoint.ts';
import { DEFAULT_CLEAR_BATCH_THROTTLE_RATE } from '#core/platform/limits.ts';
import type { Logger } from '#core/platform/logging.ts';
import { collectProcessMetrics, metricsAnswer, type Metrics } from '#core/platform/metrics.ts';
import { assertOwned } from './claim.ts';
import { openStorage } from './instance.ts';
import { loadForCommand } from './one-shot.ts';
import { roleMetrics } from './role-metrics.ts';

export interface CompactOptions {
  /** Wins over `system.instance_id`. */
  readonly instance?: string;
}

/** Told to stop, it ends after the step that it is at; what was done by then stays, and the next run goes on. */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Throws PSYNC_S0106 for the storage of another instance, PSYNC_S1005 when its schema is not up to date and may not be migrated, and errors of
 * storage; a run that was told to stop has failed too.
 */
export async function compact(flags: ConfigFlags, { instance }: CompactOptions): Promise<void> {
  const { config, log } = await loadForCommand(flags);
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => stop.abort(new Error(`Stopped by ${signal}.`));
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  const registry = new Registry();
  const metrics = roleMetrics(registry, 'compactor');
  let endpoint: HttpEndpoint | null = null;
  let storage: BucketStorage | null = null;
  try {
    endpoint = await serveMetrics(config, registry);
    storage = await openStorage(config, log, realClock);
    await assertOwned(storage, instance ?? config.instanceId);
    if (config.migrations.disableAutoMigration) await storage.assertMigrated();
    else await storage.migrate();
    await compactStorage(storage, { config, log, metrics, signal: stop.signal });
  } finally {
    for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
    await storage?.close().catch(() => undefined);
    await endpoint?.close();
  }
}

interface Context {
  readonly config: ServiceConfig;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
}

async function compactStorage(storage: BucketStorage, { config, log, metrics, signal }: Context): Promise<void> {
  const started = realClock.monotonic();
  try {
    const result: RunResult = await runCompaction({
      storage,
      clock: realClock,
      log,
      signal,
      throttle: DEFAULT_CLEAR_BATCH_THROTTLE_RATE,
      requestRetentionMs: config.api.checkpointRequestRetentionMs,
      onBucket({ moved, removed }: BucketOutcome) {
        metrics.millrace_compaction_buckets_total.inc();
        metrics.millrace_compaction_operations_removed_total.inc(moved + removed);
      },
    });
    await storage.compaction.recordRun({ endedMs: realClock.now(), succeeded: true });
    metrics.millrace_compaction_runs_total.inc({ outcome: 'success' });
    const seconds = Math.round((realClock.monotonic() - started) / 100) / 10;
    log.info({ ...result, seconds }, 'Compacted bucket storage');
  } catch (error) {
    metrics.millrace_compaction_runs_total.inc({ outcome: 'failure' });
    log.error({ err: error }, 'Compaction did not come to its end; what it did stays, and the next run goes on');
    await storage.compaction.recordRun({ endedMs: realClock.now(), succeeded: false }).catch(() => undefined);
    throw error;
  }
}

/** While it runs; null without `telemetry.prometheus_port`. */
async function serveMetrics(config: ServiceConfig, registry: Registry): Promise<HttpEndpoint | null> {
  const port = config.telemetry.prometheusPort;
  if (port === undefined) return null;
  collectProcessMetrics(registry);
  return startHttpEndpoint({ port, routes: { '/metrics': () => metricsAnswer(registry) } });
}
