/** Write checkpoints over HTTP (S-471 … S-483, wire/07), and what streams tell of them (S-465 … S-468). */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ProtocolClient } from '#test/client/protocol-client.ts';
import { GLOBAL, MEMBERS, startHarness, type Harness } from '../testing/harness.ts';

let harness: Harness;
beforeEach(async () => void (harness = await startHarness()));
afterEach(() => harness.close());

interface Answer {
  readonly status: number;
  readonly body: { readonly data?: unknown; readonly error?: { readonly code: string; readonly details?: string } };
}
async function call(method: string, path: string, body?: unknown, token = 'Token u1'): Promise<Answer> {
  const response = await fetch(harness.endpoint + path, {
    method,
    headers: { ...(token === '' ? {} : { authorization: token }), 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}
const create = (query = '?client_id=client-1', token?: string): Promise<Answer> =>
  call('GET', `/write-checkpoint2.json${query}`, undefined, token);
const request = (body: unknown, token?: string): Promise<Answer> =>
  call('POST', '/sync/checkpoint-request', body, token);
const refused = (status: number, code: string, details?: string): object => ({
  status,
  body: { error: expect.objectContaining({ code, status, ...(details === undefined ? {} : { details }) }) as object },
});

describe('GET /write-checkpoint2.json (S-471)', () => {
  test('numbers go up for each user and client (S-463, S-464)', async () => {
    expect(await create()).toEqual({ status: 200, body: { data: { write_checkpoint: '1' } } });
    expect(await create()).toEqual({ status: 200, body: { data: { write_checkpoint: '2' } } });
    expect((await create('?client_id=other')).body.data).toEqual({ write_checkpoint: '1' });
    expect((await create('?client_id=client-1', 'Bearer u2')).body.data).toEqual({ write_checkpoint: '1' });
    // Without client_id, as the recorded service.
    expect((await create('')).body.data).toEqual({ write_checkpoint: '1' });
    expect((await create('?client_id=')).body.data).toEqual({ write_checkpoint: '2' });
    // The leader is told each time, so that the answer need not wait for it (S-474).
    expect(harness.nudges).toEqual(Array.from({ length: 6 }, () => 'write-checkpoints'));
  });

  test.each([
    ['no token', '?client_id=a', '', 401, 'PSYNC_S2106'],
    ['a refused token', '?client_id=a', 'Token bad', 401, 'PSYNC_S2101'],
    ['client_id twice', '?client_id=a&client_id=b', 'Token u1', 400, 'PSYNC_S2001'],
    ['client_id too long', `?client_id=${'x'.repeat(513)}`, 'Token u1', 400, 'PSYNC_S2001'],
    ['client_id that Postgres cannot store', '?client_id=a%00b', 'Token u1', 400, 'PSYNC_S2001'],
  ])('%s', async (_name, query, token, status, code) => {
    expect(await create(query, token)).toEqual(refused(status, code));
    expect(harness.nudges).toEqual([]);
  });

  test('any other client_id is taken as it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 60 }), async (clientId) => {
        fc.pre(!clientId.includes('\0'));
        expect((await create(`?client_id=${encodeURIComponent(clientId)}`)).status).toBe(200);
      }),
      { numRuns: 30 },
    );
  });
});

describe('POST /sync/checkpoint-request (S-475)', () => {
  test('the greatest id counts; an equal or smaller one changes nothing (S-477, S-478)', async () => {
    const ask = async (id: unknown): Promise<unknown> =>
      (await request({ client_id: 'client-9', checkpoint_request_id: id })).body.data;
    expect(await ask('5')).toEqual({ checkpoint_request_id: '5' });
    expect(await ask(3)).toEqual({ checkpoint_request_id: '5' });
    expect(await ask('5')).toEqual({ checkpoint_request_id: '5' });
    expect(harness.nudges).toHaveLength(1);
    expect(await ask('9223372036854775807')).toEqual({ checkpoint_request_id: '9223372036854775807' });
    expect(harness.nudges).toHaveLength(2);
  });

  test('both kinds of numbers are one counter (S-483)', async () => {
    await request({ client_id: 'client-1', checkpoint_request_id: '1000' });
    expect((await create()).body.data).toEqual({ write_checkpoint: '1001' });
  });

  const range = '["Expected checkpoint_request_id between 1 and 9223372036854775807"]';
  test.each([
    ...[0, '0', -1, '-1', 1.5, '1.5', '9223372036854775808', 1e300, 'x', '', null, true, {}, [], ' 5', '0x5'].map(
      (id): [string, unknown, string] => [JSON.stringify(id), { client_id: 'c', checkpoint_request_id: id }, range],
    ),
    ['no id', { client_id: 'c' }, '["must have required property \'checkpoint_request_id\'"]'],
    ['no object', [1], '["type must be object"]'],
    ['client_id no string', { client_id: 5, checkpoint_request_id: 1 }, '["/client_id: type must be string"]'],
  ])('%s is refused', async (_name, body, details) => {
    expect(await request(body)).toEqual(refused(400, 'PSYNC_S2001', details));
    expect(harness.nudges).toEqual([]);
  });

  test('needs a token', async () => {
    expect(await request({ client_id: 'c', checkpoint_request_id: 1 }, '')).toEqual(refused(401, 'PSYNC_S2106'));
  });
});

describe('without an active version nothing could be reached (wire/01)', () => {
  beforeEach(async () => {
    await harness.close();
    harness = await startHarness({ empty: true });
  });

  test('both routes and the stream say so', async () => {
    expect(await create()).toEqual(refused(500, 'PSYNC_S2302'));
    expect(await request({ client_id: 'c', checkpoint_request_id: 1 })).toEqual(refused(500, 'PSYNC_S2302'));
    expect(harness.nudges).toEqual([]);
    expect(await call('POST', '/sync/stream', {})).toEqual(refused(500, 'PSYNC_S2302'));
    await expect.poll(() => harness.worker.figures().followers).toBe(0);
  });
});

describe('what a stream tells of them', () => {
  const KINDS = ['checkpoint', 'checkpoint_diff'];
  const told = (client: ProtocolClient): unknown[] =>
    client.lines
      .filter((line) => KINDS.includes(Object.keys(line)[0]!))
      .map((line) => (Object.values(line)[0] as { write_checkpoint?: unknown }).write_checkpoint);
  const reached = (checkpoint: bigint, clientId = 'client-1', userId = 'u1') => ({
    writeCheckpoints: [{ userId, clientId, checkpoint }],
  });
  const connect = async (clientId = 'client-1'): Promise<ProtocolClient> => {
    const client = harness.client('u1', { clientId, encoding: 'ndjson' });
    await client.connect();
    await client.until(() => client.completedOp !== null);
    return client;
  };

  test('nothing before it is reached; then a diff, even if no bucket changed (S-465, S-568)', async () => {
    const client = await connect();
    expect(await client.requestWriteCheckpoint()).toBe(1n);
    const before = client.lines.length;
    harness.commit(reached(1n));
    await client.until(() => client.writeCheckpoint === 1n);
    const op = String(harness.storage.op);
    expect(client.lines.slice(before)).toEqual([
      { checkpoint_diff: { last_op_id: op, write_checkpoint: '1', removed_buckets: [], updated_buckets: [] } },
      { checkpoint_complete: { last_op_id: op } },
    ]);
    expect(told(client)).toEqual([undefined, '1']);
  });

  test('it comes with the data of its commit, and is repeated from then on (S-466, S-467)', async () => {
    const client = await connect();
    harness.commit({ ...reached(7n), changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: 'mine' }] });
    await client.until(() => client.writeCheckpoint === 7n);
    expect(client.visible.has('items/mine')).toBe(true);
    harness.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: 'later' }] });
    await client.until(() => client.visible.has('items/later'));
    expect(told(client)).toEqual([undefined, '7', '7']);
    // Also by the first line of the next session.
    client.disconnect();
    await client.connect();
    await client.until(() => told(client).length > 0);
    expect(told(client)).toEqual(['7']);
  });

  test('numbers of other clients and users are not told', async () => {
    const client = await connect();
    const others = [reached(3n, 'other'), reached(4n, 'client-1', 'u2'), reached(5n, '1client-1', 'u')];
    for (const [index, commit] of others.entries()) {
      harness.commit({ ...commit, changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: `i${index}` }] });
      await client.until(() => client.visible.has(`items/i${index}`));
    }
    expect(told(client)).toEqual([undefined, undefined, undefined, undefined]);
  });

  test('one that is reached while older changes are being told is told after them', async () => {
    const member = (row: string, room: string) => ({ lookup: MEMBERS, key: '["u1"]', row, values: `[["${room}"]]` });
    harness.commit({ lookups: [member('m1', 'r1')] });
    const client = await connect();
    const gate = Promise.withResolvers<void>();
    let reads = 0;
    harness.storage.beforeRead = (what) => (what === 'lookups' && reads++ === 0 ? gate.promise : undefined);
    harness.commit({ lookups: [member('m2', 'r2')] });
    await expect.poll(() => reads).toBe(1);
    // Asks for resolving again, but changes no bucket.
    harness.commit({ lookups: [member('m3', 'r2')], ...reached(9n) });
    gate.resolve();
    await client.until(() => client.writeCheckpoint === 9n);
    expect(client.tracked!.buckets.size).toBe(4);
    expect(told(client)).toEqual([undefined, undefined, '9']);
  });

  test('two sessions of one client are both told (S-614), one without client_id is not', async () => {
    const clients = [await connect(), await connect()];
    const nameless = harness.client('u1');
    await nameless.connect();
    harness.commit(reached(1n));
    for (const client of clients) await client.until(() => client.writeCheckpoint === 1n);
    harness.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: 'x' }] });
    await nameless.until(() => nameless.visible.has('items/x'));
    expect(nameless.writeCheckpoint).toBe(null);
  });
});
