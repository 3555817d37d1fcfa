/** Requests that come slowly or never (slow loris): with limits of milliseconds, on a server without the worker. */
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '#core/platform/clock.ts';
import type { Log } from '#core/platform/log.ts';
import { openConnection, requestText, type RawConnection } from '../testing/raw-connection.ts';
import { createServer, DEFAULT_SERVER_LIMITS, type ServerLimits } from './server.ts';

const clock = createFakeClock();
const log = { info: () => undefined } as unknown as Log;
let server: FastifyInstance;
let connection: RawConnection;
const sockets = (): Promise<number> =>
  new Promise((resolve) => server.server.getConnections((_error, count) => resolve(count)));

const start = async (shorter: Partial<ServerLimits>): Promise<void> => {
  const limits = { ...DEFAULT_SERVER_LIMITS, connections: 3, ...shorter };
  server = createServer({ limits, log, clock, nextRequestId: () => 'r', onRefusedToken: () => undefined });
  server.post('/echo', async (request) => request.body);
  server.get('/late', () => new Promise((resolve) => setTimeout(() => resolve({ late: true }), 300)));
  await server.listen({ port: 0, host: '127.0.0.1' });
};
beforeEach(() => start({ headersMs: 60, requestMs: 120, checkMs: 20 }));
afterEach(async () => {
  connection.destroy();
  while ((await sockets()) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await server.close();
});
const connect = async (): Promise<RawConnection> =>
  (connection = await openConnection(`http://127.0.0.1:${(server.server.address() as AddressInfo).port}`));

describe('a client that takes its time', () => {
  test.each([
    ['says nothing', ''],
    ['ends in the middle of the headers', 'POST /echo HTTP/1.1\r\nhost: a\r\nx-'],
    ['ends in the middle of the body', requestText('POST', '/echo', '{', { 'content-length': '20' })],
    [
      'ends between two chunks',
      requestText('POST', '/echo', null, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }),
    ],
  ])('%s', async (_name, text) => {
    await connect();
    connection.send(text);
    expect(await connection.answer()).toMatchObject({ status: 408, error: { code: 'PSYNC_S2001', status: 408 } });
    await connection.over();
    // It keeps its side open; the answer has some seconds to arrive.
    await clock.advance(5000);
    await expect.poll(sockets).toBe(0);
  });

  test('byte by byte is not faster', async () => {
    await connect();
    let at = 0;
    const text = `GET /late HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(1000)}\r\n\r\n`;
    const timer = setInterval(() => connection.send(text[at++]!), 5);
    await connection.over();
    clearInterval(timer);
    expect(at).toBeLessThan(text.length);
    expect(connection.received).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('the time that an answer takes does not count', async () => {
    await connect();
    connection.send(requestText('GET', '/late'));
    expect(await connection.answer()).toMatchObject({ status: 200, body: '{"late":true}' });
  });
});

test('connections beyond the limit are closed at once, others go on', async () => {
  await server.close();
  // None of them is closed for its silence.
  await start({});
  const others = [await connect(), await connect(), await connect()];
  await connect();
  await connection.over();
  others[0]!.send(requestText('POST', '/echo', '{"a":1}'));
  expect((await others[0]!.answer()).body).toBe('{"a":1}');
  for (const other of others) other.destroy();
});
