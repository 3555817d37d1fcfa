import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createInstanceMetrics } from './instance-metrics.ts';
import { createOperatorMetrics } from './metrics.ts';
import { createCompileCache } from './sync-instance/compile-cache.ts';
import { decide } from './sync-instance/decide.ts';
import type { Decision } from './sync-instance/decision.ts';
import type { Observed } from './sync-instance/observed.ts';
import { goldenInstance } from './sync-instance/testing/golden-instances.ts';
import { lookAt, NOON, partStatus, playedPod, sourcePart } from './sync-instance/testing/played-pods.ts';

const LAG = 'millrace_instance_replication_lag_seconds';
const compile = createCompileCache();
const labels = { namespace: 'apps', instance: 'demo' };

/** A look at an instance whose leader says that it is so far behind. */
function look(lagSeconds: number, given: Partial<Observed> = {}): [Observed, Decision] {
  const status = partStatus({ role: 'sync', sources: [sourcePart({ lagSeconds })] });
  const pod = playedPod({
    ...{ name: 'demo-replicator-default-1', component: 'replicator', source: 'default' },
    report: { status },
  });
  const observed = lookAt(goldenInstance('minimal'), { pods: [pod], ...given });
  return [observed, decide(observed, compile)];
}

function start() {
  const registry = new Registry();
  const exposed = createInstanceMetrics(createOperatorMetrics(registry));
  const samples = async (name: string) => (await registry.getSingleMetric(name)!.get()).values;
  return { exposed, samples };
}

describe('metrics of an instance (O-185, O-211)', () => {
  test('are those of now, also where the status keeps an older figure', async () => {
    const { exposed, samples } = start();
    const [, { status }] = look(10);
    const instance = { ...goldenInstance('minimal'), status };
    const [observed, decision] = look(14, { instance, now: NOON + 60_000 });
    // Four seconds more are not worth a write.
    expect(decision.status.sources).toMatchObject([{ lagSeconds: 10 }]);
    exposed.looked(observed, decision);
    expect(await samples(LAG)).toEqual([{ value: 14, labels: { ...labels, source: 'default' } }]);
  });

  test('go with the instance, and with the term', async () => {
    const { exposed, samples } = start();
    exposed.looked(...look(10));
    exposed.gone({ namespace: 'apps', name: 'demo' });
    expect(await samples(LAG)).toEqual([]);
    exposed.looked(...look(10));
    exposed.clear();
    expect(await samples(LAG)).toEqual([]);
  });
});
