import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PrivateKubeApiserver } from '#test/services/contract.ts';
import { startKubeApiserver } from '#test/services/kube-apiserver.ts';
import { kubePrograms } from '#test/services/kube-programs.ts';
import { type KubeAnswer, type KubeRequest, kubeRequest } from '#test/services/kube-request.ts';
import { invalidExamples, type Manifest, validExamples } from './testing/examples.ts';
import { installSyncInstances } from './testing/install.ts';
import { withDefaults } from './testing/with-defaults.ts';

const programs = await kubePrograms();
const missing = typeof programs === 'string' ? ` (${programs})` : '';
const collection = '/apis/millrace.dev/v1alpha1/namespaces/default/syncinstances';
const strict = 'fieldValidation=Strict';

describe.skipIf(missing !== '')(`examples, read by a real API server${missing}`, async () => {
  let server: PrivateKubeApiserver;
  let request: KubeRequest;

  beforeAll(async () => {
    server = await startKubeApiserver();
    request = kubeRequest(server.kubeconfig);
    await installSyncInstances(request);
  });
  afterAll(() => server?.close());

  /** The answer to the manifest, as an update when there is one before it. Leaves nothing behind. */
  async function apply(manifest: Manifest, before: Manifest | undefined): Promise<KubeAnswer> {
    if (before === undefined) return request('POST', `${collection}?${strict}&dryRun=All`, manifest);
    const present = await request('POST', `${collection}?${strict}`, before);
    expect(present.status, JSON.stringify(present.body['message'])).toBe(201);
    const { resourceVersion } = present.body['metadata'] as { resourceVersion: string };
    const path = `${collection}/${before.metadata.name}`;
    const update = { ...manifest, metadata: { ...manifest.metadata, resourceVersion } };
    const answer = await request('PUT', `${path}?${strict}`, update);
    await request('DELETE', path);
    return answer;
  }

  test.each(await validExamples())('$name is taken without loss, with the defaults', async ({ manifest, before }) => {
    const { status, body } = await apply(manifest, before);
    expect(status, JSON.stringify(body['message'])).toBe(before === undefined ? 201 : 200);
    expect(body['spec']).toEqual(withDefaults(manifest).spec);
  });

  test.each(await invalidExamples())('$name', async ({ manifest, before, refused }) => {
    const { status, body } = await apply(manifest, before);
    expect(status).toBeGreaterThanOrEqual(400);
    const reasons = reasonsOf(body);
    // No other reason: the example would be refused without the rule.
    expect(reasons.map((reason) => refused.find((words) => reason.includes(words)) ?? reason).toSorted()).toEqual(
      refused.toSorted(),
    );
  });
});

/** Why a request was refused, reason by reason. */
function reasonsOf(body: Record<string, unknown>): string[] {
  const details = body['details'] as { causes?: { field?: string; message: string }[] } | undefined;
  const causes = details?.causes?.map(({ field, message }) => `${field}: ${message}`) ?? [String(body['message'])];
  return causes.filter((message) => !message.includes('some validation rules were not checked'));
}
