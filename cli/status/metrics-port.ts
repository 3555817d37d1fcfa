/** What every process serves on its metrics port: figures, probes and its status (O-163…O-168, O-170, docs/adr/0008-operator.md). */
import type { Registry } from 'prom-client';
import { probeRoutes, type Health } from '#core/platform/health.ts';
import { startHttpEndpoint, type HttpEndpoint } from '#core/platform/http-endpoint.ts';
import { metricsAnswer } from '#core/platform/metrics.ts';
import type { PartStatus } from '#core/platform/status/contract.ts';

export interface MetricsPortOptions {
  /** 0 picks a free one. */
  readonly port: number;
  readonly host?: string;
  readonly registry: Registry;
  /** Before each scrape: brings figures up to date that nobody sets. */
  readonly refresh?: () => void;
  /** Null: `/probes/*` is turned off (O-167). */
  readonly health: Health | null;
  readonly status: () => Promise<PartStatus>;
}

/** Needs no token; must not be reachable from outside of the cluster. Rejects with PSYNC_S0110 when the port is in use. */
export function startMetricsPort(options: MetricsPortOptions): Promise<HttpEndpoint> {
  const { port, host, registry, refresh, health, status } = options;
  return startHttpEndpoint({
    port,
    ...(host === undefined ? {} : { host }),
    routes: {
      ...(health === null ? {} : probeRoutes(health)),
      '/metrics'() {
        refresh?.();
        return metricsAnswer(registry);
      },
      '/status': async () => ({
        status: 200,
        contentType: 'application/json; charset=utf-8',
        body: JSON.stringify(await status()),
      }),
    },
  });
}
