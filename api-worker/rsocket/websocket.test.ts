/** Sync streams over RSocket and WebSocket, through a whole worker: what clients get, and when connections end (S-508, S-593…S-602). */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket as WsClient } from 'ws';
import { createTokenVerifier, type TokenVerifier } from '#core/platform/auth/token-verifier.ts';
import { createFakeClock, type FakeClock } from '#core/platform/clock.ts';
import type { RefusedError } from '#test/client/protocol-client.ts';
import { GLOBAL, MINE, startHarness, type Harness, type HarnessOptions } from '../testing/harness.ts';
import { openWebSocket, OPCODE, type RawWebSocket } from '../testing/raw-websocket.ts';
import { connectRSocket, type RSocketClient, type RSocketClientOptions } from '../testing/rsocket-client.ts';
import { cancel, json, keepalive, readServerFrame, requestN, requestStream, setup } from '../testing/rsocket-peer.ts';

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

let clock: FakeClock;
let harness: Harness;
const start = async (options: HarnessOptions = {}): Promise<void> => {
  clock = createFakeClock();
  harness = await startHarness({ clock, ...options });
};
beforeEach(() => start());
const clients: { close(): void }[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await harness.close();
});

const put = (id: string, bytes = 20, key = '["u1"]') =>
  ({ definition: MINE, key, op: 'PUT', id, data: JSON.stringify({ id, text: `${id} `.repeat(bytes / 4) }) }) as const;
const connectPeer = async (options: Partial<RSocketClientOptions> = {}): Promise<RSocketClient> => {
  const client = await connectRSocket({
    ...{ endpoint: harness.endpoint, token: 'u1', credit: 10 },
    createSocket: (url) => new WsClient(url) as unknown as WebSocket,
    ...options,
  });
  clients.push(client);
  return client;
};
const connectRaw = async (extensions?: string): Promise<RawWebSocket> => {
  const raw = await openWebSocket(harness.endpoint, extensions);
  clients.push({ close: raw.destroy });
  return raw;
};
/** Resolves when what was sent has arrived. */
const settled = async (raw: RawWebSocket): Promise<void> => {
  const before = raw.frames.length;
  raw.send(Buffer.from('?'), { opcode: OPCODE.ping });
  await raw.until(() => raw.frames.slice(before).some(({ opcode }) => opcode === OPCODE.pong), 'a pong');
};
const logged = (message: string): Record<string, unknown>[] =>
  harness.logged.filter((entry) => entry.message === message).map(({ fields }) => fields);
const reasons = (): unknown[] => logged('Sync stream complete').map((fields) => fields['close_reason']);

describe.each([undefined, 'permessage-deflate'])('a first sync and changes, compression %s', (acceptEncoding) => {
  test.each([1, 10, 2 ** 31 - 1])('with a credit of %d (S-598)', async (credit) => {
    const rows = Array.from({ length: 60 }, (_, index) => put(`i${index}`, index * 300));
    harness.commit({ changes: [...rows, put('large', 1_500_000)] });
    const client = harness.client('u1', {
      ...{ transport: 'websocket', credit },
      ...(acceptEncoding === undefined ? {} : { acceptEncoding }),
    });
    const response = await client.connect();
    expect(response.headers['sec-websocket-extensions'] ?? '').toBe(
      acceptEncoding === undefined ? '' : 'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
    );
    await client.until(() => client.completedOp === String(harness.storage.op));
    expect(client.visible.size).toBe(61);
    expect(client.visible.get('items/large')).toBe(put('large', 1_500_000).data);

    for (let round = 0; round < 15; round++) {
      harness.commit({
        changes: [put('i1', 500 + round), { definition: GLOBAL, key: '[]', op: 'PUT', id: `g${round}` }],
      });
      await client.until(() => client.completedOp === String(harness.storage.op));
      expect(client.visible.has(`items/g${round}`)).toBe(true);
      expect(client.visible.get('items/i1')).toBe(put('i1', 500 + round).data);
    }
    expect(Object.keys(client.lines[0]!)).toEqual(['checkpoint']);
    client.disconnect();
    await harness.atRest();
    expect(reasons()).toEqual(['client closed']);
  });
});

test('clients of any credit, compressed or not, see the same (S-598)', { timeout: 60_000 }, async () => {
  const shape = fc.record({ credit: fc.integer({ min: 1, max: 20 }), compressed: fc.boolean() });
  const change = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom(20, 300, 5000, 60_000));
  await fc.assert(
    fc.asyncProperty(
      fc.array(shape, { minLength: 1, maxLength: 4 }),
      fc.array(fc.array(change, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 6 }),
      async (shapes, commits) => {
        const peers = shapes.map(({ credit, compressed }) =>
          harness.client('u1', {
            ...{ transport: 'websocket', credit },
            ...(compressed ? { acceptEncoding: 'permessage-deflate' } : {}),
          }),
        );
        const half = Math.ceil(commits.length / 2);
        const commit = (changes: readonly (readonly [string, number])[]): unknown =>
          harness.commit({ changes: changes.map(([id, bytes]) => put(id, bytes)) });
        commits.slice(0, half).forEach(commit);
        await Promise.all(peers.map((peer) => peer.connect()));
        commits.slice(half).forEach(commit);
        const expected = new Map([...harness.storage.rowsAt(MINE, '["u1"]', harness.storage.op)].toSorted());
        for (const peer of peers) {
          await peer.until(() => peer.completedOp === String(harness.storage.op));
          expect(new Map([...peer.store.rows()].toSorted())).toEqual(expected);
          peer.disconnect();
        }
      },
    ),
    { numRuns: 25 },
  );
  await harness.atRest();
});

describe.each([
  ['ws', (url: string) => new WsClient(url, { perMessageDeflate: false }) as unknown as WebSocket],
  ['ws, compressed', (url: string) => new WsClient(url, { perMessageDeflate: true }) as unknown as WebSocket],
  ['the WebSocket of Node, compressed', (url: string) => new WebSocket(url)],
])('the library of the clients, with %s', (_name, createSocket) => {
  test('gets lines as it asks for them, never more (S-597, S-598)', async () => {
    harness.commit({ changes: [put('a', 5000), put('large', 200_000)] });
    const peer = await connectPeer({ createSocket, credit: 1 });
    await peer.until(() => peer.lines.length === 1, 'the first line');
    harness.commit({ changes: [put('b')] });
    // A second client is served meanwhile, so the first would have been.
    const other = harness.client('u1');
    await other.connect();
    await other.until(() => other.visible.has('items/b'));
    expect(peer.lines.map((line) => Object.keys(line)[0])).toEqual(['checkpoint']);
    peer.request(2);
    await peer.until(() => peer.lines.length === 3, 'two more lines');
    peer.request(1000);
    await peer.until(() => JSON.stringify(peer.lines).includes('"object_id":"b"'), 'the change');
    peer.cancel();
    await expect.poll(reasons).toEqual(['client closed']);
    peer.open({});
    await peer.until(() => peer.lines.filter((line) => 'checkpoint' in line).length === 2, 'another session');
  });

  test('is answered its keep-alives (S-599)', async () => {
    let answers = 0;
    const peer = await connectPeer({
      keepaliveMs: 10,
      createSocket(url) {
        const socket = createSocket(url);
        socket.addEventListener('message', ({ data }) => {
          if (readServerFrame(Buffer.from(data as ArrayBuffer)).kind === 'keepalive') answers++;
        });
        return socket;
      },
    });
    await expect.poll(() => answers, { timeout: 5000 }).toBeGreaterThan(5);
    expect(peer.error).toBe(null);
  });

  test('hears why it is refused, with the code (S-600, S-602)', async () => {
    const refused = await connectPeer({ createSocket, token: 'bad' });
    await expect(refused.until(() => false, 'nothing')).rejects.toThrow('[PSYNC_S2101] The token is not valid');
    expect(String(await refused.closed)).toContain('PSYNC_S2101');

    const invalid = await connectPeer({ createSocket, request: { buckets: 5 } });
    await expect(invalid.until(() => false, 'nothing')).rejects.toThrow('[PSYNC_S2001] Validation failed');
    invalid.close();
    await harness.atRest();
    expect(logged('Request refused').map((fields) => fields['error_code'])).toEqual(['PSYNC_S2101', 'PSYNC_S2001']);
    const metric = await harness.registry.metrics();
    expect(metric).toMatch(/\{[^}]*code="PSYNC_S2101"[^}]*\} 1/);
  });

  test('sends a large request in many frames', async () => {
    const buckets = Array.from({ length: 2000 }, (_, index) => ({ name: `b${index}`, after: String(index) }));
    const peer = await connectPeer({ createSocket, fragmentBytes: 1000, request: { buckets } });
    await peer.until(() => peer.lines.some((line) => 'checkpoint_complete' in line), 'the first sync');
  });
});

describe('refusals', () => {
  const refusal = (connecting: Promise<unknown>): Promise<RefusedError> =>
    connecting.then(
      () => Promise.reject(new Error('was not refused')),
      (error: RefusedError) => error,
    );

  test('at the limit of connections (S-605)', async () => {
    await harness.close();
    await start({ maxConnections: 1 });
    const first = harness.client('u1', { transport: 'websocket' });
    await first.connect();
    const { body } = await refusal(harness.client('u2', { transport: 'websocket' }).connect());
    expect(body).toBe('[PSYNC_S2304] Maximum active concurrent connections limit has been reached (1)');
    first.disconnect();
    await harness.atRest();
    await harness.client('u2', { transport: 'websocket' }).connect();
  });

  test('while the worker ends: those that are connected get the end, others the code (S-616)', async () => {
    const client = harness.client('u1', { transport: 'websocket' });
    await client.connect();
    await client.until(() => client.completedOp !== null);
    const waiting = await connectRaw();
    waiting.send(setup());
    await settled(waiting);
    const drained = harness.worker.drain(0);
    await clock.advance(100);
    await drained;
    await client.ended;
    const { body } = await refusal(harness.client('u2', { transport: 'websocket' }).connect());
    expect(body).toBe('[PSYNC_S2003] The service is restarting: connect again');
    // Its token was accepted before.
    waiting.send(requestStream());
    await waiting.until(() => waiting.messages().length > 0, 'an answer');
    expect(waiting.messages()).toMatchObject([
      { kind: 'error', stream: 1, message: expect.stringContaining('PSYNC_S2003') as string },
    ]);
  });

  test('the limits of a session are its error (S-383)', async () => {
    await harness.close();
    await start({ maxBuckets: 1 });
    const { body } = await refusal(harness.client('u1', { transport: 'websocket' }).connect());
    expect(body).toContain('[PSYNC_S2305] Too many buckets');
    expect(reasons()).toEqual(['error']);
  });

  test('what is wrong with the service is not told (O-123)', async () => {
    harness.storage.beforeRead = () => Promise.reject(new Error('mongodb://user:secret@10.0.0.1 is away'));
    const { body } = await refusal(harness.client('u1', { transport: 'websocket' }).connect());
    expect(body).toMatch(/^\[PSYNC_S\d{4}\] /);
    expect(body).not.toContain('secret');
  });
});

test('a token that ends: 0 as the last line, then COMPLETE (S-584, S-601, wire/11)', async () => {
  const raw = await connectRaw();
  raw.send(setup({ token: 'u1!30' }));
  raw.send(requestStream());
  await raw.until(() => raw.messages().length === 2, 'the first sync');
  await clock.advance(31_000);
  await raw.until(() => raw.messages().at(-1)?.kind === 'complete', 'the end');
  const [line, complete] = raw.messages().slice(-2);
  expect(complete).toEqual({ kind: 'complete', stream: 1 });
  expect(line).toEqual({
    ...{ kind: 'line', stream: 1 },
    data: Buffer.from('1b00000010746f6b656e5f657870697265735f696e000000000000', 'hex'),
  });
  expect(reasons()).toEqual(['token expired']);
});

describe('connections that are open too long', () => {
  const untilClosed = async (raw: RawWebSocket): Promise<void> => {
    await raw.until(() => raw.closeCode !== null, 'the closing frame');
    expect(raw.closeCode).toBe(1000);
  };
  test.each([
    ['without SETUP', []],
    ['without a stream', [setup()]],
    ['with half a request', [setup(), requestStream({ follows: true })]],
    ['after a stream that was refused', [setup(), requestStream({ metadata: json({ path: '/nothing' }) })]],
    ['after a stream that was cancelled', [setup(), requestStream(), cancel()]],
  ])('%s: 15 seconds', async (_name, frames) => {
    const timers = clock.waiting;
    const raw = await connectRaw();
    for (const frame of frames) raw.send(frame);
    await settled(raw);
    await clock.advance(14_000);
    raw.send(keepalive());
    if (frames.length > 0) await settled(raw);
    await clock.advance(7000);
    if (frames.length > 0) await untilClosed(raw);
    // It does not answer the closing frame, nor close its side.
    await clock.advance(5500);
    await raw.until(() => raw.isOver, 'the end');
    await harness.atRest();
    expect(clock.waiting).toBe(timers);
  });

  const never = new Promise<never>(() => undefined);
  const withoutKeys = (): Promise<TokenVerifier> => {
    const clientAuth = { keys: [], audience: ['a'], issuers: [], rejectIpRanges: [] };
    const jwksUris = ['https://id.example/keys'];
    return createTokenVerifier({ clientAuth: { ...clientAuth, jwksUris }, clock, log: SILENT, fetch: () => never });
  };
  test.each([
    ['waits for its key', 10, withoutKeys],
    ['does not end', 15, async () => ({ verify: () => never, close: () => undefined })],
  ] as const)(
    'with a token whose check %s: after %d seconds an error with a code, by which it keeps its token (S-600)',
    async (_name, seconds, createVerifier) => {
      await harness.close();
      const asked = Promise.withResolvers<void>();
      let verifier: TokenVerifier | null = null;
      const verify: TokenVerifier['verify'] = (token) => {
        asked.resolve();
        return verifier!.verify(token);
      };
      await start({ worker: { tokenVerifier: { verify, close: () => verifier?.close() } } });
      verifier = await createVerifier();
      const raw = await connectRaw();
      const token = `${[{ alg: 'ES256', kid: 'unknown' }, { sub: 'u1' }].map(base64url).join('.')}.c2ln`;
      raw.send(setup({ token }));
      raw.send(requestStream());
      await asked.promise;
      await clock.advance(seconds * 1000 - 500);
      expect(raw.messages()).toEqual([]);
      await clock.advance(6000);
      await untilClosed(raw);
      const message = expect.stringMatching(/^\[PSYNC_S2204\] /) as string;
      expect(raw.messages()).toEqual([expect.objectContaining({ kind: 'error', stream: 0, message })]);
      expect(logged('Request refused')).toMatchObject([{ error_code: 'PSYNC_S2204' }]);
      verifier.close();
    },
  );

  test('one that answers the closing frame is closed in order', async () => {
    const raw = await connectRaw();
    await settled(raw);
    await clock.advance(21_000);
    await untilClosed(raw);
    raw.send(Buffer.of(0x03, 0xe8), { opcode: OPCODE.close });
    await raw.until(() => raw.isOver, 'the end');
    raw.socket.end();
    await harness.atRest();
  });

  test('a stream keeps it open, but not in silence: the lifetime of SETUP (S-594)', async () => {
    const timers = clock.waiting;
    const raw = await connectRaw();
    raw.send(setup({ lifetimeMs: 30_000 }));
    raw.send(requestStream({ n: 1000 }));
    await raw.until(() => raw.messages().length === 2, 'the first sync');
    for (let round = 0; round < 6; round++) {
      await clock.advance(20_000);
      raw.send(round % 2 === 0 ? keepalive(false) : Buffer.alloc(0), round % 2 === 0 ? {} : { opcode: OPCODE.ping });
      await settled(raw);
    }
    expect(reasons()).toEqual([]);
    await clock.advance(29_000);
    expect(reasons()).toEqual([]);
    await clock.advance(7000);
    await raw.until(() => raw.isOver, 'the end');
    await harness.atRest();
    expect(reasons()).toEqual(['client closed']);
    expect(clock.waiting).toBe(timers);
  });
});

describe('a client that asks for nothing more (S-615)', () => {
  test('is cut after a minute, with its keep-alives; others are unharmed', async () => {
    const timers = clock.waiting;
    const raw = await connectRaw();
    raw.send(setup());
    raw.send(requestStream({ n: 2 }));
    await raw.until(() => raw.messages().length === 2, 'what it asked for');
    harness.commit({ changes: [put('a'), put('b', 100_000)] });
    const other = harness.client('u1', { transport: 'websocket', credit: 1 });
    await other.connect();
    for (let round = 0; round < 5; round++) {
      raw.send(keepalive());
      await clock.advance(10_000);
      harness.commit({ changes: [put(`r${round}`)] });
      await other.until(() => other.visible.has(`items/r${round}`));
    }
    expect(harness.worker.figures().sessions).toBe(2);
    const { chunks } = harness.storage.reads;
    for (let round = 0; round < 6; round++) {
      raw.send(keepalive());
      await clock.advance(10_000);
    }
    await raw.until(() => raw.isOver, 'the end');
    expect(raw.messages().filter(({ kind }) => kind === 'line')).toHaveLength(2);
    expect(harness.storage.reads['chunks']).toBe(chunks);
    await expect.poll(reasons).toEqual(['client does not read']);
    harness.commit({ changes: [put('last')] });
    await other.until(() => other.visible.has('items/last'));
    other.disconnect();
    raw.destroy();
    await harness.atRest();
    expect(clock.waiting).toBe(timers);
  });

  test('is served on as soon as it asks', async () => {
    const raw = await connectRaw();
    raw.send(setup());
    raw.send(requestStream({ n: 1 }));
    await raw.until(() => raw.messages().length === 1, 'the first line');
    harness.commit({ changes: [put('a')] });
    for (let lines = 2; lines <= 8; lines++) {
      await clock.advance(50_000);
      raw.send(requestN(1));
      await raw.until(() => raw.messages().length === lines, `line ${lines}`);
    }
    expect(reasons()).toEqual([]);
  });
});

test('a client that wants a smaller window for decompression gets messages as they are (RFC 7692, 7.1.2.1)', async () => {
  // Repeats itself, but only from further away than the window.
  const pieces = Array.from({ length: 200 }, (_, index) => `piece ${index * 7919} `.repeat(3));
  const data = JSON.stringify({ id: 'a', text: [...pieces, ...pieces].join('') });
  harness.commit({ changes: [{ ...put('a'), data }] });
  const client = new WsClient(`${harness.endpoint.replace('http', 'ws')}/sync/stream`, {
    perMessageDeflate: { serverMaxWindowBits: 9 },
  });
  clients.push({ close: () => client.terminate() });
  const outcome = new Promise<Buffer>((resolve, reject) => {
    client.once('error', reject);
    client.on('message', (message: Buffer) => {
      if (message.includes('piece 7919 ')) resolve(message);
    });
  });
  client.once('open', () => {
    client.send(setup());
    client.send(requestStream());
  });
  expect((await outcome).includes(data)).toBe(true);
});
