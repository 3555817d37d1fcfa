import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { realClock } from '#core/platform/clock.ts';
import { createHealth, type Health } from '#core/platform/health.ts';
import type { HttpEndpoint } from '#core/platform/http-endpoint.ts';
import { collectProcessMetrics, createMetrics } from '#core/platform/metrics.ts';
import { readPartStatus } from '#core/platform/status/parse.ts';
import { startMetricsPort } from './metrics-port.ts';
import { createPartStatus } from './part-status.ts';

async function withPort(probed: boolean, work: (url: string, health: Health) => Promise<void>): Promise<void> {
  const health = createHealth(realClock);
  const [registry, other] = [new Registry(), new Registry()];
  createMetrics(other, ['replicator']).powersync_rows_replicated_total.inc(99);
  const metrics = createMetrics(registry, ['replicator']);
  collectProcessMetrics(registry);
  const endpoint: HttpEndpoint = await startMetricsPort({
    ...{ port: 0, host: '127.0.0.1', registry, health: probed ? health : null },
    refresh: () => metrics.powersync_rows_replicated_total.inc(3),
    status: createPartStatus({
      ...{ role: 'sync', version: '1', instance: 'i', clock: realClock, health, tags: ['a'] },
      storage: () => null,
      reports: () => [],
      api: () => null,
    }),
  });
  const url = `http://127.0.0.1:${endpoint.port}`;
  try {
    await work(url, health);
  } finally {
    await endpoint.close();
    health.close();
  }
  await expect(fetch(`${url}/metrics`)).rejects.toThrow();
}

test('figures on a port of their own, side by side with another registry, brought up to date for each scrape (O-63, O-170)', () =>
  withPort(true, async (url) => {
    const response = await fetch(`${url}/metrics`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
    const text = await response.text();
    expect(text).toContain('powersync_rows_replicated_total 3\n');
    expect(text).toMatch(/millrace_process_resident_memory_bytes \d+/);
  }));

test('probes beside them, for processes without an API (O-163…O-168)', () =>
  withPort(true, async (url, health) => {
    const status = async (kind: string): Promise<number> => (await fetch(`${url}/probes/${kind}`)).status;
    expect([await status('startup'), await status('liveness'), await status('readiness')]).toEqual([400, 200, 400]);
    health.started();
    expect([await status('startup'), await status('readiness')]).toEqual([200, 200]);
    health.condition('draining').set(false);
    expect([await status('startup'), await status('readiness')]).toEqual([200, 400]);
  }));

test('no probes where they are turned off (O-167)', () =>
  withPort(false, async (url) => {
    expect((await fetch(`${url}/probes/liveness`)).status).toBe(404);
  }));

test('the status, also before bucket storage is open', () =>
  withPort(true, async (url) => {
    const { status, problem } = readPartStatus(await (await fetch(`${url}/status`)).text());
    expect(problem).toBeUndefined();
    expect(status).toMatchObject({
      ...{ role: 'sync', instance: 'i', ready: false, api: null, syncConfig: null },
      storage: { reachable: false, error: { code: 'PSYNC_S2402' } },
      sources: [{ tag: 'a', leader: false, state: 'Unknown' }],
    });
  }));
