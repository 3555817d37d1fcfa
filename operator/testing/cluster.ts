/** A real API server with the CRD, one namespace of its own, and a played kubelet and data plane. */
import { KubeConfig } from '@kubernetes/client-node';
import { realClock } from '#core/platform/clock.ts';
import type { SyncInstance } from '#crds/sync-instance/sync-instance.ts';
import { installSyncInstances } from '#crds/testing/install.ts';
import { startKubeApiserver } from '#test/services/kube-apiserver.ts';
import { kubeRequest } from '#test/services/kube-request.ts';
import type { PrivateKubeApiserver } from '#test/services/contract.ts';
import { createKubeClient } from '../kube/client.ts';
import type { Kube, KubeObject, ResourceType } from '../kube/contract.ts';
import { OPTIONAL_TYPES, OWNED_TYPES, SECRETS, SYNC_INSTANCES } from '../kube/resource-types.ts';
import { createTransport } from '../kube/transport.ts';

export interface Cluster {
  readonly kube: Kube;
  /** A new, empty namespace. */
  namespace(): Promise<string>;
  close(): Promise<void>;
}

/** Kinds of owned objects that a bare API server has. */
export const SERVED_TYPES: readonly ResourceType[] = OWNED_TYPES.filter((type) => !OPTIONAL_TYPES.has(type));

const NAMESPACES: ResourceType = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false };

export async function startCluster(): Promise<Cluster> {
  const server = await startKubeApiserver();
  const kube = connect(server);
  await installSyncInstances(kubeRequest(server.kubeconfig));
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
