import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import { startKubeApiserver } from './kube-apiserver.ts';
import { kubePrograms } from './kube-programs.ts';

const programs = await kubePrograms();
const missing = typeof programs === 'string' ? ` (${programs})` : '';

describe.skipIf(missing !== '')(`a Kubernetes API of one's own${missing}`, () => {
  test.each(['stop', 'kill'] as const)('its user may do everything; objects survive %s and start', async (end) => {
    await using server = await startKubeApiserver();
    const config = new KubeConfig();
    config.loadFromString(server.kubeconfig);
    const api = config.makeApiClient(CoreV1Api);
    const metadata = { name: 'kept', namespace: 'default' };
    await api.createNamespacedConfigMap({ namespace: 'default', body: { metadata, data: { key: 'value' } } });

    await server[end]();
    await expect(api.readNamespacedConfigMap(metadata)).rejects.toThrow();
    await server.start();
    expect((await api.readNamespacedConfigMap(metadata)).data).toEqual({ key: 'value' });
  });

  test('two of them know nothing of each other', async () => {
    await using one = await startKubeApiserver();
    await using two = await startKubeApiserver();
    expect(one.url).not.toBe(two.url);
  });
});
