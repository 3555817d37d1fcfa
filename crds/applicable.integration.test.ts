import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PrivateKubeApiserver } from '#test/services/contract.ts';
import { startKubeApiserver } from '#test/services/kube-apiserver.ts';
import { kubePrograms } from '#test/services/kube-programs.ts';
import { type KubeRequest, kubeRequest } from '#test/services/kube-request.ts';
import { syncInstanceSchema } from './definition.ts';
import type { StructuralSchema } from './structural-schema.ts';
import type { SyncInstance, SyncInstanceSpec } from './sync-instance/sync-instance.ts';
import { arbitraryOf } from './testing/arbitrary.ts';
import { validExamples } from './testing/examples.ts';
import { installSyncInstances } from './testing/install.ts';

const programs = await kubePrograms();
const missing = typeof programs === 'string' ? ` (${programs})` : '';
const collection = '/apis/millrace.dev/v1alpha1/namespaces/default/syncinstances';
const quickStart = (await validExamples()).find(({ name }) => name === 'quick-start.yaml')!.manifest;

type Target = {
  part: 'api' | 'compaction' | 'networkPolicy';
  fields: string[];
  path: string;
  object(spec: SyncInstanceSpec): object;
};

const labels = { 'app.kubernetes.io/component': 'api' };
const container = { name: 'c', image: 'i' };
const metadata = { name: 'demo' };
const deployment = (pod: object, podMetadata: object = {}, resources: object = {}, env: object[] = []) => ({
  metadata,
  spec: {
    selector: { matchLabels: labels },
    template: { metadata: podMetadata, spec: { containers: [{ ...container, resources, env }], ...pod } },
  },
});

/** What each field becomes, in the least object that takes it. */
const targets: Target[] = [
  {
    part: 'api',
    fields: ['resources', 'nodeSelector', 'tolerations', 'affinity', 'topologySpreadConstraints', 'env'],
    path: '/apis/apps/v1/namespaces/default/deployments',
    object: ({ api }) => {
      const { nodeSelector, tolerations, affinity } = api;
      // Like the operator: without a selector the pods of the part are counted.
      const selector = { labelSelector: { matchLabels: labels } };
      const topologySpreadConstraints = api.topologySpreadConstraints?.map((given) => ({ ...selector, ...given }));
      const pod = { nodeSelector, tolerations, affinity, topologySpreadConstraints };
      return deployment(pod, { labels }, api.resources, api.env);
    },
  },
  {
    part: 'api',
    fields: ['podLabels', 'podAnnotations', 'terminationGracePeriodSeconds'],
    path: '/apis/apps/v1/namespaces/default/deployments',
    object: ({ api }) =>
      deployment(
        { terminationGracePeriodSeconds: api.terminationGracePeriodSeconds },
        { labels: { ...api.podLabels, ...labels }, annotations: api.podAnnotations },
      ),
  },
  {
    part: 'api',
    fields: ['service'],
    path: '/api/v1/namespaces/default/services',
    object: ({ api: { service } }) => ({
      metadata: { ...metadata, labels: service.labels, annotations: service.annotations },
      spec: { type: service.type, ports: [{ port: service.port }] },
    }),
  },
  {
    part: 'api',
    fields: ['ingress'],
    path: '/apis/networking.k8s.io/v1/namespaces/default/ingresses',
    object: ({ api: { ingress } }) => {
      const backend = { service: { name: 'demo-api', port: { number: 80 } } };
      const paths = [{ path: ingress!.path, pathType: 'Prefix', backend }];
      const tls =
        ingress!.tlsSecretName === undefined ? [] : [{ hosts: [ingress!.host], secretName: ingress!.tlsSecretName }];
      return {
        metadata: { ...metadata, annotations: ingress!.annotations },
        spec: { ingressClassName: ingress!.className, rules: [{ host: ingress!.host, http: { paths } }], tls },
      };
    },
  },
  {
    part: 'api',
    fields: ['podDisruptionBudget'],
    path: '/apis/policy/v1/namespaces/default/poddisruptionbudgets',
    object: ({ api }) => ({ metadata, spec: { ...api.podDisruptionBudget, selector: { matchLabels: labels } } }),
  },
  {
    part: 'networkPolicy',
    fields: ['apiFrom'],
    path: '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies',
    object: ({ networkPolicy }) => ({
      metadata,
      spec: { podSelector: {}, ingress: [{ from: networkPolicy.apiFrom }] },
    }),
  },
  {
    part: 'compaction',
    fields: ['schedule', 'timeoutSeconds'],
    path: '/apis/batch/v1/namespaces/default/cronjobs',
    object: ({ compaction }) => ({
      metadata,
      spec: {
        schedule: compaction.schedule,
        suspend: compaction.suspend,
        jobTemplate: {
          spec: {
            activeDeadlineSeconds: compaction.timeoutSeconds,
            template: { spec: { containers: [container], restartPolicy: 'Never' } },
          },
        },
      },
    }),
  },
];

const cronPart = fc.oneof(
  { arbitrary: fc.constant('*'), weight: 12 },
  { arbitrary: fc.integer({ min: 1, max: 6 }).map(String), weight: 12 },
  fc.integer({ min: 0, max: 70 }).map(String),
  fc.constantFrom('?', 'MON', 'jan', 'FOO', '00'),
);
/** Ten parts make a schedule: what is refused must be rare in each, or no schedule is taken. */
const cronStep = fc.oneof({ arbitrary: fc.constantFrom('', '', '', '/2'), weight: 30 }, fc.constantFrom('/0', '/100'));
const cronRange = fc
  .tuple(cronPart, cronPart, cronStep, fc.nat({ max: 5 }))
  .map(([first, last, step, isRange]) => `${first}${isRange === 0 ? `-${last}` : ''}${step}`);
const cron = fc
  .array(
    fc.array(cronRange, { minLength: 1, maxLength: 2 }).map((list) => list.join(',')),
    {
      minLength: 5,
      maxLength: 5,
    },
  )
  .map((fields) => fields.join(' '));

describe.skipIf(missing !== '')(`what a SyncInstance may say, Kubernetes takes${missing}`, () => {
  let server: PrivateKubeApiserver;
  let request: KubeRequest;

  beforeAll(async () => {
    server = await startKubeApiserver();
    request = kubeRequest(server.kubeconfig);
    await installSyncInstances(request);
  });
  afterAll(() => server?.close());

  const cases = targets.flatMap((target) => target.fields.map((field) => ({ field, ...target })));
  test.each(cases)('$part: $field', async ({ part, field, path, object }) => {
    let taken = 0;
    const values = field === 'schedule' ? cron : arbitraryOf(fieldSchema(part, field));
    const property = fc.asyncProperty(values, async (value) => {
      const manifest = { ...quickStart, spec: { ...(quickStart['spec'] as object), [part]: { [field]: value } } };
      const instance = await request('POST', `${collection}?dryRun=All`, manifest);
      // Refused, with a sentence: nothing to apply.
      if (instance.status !== 201) return;
      taken += 1;
      const { spec } = instance.body as SyncInstance;
      const answer = await request('POST', `${path}?dryRun=All&fieldValidation=Strict`, object(spec));
      expect(answer.status, JSON.stringify(answer.body['message'])).toBe(201);
    });
    await fc.assert(property, { numRuns: 40 });
    expect(taken).toBeGreaterThan(0);
  });
});

function fieldSchema(part: string, field: string): StructuralSchema {
  return syncInstanceSchema().properties!['spec']!.properties![part]!.properties![field]!;
}
