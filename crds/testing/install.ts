import { setTimeout as delay } from 'node:timers/promises';
import type { KubeRequest } from '#test/services/kube-request.ts';
import { customResourceDefinition } from '../definition.ts';

const collection = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const establishTimeoutMs = 30_000;

/** Puts the CRD into an API server and resolves when SyncInstances can be written. Throws what the server objects to. */
export async function installSyncInstances(request: KubeRequest): Promise<void> {
  const definition = customResourceDefinition();
  const created = await request('POST', collection, definition);
  if (created.status !== 201) throw new Error(`The CRD was refused: ${JSON.stringify(created.body, null, 2)}`);
  const giveUp = AbortSignal.timeout(establishTimeoutMs);
  const { group, names } = definition.spec;
  const list = `/apis/${group}/${definition.spec.versions[0]!.name}/${names.plural}`;
  while ((await request('GET', list)).status !== 200) {
    if (giveUp.aborted) throw new Error(`The CRD is not served after ${establishTimeoutMs / 1000} s.`);
    await delay(20);
  }
}
