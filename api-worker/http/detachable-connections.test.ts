/** Connections that an HTTP server loses without their end, over real sockets. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openConnection, type RawConnection } from '../testing/raw-connection.ts';
import { detachConnectionsOf, type DetachableConnections } from './detachable-connections.ts';

const BYTES = 3_000_000;

let server: Server;
let connections: DetachableConnections;
let onRequest: (request: IncomingMessage, response: ServerResponse) => void;
let endpoint: string;
const opened: RawConnection[] = [];

beforeEach(async () => {
  onRequest = (_request, response) => response.end('ok');
  server = createServer((request, response) => onRequest(request, response));
  connections = detachConnectionsOf(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  for (const connection of opened.splice(0)) connection.destroy();
  server.closeAllConnections();
  connections.closeDetached();
  await new Promise((resolve) => server.close(resolve));
});

async function open(): Promise<RawConnection> {
  const connection = await openConnection(endpoint);
  opened.push(connection);
  return connection;
}

const request = (more = ''): string => `GET / HTTP/1.1\r\nhost: a\r\n${more}\r\n`;
const connectionsOf = (): Promise<number> =>
  new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))));

test('the server serves as ever: bodies both ways, one request after the other, the end of a connection', async () => {
  onRequest = (incoming, response) => void incoming.pipe(response);
  const connection = await open();
  const body = 'x'.repeat(BYTES);
  for (const times of [1, 2]) {
    connection.send(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${BYTES}\r\n\r\n${body}`);
    await connection.until((text) => text.split('\r\n0\r\n\r\n').length === times + 1, 'the body', 20_000);
  }
  expect(connection.received.match(/x/g)).toHaveLength(2 * BYTES);
  connection.send(request('connection: close\r\n'));
  await connection.over();
  await expect.poll(connectionsOf).toBe(0);
});

test('a client that does not read what it is sent holds up the server no more than without', async () => {
  const writes: boolean[] = [];
  onRequest = (_incoming, response) => {
    const piece = Buffer.alloc(1_000_000);
    for (let count = 0; count < 20; count++) writes.push(response.write(piece));
    response.once('drain', () => response.end());
  };
  const connection = await open();
  connection.socket.pause();
  connection.send(request());
  await expect.poll(() => writes.length).toBe(20);
  expect(writes.at(-1)).toBe(false);
  connection.socket.resume();
  await connection.until((text) => text.endsWith('0\r\n\r\n'), 'the end of the body', 20_000);
});

test('limits of time are the server’s', async () => {
  server.keepAliveTimeout = 50;
  const connection = await open();
  connection.send(request());
  await connection.over();
  await expect.poll(connectionsOf).toBe(0);
});

test('a detached connection goes on without the server, which forgets request and response', async () => {
  const events: string[] = [];
  let socket: Socket | null = null;
  onRequest = (incoming, response) => {
    response.once('close', () => events.push('response closed'));
    incoming.once('close', () => events.push('request closed'));
    socket = connections.detach(incoming.socket);
    socket.write('hello');
  };
  const connection = await open();
  connection.send(`${request()}behind`);
  await connection.until((text) => text === 'hello', 'what was written');
  await expect.poll(() => events.toSorted()).toEqual(['request closed', 'response closed']);
  expect(connection.isOver).toBe(false);
  server.closeAllConnections();

  const heard: string[] = [];
  socket!.on('data', (bytes: Buffer) => heard.push(bytes.toString()));
  connection.send(' it');
  await expect.poll(() => heard.join('')).toMatch(/ it$/);
  socket!.end();
  connection.socket.end();
  await connection.over();
  await expect.poll(connectionsOf).toBe(0);
});

test('nothing of an upgraded connection is lost', async () => {
  const heard: string[] = [];
  server.on('upgrade', (_request, connection, head) => {
    heard.push((head as Buffer).toString());
    const socket = connections.detach(connection);
    socket.on('data', (bytes: Buffer) => heard.push(bytes.toString()));
    socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
  });
  const connection = await open();
  connection.send(`${request('connection: upgrade\r\nupgrade: other\r\n')}first `);
  connection.send('second ');
  await connection.until((text) => text.includes('101'), 'the answer');
  connection.send('third');
  await expect.poll(() => heard.join('')).toBe('first second third');
});

test('all detached ones can be cut, and one that broke is forgotten', async () => {
  const sockets: Socket[] = [];
  onRequest = (incoming) => void sockets.push(connections.detach(incoming.socket).resume());
  const [broken, whole] = [await open(), await open()];
  for (const connection of [broken, whole]) connection.send(request());
  await expect.poll(() => sockets.length).toBe(2);
  broken.socket.resetAndDestroy();
  await expect.poll(connectionsOf).toBe(1);
  connections.closeDetached();
  await whole.over();
  await expect.poll(connectionsOf).toBe(0);
});
