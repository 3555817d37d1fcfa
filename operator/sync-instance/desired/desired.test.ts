import type { V1Deployment } from '@kubernetes/client-node';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { allObjects, templateOf } from '../testing/all-objects.ts';
import { goldenInstance, inputFor } from '../testing/golden-instances.ts';
import { randomInstance } from '../testing/random-instances.ts';
import { breaksRestricted } from '../testing/restricted-pod.ts';
import type { DesiredInput, KubeObject } from './contract.ts';
import { adminSecret, desiredObjects, requiredValues } from './desired.ts';
import { migrationJob, teardownJob } from './jobs.ts';
import { instanceSelector } from './labels.ts';
import { HASH_OF_CONFIG, HASH_OF_VALUES } from './pod.ts';

/** Made here, not within a test: it takes seconds on a busy machine. */
const anyInstance = randomInstance();
const FEWER = { numRuns: 40 };

/** Paths of what would be lost on the wire. */
function undefinedWithin(value: unknown, path = ''): string[] {
  if (value === undefined) return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => undefinedWithin(inner, `${path}.${name}`));
}

const bytes = (value: unknown): string => JSON.stringify(value);

function selectorsOf(input: DesiredInput): Record<string, unknown> {
  const selecting = allObjects(input).filter(({ kind }) =>
    ['Deployment', 'Service', 'PodDisruptionBudget'].includes(kind),
  );
  return Object.fromEntries(
    selecting.map((object) => [
      `${object.kind}/${object.metadata.name}`,
      (object as unknown as { spec: { selector: unknown } }).spec.selector,
    ]),
  );
}

function deployment(input: DesiredInput, name: string): V1Deployment {
  return desiredObjects(input).find(({ object }) => object.kind === 'Deployment' && object.metadata.name === name)!
    .object;
}

const replicatorArgs = (input: DesiredInput): string[] =>
  deployment(input, 'demo-replicator-default').spec!.template.spec!.containers[0]!.args!;

describe('of any instance', () => {
  test('equal input gives equal output, byte for byte, and no object is undefined somewhere', () => {
    fc.assert(
      fc.property(anyInstance, (instance) => {
        const objects = allObjects(inputFor(instance));
        expect(bytes(allObjects(inputFor(structuredClone(instance))))).toBe(bytes(objects));
        expect(undefinedWithin(objects)).toEqual([]);
      }),
      FEWER,
    );
  });

  test('the instance itself is not changed', () => {
    fc.assert(
      fc.property(anyInstance, (instance) => {
        const before = bytes(instance);
        allObjects(inputFor(instance));
        expect(bytes(instance)).toBe(before);
      }),
      FEWER,
    );
  });

  test('selectors stay whatever else of the resource changes: Deployments could not follow', () => {
    fc.assert(
      fc.property(anyInstance, anyInstance, fc.boolean(), (one, other, stopped) => {
        const { sources } = one.spec;
        // without Redis there is no standby, and so no disruption budget
        const { redis } = one.spec;
        const { redis: _, ...rest } = other.spec;
        const changed: SyncInstance = { ...one, spec: { ...rest, sources, ...(redis && { redis }) } };
        const input = inputFor(changed, { image: 'other:2', stopped, apiReplicas: 9, operatorNamespace: null });
        expect(selectorsOf(input)).toEqual(selectorsOf(inputFor(one)));
      }),
      FEWER,
    );
  });

  test('each object is owned by the instance, in its namespace, and found by its labels', () => {
    fc.assert(
      fc.property(anyInstance, (instance) => {
        const { name, namespace, uid } = instance.metadata;
        for (const { metadata } of allObjects(inputFor(instance))) {
          expect(metadata.namespace).toBe(namespace);
          expect(metadata.labels).toMatchObject({ ...instanceSelector(name), 'app.kubernetes.io/instance': name });
          expect(metadata.ownerReferences).toEqual([expect.objectContaining({ name, uid, controller: true })]);
        }
      }),
      FEWER,
    );
  });

  test('each pod is restricted, cannot write its root, has no token, and carries the labels of its selector', () => {
    fc.assert(
      fc.property(anyInstance, (instance) => {
        for (const object of allObjects(inputFor(instance))) {
          const template = templateOf(object);
          if (template === undefined) continue;
          const pod = template.spec!;
          expect(breaksRestricted(pod)).toEqual([]);
          expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
          for (const { securityContext } of pod.containers) expect(securityContext?.readOnlyRootFilesystem).toBe(true);
          const { selector } = (object as V1Deployment).spec!;
          if (object.kind === 'Deployment') expect(template.metadata!.labels).toMatchObject(selector.matchLabels!);
        }
      }),
      FEWER,
    );
  });

  test('every mounted ConfigMap is among the objects, and immutable', () => {
    fc.assert(
      fc.property(anyInstance, (instance) => {
        const objects = allObjects(inputFor(instance));
        const configMaps = new Map(
          objects.filter(({ kind }) => kind === 'ConfigMap').map((object) => [object.metadata.name, object]),
        );
        for (const object of objects) {
          const mounted = (templateOf(object)?.spec?.volumes ?? []).flatMap(({ configMap }) => configMap?.name ?? []);
          for (const name of mounted) expect(configMaps.get(name)).toMatchObject({ immutable: true });
        }
      }),
      FEWER,
    );
  });
});

test('no value of a Secret is ever in an object; only its hash', () => {
  const instance = goldenInstance('full');
  const input = inputFor(instance, { hashOfValues: () => 'hash-of-values' });
  expect(bytes(allObjects(input))).not.toMatch(/"(?:data|stringData)":\{"[^"]*(?:password|token)/i);
  expect(allObjects(input).some(({ kind }) => kind === 'Secret')).toBe(false);
  const secret = adminSecret(instance, 'token-of-the-operator');
  expect(secret.data).toEqual({ token: Buffer.from('token-of-the-operator').toString('base64') });
});

describe('what rolls out', () => {
  const instance = goldenInstance('minimal');
  const annotations = (input: DesiredInput, name: string) =>
    deployment(input, name).spec!.template.metadata!.annotations!;

  test('a rotated secret changes the pods that read it, and no others (O-23)', () => {
    const rotated = (secret: string) =>
      inputFor(instance, { hashOfValues: (all) => bytes(all.map(({ name }) => (name === secret ? 'new' : 'old'))) });
    const before = rotated('none');
    const changes = (secret: string): string[] =>
      ['demo-api', 'demo-replicator-default'].filter(
        (name) => annotations(before, name)[HASH_OF_VALUES] !== annotations(rotated(secret), name)[HASH_OF_VALUES],
      );
    expect(changes('pg')).toEqual(['demo-api', 'demo-replicator-default']);
    expect(changes('demo-admin')).toEqual(['demo-api']);
    expect(migrationJob(before).metadata.name).toBe(migrationJob(rotated('pg')).metadata.name);
    expect(migrationJob(before).metadata.name).not.toBe(migrationJob(rotated('storage')).metadata.name);
  });

  test('settings of clients do not touch replicators, a sync config touches nothing (O-22)', () => {
    const changed = structuredClone(instance);
    changed.spec.clientAuth.audience = ['another'];
    const hash = (of: SyncInstance, name: string) => annotations(inputFor(of), name)[HASH_OF_CONFIG];
    expect(hash(changed, 'demo-api')).not.toBe(hash(instance, 'demo-api'));
    expect(hash(changed, 'demo-replicator-default')).toBe(hash(instance, 'demo-replicator-default'));
    const redeployed = structuredClone(instance);
    redeployed.spec.syncConfig = { inline: 'streams: {}', approval: 'Automatic', approvedRevision: '' };
    expect(bytes(allObjects(inputFor(redeployed)))).toBe(bytes(allObjects(inputFor(instance))));
  });

  test('migration runs again for another image or storage, not for another level of logging (O-239)', () => {
    const nameOf = (change: (spec: SyncInstance['spec']) => void, image?: string): string => {
      const changed = structuredClone(instance);
      change(changed.spec);
      return migrationJob(inputFor(changed, image === undefined ? {} : { image })).metadata.name;
    };
    const before = nameOf(() => undefined);
    expect(nameOf((spec) => (spec.telemetry.logLevel = 'debug'))).toBe(before);
    expect(nameOf((spec) => (spec.api.replicas = 5))).toBe(before);
    expect(nameOf(() => undefined, 'other:2')).not.toBe(before);
    expect(nameOf((spec) => (spec.storage.mongodb!.database = 'other'))).not.toBe(before);
  });
});

describe('parts', () => {
  test('a stopped instance has nothing that runs', () => {
    const objects = desiredObjects(inputFor(goldenInstance('full'), { stopped: true })).map(({ object }) => object);
    const replicas = objects
      .filter(({ kind }) => kind === 'Deployment')
      .map((object) => (object as V1Deployment).spec!.replicas);
    expect(replicas).toEqual([0, 0, 0, 0, 0, 0]);
    expect(objects.find(({ kind }) => kind === 'CronJob')).toMatchObject({ spec: { suspend: true } });
  });

  test('replicators have a pod at every moment of a roll-out, and one to stand by', () => {
    const minimal = goldenInstance('minimal');
    const redis = { uriSecretRef: { name: 'redis', key: 'uri' } };
    const input = inputFor({ ...minimal, spec: { ...minimal.spec, redis } });
    const { spec } = deployment(input, 'demo-replicator-default');
    expect(spec).toMatchObject({ replicas: 2, strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } });
    expect(replicatorArgs(input)).toEqual([
      ...['start', '--role', 'sync', '--source', 'default', '--grace-seconds', '55'],
      ...['--config', '/etc/millrace/service.yaml'],
    ]);
  });

  test('without Redis there is no lease between processes: one replicator, replaced when it has ended (R-41)', () => {
    const input = inputFor(goldenInstance('minimal'));
    const { spec } = deployment(input, 'demo-replicator-default');
    expect(spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    const budgets = desiredObjects(input).filter(({ object }) => object.kind === 'PodDisruptionBudget');
    expect(budgets.map(({ object }) => object.metadata.name)).toEqual(['demo-api']);
  });

  test('a replicator without standby has no disruption budget (O-228)', () => {
    const budgets = desiredObjects(inputFor(goldenInstance('full')))
      .filter(({ object }) => object.kind === 'PodDisruptionBudget')
      .map(({ object }) => object.metadata.labels['millrace.dev/source']);
    expect(budgets).toEqual([undefined, 'pg-main', 'mongo', 'mssql', 'api']);
  });

  test('teardown keeps storage when it is retained, and ends before it is ended (O-7)', () => {
    const { spec } = teardownJob(inputFor(goldenInstance('full')));
    const args = spec!.template.spec!.containers[0]!.args;
    expect(args!.slice(0, 6)).toEqual(['teardown', 'TEARDOWN', '--keep-storage', '--slots-first', '--timeout', '90']);
    expect(spec!.activeDeadlineSeconds).toBe(120);
    // The default of `deletion.timeoutSeconds` has room for two attempts.
    const minimal = teardownJob(inputFor(goldenInstance('minimal'))).spec!.template.spec!.containers[0]!.args;
    expect(minimal!.slice(0, 5)).toEqual(['teardown', 'TEARDOWN', '--slots-first', '--timeout', '120']);
  });

  test('metrics are for the operator and whom it is said, the API for everybody unless it is said', () => {
    const policies = (of: DesiredInput): Record<string, KubeObject> =>
      Object.fromEntries(
        desiredObjects(of).flatMap(({ object }) =>
          object.kind === 'NetworkPolicy' ? [[object.metadata.name, object]] : [],
        ),
      );
    const open = policies(inputFor(goldenInstance('minimal')));
    const closedToAll = { podSelector: { matchLabels: { 'millrace.dev/instance': 'demo' } }, policyTypes: ['Ingress'] };
    expect(open['demo-closed']).toMatchObject({ spec: closedToAll });
    expect(bytes(open['demo-closed'])).not.toContain('"ingress"');
    expect(open['demo-api']).toMatchObject({ spec: { ingress: [{ ports: [{ port: 'http' }] }] } });
    expect(bytes(open['demo-api'])).not.toContain('"from"');
    const closed = policies(inputFor(goldenInstance('full')));
    const operator = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'millrace-system' } } };
    for (const name of ['fleet-api', 'fleet-metrics']) {
      expect(closed[name]).toMatchObject({ spec: { ingress: [{ from: [expect.anything(), operator] }] } });
    }
    const without = structuredClone(goldenInstance('minimal'));
    without.spec.networkPolicy.enabled = false;
    expect(policies(inputFor(without))).toEqual({});
  });

  test('required values name each value once, with those of own variables and the operator’s token', () => {
    const values = requiredValues(goldenInstance('full')).map(({ kind, name, key }) => `${kind} ${name}.${key}`);
    expect(new Set(values).size).toBe(values.length);
    expect(values).toEqual(
      expect.arrayContaining(['Secret fleet-admin.token', 'Secret proxy.token', 'ConfigMap cluster.region']),
    );
    expect(values).toContain('Secret pg-tls.tls.key');
  });
});
