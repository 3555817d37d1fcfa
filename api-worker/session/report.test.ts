/** Log entries of a session (S-680 … S-683, O-190, O-191, O-194), and what a client can make us log (O-195). */
import { afterEach, expect, test } from 'vitest';
import { GLOBAL, startHarness, type Harness } from '../testing/harness.ts';
import { openConnection, streamRequest } from '../testing/raw-connection.ts';

let harness: Harness;
afterEach(() => harness.close());
const entries = (message: string): Record<string, unknown>[] =>
  harness.logged.filter((entry) => entry.message === message).map(({ fields }) => fields);

async function session(body: object, userAgent = 'powersync-js/2.3.0'): Promise<void> {
  harness = await startHarness();
  const data = JSON.stringify({ id: 'a', secret: 's3cr3t row' });
  harness.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: 'a', data }] });
  harness.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'REMOVE', id: 'a' }] });
  const connection = await openConnection(harness.endpoint);
  connection.send(streamRequest(body, { 'x-user-agent': userAgent }));
  await connection.until((text) => text.includes('checkpoint_complete'), 'a complete checkpoint');
  connection.destroy();
  await harness.atRest();
}

test('start and end of a session have what identifies it, and what was sent', async () => {
  await session({ client_id: 'device', parameters: { v: 2 }, app_metadata: { version: '4.2' } });
  const identity = {
    user_id: 'u1',
    client_id: 'device',
    client_params: { v: 2 },
    app_metadata: { version: '4.2' },
    user_agent: 'powersync-js/2.3.0',
  };
  const [started] = entries('Sync stream started');
  const [complete] = entries('Sync stream complete');
  expect(started).toMatchObject(identity);
  expect(complete).toMatchObject({
    ...identity,
    rid: started!['rid'],
    operations_synced: 2,
    operation_counts: { put: 1, remove: 1, move: 0, clear: 0 },
    close_reason: 'client closed',
  });
  for (const figure of ['data_synced_bytes', 'data_sent_bytes']) expect(complete![figure]).toBeGreaterThan(200);
  expect(complete!['stream_ms']).toBeGreaterThanOrEqual(0);
  expect(entries('New checkpoint')).toEqual([
    expect.objectContaining({
      rid: started!['rid'],
      checkpoint: harness.storage.op,
      write_checkpoint: null,
      buckets: 2,
      parameter_results: 1,
      bucket_names: ['1#global|0[]', '1#mine|0["u1"]'],
    }),
  ]);
  expect(JSON.stringify(harness.logged)).not.toContain('s3cr3t');
});

test('a client cannot fill the log', async () => {
  const large = 'x'.repeat(1_000_000);
  await session({ parameters: { large }, app_metadata: { large }, streams: { subscriptions: [] } }, 'y'.repeat(20_000));
  expect(entries('Sync stream started')).toHaveLength(1);
  for (const entry of harness.logged) expect(JSON.stringify(entry).length).toBeLessThan(6000);
});

test('names of streams that the sync config does not have, within bounds (S-65)', async () => {
  const subscriptions = Array.from({ length: 1000 }, (_, at) => ({
    stream: `${at}-${'x'.repeat(300)}`,
    parameters: null,
  }));
  await session({ streams: { subscriptions } });
  const [checkpoint] = entries('New checkpoint');
  const names = checkpoint!['unknown_streams'] as string[];
  expect(names).toHaveLength(10);
  expect(names[0]).toMatch(/^0-x+…$/);
  expect(JSON.stringify(names).length).toBeLessThan(1200);
});
