import { setTimeout as delay } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { realClock } from '#core/platform/clock.ts';
import { SILENT_LOG } from '#core/platform/log.ts';
import { createKubeClient } from '#operator/kube/client.ts';
import type { Kube } from '#operator/kube/contract.ts';
import { SYNC_INSTANCES } from '#operator/kube/resource-types.ts';
import { createTransport } from '#operator/kube/transport.ts';
import { startOperator } from '#operator/main.ts';
import { createOperatorMetrics } from '#operator/metrics.ts';
import { createSecrets, instanceObject, readInstance } from '#operator/testing/cluster.ts';
import { startDataPlane, type DataPlane } from '#operator/testing/data-plane.ts';
import { createKubelet } from '#operator/testing/kubelet.ts';
import type { PrivateKubeApiserver } from '#test/services/contract.ts';
import { findHelm, type Helm } from '#test/services/helm.ts';
import { startKubeApiserver } from '#test/services/kube-apiserver.ts';
import { kubeRequest, type KubeRequest } from '#test/services/kube-request.ts';
import { kubePrograms } from '#test/services/kube-programs.ts';
import { createNamespaces, createObject, foreignKinds } from './cluster.fixture.ts';
import { needs } from './needs.fixture.ts';
import { render } from './rendered.fixture.ts';

const programs = await kubePrograms();
const found = await findHelm();
const helm = found as Helm;

let server: PrivateKubeApiserver;
let plane: DataPlane;
let request: KubeRequest;

needs(found, programs);
beforeAll(async () => {
  if (typeof programs === 'string' || typeof found === 'string') return;
  server = await startKubeApiserver();
  plane = await startDataPlane();
  request = kubeRequest(server.kubeconfig);
  await createNamespaces(request, ['millrace-system', 'apps']);
  await foreignKinds(request);
});
afterAll(async () => {
  await plane?.close();
  await server?.close();
});

test('an operator with the roles of the chart alone brings an instance up, changes it and takes it away', async () => {
  for (const object of await render(helm, {
    crds: { enabled: true },
    tests: { enabled: false },
    watchNamespaces: ['apps'],
  })) {
    expect(await createObject(request, object)).toBe('');
  }
  const served = async () => (await request('GET', '/apis/millrace.dev/v1alpha1/syncinstances')).status;
  await expect.poll(served, { timeout: 20_000 }).toBe(200);
  const admin = connect(server.kubeconfig);
  await createSecrets(admin, 'apps');
  const metrics = createOperatorMetrics(new Registry());
  const operator = startOperator({
    kube: connect(await ofAccount()),
    namespaces: ['apps'],
    lease: { namespace: 'millrace-system', name: 'demo-millrace-operator' },
    identity: 'test',
    defaultImage: 'millrace:1',
    operatorNamespace: 'millrace-system',
    concurrency: 1,
    clock: realClock,
    random: Math.random,
    log: SILENT_LOG,
    metrics,
    fail: (error) => expect.unreachable(String(error)),
    ports: { status: plane.statusPort, api: plane.apiPort },
  });
  const kubelet = createKubelet(admin, 'apps', plane);
  /** Plays the cluster until it is so. */
  const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
    const deadline = Date.now() + 40_000;
    while (!(await isSo())) {
      if (Date.now() > deadline) throw new Error(`not in time: ${what}; ${await failures()}`);
      await kubelet.play();
      await delay(100);
    }
  };
  const failures = async (): Promise<string> =>
    JSON.stringify((await metrics.millrace_operator_kube_errors_total.get()).values.map(({ labels }) => labels));
  const isReady = async (): Promise<boolean> => {
    const instance = await readInstance(admin, 'apps', 'demo');
    const ready = instance?.status?.conditions?.find(({ type }) => type === 'Ready');
    return ready?.status === 'True' && ready.observedGeneration === instance?.metadata.generation;
  };
  try {
    await admin.create(SYNC_INSTANCES, instanceObject('apps', 'demo', allKinds));
    await until('ready', isReady);
    // Objects that are no longer wanted go; others change.
    const spec = {
      api: { ingress: null, httpRoute: null, autoscaling: null, replicas: 3 },
      telemetry: { podMonitor: { enabled: false } },
    };
    await admin.patch(SYNC_INSTANCES, { namespace: 'apps', name: 'demo' }, { spec });
    await until('ready again', isReady);
    await admin.delete(SYNC_INSTANCES, { namespace: 'apps', name: 'demo' }, { propagation: 'Background' });
    await until('gone', async () => (await readInstance(admin, 'apps', 'demo')) === null);
  } finally {
    await operator.close();
  }
  expect(await failures()).not.toContain('Forbidden');
  // It may not do anything else: the token is that of its service account, not the test's own.
  await expect(connect(await ofAccount()).list(SYNC_INSTANCES, { namespace: 'millrace-system' })).rejects.toMatchObject(
    {
      failure: 'Forbidden',
    },
  );
}, 120_000);

/** Has an object of every kind that the operator makes. */
const allKinds = {
  api: {
    ingress: { host: 'sync.example.com' },
    httpRoute: { parentRefs: [{ name: 'gateway' }] },
    autoscaling: { minReplicas: 2, maxReplicas: 4, targetConnections: 100, targetCPUPercent: 80 },
  },
  telemetry: { podMonitor: { enabled: true } },
};

function connect(kubeconfig: string): Kube {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  return createKubeClient({ transport: createTransport(config), clock: realClock, random: Math.random });
}

/** A kubeconfig of the operator's service account. */
async function ofAccount(): Promise<string> {
  const path = '/api/v1/namespaces/millrace-system/serviceaccounts/demo-millrace-operator/token';
  const { body } = await request('POST', path, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {},
  });
  const { token } = (body as { status: { token: string } }).status;
  return server.kubeconfig.replace(/token: .*/, `token: ${token}`);
}
