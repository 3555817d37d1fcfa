import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PrivateKubeApiserver } from '#test/services/contract.ts';
import { findHelm, type Helm } from '#test/services/helm.ts';
import { startKubeApiserver } from '#test/services/kube-apiserver.ts';
import { kubeRequest, type KubeRequest } from '#test/services/kube-request.ts';
import { kubePrograms } from '#test/services/kube-programs.ts';
import { createNamespaces, createObject, definitions, foreignKinds } from './cluster.fixture.ts';
import { chartFolder } from './generated.ts';
import { needs } from './needs.fixture.ts';
import { find, render, type Rendered } from './rendered.fixture.ts';

const programs = await kubePrograms();
const found = await findHelm();
const helm = found as Helm;

/** Everything that the chart can install, and two namespaces to watch. */
const everything = {
  watchNamespaces: ['apps', 'shop'],
  podDisruptionBudget: { enabled: true },
  podMonitor: { enabled: true },
  prometheusRule: { enabled: true },
  dashboards: { enabled: true },
  networkPolicy: { metricsFrom: [{ namespaceSelector: {} }] },
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway' },
  ],
  tolerations: [{ operator: 'Exists' }],
  imagePullSecrets: [{ name: 'regcred' }],
};

needs(found, programs);

// Every helm command asks for all of the API first, on a machine that runs other tests besides.
describe('a real kube-apiserver', { timeout: 180_000 }, () => {
  let server: PrivateKubeApiserver;
  let folder: string;
  let request: KubeRequest;
  let cluster: string[];

  beforeAll(async () => {
    if (typeof programs === 'string' || typeof found === 'string') return;
    server = await startKubeApiserver();
    folder = await mkdtemp(join(tmpdir(), 'millrace-install-'));
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, server.kubeconfig, { mode: 0o600 });
    cluster = ['--kubeconfig', kubeconfig, '--namespace', 'millrace-system'];
    request = kubeRequest(server.kubeconfig);
    await createNamespaces(request, ['millrace-system', 'apps', 'shop']);
    await foreignKinds(request);
  });
  afterAll(async () => {
    await server?.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  test.each<[string, object]>([
    ['by default', {}],
    ['with all of it', everything],
  ])('accepts every object of the chart %s, without a warning or an unknown field', async (_, values) => {
    const objects = await render(helm, { crds: { enabled: true }, ...values });
    expect(objects.length).toBeGreaterThan(10);
    for (const object of objects) {
      const objections = await createObject(request, object, true);
      expect([object.kind, object.metadata.name, objections]).toEqual([object.kind, object.metadata.name, '']);
    }
  });

  test('installs, upgrades, serves SyncInstances, and keeps them when it is uninstalled', async () => {
    await helm('install', 'demo', chartFolder, ...cluster, ...(await valuesFile(folder, everything)));
    const crd = `${definitions}/syncinstances.millrace.dev`;
    const served = async () => (await request('GET', '/apis/millrace.dev/v1alpha1')).status;
    await expect.poll(served, { timeout: 20_000 }).toBe(200);
    const operator = () =>
      request('GET', '/apis/apps/v1/namespaces/millrace-system/deployments/demo-millrace-operator');
    expect((await operator()).status).toBe(200);

    await helm('upgrade', 'demo', chartFolder, ...cluster, '--reset-then-reuse-values', '--set', 'replicas=2');
    expect(((await operator()).body as Rendered)['spec'].replicas).toBe(2);

    await helm('uninstall', 'demo', ...cluster);
    expect((await operator()).status).toBe(404);
    expect((await request('GET', crd)).status).toBe(200);

    // The definition that was kept is taken over by the same release.
    await helm('install', 'demo', chartFolder, ...cluster);
    await helm('uninstall', 'demo', ...cluster);
  });

  test('the roles let view and edit do what their names say', async () => {
    const objects = await render(helm);
    const rules = (name: string) => find(objects, 'ClusterRole', name)['rules'] as { verbs: string[] }[];
    const verbs = (name: string) => new Set(rules(name).flatMap((rule) => rule.verbs));
    expect(verbs('demo-millrace-view')).toEqual(new Set(['get', 'list', 'watch']));
    expect(verbs('demo-millrace-edit')).toEqual(new Set(['create', 'update', 'patch', 'delete', 'deletecollection']));
  });
});

async function valuesFile(folder: string, values: object): Promise<string[]> {
  const file = join(folder, 'values.json');
  await writeFile(file, JSON.stringify(values));
  return ['--values', file];
}
