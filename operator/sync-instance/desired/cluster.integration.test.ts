import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { V1Deployment } from '@kubernetes/client-node';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { installSyncInstances } from '#crds/testing/install.ts';
import type { PrivateKubeApiserver } from '#test/services/contract.ts';
import { startKubeApiserver } from '#test/services/kube-apiserver.ts';
import { kubePrograms } from '#test/services/kube-programs.ts';
import { kubeRequest, type KubeRequest } from '#test/services/kube-request.ts';
import { allObjects, templateOf } from '../testing/all-objects.ts';
import { GOLDEN_NAMES, goldenInstance, inputFor } from '../testing/golden-instances.ts';
import { randomInstance } from '../testing/random-instances.ts';
import { breaksRestricted } from '../testing/restricted-pod.ts';
import type { KubeObject } from './contract.ts';
import { adminSecret } from './desired.ts';

const programs = await kubePrograms();
const missing = typeof programs === 'string' ? ` (${programs})` : '';

/** Of the Gateway API and the Prometheus operator, whose definitions this API server does not have. */
const FOREIGN = ['HTTPRoute', 'PodMonitor'];
const PLURALS: Readonly<Record<string, string>> = { NetworkPolicy: 'networkpolicies', Ingress: 'ingresses' };

function collection({ apiVersion, kind, metadata }: KubeObject): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${root}/namespaces/${metadata.namespace}/${PLURALS[kind] ?? `${kind.toLowerCase()}s`}`;
}

const versionOf = (object: Record<string, unknown>): string =>
  (object['metadata'] as { resourceVersion: string }).resourceVersion;

/** What the API server made of an object. Unknown fields are an error, as they would be lost. */
async function apply(request: KubeRequest, object: KubeObject, dryRun: boolean): Promise<Record<string, unknown>> {
  const options = `fieldManager=millrace-operator&force=true&fieldValidation=Strict${dryRun ? '&dryRun=All' : ''}`;
  const path = `${collection(object)}/${object.metadata.name}?${options}`;
  const { status, body } = await request('PATCH', path, object, { 'content-type': 'application/apply-patch+yaml' });
  if (status > 201) throw new Error(`${object.kind} ${object.metadata.name}: ${JSON.stringify(body)}`);
  return body;
}

describe.skipIf(missing !== '')(`a real API server${missing}`, () => {
  let server: PrivateKubeApiserver;
  let request: KubeRequest;

  beforeAll(async () => {
    server = await startKubeApiserver();
    request = kubeRequest(server.kubeconfig);
    await installSyncInstances(request);
    const create = async (path: string, object: object): Promise<void> => {
      const { status, body } = await request('POST', path, object);
      if (status !== 201) throw new Error(String(body['message']));
    };
    for (const name of ['apps', 'boats', 'random']) {
      const metadata = { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } };
      await create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata });
    }
    const priority = { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name: 'important' } };
    await create('/apis/scheduling.k8s.io/v1/priorityclasses', { ...priority, value: 10 });
  });
  afterAll(() => server?.close());

  test.each(GOLDEN_NAMES)(
    'takes every object of the %s instance as it is, and a second time without any change',
    async (name) => {
      const instance = goldenInstance(name);
      const objects = [...allObjects(inputFor(instance)), adminSecret(instance, 'a-token-of-the-operator')];
      const ours = objects.filter(({ kind }) => !FOREIGN.includes(kind));
      const changed: string[] = [];
      for (const object of ours) {
        const first = await apply(request, object, false);
        const again = await apply(request, object, false);
        if (versionOf(again) !== versionOf(first)) changed.push(`${object.kind} ${object.metadata.name}`);
        // What we say stands there as we say it: no default or admission turned it into something else.
        expect(again).toMatchObject(JSON.parse(JSON.stringify(object)) as object);
      }
      expect(changed).toEqual([]);
      expect(ours.length).toBeGreaterThan(10);
    },
  );

  test.each(GOLDEN_NAMES)('its Pod Security admission lets all pods of the %s instance in', async (name) => {
    const instance = goldenInstance(name);
    const { namespace } = instance.metadata;
    const templates = allObjects(inputFor(instance)).flatMap((object) => templateOf(object) ?? []);
    expect(templates.length).toBeGreaterThan(4);
    const create = (pod: object) =>
      request('POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All&fieldValidation=Strict`, pod);
    for (const { metadata, spec } of templates) {
      const { status, body } = await create({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { labels: metadata!.labels, annotations: metadata!.annotations, generateName: 'pod-' },
        spec,
      });
      expect({ status, message: body['message'] }).toEqual({ status: 201 });
      // The same admission refuses what our own checker refuses, so both look at the same things.
      const open = Object.assign(structuredClone(spec!), { securityContext: {} });
      expect(breaksRestricted(open).length).toBeGreaterThan(0);
      const refused = await create({ apiVersion: 'v1', kind: 'Pod', metadata: { generateName: 'pod-' }, spec: open });
      expect(refused.status).toBe(403);
    }
  });

  test('the generator of instances makes what the API server takes', async () => {
    await fc.assert(
      fc.asyncProperty(randomInstance(), async (drawn) => {
        const { apiVersion, kind, spec } = drawn;
        const metadata = { name: drawn.metadata.name, namespace: 'random' };
        const path = '/apis/millrace.dev/v1alpha1/namespaces/random/syncinstances?dryRun=All&fieldValidation=Strict';
        const { status, body } = await request('POST', path, { apiVersion, kind, metadata, spec });
        if (status !== 201) throw new Error(String(body['message']));
        // Nothing is missing from a drawn instance that a default would bring.
        expect((body as unknown as SyncInstance).spec).toEqual(JSON.parse(JSON.stringify(spec)));
      }),
      { numRuns: 25 },
    );
  });

  test('a changed instance changes Deployments in place', async () => {
    const instance = goldenInstance('minimal');
    instance.spec.sources[0]!.replicas = 1;
    instance.spec.api.maxConnections = 300;
    const input = inputFor(instance, { image: 'ghcr.io/millrace/millrace:0.2.0', apiReplicas: 5 });
    const deployments = allObjects(input).filter(({ kind }) => kind === 'Deployment');
    const replicas = await Promise.all(
      deployments.map(async (object) => ((await apply(request, object, false)) as V1Deployment).spec!.replicas),
    );
    expect(replicas).toEqual([1, 5]);
  });
});
