/** A real API server with the CRD, one namespace of its own, and a played kubelet and data plane. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { realClock } from '#core/platform/clock.ts';
import { startKubeApiserver } from '#test/services/kube-apiserver.ts';
import type { PrivateKubeApiserver } from '#test/services/contract.ts';
import { createKubeClient } from '../kube/client.ts';
import type { Kube, KubeObject, ResourceType } from '../kube/contract.ts';
import { SECRETS, SYNC_INSTANCES } from '../kube/resource-types.ts';
import { createTransport } from '../kube/transport.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';

export interface Cluster {
  readonly kube: Kube;
  /** A new, empty namespace. */
  namespace(): Promise<string>;
  close(): Promise<void>;
}

const NAMESPACES: ResourceType = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false };
const CRDS: ResourceType = {
  ...{ apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' },
  ...{ plural: 'customresourcedefinitions', namespaced: false },
};

export async function startCluster(): Promise<Cluster> {
  const server = await startKubeApiserver();
  const kube = connect(server);
  const text = await readFile(join(import.meta.dirname, '../../crds/millrace.dev_syncinstances.yaml'), 'utf8');
  await kube.create(CRDS, parse(text) as KubeObject);
  const giveUp = AbortSignal.timeout(20_000);
  for (;;) {
    const isServed = await kube.list(SYNC_INSTANCES, { namespace: null }).then(
      () => true,
      () => false,
    );
    if (isServed) break;
    giveUp.throwIfAborted();
    await realClock.sleep(50);
  }
  let count = 0;
  return {
    kube,
    async namespace() {
      const name = `ns-${++count}`;
      await kube.create(NAMESPACES, { metadata: { name } });
      return name;
    },
    close: () => server.close(),
  };
}

function connect(server: PrivateKubeApiserver): Kube {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(server.kubeconfig);
  return createKubeClient({ transport: createTransport(kubeConfig), clock: realClock, random: Math.random });
}

export const SYNC_CONFIG = `config:\n  edition: 3\nstreams:\n  lists:\n    auto_subscribe: true\n    query: SELECT * FROM lists\n`;

/** An instance with one Postgres source and MongoDB storage, whose Secrets are `pg` and `storage`. */
export function instanceObject(namespace: string, name: string, spec: object = {}): KubeObject {
  return {
    metadata: { namespace, name },
    spec: {
      sources: [{ name: 'default', type: 'postgresql', postgresql: { uriSecretRef: { name: 'pg', key: 'uri' } } }],
      storage: { type: 'mongodb', mongodb: { uriSecretRef: { name: 'storage', key: 'uri' } } },
      syncConfig: { inline: SYNC_CONFIG },
      clientAuth: { jwksUris: ['https://auth.example.com/keys'], audience: ['apps'] },
      ...spec,
    },
  } as KubeObject;
}

export async function createSecrets(
  kube: Kube,
  namespace: string,
  names: readonly string[] = ['pg', 'storage'],
): Promise<void> {
  for (const name of names) {
    const data = { uri: Buffer.from(`postgres://${name}`).toString('base64') };
    await kube.create(SECRETS, { metadata: { namespace, name }, data } as KubeObject);
  }
}

export async function readInstance(kube: Kube, namespace: string, name: string): Promise<SyncInstance | null> {
  return kube.get<SyncInstance & KubeObject>(SYNC_INSTANCES, { namespace, name });
}
