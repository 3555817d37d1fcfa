/** What the worker can say of the sessions that a user has now. */
import { afterEach, expect, test } from 'vitest';
import { GLOBAL, startHarness, type Harness } from '../testing/harness.ts';

let harness: Harness;
afterEach(() => harness.close());

test('sessions of a user: what they were told, and have completely', async () => {
  harness = await startHarness();
  const { sessions } = harness.worker;
  expect(sessions.ofUser('u1', 10)).toEqual([]);
  harness.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: 'a', data: '{"id":"a"}' }] });
  const clients = ['one', 'two'].map((clientId) => harness.client('u1', { clientId }));
  const stranger = harness.client('u2');
  for (const client of [...clients, stranger]) {
    await client.connect();
    await client.until(() => client.counts.completes > 0, 'the first checkpoint');
  }
  const { op } = harness.storage;
  const present = sessions.ofUser('u1', 10);
  expect(present).toEqual(
    ['one', 'two'].map((clientId) =>
      expect.objectContaining({ clientId, completed: op, announced: { op, writeCheckpoint: null } }),
    ),
  );
  expect(present[0]?.bucketNames()).toEqual(['1#global|0[]', '1#mine|0["u1"]']);
  expect(Math.abs(Date.now() - (present[0]?.connectedMs ?? 0))).toBeLessThan(60_000);
  expect(sessions.ofUser('u1', 1)).toHaveLength(1);
  expect(JSON.stringify(sessions.ofUser('u2', 10))).not.toContain('one');

  harness.commit({ writeCheckpoints: [{ userId: 'u1', clientId: 'one', checkpoint: 7n }] });
  await clients[0]!.until(() => clients[0]!.writeCheckpoint === 7n, 'its write checkpoint');
  const next = harness.storage.op;
  expect(sessions.ofUser('u1', 10)[0]).toMatchObject({ completed: next, announced: { op: next, writeCheckpoint: 7n } });
  for (const client of clients) client.disconnect();
  stranger.disconnect();
  await harness.atRest();
  expect(sessions.ofUser('u1', 10)).toEqual([]);
});
