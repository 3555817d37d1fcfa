/** The end of a worker (O-11, S-616, wire/18). */
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '#core/platform/clock.ts';
import { bsonEncoding } from '#core/protocol/encoding/bson.ts';
import type { Log } from '#core/platform/log.ts';
import { createProtocolClient, type RefusedError } from '#test/client/protocol-client.ts';
import type { LineSink, SyncRequest } from './session/contract.ts';
import { createSessions } from './session/sessions.ts';
import { eventually, startDirectWorker } from './testing/direct-session.ts';
import { createFakeStorage } from './testing/fake-storage.ts';
import { DEFINITIONS, GLOBAL, PLAN, startHarness, type Harness } from './testing/harness.ts';
import { openConnection, streamRequest } from './testing/raw-connection.ts';
import { openWebSocket } from './testing/raw-websocket.ts';
import { requestStream, setup } from './testing/rsocket-peer.ts';

const harnesses: Harness[] = [];
const start = async (...options: Parameters<typeof startHarness>): Promise<Harness> => {
  const harness = await startHarness(...options);
  harnesses.push(harness);
  return harness;
};
afterEach(() => Promise.all(harnesses.splice(0).map((harness) => harness.close())));

const TRANSPORTS = ['http', 'websocket'] as const;
/** Of a client that asks for everything and takes nothing. */
async function connectPaused(harness: Harness, transport: 'http' | 'websocket'): Promise<Paused> {
  if (transport === 'http') {
    const client = await openConnection(harness.endpoint);
    client.socket.pause();
    client.send(streamRequest());
    return client;
  }
  const client = await openWebSocket(harness.endpoint);
  client.socket.pause();
  client.send(setup());
  client.send(requestStream({ n: 2 ** 31 - 1 }));
  return client;
}
interface Paused {
  readonly socket: Socket;
  destroy(): void;
}

describe('a worker that is told to end', () => {
  test.each([
    ['http', undefined],
    ['http', 'gzip'],
    ['http', 'zstd'],
    ['websocket', undefined],
    ['websocket', 'permessage-deflate'],
  ] as const)('ends its streams in order (%s, %s)', async (transport, acceptEncoding) => {
    const harness = await start();
    harness.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: 'a', data: `"${'x'.repeat(1e5)}"` }] });
    const clients = Array.from({ length: 20 }, (_, index) =>
      harness.client(`u${index}`, { transport, ...(acceptEncoding === undefined ? {} : { acceptEncoding }) }),
    );
    for (const client of clients) {
      await client.connect();
      await client.until(() => client.completedOp !== null);
    }
    await harness.worker.drain(1000);
    // A body that is cut off would be an error here.
    for (const client of clients) await client.ended;
    const nothing = { sessions: 0, webSockets: 0, followers: 0, heldBuckets: 0, lookups: 0, clients: 0, timers: 0 };
    // clients close a WebSocket when its stream has ended (S-601)
    await expect.poll(() => harness.worker.figures()).toEqual(nothing);
    const reasons = harness.logged.filter(({ message }) => message === 'Sync stream complete');
    expect(reasons.map(({ fields }) => fields['close_reason'])).toEqual(clients.map(() => 'shutting down'));
  });

  test('refuses new sessions with 503, and still makes write checkpoints', async () => {
    let verified = 0;
    const claims = { userId: 'u1', claims: {}, claimsText: '{}', expiresAtMs: Date.now() + 3_600_000 };
    const tokenVerifier = { verify: () => Promise.resolve((verified++, claims)), close: () => undefined };
    const harness = await start({ worker: { tokenVerifier } });
    const late = await openConnection(harness.endpoint);
    late.send(streamRequest('{}', { 'content-length': '3' }));
    await expect.poll(() => verified).toBe(1);
    await harness.worker.drain(1000);
    const client = harness.client('u1');
    const refused = (await client.connect().catch((error: unknown) => error)) as RefusedError;
    expect(refused.status).toBe(503);
    expect(JSON.parse(refused.body)).toMatchObject({ error: { code: 'PSYNC_S2003', status: 503 } });
    // Its token was accepted before, but the rest of its body comes now.
    late.send(' ');
    const answer = await late.answer();
    expect(answer).toMatchObject({ status: 503, error: { code: 'PSYNC_S2003' } });
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(await client.requestWriteCheckpoint()).toBe(1n);
    late.destroy();
  });

  test.each(TRANSPORTS)('tells a session without its first line that it restarts (%s)', async (transport) => {
    const harness = await start();
    const gate = Promise.withResolvers<void>();
    harness.storage.beforeRead = () => gate.promise;
    const connecting = harness
      .client('u1', { transport })
      .connect()
      .catch((error: unknown) => error);
    await expect.poll(() => harness.worker.connections()).toBe(1);
    await harness.worker.drain(1000);
    expect(await connecting).toMatchObject({
      status: transport === 'http' ? 503 : 0,
      body: expect.stringContaining('PSYNC_S2003') as string,
    });
    gate.resolve();
    await expect.poll(() => harness.worker.figures().followers).toBe(0);
  });

  test.each(TRANSPORTS)('its clients go on elsewhere at their positions (%s, S-573, S-617)', async (transport) => {
    const first = await start();
    const row = (id: string) => ({ definition: GLOBAL, key: '[]', op: 'PUT', id }) as const;
    first.commit({ changes: Array.from({ length: 50 }, (_, index) => row(`i${index}`)) });
    const second = await start({ storage: first.storage });
    let { endpoint } = first;
    const client = createProtocolClient({
      transport,
      token: 'u1',
      get endpoint() {
        return endpoint;
      },
    });
    await client.connect();
    await client.until(() => client.visible.size === 50);
    await first.worker.drain(1000);
    await client.ended;
    endpoint = second.endpoint;
    second.commit({ changes: [row('new')] });
    const before = client.counts.operations;
    await client.connect();
    await client.until(() => client.visible.has('items/new'));
    expect(client.counts.operations - before).toBe(1);
    client.disconnect();
  });

  test('a worker that is behind what its client has catches up first', async () => {
    const first = await start();
    const second = await start({ storage: first.storage });
    let { endpoint } = first;
    const client = createProtocolClient({
      token: 'u1',
      get endpoint() {
        return endpoint;
      },
    });
    // Only the first worker hears of it.
    first.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: 'a' }] });
    await client.connect();
    await client.until(() => client.visible.has('items/a'));
    endpoint = second.endpoint;
    await client.connect();
    await client.until(() => client.lines.some((line) => 'checkpoint_complete' in line));
    expect(client.lines[0]).toMatchObject({ checkpoint: { last_op_id: String(first.storage.op) } });
    expect(client.counts.operations).toBe(1);
    client.disconnect();
  });

  test.each(TRANSPORTS)('does not wait for a client that does not read (%s)', async (transport) => {
    const harness = await start();
    harness.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: 'a', data: `"${'x'.repeat(12e6)}"` }] });
    const client = await connectPaused(harness, transport);
    await expect.poll(() => [...harness.sockets][0]?.writableLength ?? 0).toBeGreaterThan(0);
    await harness.worker.drain(1000);
    expect(harness.sockets.size).toBe(1);
    await harness.worker.close();
    await expect.poll(() => harness.sockets.size).toBe(0);
    client.destroy();
  });

  test.each([
    ['http', '\r\n0\r\n\r\n'],
    // COMPLETE of stream 1
    ['websocket', '\x82\x06\0\0\0\x01\x28\x40'],
  ] as const)('what is left of an ended stream has half a minute to be taken (%s)', async (transport, end) => {
    const clock = createFakeClock();
    const harness = await start({ clock });
    harness.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: 'a', data: `"${'x'.repeat(12e6)}"` }] });
    const clients = [await connectPaused(harness, transport), await connectPaused(harness, transport)] as const;
    await expect.poll(() => [...harness.sockets].filter((socket) => socket.writableLength > 0).length).toBe(2);
    harness.worker.sessions.endAll('shutting down');
    await clock.advance(29_000);
    let tail = '';
    clients[0].socket.on('data', (bytes: Buffer) => void (tail = (tail + bytes.toString('latin1')).slice(-end.length)));
    clients[0].socket.resume();
    await expect.poll(() => tail, { timeout: 5000 }).toBe(end);
    clients[0].destroy();
    await expect.poll(() => harness.sockets.size).toBe(1);
    await clock.advance(1000);
    await harness.atRest();
    clients[1].destroy();
  });
});

describe('the ends of many sessions', () => {
  async function sessionsOf(count: number) {
    const clock = createFakeClock();
    const storage = createFakeStorage();
    storage.deploy(1, DEFINITIONS, PLAN);
    storage.commit({ version: 1 });
    const worker = startDirectWorker({ storage, clock });
    await worker.feed.refresh();
    const ends: number[] = [];
    const silent = { debug: () => undefined, info: () => undefined } as unknown as Log;
    const sessions = createSessions({
      ...worker.dependencies,
      maxSessions: count,
      revocations: { isRevoked: () => false },
      log: silent,
      figures: {
        operationsSynced: () => undefined,
        clientAwaited: () => undefined,
        dataSynced: () => undefined,
        checkpointSent: () => undefined,
        streamEnded: () => undefined,
      },
      onCount: () => undefined,
    });
    let started = 0;
    for (let index = 0; index < count; index++) {
      const request: SyncRequest = {
        userId: `u${index}`,
        clientId: '',
        claims: {},
        connectionParameters: null,
        includeDefaults: true,
        subscriptions: [],
        expiresAtMs: clock.now() + 3_600_000,
        appMetadata: undefined,
        userAgent: undefined,
        requestId: `${index}`,
      };
      const sink: LineSink = {
        encoding: bsonEncoding,
        takesDeflated: false,
        send: () => void started++,
        writable: () => true,
        sentBytes: () => 0,
        stalledSince: () => null,
        fail: () => undefined,
        end: () => void ends.push(clock.monotonic()),
        abort: () => undefined,
      };
      sessions.start(request, new Map(), sink);
    }
    await eventually(() => started >= count, 'all have started');
    return { clock, sessions, ends, close: () => worker.close() };
  }

  test.each([
    ['spread, so that others can take them in', 120_000, 1800, 2100],
    ['all within the time of grace', 300, 200, 350],
    ['at once without one', 0, 0, 0],
  ])('%s', async (_name, graceMs, atLeast, atMost) => {
    const { clock, sessions, ends, close } = await sessionsOf(1000);
    const from = clock.monotonic();
    let isOver = false;
    void sessions.drain(graceMs).then(() => (isOver = true));
    await clock.advance(0);
    while (!isOver) await clock.advance(50);
    expect(ends).toHaveLength(1000);
    expect(sessions.count).toBe(0);
    const took = ends.at(-1)! - from;
    expect(took).toBeGreaterThanOrEqual(atLeast);
    expect(took).toBeLessThanOrEqual(atMost);
    // Never a large part of them in one step, unless there is no time.
    const perStep = Math.max(...[...Map.groupBy(ends, (at) => at).values()].map((step) => step.length));
    expect(perStep).toBeLessThanOrEqual(graceMs === 0 ? 1000 : Math.ceil((1000 * 50) / Math.min(graceMs, 2000)));
    close();
  });
});
