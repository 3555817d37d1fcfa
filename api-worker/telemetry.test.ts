import { afterEach, expect, test } from 'vitest';
import { GLOBAL, MINE, startHarness, type Harness } from './testing/harness.ts';

let harness: Harness;
afterEach(() => harness.close());

async function valueOf(name: string, labels: Record<string, string> = {}): Promise<number> {
  const metric = await harness.registry.getSingleMetric(name)!.get();
  const found = metric.values.filter((value) =>
    Object.entries(labels).every(([key, item]) => value.labels[key] === item),
  );
  return found.reduce((sum, { value }) => sum + value, 0);
}

test('operations and bytes by stream, never by user or bucket (O-173, O-174)', async () => {
  harness = await startHarness();
  harness.commit({
    changes: [
      ...['a', 'b', 'c'].map((id) => ({ definition: GLOBAL, key: '[]', op: 'PUT' as const, id })),
      { definition: MINE, key: '["u1"]', op: 'PUT', id: 'd', data: `{"id":"d","text":"${'x'.repeat(5000)}"}` },
    ],
  });
  const clients = ['u1', 'u2'].map((user) => harness.client(user));
  for (const client of clients) {
    await client.connect();
    await client.until(() => client.completedOp === String(harness.storage.op));
  }
  // added up once a turn of the event loop
  await expect.poll(() => valueOf('millrace_stream_operations_synced_total', { stream: 'global' })).toBe(6);
  expect(await valueOf('millrace_stream_operations_synced_total', { stream: 'mine' })).toBe(1);
  expect(await valueOf('millrace_stream_data_synced_bytes_total', { stream: 'mine' })).toBeGreaterThan(5000);
  expect(await valueOf('powersync_operations_synced_total')).toBe(7);
  const text = await harness.registry.metrics();
  expect(text).not.toMatch(/u1|u2/);
});

test('waiting for a client that does not read is counted', async () => {
  harness = await startHarness();
  const data = JSON.stringify({ id: 'x', text: 'x'.repeat(100_000) });
  harness.commit({
    changes: Array.from({ length: 100 }, (_, index) => ({
      definition: GLOBAL,
      key: '[]',
      op: 'PUT',
      id: `r${index}`,
      data,
    })),
  });
  const client = harness.client('u1');
  await client.connect();
  client.pause();
  await expect.poll(() => valueOf('millrace_client_waits_total'), { timeout: 10_000 }).toBeGreaterThan(0);
  client.resume();
  await client.until(() => client.completedOp === String(harness.storage.op), 'everything', 20_000);
});
