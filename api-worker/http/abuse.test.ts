/** Requests that no SDK sends: each gets an answer with a code, in the recorded form (wire/09), and leaves nothing behind. */
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createFakeClock } from '#core/platform/clock.ts';
import { GLOBAL, startHarness, type Harness } from '../testing/harness.ts';
import { openConnection, requestText, streamRequest, type RawConnection } from '../testing/raw-connection.ts';

const clock = createFakeClock();
let harness: Harness;
const open: RawConnection[] = [];
const connect = async (): Promise<RawConnection> => {
  const connection = await openConnection(harness.endpoint);
  open.push(connection);
  return connection;
};
beforeAll(async () => {
  harness = await startHarness({ clock });
  harness.commit({ changes: [{ definition: GLOBAL, key: '[]', op: 'PUT', id: 'a' }] });
});
afterEach(async () => {
  for (const connection of open.splice(0)) connection.destroy();
  await harness.atRest();
});
afterAll(() => harness.close());

const chunked = (rest: string): string =>
  requestText('POST', '/sync/stream', null, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }) +
  rest;
const typed = (contentType: string | null): string => streamRequest({}, { 'content-type': contentType });
const websocket = {
  upgrade: 'websocket',
  connection: 'Upgrade',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
};

describe('one request gets one answer', () => {
  const cases: [string, string | Buffer, number, string][] = [
    ['an unknown route', requestText('GET', '/nothing'), 404, 'PSYNC_S2002'],
    ['the root', requestText('GET', '/'), 404, 'PSYNC_S2002'],
    ['a slash too many', requestText('POST', '/sync/stream/', '{}'), 404, 'PSYNC_S2002'],
    ['GET of the stream', requestText('GET', '/sync/stream'), 404, 'PSYNC_S2002'],
    ['PUT of the stream', requestText('PUT', '/sync/stream', '{}'), 404, 'PSYNC_S2002'],
    ['a rare method', requestText('PROPFIND', '/sync/stream'), 404, 'PSYNC_S2002'],
    ['POST of a write checkpoint', requestText('POST', '/write-checkpoint2.json', '{}'), 404, 'PSYNC_S2002'],
    ['a long path', requestText('GET', `/${'a'.repeat(20_000)}`), 404, 'PSYNC_S2002'],
    ['a WebSocket elsewhere (S-508)', requestText('GET', '/elsewhere', null, websocket), 404, 'PSYNC_S2002'],
    [
      'a WebSocket of another version',
      requestText('GET', '/sync/stream', null, { ...websocket, 'sec-websocket-version': '7' }),
      400,
      'PSYNC_S2001',
    ],
    ['a path that cannot be decoded', requestText('GET', '/%zz'), 400, 'PSYNC_S2001'],
    ['no Host', requestText('GET', '/probes/liveness', null, { host: null }), 400, 'PSYNC_S2001'],
    ['an expectation', streamRequest({}, { expect: 'nonsense' }), 417, 'PSYNC_S2001'],
    ['a body announced with 100-continue', streamRequest('[]', { expect: '100-continue' }), 400, 'PSYNC_S2001'],
    ['no token', streamRequest({}, { authorization: null }), 401, 'PSYNC_S2106'],
    ['a refused token', streamRequest({}, { authorization: 'Token bad' }), 401, 'PSYNC_S2101'],
    ['no content type', typed(null), 415, 'PSYNC_S2004'],
    ['an empty content type', typed(''), 415, 'PSYNC_S2004'],
    ['text/plain', typed('text/plain'), 415, 'PSYNC_S2004'],
    ['a form', typed('application/x-www-form-urlencoded'), 415, 'PSYNC_S2004'],
    ['a content type that is none', typed('json'), 415, 'PSYNC_S2004'],
    ['an empty body', streamRequest(''), 400, 'PSYNC_S2001'],
    ['no body at all', requestText('POST', '/sync/stream'), 400, 'PSYNC_S2001'],
    ['broken JSON', streamRequest('{"buckets": ['), 400, 'PSYNC_S2001'],
    [
      'a body that is no UTF-8',
      Buffer.from(streamRequest('{\xff\xfe}', { 'content-length': '4' }), 'latin1'),
      400,
      'PSYNC_S2001',
    ],
    ['a body with a byte order mark', streamRequest('\ufeff{}'), 400, 'PSYNC_S2001'],
    ['JSON that is no object', streamRequest('5'), 400, 'PSYNC_S2001'],
    ['brackets without end', streamRequest(`{"parameters":${'['.repeat(1e6)}`), 400, 'PSYNC_S2001'],
    ['a million levels', streamRequest(`{"parameters":${'{"a":'.repeat(1e6)}1${'}'.repeat(1e6)}}`), 400, 'PSYNC_S2001'],
    ['wrong members', streamRequest({ buckets: 5, streams: [], parameters: 1 }), 400, 'PSYNC_S2001'],
    ['a body declared as 12 MB', streamRequest('', { 'content-length': '12000000' }), 413, 'PSYNC_S2020'],
    ['a chunk of 11 MB', chunked(`a80000\r\n${'x'.repeat(0xa8_00_00)}\r\n0\r\n\r\n`), 413, 'PSYNC_S2020'],
    ['a chunk without a size', chunked('zz\r\n'), 400, 'PSYNC_S2001'],
    ['two lengths', streamRequest('{}').replace('\r\n\r\n', '\r\ncontent-length: 3\r\n\r\n'), 400, 'PSYNC_S2001'],
    ['length and chunks', streamRequest('{}', { 'transfer-encoding': 'chunked' }), 400, 'PSYNC_S2001'],
    ['a length that is no number', streamRequest('{}', { 'content-length': '-1' }), 400, 'PSYNC_S2001'],
    ['a header with a line break', streamRequest('{}', { 'x-user-agent': 'a\nb' }), 400, 'PSYNC_S2001'],
    ['headers of 40 KB', streamRequest('{}', { 'x-user-agent': 'y'.repeat(40_000) }), 431, 'PSYNC_S2001'],
    ['no HTTP', 'hello\r\n\r\n', 400, 'PSYNC_S2001'],
    ['TLS', Buffer.from('16030100c8010000c40303', 'hex'), 400, 'PSYNC_S2001'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'PSYNC_S2001'],
  ];

  test.each(cases)('%s', async (_name, text, status, code) => {
    const before = harness.logged.length;
    const connection = await connect();
    connection.send(text);
    const answer = await connection.answer();
    expect(answer).toMatchObject({ status, error: { code, status } });
    expect(Object.keys(answer.error)).toEqual(expect.arrayContaining(['description', 'name']));
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    // What clients do wrong is no error of ours.
    expect(harness.logged.slice(before).filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('HEAD gets the same without a body', async () => {
    const connection = await connect();
    connection.send(requestText('HEAD', '/sync/stream'));
    expect(await connection.answer({ head: true })).toMatchObject({ status: 404 });
    connection.send(requestText('GET', '/nothing'));
    await connection.until((text) => text.split('HTTP/1.1 404').length === 3, 'the answer after it');
  });

  test('preflights are answered on every path (S-514, wire/09)', async () => {
    for (const path of ['/sync/stream', '/write-checkpoint2.json', '/sync/checkpoint-request', '/nothing', '*']) {
      const connection = await connect();
      connection.send(
        requestText('OPTIONS', path, null, {
          authorization: null,
          origin: 'http://app.example',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type',
        }),
      );
      const { status, headers } = await connection.answer();
      expect(status).toBe(204);
      expect(Object.fromEntries(headers)).toMatchObject({
        'access-control-allow-origin': '*',
        'access-control-expose-headers': 'Content-Type',
        'access-control-allow-methods': 'GET,HEAD,POST',
        'access-control-allow-headers': 'Content-Type, Authorization, User-Agent, X-User-Agent',
        'access-control-max-age': '3600',
        'content-length': '0',
      });
    }
  });

  test('no message shows what the body holds (O-195)', async () => {
    const connection = await connect();
    connection.send(streamRequest('{"parameters":{"secret":"s3cr3t"'));
    expect((await connection.answer()).body).not.toContain('s3cr3t');
  });
});

describe('connections that do not behave', () => {
  const completed = (text: string): boolean => text.includes('checkpoint_complete');
  const stream = async (): Promise<RawConnection> => {
    const connection = await connect();
    connection.send(streamRequest());
    await connection.until(completed, 'a complete checkpoint');
    return connection;
  };

  test('garbage behind a stream request ends the stream, and is not answered inside of it', async () => {
    const connection = await stream();
    connection.send('garbage garbage\r\n\r\n');
    await connection.over();
    expect(connection.received.match(/HTTP\/1\.1/g)).toHaveLength(1);
    await harness.atRest();
  });

  test('a stream can follow another request, but nothing can follow a stream', async () => {
    const connection = await connect();
    connection.send(requestText('GET', '/probes/liveness') + streamRequest() + streamRequest());
    await connection.until(completed, 'a complete checkpoint');
    expect(connection.received).toContain('connection: close');
    const other = await stream();
    expect(harness.worker.sessions.count).toBe(2);
    // some clients end a body like this (RFC 9112, 2.2)
    other.send('\r\n');
    connection.send(streamRequest());
    await connection.over();
    await expect.poll(() => harness.worker.sessions.count).toBe(1);
    expect(connection.received.match(/HTTP\/1\.1/g)).toHaveLength(2);
    expect(other.isOver).toBe(false);
    other.destroy();
    await harness.atRest();
    expect(harness.logged.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('a client that closes only its side is gone', async () => {
    const connection = await stream();
    connection.socket.end();
    await connection.over();
    await harness.atRest();
  });

  test('a broken request whose sender keeps its side open is cut after a while', async () => {
    const connection = await connect();
    connection.send('hello\r\n\r\n');
    await connection.over();
    expect(harness.sockets.size).toBe(1);
    await clock.advance(5000);
    await harness.atRest();
  });

  test('a body that ends in the middle is no error of ours', async () => {
    const before = harness.logged.length;
    for (const text of [streamRequest('{"a', { 'content-length': '50' }), chunked('5\r\n{"a')]) {
      const connection = await connect();
      connection.send(text);
      await expect.poll(() => harness.sockets.size).toBe(1);
      connection.socket.resetAndDestroy();
      await harness.atRest();
    }
    const logged = harness.logged.slice(before);
    expect(logged.every(({ level }) => level === 'info')).toBe(true);
  });

  test('HTTP/1.0 gets its stream without chunks', async () => {
    const connection = await connect();
    connection.send(streamRequest().replace('HTTP/1.1', 'HTTP/1.0'));
    await connection.until(completed, 'a complete checkpoint');
    expect(connection.received).not.toContain('Transfer-Encoding');
    harness.worker.sessions.endAll('shutting down');
    await connection.over();
    const lines = connection.received.split('\r\n\r\n')[1]!.trim().split('\n');
    expect(lines.map((line) => Object.keys(JSON.parse(line) as object)[0])).toEqual([
      'checkpoint',
      'data',
      'checkpoint_complete',
    ]);
  });

  test('after an ended stream the connection is closed, also of a client that does not close its side', async () => {
    const connection = await stream();
    harness.worker.sessions.endAll('shutting down');
    await connection.over();
    expect(connection.received.endsWith('0\r\n\r\n')).toBe(true);
    expect(harness.sockets.size).toBe(1);
    await clock.advance(30_000);
    await harness.atRest();
  });
});

describe('random damage', () => {
  const base = Buffer.from(
    streamRequest({
      buckets: [{ name: '1#global|0[]', after: '0' }],
      streams: { subscriptions: [{ stream: 'urgent' }] },
    }),
  );
  const damage = fc.oneof(
    fc.record({ kind: fc.constant('cut' as const), at: fc.nat(base.length), bytes: fc.constant(new Uint8Array()) }),
    fc.record({
      kind: fc.constantFrom('insert' as const, 'replace' as const),
      at: fc.nat(base.length),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
    }),
  );

  test('ends in a stream, a coded answer, or a wait for the rest; nothing is left', async () => {
    const before = harness.logged.length;
    const outcomes = { stream: 0, refused: 0, waiting: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (damages) => {
        const bytes = damages.reduce<Buffer>((before, { kind, at, bytes: inserted }) => {
          if (kind === 'cut') return before.subarray(0, at);
          const after = before.subarray(at + (kind === 'replace' ? inserted.length : 0));
          return Buffer.concat([before.subarray(0, at), inserted, after]);
        }, base);
        const connection = await connect();
        connection.send(bytes);
        connection.socket.end();
        await connection.over();
        const { received } = connection;
        if (received === '') outcomes.waiting++;
        else if (received.startsWith('HTTP/1.1 200')) outcomes.stream++;
        else {
          outcomes.refused++;
          expect((await connection.answer()).error.code).toMatch(/^PSYNC_S2\d{3}$/);
        }
        connection.destroy();
        await harness.atRest();
      }),
      { numRuns: 150 },
    );
    expect(outcomes.refused).toBeGreaterThan(0);
    // The worker still serves.
    const client = harness.client('u1');
    await client.connect();
    await client.until(() => client.completedOp !== null);
    client.disconnect();
    expect(harness.logged.slice(before).filter(({ level }) => level === 'error')).toEqual([]);
  });
});
