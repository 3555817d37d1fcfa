/** Clients that do not read, or not as fast as data comes (S-615, G9). */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '#core/platform/clock.ts';
import { GLOBAL, MINE, startHarness, type Harness } from './testing/harness.ts';
import { openConnection, streamRequest } from './testing/raw-connection.ts';
import { openWebSocket } from './testing/raw-websocket.ts';
import { keepalive, requestStream, setup } from './testing/rsocket-peer.ts';

let clock: FakeClock;
let harness: Harness;
beforeEach(async () => {
  clock = createFakeClock();
  harness = await startHarness({ clock });
});
afterEach(() => harness.close());

const MB = 1024 * 1024;
const put = (id: string, bytes: number) =>
  ({
    definition: MINE,
    key: '["slow"]',
    op: 'PUT',
    id,
    data: JSON.stringify({ id, text: 'x'.repeat(bytes) }),
  }) as const;
/** More than what the kernel takes for a client that does not read. */
const commitLots = (): void => {
  for (let part = 0; part < 8; part++)
    harness.commit({ changes: Array.from({ length: 60 }, (_, index) => put(`${part}-${index}`, 100_000)) });
};

type Transport = 'http' | 'websocket';
interface Paused {
  readonly socket: Socket;
  /** As a WebSocket client says it now and then (S-599). */
  sayAlive(): void;
  destroy(): void;
}
async function connectPaused(transport: Transport, encoding = 'identity'): Promise<Paused> {
  if (transport === 'http') {
    const connection = await openConnection(harness.endpoint);
    connection.socket.pause();
    connection.send(streamRequest({}, { authorization: 'Token slow', 'accept-encoding': encoding }));
    return { socket: connection.socket, destroy: connection.destroy, sayAlive: () => undefined };
  }
  // It asks for everything, and takes nothing (S-598).
  const connection = await openWebSocket(harness.endpoint, encoding === 'identity' ? undefined : encoding);
  connection.socket.pause();
  connection.send(setup({ token: 'slow' }));
  connection.send(requestStream({ n: 2 ** 31 - 1 }));
  const { socket, destroy } = connection;
  return { socket, destroy, sayAlive: () => connection.send(keepalive()) };
}
/** What waits in the worker for its only connection, once nothing moves any more. */
async function waiting(): Promise<number> {
  let before = -1;
  for (let quiet = 0; quiet < 20;) {
    const now = [...harness.sockets].reduce((sum, socket) => sum + socket.writableLength, 0);
    quiet = now === before && now > 0 ? quiet + 1 : 0;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return before;
}
const reasons = (): unknown[] =>
  harness.logged
    .filter(({ message }) => message === 'Sync stream complete')
    .map(({ fields }) => fields['close_reason']);

const TRANSPORTS: readonly Transport[] = ['http', 'websocket'];

describe('a client that does not read', () => {
  test.each([
    ['http', 'identity'],
    ['http', 'gzip'],
    ['http', 'zstd'],
    ['websocket', 'identity'],
    ['websocket', 'permessage-deflate'],
  ] as const)('holds little (%s, %s), and is cut after a minute', async (transport, encoding) => {
    const timers = clock.waiting;
    commitLots();
    if (encoding !== 'identity') {
      // What does not become small.
      for (let part = 0; part < 12; part++) {
        const noise = JSON.stringify(randomBytes(1e6).toString('base64'));
        harness.commit({ changes: [{ ...put(`noise ${part}`, 0), data: noise }] });
      }
    }
    const connection = await connectPaused(transport, encoding);
    expect(await waiting()).toBeLessThan(4 * MB);
    const { chunks } = harness.storage.reads;
    // Nor is more read for it.
    harness.commit({ changes: [put('another', 100)] });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(harness.storage.reads['chunks']).toBe(chunks);

    await clock.advance(60_000);
    connection.sayAlive();
    expect(harness.worker.figures().sessions).toBe(1);
    await clock.advance(45_000);
    expect(harness.worker.figures().sessions).toBe(0);
    expect(reasons()).toEqual(['client does not read']);
    await harness.atRest();
    expect(clock.waiting).toBe(timers);
    connection.destroy();
  });

  test.each(TRANSPORTS)('does not hold up others (%s)', async (transport) => {
    commitLots();
    const connection = await connectPaused(transport);
    await waiting();
    const client = harness.client('u1', { transport });
    await client.connect();
    for (let round = 0; round < 20; round++) {
      harness.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: `g${round}` }] });
      await client.until(() => client.visible.has(`items/g${round}`));
    }
    expect(harness.worker.figures().sessions).toBe(2);
    connection.destroy();
  });

  test.each(TRANSPORTS)('that reads again gets all of it (%s)', async (transport) => {
    commitLots();
    const client = harness.client('slow', { transport });
    await client.connect();
    client.pause();
    await new Promise((resolve) => setTimeout(resolve, 50));
    harness.commit({ changes: [put('later', 10)] });
    await clock.advance(50_000);
    client.resume();
    await client.until(() => client.visible.has('items/later'));
    expect(client.visible.size).toBe(481);
  });

  test.each(TRANSPORTS)(
    'keeps its place for the next session when it goes away in the middle (%s)',
    async (transport) => {
      commitLots();
      const connection = await connectPaused(transport);
      await waiting();
      connection.socket.resetAndDestroy();
      await harness.atRest();
      expect(reasons()).toEqual(['client closed']);
    },
  );
});

test.each(TRANSPORTS)(
  'a client that reads slowly is not taken for one that does not, even within one row of 15 MB (%s)',
  async (transport) => {
    harness.commit({ changes: [put('large', 14 * MB)] });
    const connection = await connectPaused(transport);
    await waiting();
    let taken = 0;
    connection.socket.on('data', (bytes: Buffer) => void (taken += bytes.length));
    connection.socket.pause();
    let minutes = 0;
    for (; taken < 14 * MB; minutes++) {
      expect(minutes).toBeLessThan(15);
      const enough = taken + 1.5 * MB;
      connection.socket.resume();
      while (taken < Math.min(enough, 14 * MB)) await new Promise((resolve) => setTimeout(resolve, 1));
      connection.socket.pause();
      connection.sayAlive();
      await clock.advance(55_000);
      expect(reasons()).toEqual([]);
    }
    expect(minutes).toBeGreaterThan(5);
    connection.destroy();
  },
);
