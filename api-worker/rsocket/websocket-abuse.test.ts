/** WebSocket clients that are broken or hostile: the worker tells them, lets go of everything, and holds little meanwhile (S-615, G9). */
import { randomBytes } from 'node:crypto';
import { constants, deflateRawSync } from 'node:zlib';
import { serialize, Binary, Decimal128, Long, ObjectId, Timestamp } from 'bson';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '#core/platform/clock.ts';
import { GLOBAL, startHarness, type Harness, type HarnessOptions } from '../testing/harness.ts';
import {
  clientFrame,
  openWebSocket,
  OPCODE,
  type RawFrameOptions,
  type RawWebSocket,
} from '../testing/raw-websocket.ts';
import { startWithStreams } from '../testing/real-config.ts';
import { keepalive, payload, requestN, requestStream, setup } from '../testing/rsocket-peer.ts';

const MB = 1024 * 1024;
let clock: FakeClock;
let harness: Harness;
const start = async (options: HarnessOptions = {}): Promise<void> => {
  clock = createFakeClock();
  harness = await startHarness({ clock, ...options });
};
beforeEach(() => start());
const open: RawWebSocket[] = [];
afterEach(async () => {
  for (const raw of open.splice(0)) raw.destroy();
  await harness.close();
});

/** Writes when there is room, or gives up with the connection. */
async function write({ socket }: RawWebSocket, bytes: Buffer): Promise<void> {
  if (socket.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const go = (): void => {
      socket.off('drain', go).off('close', go);
      resolve();
    };
    socket.on('drain', go).on('close', go);
  });
}

async function connect(...frames: readonly Buffer[]): Promise<RawWebSocket> {
  return connectWith('permessage-deflate', ...frames);
}
async function connectWith(extensions: string | undefined, ...frames: readonly Buffer[]): Promise<RawWebSocket> {
  const raw = await openWebSocket(harness.endpoint, extensions);
  open.push(raw);
  for (const frame of frames) raw.send(frame);
  return raw;
}
/** With a session that has sent all that there is. */
async function connectStream(extensions?: string): Promise<RawWebSocket> {
  const raw = await connectWith(extensions, setup(), requestStream({ n: 1000 }));
  await raw.until(() => raw.messages().length >= 2, 'the first sync');
  return raw;
}
const reasons = (): unknown[] =>
  harness.logged
    .filter(({ message }) => message === 'Sync stream complete')
    .map(({ fields }) => fields['close_reason']);
const commit = (id: string, bytes = 10): unknown =>
  harness.commit({
    changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id, data: JSON.stringify('x'.repeat(bytes)) }],
  });
/** Everything is let go of, although the client keeps its side open and says nothing. */
async function expectLetGo(): Promise<void> {
  const others = clock.waiting;
  await clock.advance(10_500);
  await harness.atRest();
  expect(clock.waiting).toBeLessThanOrEqual(others);
}
/** The most that buffers took while something went on, beyond what they took before. */
async function memoryDuring(work: () => Promise<void>): Promise<number> {
  const used = (): number => process.memoryUsage().arrayBuffers;
  const before = used();
  let most = before;
  const timer = setInterval(() => (most = Math.max(most, used())), 1);
  await work();
  clearInterval(timer);
  return Math.max(most, used()) - before;
}

describe('frames that RFC 6455 does not allow', () => {
  const text = Buffer.from('text');
  test.each<[string, Buffer, RawFrameOptions, number]>([
    ['not masked', keepalive(), { masked: false }, 1002],
    ['an unknown opcode', text, { opcode: 5 }, 1002],
    ['an unknown control frame', text, { opcode: 11 }, 1002],
    ['the rest of nothing', text, { opcode: OPCODE.continuation }, 1002],
    ['a ping in pieces', text, { opcode: OPCODE.ping, final: false }, 1002],
    ['a ping of 126 bytes', Buffer.alloc(126), { opcode: OPCODE.ping }, 1002],
    ['a compressed ping', text, { opcode: OPCODE.ping, compressed: true }, 1002],
    ['half a closing code', Buffer.of(3), { opcode: OPCODE.close }, 1002],
    ['a closing code that does not exist', Buffer.of(0, 1), { opcode: OPCODE.close }, 1002],
    ['text that is no UTF-8', Buffer.of(0xff, 0xfe), { opcode: OPCODE.text }, 1007],
    ['no deflate', Buffer.of(0xff, 0xff, 0xff), { compressed: true }, 1007],
    ['11 MB', text, { announced: 11 * MB }, 1009],
    ['more than there can be', text, { announced: 2 ** 53 }, 1009],
    ['text', text, { opcode: OPCODE.text }, 1000],
    ['an empty message', Buffer.alloc(0), {}, 1000],
  ])('%s', async (_name, bytes, options, code) => {
    const raw = await connectStream('permessage-deflate');
    raw.send(bytes, options);
    await raw.until(() => raw.closeCode !== null, 'the closing frame');
    expect(raw.closeCode).toBe(code);
    // The session is not there any more, or its line would follow the closing frame.
    commit('later');
    await expect.poll(reasons).toEqual(['client closed']);
    await expectLetGo();
    expect(raw.frames.at(-1)?.opcode).toBe(OPCODE.close);
    const [error] = raw.messages().filter(({ kind }) => kind === 'error');
    if (code === 1000)
      expect(error).toMatchObject({ stream: 0, message: expect.stringContaining('PSYNC_S2001') as string });
  });

  test('whatever bytes come, nothing is left, and others are served', { timeout: 60_000 }, async () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
    const frame = fc.oneof(
      bytes,
      fc
        .tuple(bytes, fc.nat(15), fc.boolean(), fc.boolean())
        .map(([content, opcode, compressed, final]) => clientFrame(content, { opcode, compressed, final })),
      fc.constantFrom(setup(), requestStream(), requestN(5), keepalive()).map((content) => clientFrame(content)),
    );
    const other = harness.client('u1', { transport: 'websocket' });
    await other.connect();
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 10 }), fc.boolean(), async (frames, resets) => {
        const raw = await connect();
        raw.socket.write(Buffer.concat(frames));
        commit(`during ${round}`);
        await new Promise((resolve) => setImmediate(resolve));
        if (resets) raw.socket.resetAndDestroy();
        else raw.destroy();
        await other.until(() => other.visible.has(`items/during ${round}`));
        await expect.poll(() => harness.sockets.size, { interval: 2 }).toBe(1);
        round++;
      }),
      { numRuns: 80 },
    );
    other.disconnect();
    await harness.atRest();
    expect(harness.logged.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
  });
});

describe('memory', () => {
  /** Inflates to 300 MB. */
  const block = deflateRawSync(Buffer.alloc(MB), { finishFlush: constants.Z_SYNC_FLUSH });
  const bomb = Buffer.concat(Array.from({ length: 300 }, () => block));

  test.each(['before SETUP', 'with a stream'])('a message that inflates to 300 MB, %s', async (when) => {
    const raw = when === 'with a stream' ? await connectStream('permessage-deflate') : await connect();
    const most = await memoryDuring(async () => {
      raw.send(bomb, { compressed: true });
      await raw.until(() => raw.closeCode !== null || raw.isOver, 'the end');
    });
    expect(bomb.length).toBeLessThan(MB);
    expect(most).toBeLessThan(40 * MB);
    if (when === 'with a stream') expect(raw.closeCode).toBe(1009);
    await expectLetGo();
  });

  test('who has not said who it is, sends 128 KB at most', async () => {
    const raw = await connect();
    const [worker] = harness.sockets;
    raw.socket.write(clientFrame(Buffer.alloc(0), { announced: 9 * MB, masked: false }).fill(0x80 | 127, 1, 2));
    for (let part = 0; part < 50; part++) raw.socket.write(Buffer.alloc(100_000));
    await raw.until(() => raw.isOver, 'the end');
    expect(worker!.bytesRead).toBeLessThan(MB);
    await harness.atRest();
  });

  test('while its token is checked, what it sends stays where it is', async () => {
    await harness.close();
    const gate = Promise.withResolvers<void>();
    const verified = { userId: 'u1', claims: {}, claimsText: '{}', expiresAtMs: 4e12 };
    await start({
      worker: { tokenVerifier: { verify: () => gate.promise.then(() => verified), close: () => undefined } },
    });
    const raw = await connect(setup(), requestStream());
    const [worker] = harness.sockets;
    for (let part = 0; part < 300; part++) raw.send(randomBytes(100_000));
    // What the kernels of both sides take is full.
    let before = -1;
    for (let quiet = 0; quiet < 20;) {
      quiet = raw.socket.writableLength === before ? quiet + 1 : 0;
      before = raw.socket.writableLength;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(before).toBeGreaterThan(MB);
    expect(worker!.bytesRead).toBeLessThan(MB);
    gate.resolve();
    await raw.until(() => raw.messages().length > 0, 'an answer');
  });

  test('a client that is gone before its token is checked', async () => {
    await harness.close();
    const gate = Promise.withResolvers<void>();
    const verified = { userId: 'u1', claims: {}, claimsText: '{}', expiresAtMs: 4e12 };
    let checks = 0;
    await start({
      worker: {
        tokenVerifier: { verify: () => (checks++, gate.promise.then(() => verified)), close: () => undefined },
      },
    });
    const raw = await connect(setup(), requestStream());
    await expect.poll(() => checks).toBe(1);
    raw.socket.resetAndDestroy();
    gate.resolve();
    await harness.atRest();
  });

  test.each([
    ['pings', Buffer.alloc(100), { opcode: OPCODE.ping }],
    ['keep-alives', keepalive(true, Buffer.alloc(1000)), {}],
    ['streams that are refused', requestStream({ stream: 3 }), {}],
  ])('of answers to %s, when it takes none', async (_name, content, options) => {
    const raw = await connectStream();
    const [worker] = harness.sockets;
    raw.socket.pause();
    const flood = Buffer.concat(Array.from({ length: 500 }, () => clientFrame(content, options)));
    // As much as would make 20 MB of answers.
    for (let round = 0; round < (20 * MB) / flood.length && !worker!.destroyed; round++) {
      await write(raw, flood);
      expect(worker!.writableLength).toBeLessThan(MB);
    }
    raw.destroy();
    await harness.atRest();
    // Nor does it fill the log.
    expect(harness.logged.length).toBeLessThan(50);
  });

  test('a request in ever more pieces', async () => {
    const raw = await connect(setup(), requestStream({ follows: true }));
    const pieces = Buffer.concat(
      Array.from({ length: 5000 }, () => clientFrame(payload(Buffer.alloc(0), { follows: true }))),
    );
    for (let round = 0; round < 40 && !raw.isOver; round++) await write(raw, pieces);
    await raw.until(() => raw.closeCode !== null, 'the closing frame');
    expect(raw.messages()).toMatchObject([
      { kind: 'error', stream: 0, message: expect.stringContaining('PSYNC_S2020') as string },
    ]);
    await expectLetGo();
  });
});

describe('while a large message is on its way to a client that does not read', () => {
  /** The message is partly with the kernel, partly with the worker. */
  async function sendingLarge(): Promise<RawWebSocket> {
    const raw = await connectStream();
    raw.socket.pause();
    commit('large', 14 * MB);
    await expect.poll(() => [...harness.sockets][0]!.writableLength).toBeGreaterThan(0);
    return raw;
  }
  const isLarge = ({ payload: bytes }: { readonly payload: Buffer }): boolean => bytes.length > 14 * MB;

  test('a pong waits for the end of the message', async () => {
    const raw = await sendingLarge();
    for (const text of ['first', 'second']) raw.send(Buffer.from(text), { opcode: OPCODE.ping });
    raw.send(keepalive(true, Buffer.from('kept')));
    await clock.advance(1000);
    raw.socket.resume();
    await raw.until(() => raw.frames.some(({ opcode }) => opcode === OPCODE.pong), 'a pong', 20_000);
    expect(raw.frames.some(isLarge)).toBe(true);
    const pongs = raw.frames.filter(({ opcode }) => opcode === OPCODE.pong).map(({ payload: data }) => data.toString());
    expect(pongs.at(-1)).toBe('second');
    await raw.until(() => raw.messages().some(({ kind }) => kind === 'keepalive'), 'the other answer');
    commit('next');
    await raw.until(() => raw.messages().some((frame) => frame.kind === 'line' && frame.data.includes('next')), 'more');
  });

  test('an error and the closing frame wait for it too', async () => {
    const raw = await sendingLarge();
    raw.send(setup());
    raw.socket.resume();
    await raw.until(() => raw.closeCode !== null, 'the closing frame', 20_000);
    expect(raw.closeCode).toBe(1000);
    expect(raw.frames.some(isLarge)).toBe(true);
    expect(raw.messages().at(-1)).toMatchObject({ kind: 'error', stream: 0 });
    await expectLetGo();
  });

  test('a client that closes is let go of', async () => {
    const raw = await sendingLarge();
    raw.send(Buffer.of(0x03, 0xe8), { opcode: OPCODE.close });
    await expect.poll(() => harness.worker.figures().webSockets).toBe(1);
    await expectLetGo();
    expect(reasons()).toEqual(['client closed']);
  });

  test.each(['half closes', 'is gone'])('a client that %s', async (how) => {
    const raw = await sendingLarge();
    if (how === 'is gone') raw.socket.resetAndDestroy();
    else raw.socket.end();
    await expectLetGo();
    expect(reasons()).toEqual(['client closed']);
  });

  test('a token that is used up, or an end of the worker, does not wait for it', async () => {
    await sendingLarge();
    harness.worker.sessions.endAll('shutting down');
    expect(reasons()).toEqual(['shutting down']);
    await harness.worker.close();
    await harness.atRest();
  });
});

test('a client whose line is cut says nothing more, and is noticed by that', async () => {
  const raw = await connectStream();
  // Nothing arrives at the other side any more, but it looks open.
  raw.socket.pause();
  for (let second = 0; second < 120 && harness.worker.figures().webSockets > 0; second += 5) await clock.advance(5000);
  await harness.atRest();
  expect(reasons()).toEqual(['client closed']);
});

describe('BSON of older clients (S-596)', () => {
  const STREAMS = `  by_value: { query: "SELECT * FROM docs WHERE v = connection.parameter('v')" }\n`;
  const value = fc.oneof(
    ...[fc.string(), fc.double(), fc.integer(), fc.boolean(), fc.constant(null), fc.constant(undefined)],
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((number) => Long.fromBigInt(number)),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array({ maxLength: 20 }).map((array) => new Binary(array)),
    fc.constantFrom(new ObjectId(), Decimal128.fromString('1.5'), new Timestamp(5n), /x/, [1, Long.fromNumber(2)], {
      a: new Date(0),
    }),
  );

  test('parameters of any type are served, or refused as the fault of the client', async () => {
    await harness.close();
    clock = createFakeClock();
    harness = await startWithStreams(STREAMS, { clock });
    await fc.assert(
      fc.asyncProperty(value, value, async (connection, subscription) => {
        const bson = 'application/bson';
        const metadata = Buffer.from(serialize({ token: 'Token u1' }));
        const raw = await connect(setup({ metadata, metadataMime: bson, dataMime: bson }));
        const request = {
          parameters: { v: connection },
          streams: {
            subscriptions: [{ stream: 'by_value', parameters: { x: subscription }, override_priority: null }],
          },
        };
        raw.send(
          requestStream({
            metadata: Buffer.from(serialize({ path: '/sync/stream' })),
            data: Buffer.from(serialize(request)),
          }),
        );
        await raw.until(() => raw.messages().length > 0, 'an answer');
        const [first] = raw.messages();
        if (first?.kind === 'error') expect(first.message).toContain('[PSYNC_S2001] Validation failed');
        else expect(first?.kind).toBe('line');
        raw.destroy();
      }),
      { numRuns: 100 },
    );
    expect(harness.logged.filter(({ level }) => level === 'error')).toEqual([]);
    await harness.atRest();
  });
});

test('a worker that is closed cuts connections without a stream as well', async () => {
  await connect();
  await connect(setup());
  const raw = await connectStream();
  expect(harness.worker.figures().webSockets).toBe(3);
  await harness.worker.close();
  await harness.atRest();
  await raw.until(() => raw.isOver, 'the end');
});
