import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { parseAddressRanges } from '../network/address-ranges.ts';
import { fetchKeySet, redirectTarget, type KeySetRequestOptions } from './key-set-request.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await new Promise((resolve) => void server.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const fetch = (uri: string, options: Partial<KeySetRequestOptions> & { reject?: string[] } = {}): Promise<unknown> =>
  fetchKeySet(uri, { ranges: parseAddressRanges(options.reject ?? []), ...options });

describe('request to a key set endpoint', () => {
  test('reads a key set, also behind redirects', async () => {
    const uri = await serve((request, response) => {
      if (request.url === '/keys') response.writeHead(302, { location: '/moved' }).end();
      else if (request.url === '/moved') response.writeHead(307, { location: `${uri}/final` }).end();
      else response.setHeader('content-type', 'application/json').end('{"keys":[]}');
    });
    expect(await fetch(`${uri}/keys`)).toEqual({ keys: [] });
  });

  test('never connects to refused addresses, at the first hop or a later one (O-53, O-97)', async () => {
    let reached = 0;
    const inner = await serve((_request, response) => {
      reached++;
      response.end('{"keys":[]}');
    });
    await expect(fetch(inner, { reject: ['local'] })).rejects.toMatchObject({ code: 'PSYNC_S2203' });
    const port = new URL(inner).port;
    const named = { resolve: async () => [{ address: '127.0.0.1', family: 4 }] };
    await expect(fetch(`http://id.example:${port}`, { reject: ['local'], ...named })).rejects.toMatchObject({
      code: 'PSYNC_S2203',
    });
    expect(await fetch(`http://id.example:${port}`, named)).toEqual({ keys: [] });
    expect(reached).toBe(1);

    // The first hop is allowed, the one it redirects to is not.
    const outer = await serve((_request, response) => {
      response.writeHead(302, { location: `http://127.0.0.2:${port}/` }).end();
    });
    await expect(fetch(outer, { reject: ['127.0.0.2'] })).rejects.toMatchObject({ code: 'PSYNC_S2203' });
    expect(reached).toBe(1);
  });

  test.each([
    'http://127.0.0.2/',
    'http://2130706434/',
    'http://0x7f.2/',
    'http://[::ffff:127.0.0.2]/',
    'http://[::ffff:7f00:2]/',
    'http://inner.example/',
  ])('a redirect to %s does not get around the ranges, however the address is written (O-53)', async (location) => {
    const outer = await serve((_request, response) => void response.writeHead(302, { location }).end());
    const resolve = async () => [{ address: '::ffff:127.0.0.2', family: 6 }];
    await expect(fetch(outer, { reject: ['127.0.0.2'], resolve })).rejects.toMatchObject({ code: 'PSYNC_S2203' });
  });

  test('redirects keep to http and https, and never leave https (O-97)', () => {
    const from = new URL('https://id.example/a/keys');
    expect(redirectTarget(from, '../b').href).toBe('https://id.example/b');
    expect(redirectTarget(from, '//other.example/keys').href).toBe('https://other.example/keys');
    expect(redirectTarget(new URL('http://id.example/'), 'https://id.example/').protocol).toBe('https:');
    expect(() => redirectTarget(from, 'http://id.example/a/keys')).toThrow('PSYNC_S2204');
    expect(() => redirectTarget(from, 'http://')).toThrow('PSYNC_S2204');
    for (const scheme of ['file:///etc/passwd', 'data:,{}', 'ftp://x/', 'javascript:1'])
      expect(() => redirectTarget(from, scheme)).toThrow('PSYNC_S3103');
  });

  test('the content type of the answer does not matter', async () => {
    for (const type of ['application/jwk-set+json', 'text/plain; charset=utf-8', 'application/octet-stream']) {
      const uri = await serve((_request, response) => {
        response.setHeader('content-type', type).end('{"keys":[1]}');
      });
      expect(await fetch(uri)).toEqual({ keys: [1] });
    }
  });

  test('the address that was checked is the one that is connected to, whatever the name says next', async () => {
    const uri = await serve((_request, response) => response.end('{"keys":[]}'));
    let lookups = 0;
    const rebinding = async () => [{ address: lookups++ === 0 ? '9.9.9.9' : '127.0.0.1', family: 4 }];
    const port = new URL(uri).port;
    await expect(fetch(`http://id.example:${port}`, { reject: ['local'], resolve: rebinding })).rejects.toMatchObject({
      code: 'PSYNC_S2203',
    });
    expect(lookups).toBe(2);
  });

  test.each<[string, RequestListener, string, RegExp]>([
    ['status 500', (_q, s) => void s.writeHead(500).end(), 'PSYNC_S2204', /status 500/],
    ['no JSON', (_q, s) => void s.end('<html>'), 'PSYNC_S2204', /not JSON/],
    ['too much', (_q, s) => void s.end(`"${'x'.repeat(1024 * 1024)}"`), 'PSYNC_S2204', /larger than/],
    [
      'an endless redirect',
      (_q, s) => void s.writeHead(302, { location: '/' }).end(),
      'PSYNC_S2204',
      /more than 3 times/,
    ],
    ['a redirect to a file', (_q, s) => void s.writeHead(302, { location: 'file:///x' }).end(), 'PSYNC_S3103', /file:/],
    ['a cut connection', (q) => void q.socket.destroy(), 'PSYNC_S2204', /ECONNRESET/],
    ['silence', () => undefined, 'PSYNC_S2204', /in time/],
    ['a body that does not end', (_q, s) => void s.writeHead(200).write('{'), 'PSYNC_S2204', /in time/],
  ])('%s is an error', async (_name, listener, code, message) => {
    const uri = await serve(listener);
    const attempt = fetch(`${uri}/?api_key=secret`, { timeoutMs: 300 });
    await expect(attempt).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    await expect(attempt).rejects.not.toMatchObject({ message: expect.stringContaining('secret') as string });
  });

  test('an address that only IPv6 leads to, without IPv6, has a code of its own (O-97)', async () => {
    // A documentation address: never routed. On machines with IPv6 it times out instead.
    const resolve = async () => [{ address: '2001:db8::1', family: 6 }];
    await expect(fetch('http://id.example', { resolve, timeoutMs: 500 })).rejects.toMatchObject({
      code: expect.stringMatching(/PSYNC_S220[24]/) as string,
    });
  });
});
