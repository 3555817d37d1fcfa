/** The rules of the streams of an RSocket connection (S-593…S-602, wire/11), one by one; connection-setup.test.ts has its beginning. The library of the clients makes and reads the frames. */
import { serialize } from 'bson';
import { Flags, FrameTypes } from 'rsocket-core';
import { describe, expect, test } from 'vitest';
import { codedError } from '#core/platform/errors/coded-error.ts';
import {
  cancel,
  error,
  frameOfType,
  json,
  keepalive,
  payload,
  requestN,
  requestStream,
  setup,
} from '../testing/rsocket-peer.ts';
import {
  APPLICATION_ERROR,
  CONNECTION_ERROR,
  errorOf,
  expectClosed,
  expectDead,
  ready,
  startConnection,
} from './connection.fixture.ts';

const BSON = 'application/bson';

describe('REQUEST_STREAM', () => {
  test('starts a session with what the client said of itself', async () => {
    const peer = await ready();
    expect(peer.connection.isIdle()).toBe(true);
    peer.send(requestStream({ data: json({ client_id: 'c1', buckets: [{ name: 'b', after: '17' }] }) }));
    expect(peer.sessions).toHaveLength(1);
    expect(peer.sessions[0]!.request).toMatchObject({
      token: { userId: 'u1' },
      userAgent: 'rsocket-peer',
      body: { clientId: 'c1', positions: new Map([['b', 17]]) },
    });
    expect(peer.connection.isIdle()).toBe(false);
    peer.sessions[0]!.send();
    expect(peer.news()).toEqual([{ kind: 'line', stream: 1, data: Buffer.from('0:0') }]);
  });

  test('waits for the token, with the credit that came meanwhile', async () => {
    const peer = startConnection();
    peer.send(setup(), requestStream({ n: 1 }), requestN(2));
    expect(peer.sessions).toEqual([]);
    await peer.verify();
    peer.sessions[0]!.send(5);
    expect(peer.news()).toHaveLength(3);
  });

  test('that is cancelled while it waits starts nothing', async () => {
    const peer = startConnection();
    peer.send(setup(), requestStream(), cancel());
    await peer.verify();
    expect(peer.sessions).toEqual([]);
    peer.send(requestStream({ stream: 3 }));
    expect(peer.sessions).toHaveLength(1);
  });

  test.each([
    ['JSON, as they say', 'application/json', json],
    ['JSON with parameters of the type', 'Application/JSON; charset=utf-8', json],
    ['BSON, as they say', BSON, (value: object) => Buffer.from(serialize(value))],
    ['BSON although they say JSON', 'application/json', (value: object) => Buffer.from(serialize(value))],
  ])('is read as %s (S-594…S-596, wire/11)', async (_name, mime, encode) => {
    const peer = startConnection();
    const metadata = encode({ token: 'Token t', user_agent: 'old' });
    peer.send(setup({ metadata, metadataMime: mime, dataMime: mime }));
    expect(peer.tokens).toEqual(['Token t']);
    await peer.verify();
    const data = encode({ buckets: [{ name: 'b', after: '5' }], client_id: 'c1', parameters: { a: 1, b: ['x'] } });
    peer.send(requestStream({ metadata: encode({ path: '/sync/stream' }), data }));
    expect(peer.sessions[0]!.request).toMatchObject({
      userAgent: 'old',
      body: { clientId: 'c1', positions: new Map([['b', 5]]), connectionParameters: { a: 1, b: ['x'] } },
    });
  });

  test.each([
    ['another path', { metadata: json({ path: '/nothing' }) }, 'PSYNC_S2002] The path does not exist on this server'],
    ['another path', { metadata: json({ path: '/nothing' }) }, 'The path "/nothing" does not exist on this server'],
    ['a path that is no text', { metadata: json({ path: 5 }) }, 'PSYNC_S2002'],
    ['no metadata', { metadata: null }, '[PSYNC_S2001] The payload is no valid JSON document'],
    ['empty metadata', { metadata: Buffer.alloc(0) }, '[PSYNC_S2001] The payload is no valid JSON document'],
    ['metadata that is no document', { metadata: Buffer.from('"/sync/stream"') }, 'PSYNC_S2001'],
    ['no data', { data: Buffer.alloc(0) }, '[PSYNC_S2001] The payload is no valid JSON document'],
    ['data that is no document', { data: Buffer.from('not json') }, 'PSYNC_S2001'],
    [
      'a body that does not validate',
      { data: json({ buckets: 5 }) },
      '[PSYNC_S2001] Validation failed\n  ["/buckets: type must be array"]',
    ],
  ])('with %s is refused, and the connection stays (wire/11)', async (_name, options, text) => {
    const peer = await ready();
    peer.send(requestStream(options));
    expect(peer.news()).toEqual([errorOf(1, APPLICATION_ERROR, text)]);
    expect([peer.sessions, peer.closes]).toEqual([[], []]);
    expect(peer.refused).toHaveLength(1);
    peer.send(requestStream({ stream: 3 }));
    expect(peer.sessions).toHaveLength(1);
  });

  test('a session that cannot be started is an error of its stream', async () => {
    let refusal: Error | null = codedError('PSYNC_S2003', 'The service is restarting: connect again');
    const peer = await ready({ refuseStart: () => refusal });
    peer.send(requestStream());
    expect(peer.news()).toEqual([errorOf(1, APPLICATION_ERROR, '[PSYNC_S2003] The service is restarting')]);
    expect(peer.connection.isIdle()).toBe(true);
    refusal = null;
    peer.send(requestStream({ stream: 3 }));
    expect(peer.sessions).toHaveLength(1);
  });

  test('a client that is refused again and again is cut off', async () => {
    const peer = await ready();
    for (let stream = 1; stream <= 39; stream += 2)
      peer.send(requestStream({ stream, metadata: json({ path: '/nothing' }) }));
    expect(peer.news()).toHaveLength(20);
    peer.refused.length = 0;
    peer.send(requestStream({ stream: 41, metadata: json({ path: '/nothing' }) }));
    expectClosed(peer, CONNECTION_ERROR, 'too many streams were refused');
  });

  test('has an odd stream id', async () => {
    const peer = await ready();
    peer.send(requestStream({ stream: 2 }));
    expectClosed(peer, CONNECTION_ERROR, 'odd ids');
  });
});

describe('a request in several frames', () => {
  test('is put together, metadata and data', async () => {
    const peer = await ready();
    const [path, body] = [json({ path: '/sync/stream' }), json({ client_id: 'put together' })];
    peer.send(
      requestStream({ metadata: path.subarray(0, 5), data: Buffer.alloc(0), follows: true }),
      payload(Buffer.alloc(0), { metadata: path.subarray(5, 9), follows: true }),
      payload(body.subarray(0, 3), { metadata: path.subarray(9), follows: true }),
      // of another stream
      payload(Buffer.from('x'), { stream: 3, follows: true }),
      payload(body.subarray(3, 10), { follows: true }),
    );
    expect(peer.sessions).toEqual([]);
    peer.send(payload(body.subarray(10)));
    expect(peer.sessions[0]!.request.body.clientId).toBe('put together');
    // what comes after the end of it is nothing
    peer.send(payload(body));
    expect([peer.sessions.length, peer.news()]).toEqual([1, []]);
  });

  test('before the token is verified', async () => {
    const peer = startConnection();
    const body = json({ client_id: 'c1' });
    peer.send(setup(), requestStream({ n: 1, data: body.subarray(0, 4), follows: true }));
    await peer.verify();
    expect(peer.sessions).toEqual([]);
    peer.send(requestN(1), payload(body.subarray(4)));
    peer.sessions[0]!.send(3);
    expect(peer.news()).toHaveLength(2);
  });

  test('can be cancelled in the middle', async () => {
    const peer = await ready();
    peer.send(requestStream({ follows: true }), cancel(), payload(json({})));
    expect(peer.sessions).toEqual([]);
    peer.send(requestStream({ stream: 3 }));
    expect(peer.sessions).toHaveLength(1);
  });

  test.each([
    ['large', Buffer.alloc(3000), 4],
    ['tiny: their number counts too', Buffer.alloc(1), 80],
    ['empty', Buffer.alloc(0), 80],
  ])('must not be larger than the limit; frames that are %s', async (_name, part, most) => {
    const peer = await ready({ maxRequestBytes: 10_000 });
    peer.send(requestStream({ data: part, follows: true }));
    let frames = 1;
    for (; peer.closes.length === 0; frames++) {
      expect(frames).toBeLessThan(1000);
      peer.send(payload(part, { follows: true }));
    }
    expect(frames).toBeLessThanOrEqual(most);
    expectClosed(peer, CONNECTION_ERROR, '[PSYNC_S2020] The request body is too large');
  });

  test('in one frame neither', async () => {
    const peer = await ready({ maxRequestBytes: 10_000 });
    peer.send(requestStream({ data: Buffer.alloc(10_001) }));
    expectClosed(peer, CONNECTION_ERROR, 'PSYNC_S2020');
  });
});

describe('one stream at a time (S-593)', () => {
  test('a second one is refused, the first goes on', async () => {
    const peer = await ready();
    peer.send(requestStream(), requestStream({ stream: 3 }), requestStream({ stream: 5, follows: true }));
    expect(peer.news()).toEqual([
      errorOf(3, APPLICATION_ERROR, '[PSYNC_S2001] Only one stream at a time'),
      errorOf(5, APPLICATION_ERROR, '[PSYNC_S2001] Only one stream at a time'),
    ]);
    peer.send(payload(json({}), { stream: 5 }), requestN(3, 3), cancel(3));
    expect(peer.sessions).toHaveLength(1);
    peer.sessions[0]!.send();
    expect(peer.news()).toMatchObject([{ kind: 'line', stream: 1 }]);
    expect(peer.sessions[0]!.told).toBe(0);
  });

  test('also while the first waits for its rest or for the token', async () => {
    const peer = startConnection();
    peer.send(setup(), requestStream(), requestStream({ stream: 3 }));
    expect(peer.news()).toEqual([errorOf(3, APPLICATION_ERROR, 'PSYNC_S2001')]);
    await peer.verify();
    expect(peer.sessions).toHaveLength(1);
  });

  test('the id of the one that is open ends the connection: errors could not be told apart', async () => {
    const peer = await ready();
    peer.send(requestStream(), requestStream());
    expectClosed(peer, CONNECTION_ERROR, 'a stream id is used twice');
    expect(peer.sessions[0]!.told).toBe(1);
  });

  test.each(['ended by the session', 'failed', 'cancelled', 'ended by an error of the client'])(
    'a new one after the first was %s',
    async (how) => {
      const peer = await ready();
      peer.send(requestStream());
      const [first] = peer.sessions;
      first!.send(2);
      if (how === 'ended by the session') first!.end();
      else if (how === 'failed') first!.end('fail');
      else peer.send(how === 'cancelled' ? cancel() : error(1));
      const last = peer.news().slice(2);
      if (how === 'ended by the session') expect(last).toEqual([{ kind: 'complete', stream: 1 }]);
      else if (how === 'failed')
        expect(last).toEqual([errorOf(1, APPLICATION_ERROR, '[PSYNC_S2305] Too many buckets')]);
      else expect(last).toEqual([]);
      expect(first!.told).toBe(first!.hasEnded ? 0 : 1);
      expect(peer.connection.isIdle()).toBe(true);

      peer.send(requestStream({ stream: 3, n: 1 }));
      expect(peer.sessions).toHaveLength(2);
      first!.send();
      peer.sessions[1]!.send(2);
      // what is asked for on the old stream is not for the new one
      peer.send(requestN(5, 1), cancel(1));
      expect(peer.news()).toEqual([{ kind: 'line', stream: 3, data: Buffer.from('1:0') }]);
      expect(peer.sessions[1]!.told).toBe(0);
    },
  );
});

describe('other frames', () => {
  test('KEEPALIVE is answered when it asks for it, with its data (S-599)', async () => {
    const peer = await ready();
    peer.send(keepalive(), keepalive(true, Buffer.from('ping')), keepalive(false), keepalive(false, Buffer.from('x')));
    expect(peer.news()).toEqual([
      { kind: 'keepalive', data: Buffer.alloc(0) },
      { kind: 'keepalive', data: Buffer.from('ping') },
    ]);
    peer.send(keepalive(true, Buffer.alloc(1025)));
    expectClosed(peer, CONNECTION_ERROR, 'KEEPALIVE carries too much');
  });

  test('to a client that takes nothing, one answer is owed, whatever it sends (G9)', async () => {
    const peer = await ready();
    peer.writer.now.waitingBytes = 300_000;
    for (let index = 0; index < 1000; index++) peer.send(keepalive(true, Buffer.from(`${index}`)));
    expect(peer.news()).toEqual([]);
    peer.connection.progress();
    expect(peer.news()).toEqual([]);
    peer.writer.now.waitingBytes = 1000;
    peer.connection.progress();
    peer.connection.progress();
    expect(peer.news()).toEqual([{ kind: 'keepalive', data: Buffer.from('999') }]);
  });

  test.each([
    ['0', 0],
    ['2^31', 2 ** 31],
  ])('REQUEST_N of %s ends the connection', async (_name, n) => {
    const peer = await ready();
    peer.send(requestStream());
    const frame = requestN(1);
    frame.writeUInt32BE(n, 6);
    peer.send(frame);
    expectClosed(peer, CONNECTION_ERROR, '1 to 2^31 - 1 payloads');
    expect(peer.sessions[0]!.told).toBe(1);
  });

  test.each([
    ['METADATA_PUSH', frameOfType(FrameTypes.METADATA_PUSH, 0)],
    ['LEASE', frameOfType(FrameTypes.LEASE, 0)],
    ['RESUME', frameOfType(FrameTypes.RESUME, 0)],
    ['an extension', frameOfType(FrameTypes.EXT, 0)],
    ['a type that does not exist', frameOfType(0x20, 0)],
  ])('%s: not supported, unless it may be ignored', async (_name, frame) => {
    const peer = await ready();
    peer.send(requestStream());
    const ignorable = Buffer.from(frame);
    ignorable.writeUInt16BE(ignorable.readUInt16BE(4) | Flags.IGNORE, 4);
    peer.send(ignorable);
    expect([peer.news(), peer.closes]).toEqual([[], []]);
    peer.send(frame);
    expectClosed(peer, CONNECTION_ERROR, 'is not supported');
    expect(peer.sessions[0]!.told).toBe(1);
  });

  test.each([
    ['REQUEST_RESPONSE', FrameTypes.REQUEST_RESPONSE],
    ['REQUEST_FNF', FrameTypes.REQUEST_FNF],
    ['REQUEST_CHANNEL', FrameTypes.REQUEST_CHANNEL],
    ['an extension', FrameTypes.EXT],
  ])('%s on a stream of its own is refused, the session goes on', async (_name, type) => {
    const peer = await ready();
    peer.send(requestStream(), frameOfType(type, 3), frameOfType(type, 1, Flags.IGNORE));
    expect(peer.news()).toEqual([errorOf(3, APPLICATION_ERROR, '[PSYNC_S2001] Only request-stream')]);
    peer.sessions[0]!.send();
    expect(peer.news()).toHaveLength(1);
    // on that of the session an error would say that it has ended
    peer.refused.length = 0;
    peer.send(frameOfType(type, 1));
    expectClosed(peer, CONNECTION_ERROR, 'is not supported');
  });

  test('ERROR of the connection closes it, without another one', async () => {
    const peer = await ready();
    peer.send(requestStream());
    peer.send(error(0));
    expect(peer.sessions[0]!.told).toBe(1);
    expect([peer.news(), peer.closes]).toEqual([[], ['in order']]);
    peer.sessions[0]!.send();
    expectDead(peer);
  });

  test('a text message ends the connection', async () => {
    const peer = await ready();
    peer.send(requestStream());
    peer.connection.receive(requestN(1), false);
    expectClosed(peer, CONNECTION_ERROR, 'messages must be binary');
    expect(peer.sessions[0]!.told).toBe(1);
  });

  test('of streams that are not known are nothing', async () => {
    const peer = await ready();
    peer.send(requestN(5, 7), cancel(7), error(7), payload(json({}), { stream: 7 }));
    expect([peer.news(), peer.closes, peer.refused]).toEqual([[], [], []]);
  });
});

describe('the end of a connection', () => {
  test('tells the session once, and what the session still does is not sent', async () => {
    const peer = await ready();
    peer.send(requestStream({ n: 1 }));
    const [session] = peer.sessions;
    session!.send(3);
    peer.connection.closed();
    peer.connection.closed();
    expect(session!.told).toBe(1);
    peer.news();
    session!.send();
    session!.end();
    expectDead(peer);
  });

  test('a session that cuts the connection is not told of it', async () => {
    const peer = await ready();
    peer.send(requestStream());
    peer.sessions[0]!.end('abort');
    expect(peer.closes).toEqual(['now']);
    expect(peer.sessions[0]!.told).toBe(0);
    expectDead(peer);
  });

  test('lines that the client does not ask for within half a minute after the end are dropped with the connection', async () => {
    const peer = await ready();
    peer.send(requestStream({ n: 1 }));
    peer.sessions[0]!.send(2);
    peer.sessions[0]!.end();
    expect(peer.connection.isIdle()).toBe(false);
    await peer.clock.advance(30_000);
    expect(peer.closes).toEqual(['now']);
    peer.news();
    expectDead(peer);
  });

  test('does not leave the time for that behind', async () => {
    for (const how of ['closed', 'cancel', 'violation'] as const) {
      const peer = await ready();
      peer.send(requestStream({ n: 1 }));
      peer.sessions[0]!.send(2);
      peer.sessions[0]!.end();
      expect(peer.clock.waiting).toBe(1);
      if (how === 'closed') peer.connection.closed();
      else peer.send(how === 'cancel' ? cancel() : setup());
      expect(peer.clock.waiting).toBe(0);
    }
  });
});
