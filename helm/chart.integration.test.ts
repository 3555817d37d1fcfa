import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { findHelm, type Helm } from '#test/services/helm.ts';
import { readAlerts } from './alerts.ts';
import { chartFolder } from './generated.ts';
import { needs } from './needs.fixture.ts';
import { find, kubeVersion, render, renderText, withoutDefinition, type Rendered } from './rendered.fixture.ts';

const found = await findHelm();
const helm = found as Helm;

needs(found);

const operator = async (values: object = {}) => find(await render(helm, values), 'Deployment');
const podOf = (deployment: Rendered) => deployment['spec'].template.spec as Record<string, never>;
const container = async (values: object = {}) =>
  podOf(await operator(values))['containers']![0] as Record<string, never>;
const kinds = (objects: Rendered[]) => objects.map(({ kind }) => kind);

/** Everything that can be switched on. */
const everything = {
  podDisruptionBudget: { enabled: true },
  podMonitor: { enabled: true },
  prometheusRule: { enabled: true },
  dashboards: { enabled: true },
};

describe('the chart', () => {
  test('passes helm lint, strictly', async () => {
    await expect(helm('lint', '--strict', chartFolder, ...kubeVersion)).resolves.toContain('0 chart(s) failed');
  });

  test('renders by default what stands in golden/default.yaml', async () => {
    // The custom resource definition has a test of its own.
    const text = await renderText(helm, withoutDefinition);
    await expect(text).toMatchFileSnapshot('golden/default.yaml');
  });

  test('refuses values that it does not know, at every level', async () => {
    for (const values of [{ replicaCount: 2 }, { image: { name: 'x' } }, { metrics: { service: { port: 1 } } }]) {
      await expect(render(helm, values)).rejects.toThrow(/additional properties .* not allowed/i);
    }
  });

  test.each<[string, object]>([
    ['too many at once', { concurrency: 1000 }],
    ['a log level that is none', { logLevel: 'loud' }],
    ['a digest that is none', { image: { digest: 'latest' } }],
    ['labels that are no strings', { labels: { a: 1 } }],
    ['a namespace without a name', { watchNamespaces: [''] }],
  ])('refuses %s', async (_, values) => {
    await expect(render(helm, values)).rejects.toThrow(/values don't meet the specifications/);
  });

  test('works below another chart, which gives it global values', async () => {
    await expect(render(helm, { global: { anything: 1 } })).resolves.not.toEqual([]);
  });

  test('refuses older Kubernetes', async () => {
    await expect(helm('template', 'demo', chartFolder, '--kube-version', '1.29.0')).rejects.toThrow('kubeVersion');
  });

  test('every object has the labels that Kubernetes recommends, and selectors only what never changes', async () => {
    for (const object of await render(helm, everything)) {
      expect(object.metadata).toMatchObject({
        labels: {
          'app.kubernetes.io/name': 'millrace',
          'app.kubernetes.io/instance': 'demo',
          'app.kubernetes.io/version': expect.any(String),
          'app.kubernetes.io/part-of': 'millrace',
          'app.kubernetes.io/managed-by': 'Helm',
          'helm.sh/chart': expect.stringMatching(/^millrace-/),
        },
      });
    }
    const names = ['app.kubernetes.io/component', 'app.kubernetes.io/instance', 'app.kubernetes.io/name'];
    expect(Object.keys((await operator())['spec'].selector.matchLabels).toSorted()).toEqual(names);
  });

  test('the operator meets the Pod Security Standard "restricted" and writes to no root file system', async () => {
    const objects = await render(helm);
    for (const pod of [podOf(find(objects, 'Deployment')), find(objects, 'Pod')['spec']]) {
      expect(pod).toMatchObject({
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      });
      for (const { securityContext } of pod['containers'] as Rendered[]) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
      }
      for (const volume of (pod['volumes'] ?? []) as Rendered[])
        expect(Object.keys(volume)).toEqual(['name', 'emptyDir']);
    }
  });
});

describe('a switch', () => {
  test.each<[string, object, string[]]>([
    ['podDisruptionBudget.enabled', { podDisruptionBudget: { enabled: true } }, ['PodDisruptionBudget']],
    ['podMonitor.enabled', { podMonitor: { enabled: true } }, ['PodMonitor']],
    ['prometheusRule.enabled', { prometheusRule: { enabled: true } }, ['PrometheusRule']],
    ['dashboards.enabled', { dashboards: { enabled: true } }, Array.from({ length: 5 }, () => 'ConfigMap')],
  ])('%s adds its objects and nothing else', async (_, values, added) => {
    const without = kinds(await render(helm));
    expect(kinds(await render(helm, values)).toSorted()).toEqual([...without, ...added].toSorted());
  });

  test.each<[string, object, string[]]>([
    ['networkPolicy.enabled', { networkPolicy: { enabled: false } }, ['NetworkPolicy']],
    ['metrics.service.enabled', { metrics: { service: { enabled: false } } }, ['Service']],
    ['serviceAccount.create', { serviceAccount: { create: false } }, ['ServiceAccount']],
    ['tests.enabled', { tests: { enabled: false } }, ['Pod']],
    ['rbac.aggregate', { rbac: { aggregate: false } }, ['ClusterRole', 'ClusterRole']],
    ['rbac.create', { rbac: { create: false } }, ['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding']],
  ])('%s: false leaves out its objects and nothing else', async (_, values, removed) => {
    const remaining = kinds(await render(helm, values));
    expect([...remaining, ...removed].toSorted()).toEqual(kinds(await render(helm)).toSorted());
  });

  test('crds.enabled and crds.keep', async () => {
    const definition = async (crds: object) => find(await render(helm, { crds }), 'CustomResourceDefinition');
    expect((await definition({ enabled: true })).metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' });
    expect((await definition({ enabled: true, keep: false })).metadata.annotations).toBeUndefined();
    await expect(definition({ enabled: false })).rejects.toThrow('0 objects');
  });

  test('watchNamespaces: roles in these namespaces, none for the cluster, and the operator watches no others', async () => {
    const objects = await render(helm, { watchNamespaces: ['apps', 'shop'], rbac: { aggregate: false } });
    expect(kinds(objects)).not.toContain('ClusterRole');
    const roles = objects.filter(({ kind }) => kind === 'Role').map(({ metadata }) => metadata.namespace);
    expect(roles.toSorted()).toEqual(['apps', 'millrace-system', 'shop']);
    const bindings = objects.filter(({ kind }) => kind === 'RoleBinding');
    for (const { subjects } of bindings) {
      expect(subjects).toEqual([
        { kind: 'ServiceAccount', name: 'demo-millrace-operator', namespace: 'millrace-system' },
      ]);
    }
    expect(podOf(find(objects, 'Deployment'))['containers']![0]['args']).toEqual(
      expect.arrayContaining(['--namespace=apps', '--namespace=shop']),
    );
  });

  test('image: tag, digest, pull secrets; instances follow the operator unless told otherwise', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    expect((await container({ image: { tag: '1.2.3' } }))['image']).toBe('ghcr.io/millrace/millrace:1.2.3');
    const pinned = await container({ image: { repository: 'registry.example/m', digest, tag: '9' } });
    expect(pinned['image']).toBe(`registry.example/m:9@${digest}`);
    expect(pinned['args']).toContain(`--image=registry.example/m:9@${digest}`);
    expect((await container({ instanceImage: 'other:1' }))['args']).toContain('--image=other:1');
    const objects = await render(helm, { imagePullSecrets: [{ name: 'regcred' }] });
    expect(podOf(find(objects, 'Deployment'))['imagePullSecrets']).toEqual([{ name: 'regcred' }]);
    expect(find(objects, 'Pod')['spec'].imagePullSecrets).toEqual([{ name: 'regcred' }]);
  });

  test('names: of the release, and those that replace them', async () => {
    const names = async (values: object) => find(await render(helm, values), 'Deployment').metadata.name;
    expect(await names({})).toBe('demo-millrace-operator');
    expect(await names({ nameOverride: 'demo' })).toBe('demo-operator');
    expect(await names({ fullnameOverride: 'x'.repeat(80) })).toBe(`${'x'.repeat(50)}-operator`);
    const account = await render(helm, { serviceAccount: { create: false, name: 'mine' } });
    expect(podOf(find(account, 'Deployment'))['serviceAccountName']).toBe('mine');
    expect(find(account, 'ClusterRoleBinding')['subjects'][0].name).toBe('mine');
  });

  test('scheduling and pods', async () => {
    const spread = { maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'DoNotSchedule' };
    const values = {
      replicas: 2,
      podLabels: { a: 'b' },
      podAnnotations: { c: 'd' },
      tolerations: [{ operator: 'Exists' }],
      affinity: { podAntiAffinity: {} },
      nodeSelector: { disk: 'fast' },
      topologySpreadConstraints: [spread],
      priorityClassName: 'high',
      terminationGracePeriodSeconds: 60,
    };
    const deployment = await operator(values);
    const { template, replicas, selector } = deployment['spec'];
    expect(replicas).toBe(2);
    expect(template.metadata).toMatchObject({ labels: { a: 'b', ...selector.matchLabels }, annotations: { c: 'd' } });
    expect(template.spec).toMatchObject({
      tolerations: [{ operator: 'Exists' }],
      affinity: { podAntiAffinity: {} },
      nodeSelector: { disk: 'fast', 'kubernetes.io/os': 'linux' },
      topologySpreadConstraints: [{ ...spread, labelSelector: selector }],
      priorityClassName: 'high',
      terminationGracePeriodSeconds: 60,
    });
  });

  test('container: environment, arguments, resources, port, log level, Lease', async () => {
    const values = {
      env: [{ name: 'HTTPS_PROXY', value: 'http://proxy' }],
      extraArgs: ['--verbose'],
      resources: { limits: { cpu: '1' } },
      metrics: { port: 9999 },
      logLevel: 'debug',
      logFormat: 'text',
      leaseName: 'mine',
      concurrency: 8,
    };
    const objects = await render(helm, values);
    expect(podOf(find(objects, 'Deployment'))['containers']![0]).toMatchObject({
      env: expect.arrayContaining([
        { name: 'HTTPS_PROXY', value: 'http://proxy' },
        { name: 'PS_LOG_LEVEL', value: 'debug' },
        { name: 'PS_LOG_FORMAT', value: 'text' },
      ]),
      args: expect.arrayContaining(['--verbose', '--metrics-port=9999', '--lease-name=mine', '--concurrency=8']),
      ports: [{ name: 'metrics', containerPort: 9999 }],
      resources: { limits: { cpu: '1' } },
    });
    expect(find(objects, 'Service')['spec'].ports).toMatchObject([{ port: 9999, targetPort: 'metrics' }]);
    const role = find(objects, 'Role', 'demo-millrace-operator-leader-election');
    expect(role['rules']).toContainEqual(expect.objectContaining({ resourceNames: ['mine'] }));
  });

  test('labels and annotations reach every object', async () => {
    for (const { metadata, kind } of await render(helm, {
      ...everything,
      labels: { team: 'sync' },
      annotations: { n: '1' },
    })) {
      expect([kind, metadata]).toMatchObject([kind, { labels: { team: 'sync' }, annotations: { n: '1' } }]);
    }
  });

  test('extra objects are templates', async () => {
    const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name: '{{ .Release.Name }}-more' } };
    const text = 'apiVersion: v1\nkind: Endpoints\nmetadata: {name: text}';
    const objects = await render(helm, { extraObjects: [object, text] });
    expect(find(objects, 'Secret').metadata.name).toBe('demo-more');
    expect(find(objects, 'Endpoints').metadata.name).toBe('text');
  });

  test('network policy: who may read metrics, where the operator may go', async () => {
    const values = {
      networkPolicy: {
        metricsFrom: [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }],
        apiServerPorts: [8443],
        extraEgress: [{ to: [{ ipBlock: { cidr: '10.0.0.1/32' } }] }],
      },
    };
    const { ingress, egress } = find(await render(helm, values), 'NetworkPolicy')['spec'];
    expect(ingress[0].from).toEqual([
      { namespaceSelector: { matchLabels: { name: 'monitoring' } } },
      { podSelector: { matchLabels: expect.objectContaining({ 'app.kubernetes.io/component': 'test' }) } },
    ]);
    expect(egress).toContainEqual({ ports: [{ port: 8443, protocol: 'TCP' }] });
    expect(egress).toContainEqual({ to: [{ ipBlock: { cidr: '10.0.0.1/32' } }] });
    const open = find(await render(helm), 'NetworkPolicy')['spec'];
    expect(open.ingress[0].from).toBeUndefined();
  });

  test('pod monitor: labels by which a Prometheus selects it; the labels of metrics are kept', async () => {
    const values = { podMonitor: { enabled: true, labels: { release: 'prometheus' }, interval: '1m' } };
    const monitor = find(await render(helm, values), 'PodMonitor');
    expect(monitor.metadata).toMatchObject({ labels: { release: 'prometheus' } });
    expect(monitor['spec'].podMetricsEndpoints).toMatchObject([{ port: 'metrics', interval: '1m', honorLabels: true }]);
  });

  test('dashboards: labels and folder for the sidecar, namespace, and the JSON as it is', async () => {
    const values = { dashboards: { enabled: true, namespace: 'grafana', annotations: { grafana_folder: 'Sync' } } };
    const maps = (await render(helm, values)).filter(({ kind }) => kind === 'ConfigMap');
    for (const { metadata, data } of maps) {
      expect(metadata).toMatchObject({
        namespace: 'grafana',
        labels: { grafana_dashboard: '1' },
        annotations: { grafana_folder: 'Sync' },
      });
      const [name] = Object.keys(data as object);
      expect(JSON.parse(data[name!])).toMatchObject({ uid: `millrace-${name!.replace('.json', '')}` });
    }
    expect(maps).toHaveLength(readdirSync(`${chartFolder}dashboards`).length);
  });

  test('alerts: those of the files, unchanged', async () => {
    const rule = find(await render(helm, { prometheusRule: { enabled: true } }), 'PrometheusRule');
    const rules = readAlerts(`${chartFolder}alerts`);
    expect(rule['spec'].groups).toEqual([{ name: 'millrace', rules }]);
  });

  test('alerts: left out, changed, labelled, and runbooks elsewhere', async () => {
    const prometheusRule = {
      enabled: true,
      disabledAlerts: ['MillraceDeliverySlow'],
      overrides: { MillraceInstanceNotReady: { for: '3h', labels: { severity: 'info' } } },
      alertLabels: { team: 'sync' },
      runbookUrl: 'https://wiki/',
    };
    const rule = find(await render(helm, { prometheusRule }), 'PrometheusRule');
    const rules = rule['spec'].groups[0].rules as Rendered[];
    expect(rules.map(({ alert }) => alert)).not.toContain('MillraceDeliverySlow');
    expect(rules.find(({ alert }) => alert === 'MillraceInstanceNotReady')).toMatchObject({
      for: '3h',
      labels: { severity: 'info', team: 'sync' },
      annotations: { runbook_url: 'https://wiki/MillraceInstanceNotReady.md' },
    });
  });

  test('an alert that is none can neither be left out nor changed', async () => {
    for (const wrong of [{ disabledAlerts: ['Nope'] }, { overrides: { Nope: {} } }]) {
      const prometheusRule = { enabled: true, ...wrong };
      await expect(render(helm, { prometheusRule })).rejects.toThrow('Nope, which is not an alert of this chart');
    }
  });
});
