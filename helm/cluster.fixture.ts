import type { KubeRequest } from '#test/services/kube-request.ts';
import type { Rendered } from './rendered.fixture.ts';

/** Where custom resource definitions are. */
export const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

export async function createNamespaces(request: KubeRequest, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await request('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
}

/** Creates it, or rehearses that, and answers what the server objects to; unknown fields are objections. */
export async function createObject(request: KubeRequest, object: Rendered, isRehearsal = false): Promise<string> {
  const query = `fieldValidation=Strict${isRehearsal ? '&dryRun=All' : ''}`;
  const { status, body } = await request('POST', `${await collection(request, object)}?${query}`, object);
  return status === 201 ? '' : JSON.stringify(body);
}

/** Kinds of the Prometheus operator and of the Gateway API, with whatever fields. */
export async function foreignKinds(request: KubeRequest): Promise<void> {
  for (const [group, kind, plural] of [
    ['monitoring.coreos.com', 'PodMonitor', 'podmonitors'],
    ['monitoring.coreos.com', 'PrometheusRule', 'prometheusrules'],
    ['gateway.networking.k8s.io', 'HTTPRoute', 'httproutes'],
  ] as const) {
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    await request('POST', definitions, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {
        name: `${plural}.${group}`,
        annotations: { 'api-approved.kubernetes.io': 'unapproved, for tests' },
      },
      spec: {
        group,
        scope: 'Namespaced',
        names: { kind, plural },
        versions: [{ name: 'v1', served: true, storage: true, schema }],
      },
    });
  }
}

/** Where objects of this kind are created: asks the server for the plural. */
async function collection(request: KubeRequest, { apiVersion, kind, metadata }: Rendered): Promise<string> {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const { body } = await request('GET', root);
  const { resources } = body as { resources: { kind: string; name: string; namespaced: boolean }[] };
  const resource = resources.find((candidate) => candidate.kind === kind && !candidate.name.includes('/'));
  if (resource === undefined) throw new Error(`The server knows no ${kind} in ${apiVersion}.`);
  return resource.namespaced ? `${root}/namespaces/${metadata.namespace}/${resource.name}` : `${root}/${resource.name}`;
}
