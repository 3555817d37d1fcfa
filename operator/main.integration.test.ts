import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { realClock } from '#core/platform/clock.ts';
import { kubePrograms } from '#test/services/kube-programs.ts';
import type { Kube } from './kube/contract.ts';
import { SECRETS, SYNC_INSTANCES } from './kube/resource-types.ts';
import { startOperator, type Operator } from './main.ts';
import { createOperatorMetrics } from './metrics.ts';
import { createSecrets, instanceObject, readInstance, startCluster, type Cluster } from './testing/cluster.ts';
import { startDataPlane, type DataPlane } from './testing/data-plane.ts';
import { createKubelet } from './testing/kubelet.ts';

// Real API server, watches, queue and Lease; kubelet, controllers and data plane are played (operator/testing).
const programs = await kubePrograms();
const missing = typeof programs === 'string' ? ` (${programs})` : '';
const log = { debug() {}, info() {}, warn() {}, error() {} };
let cluster: Cluster;

beforeAll(async () => {
  if (missing === '') cluster = await startCluster();
});
afterAll(() => cluster?.close());

interface Process {
  readonly operator: Operator;
  metric(name: string): Promise<number>;
  /** No request of it is answered any more. */
  kill(): void;
}

function startProcess(namespace: string, plane: DataPlane, identity: string): Process {
  let dead = false;
  const never = new Promise<never>(() => undefined);
  const kube = new Proxy(cluster.kube, {
    get: (real, method: keyof Kube) => (dead && method !== 'watch' ? () => never : real[method]),
  });
  const registry = new Registry();
  const operator = startOperator({
    ...{ kube, namespaces: [namespace], lease: { namespace, name: 'operator' }, identity },
    ...{ defaultImage: 'registry.example.com/millrace:1', operatorNamespace: null, concurrency: 2 },
    ...{ clock: realClock, random: Math.random, log, metrics: createOperatorMetrics(registry) },
    fail(error) {
      throw error;
    },
    ports: { status: plane.statusPort, api: plane.apiPort },
  });
  return {
    operator,
    async metric(name) {
      const metric = await registry.getSingleMetric(name)?.get();
      return metric?.values.reduce((sum, { value }) => sum + value, 0) ?? 0;
    },
    kill: () => (dead = true),
  };
}

async function until(what: string, holds: () => Promise<boolean>, seconds = 40): Promise<void> {
  const giveUp = AbortSignal.timeout(seconds * 1000);
  while (!(await holds())) {
    if (giveUp.aborted) throw new Error(`${what}: not after ${seconds} s`);
    await realClock.sleep(100);
  }
}

describe.skipIf(missing !== '')(`the operator${missing}`, () => {
  test(
    'one leads and brings instances up; another takes over after release and after death',
    { timeout: 180_000 },
    async () => {
      const namespace = await cluster.namespace();
      const plane = await startDataPlane();
      const kubelet = createKubelet(cluster.kube, namespace, plane);
      let playing = true;
      const playingEnded = (async () => {
        while (playing) {
          await kubelet.play();
          await realClock.sleep(100);
        }
      })();
      const conditionOf = async (name: string, type: string) =>
        (await readInstance(cluster.kube, namespace, name))?.status?.conditions?.find((item) => item.type === type);
      const isTrue = async (name: string, type: string): Promise<boolean> =>
        (await conditionOf(name, type))?.status === 'True';
      const leads = async ({ metric }: Process): Promise<boolean> => (await metric('millrace_operator_leader')) === 1;

      const first = startProcess(namespace, plane, 'first');
      await until('the first leads', () => leads(first));
      const second = startProcess(namespace, plane, 'second');
      await cluster.kube.create(SYNC_INSTANCES, instanceObject(namespace, 'one'));
      await until(
        'the missing Secrets are seen',
        async () => (await conditionOf('one', 'SecretsResolved'))?.status === 'False',
      );
      // Watched: nobody tells the operator.
      await createSecrets(cluster.kube, namespace);
      await until('one is ready', () => isTrue('one', 'Ready'));
      expect(await leads(second)).toBe(false);
      expect(await second.metric('millrace_operator_writes_total')).toBe(0);

      // Steady state: looked at, not written.
      await until('it is rolled out', async () => {
        const before = await first.metric('millrace_operator_writes_total');
        await realClock.sleep(1500);
        return (await first.metric('millrace_operator_writes_total')) === before;
      });
      const [writes, looks] = [
        await first.metric('millrace_operator_writes_total'),
        await first.metric('millrace_operator_reconciles_total'),
      ];
      await until(
        'it is looked at again',
        async () => (await first.metric('millrace_operator_reconciles_total')) >= looks + 3,
      );
      expect(await first.metric('millrace_operator_writes_total')).toBe(writes);

      await first.operator.close();
      expect(await leads(first)).toBe(false);
      await until('the second leads', () => leads(second), 5);
      await cluster.kube.create(SYNC_INSTANCES, instanceObject(namespace, 'two'));
      await until('two is ready', () => isTrue('two', 'Ready'));

      const third = startProcess(namespace, plane, 'third');
      second.kill();
      await until('the third leads', () => leads(third), 30);
      await until('the dead one has stopped', async () => !(await leads(second)), 1);
      await cluster.kube.patch(SECRETS, { namespace, name: 'pg' }, { data: null });
      await until('the third sees changes', async () => !(await isTrue('two', 'SecretsResolved')));
      await third.operator.close();
      playing = false;
      await playingEnded;
      await plane.close();
    },
  );
});
