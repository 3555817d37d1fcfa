/** Limits of a worker and of a session (O-57 … O-60, O-143 … O-146, wire/16). */
import { afterEach, describe, expect, test } from 'vitest';
import type { CodedError } from '#core/platform/errors/coded-error.ts';
import { RefusedError } from '#test/client/protocol-client.ts';
import { MEMBERS, startHarness, MINE, SHARED, type Harness, type HarnessOptions } from './testing/harness.ts';
import { openConnection, requestText, streamRequest } from './testing/raw-connection.ts';
import { only, startWithStreams, subscribe } from './testing/real-config.ts';

let harness: Harness;
const start = async (options?: HarnessOptions): Promise<Harness> => (harness = await startHarness(options));
afterEach(() => harness.close());

const statusOf = async (path: string): Promise<number> => {
  const connection = await openConnection(harness.endpoint);
  connection.send(requestText('GET', path, null, { connection: 'close' }));
  const { status } = await connection.answer();
  connection.destroy();
  return status;
};
/** How a session was refused. */
async function refusal(connecting: Promise<unknown>): Promise<{ status: number; error: Record<string, unknown> }> {
  const error = await connecting.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof RefusedError)) throw new Error(`not refused: ${String(error)}`);
  return { status: error.status, error: (JSON.parse(error.body) as { error: Record<string, unknown> }).error };
}
const ends = (): Harness['logged'][number][] =>
  harness.logged.filter(({ message }) => message === 'Sync stream complete');

describe('connections (O-57, O-146, S-605)', () => {
  test('those beyond the limit get 429; the others go on, and one that ends makes room', async () => {
    await start({ maxConnections: 2 });
    const [first, second] = [harness.client('u1'), harness.client('u2')];
    await first.connect();
    expect(await statusOf('/probes/readiness')).toBe(200);
    await second.connect();
    // O-168: the load balancer is told before anybody is refused.
    expect(await statusOf('/probes/readiness')).toBe(400);

    const third = harness.client('u3');
    expect(await refusal(third.connect())).toMatchObject({ status: 429, error: { code: 'PSYNC_S2304', status: 429 } });
    expect(await statusOf('/write-checkpoint2.json')).toBe(200);
    harness.commit({ changes: [{ definition: MINE, key: '["u1"]', op: 'PUT', id: 'a' }] });
    await first.until(() => first.visible.has('items/a'));

    second.disconnect();
    await expect.poll(() => harness.worker.connections()).toBe(1);
    await third.connect();
    await third.until(() => third.completedOp !== null);
    expect(await statusOf('/probes/readiness')).toBe(400);
    first.disconnect();
    third.disconnect();
    await harness.atRest();
    expect(await statusOf('/probes/readiness')).toBe(200);
  });

  test('are checked before the body is read, and say when to come back', async () => {
    await start({ maxConnections: 1 });
    await harness.client('u1').connect();
    const connection = await openConnection(harness.endpoint);
    connection.send(streamRequest('', { 'content-length': '5000000' }));
    const { status, headers } = await connection.answer();
    expect([status, headers.get('retry-after')]).toEqual([429, '5']);
    connection.destroy();
  });

  test('a place is taken once, even when requests arrive together', async () => {
    await start({ maxConnections: 3 });
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        harness
          .client(`u${index}`)
          .connect()
          .then(
            () => 'served',
            (error: RefusedError) => error.status,
          ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'served')).toHaveLength(3);
    expect(outcomes.filter((outcome) => outcome === 429)).toHaveLength(9);
  });

  test('a session that fails gives its place back', async () => {
    await start({ maxConnections: 1, maxBuckets: 1 });
    for (let round = 0; round < 5; round++)
      expect((await refusal(harness.client('u1').connect())).error['code']).toBe('PSYNC_S2305');
    await harness.client('u1', { streams: { include_defaults: false } }).connect();
  });

  test('a token is needed even to be told that there is no room for a write checkpoint', async () => {
    await start({ maxConnections: 1 });
    const connection = await openConnection(harness.endpoint);
    connection.send(requestText('GET', '/write-checkpoint2.json', null, { authorization: null }));
    expect((await connection.answer()).error.code).toBe('PSYNC_S2106');
    connection.destroy();
  });
});

const LISTS = `  list_items: { query: "SELECT * FROM items WHERE list_id = subscription.parameter('list_id')" }\n`;
const lists = (count: number): object =>
  only(...Array.from({ length: count }, (_, index) => subscribe('list_items', { list_id: `l${index}` })));

describe('buckets (O-59, O-143, S-383 … S-385)', () => {
  test('one more than allowed fails the request; as many as allowed are served', async () => {
    harness = await startWithStreams(LISTS, { maxBuckets: 3 });
    expect(await refusal(harness.client('u1', { streams: lists(4) }).connect())).toEqual({
      status: 500,
      error: expect.objectContaining({
        code: 'PSYNC_S2305',
        status: 500,
        description: 'Too many buckets: 4 (limit of 3)',
        details: '["list_items: 4"]',
        name: 'ServiceError',
      }) as object,
    });
    const client = harness.client('u1', { streams: lists(3) });
    await client.connect();
    await client.until(() => client.completedOp !== null);
    expect(client.tracked!.buckets.size).toBe(3);
  });

  test('the log lists the ten streams with most buckets (O-144, S-386)', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `s${index}`);
    const streams = names.map(
      (name) => `  ${name}: { query: "SELECT * FROM t WHERE a = subscription.parameter('a')" }\n`,
    );
    harness = await startWithStreams(streams.join(''), { maxBuckets: 10 });
    // s0 has one bucket, s1 two, …
    const subscriptions = names.flatMap((name, index) =>
      Array.from({ length: index + 1 }, (_, a) => subscribe(name, { a })),
    );
    await refusal(harness.client('u1', { streams: only(...subscriptions) }).connect());
    const [end] = ends();
    expect(end).toMatchObject({
      level: 'warn',
      fields: { error_code: 'PSYNC_S2305', user_id: 'u1', close_reason: 'error' },
    });
    expect((end!.fields['error'] as CodedError).details).toEqual(
      Array.from({ length: 10 }, (_, index) => `s${11 - index}: ${12 - index}`),
    );
  });

  test('one that is passed by a change ends the session with the same error (S-385)', async () => {
    await start({ maxBuckets: 3 });
    harness.commit({ lookups: [{ lookup: MEMBERS, key: '["u1"]', row: 'm1', values: '[["r1"]]' }] });
    const client = harness.client('u1');
    await client.connect();
    await client.until(() => client.completedOp === String(harness.storage.op));
    expect(client.tracked!.buckets.size).toBe(3);
    harness.commit({
      changes: [{ definition: SHARED, key: '["r2"]', op: 'PUT', id: 'x' }],
      lookups: [{ lookup: MEMBERS, key: '["u1"]', row: 'm2', values: '[["r2"]]' }],
    });
    await client.ended;
    expect(ends()).toEqual([expect.objectContaining({ level: 'warn' })]);
    expect(ends()[0]!.fields).toMatchObject({ close_reason: 'error', error_code: 'PSYNC_S2305' });
    expect((await refusal(client.connect())).error['code']).toBe('PSYNC_S2305');
    await harness.atRest();
  });
});

describe('parameter query results (O-60, wire/16)', () => {
  const SHARED_ITEMS = `  shared_items:
    auto_subscribe: true
    query: "SELECT * FROM items WHERE list_id IN (SELECT list_id FROM members WHERE user_id = auth.user_id())"\n`;
  test.each([
    [3, null],
    [4, 'Too many parameter query results (limit of 3)'],
  ])('%i of 3', async (count, description) => {
    const configured = await startWithStreams(SHARED_ITEMS, { maxParameterResults: 3 });
    harness = configured;
    const members = Array.from({ length: count }, (_, index) => ({
      lookup: configured.definition('members'),
      key: '["u1"]',
      row: `m${index}`,
      values: JSON.stringify([[`l${index}`]]),
    }));
    harness.commit({ lookups: members });
    const client = harness.client('u1');
    if (description === null) {
      await client.connect();
      await client.until(() => client.completedOp !== null);
      expect(client.tracked!.buckets.size).toBe(count);
    } else {
      expect(await refusal(client.connect())).toMatchObject({
        status: 500,
        error: { code: 'PSYNC_S2305', description },
      });
      await harness.atRest();
    }
  });
});

test('reads of bucket data at once (O-58)', async () => {
  await start();
  const users = Array.from({ length: 40 }, (_, index) => `u${index}`);
  harness.commit({
    changes: users.map((user) => ({ definition: MINE, key: `["${user}"]`, op: 'PUT', id: `of ${user}` })),
  });
  let running = 0;
  const gate = Promise.withResolvers<void>();
  harness.storage.beforeRead = async (what) => {
    if (what !== 'chunks') return;
    running++;
    await gate.promise;
    running--;
  };
  const clients = users.map((user) => harness.client(user));
  await Promise.all(clients.map((client) => client.connect()));
  // Each has announced its bucket and asked for the data.
  expect(running).toBe(10);
  gate.resolve();
  for (const [index, client] of clients.entries())
    await client.until(() => client.visible.has(`items/of u${index}`), `data of u${index}`);
  expect(harness.storage.reads['chunks']).toBe(40);
});
