import { afterEach, describe, expect, test } from 'vitest';
import type { ProtocolClient } from '#test/client/protocol-client.ts';
import { GLOBAL, MINE, startHarness, type Harness, type HarnessOptions } from './testing/harness.ts';

let harness: Harness;
const start = async (options?: HarnessOptions): Promise<Harness> => (harness = await startHarness(options));
afterEach(() => harness.close());

const kinds = (client: ProtocolClient): string[] =>
  client.lines.map((line) => Object.keys(line)[0]!).filter((kind) => kind !== 'token_expires_in');
const completedAt = (client: ProtocolClient): Promise<void> =>
  client.until(() => client.completedOp === String(harness.storage.op), `completed at ${harness.storage.op}`);
const put = (definition: number, key: string, id: string, data?: string) =>
  ({ definition, key, op: 'PUT', id, ...(data === undefined ? {} : { data }) }) as const;

describe.each(['bson', 'ndjson'] as const)('a client over %s', (encoding) => {
  test('first sync, a change, a removal, and nothing for what does not concern it', async () => {
    await start();
    harness.commit({
      changes: [put(GLOBAL, '[]', 'a'), put(MINE, '["u1"]', 'b', '{"id":"b","n":1}'), put(MINE, '["u2"]', 'c')],
    });
    const client = harness.client('u1', { encoding });
    await client.connect();
    await completedAt(client);
    expect(kinds(client)).toEqual(['checkpoint', 'data', 'partial_checkpoint_complete', 'data', 'checkpoint_complete']);
    expect([...client.visible.keys()].toSorted()).toEqual(['items/a', 'items/b']);

    harness.commit({ changes: [put(MINE, '["u2"]', 'd')] });
    harness.commit({ changes: [put(MINE, '["u1"]', 'b', '{"id":"b","n":2}')] });
    await completedAt(client);
    expect(kinds(client).slice(5)).toEqual(['checkpoint_diff', 'data', 'checkpoint_complete']);
    expect(client.visible.get('items/b')).toBe('{"id":"b","n":2}');

    harness.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'REMOVE', id: 'a' }] });
    await completedAt(client);
    expect([...client.visible.keys()]).toEqual(['items/b']);
  });

  test('resumes from its positions (S-573), also in another worker that is behind', async () => {
    await start();
    harness.commit({ changes: [put(MINE, '["u1"]', 'b')] });
    const client = harness.client('u1', { encoding });
    await client.connect();
    await completedAt(client);
    client.disconnect();
    // The worker does not hear of this commit; the client comes from one that did.
    harness.storage.commit({ changes: [put(MINE, '["u1"]', 'c')] });
    const { operations } = client.counts;
    await client.connect();
    await client.until(() => client.completedOp !== null);
    expect(client.counts.operations - operations).toBeLessThanOrEqual(1);
  });
});
