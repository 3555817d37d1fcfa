import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { afterEach, describe, expect, test } from 'vitest';
import { realClock } from '#core/platform/clock.ts';
import { createKubeClient } from './client.ts';
import type { KubeObject } from './contract.ts';
import { CONFIG_MAPS, HTTP_ROUTES, SECRETS, SYNC_INSTANCES } from './resource-types.ts';
import { createTransport } from './transport.ts';

let server: Server | undefined;
afterEach(() => void server?.close());

interface Seen {
  readonly line: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

async function answering(answer: (seen: Seen, response: ServerResponse, count: number) => void | Promise<void>) {
  const seen: Seen[] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = '';
    for await (const piece of request) body += String(piece);
    const item = { line: `${request.method} ${request.url}`, headers: request.headers, body };
    seen.push(item);
    await answer(item, response, seen.length);
  };
  server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    { name: 'c', server: `http://127.0.0.1:${(server.address() as AddressInfo).port}/prefix/`, skipTLSVerify: true },
    { name: 'u', token: 'abc' },
  );
  const kube = createKubeClient({ transport: createTransport(kubeConfig), clock: realClock, random: () => 0 });
  return { kube, seen };
}

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void =>
  void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
const failure = (reason: string, code: number): object => ({
  kind: 'Status',
  reason,
  code,
  message: `because ${reason}`,
});
const place = { namespace: 'apps', name: 'demo' };

describe('client', () => {
  test('keeps keys that the library does not know, and sends its credentials', async () => {
    const odd = { metadata: { name: 'demo', namespace: 'apps' }, 'x-kubernetes-odd': { a: [1] } };
    const { kube, seen } = await answering((_seen, response) => json(response, 200, odd));
    expect(await kube.get(SYNC_INSTANCES, place)).toEqual(odd);
    await kube.apply(SYNC_INSTANCES, odd, { fieldManager: 'millrace-operator', force: true, subresource: 'status' });
    expect(seen[0]).toMatchObject({
      line: 'GET /prefix/apis/millrace.dev/v1alpha1/namespaces/apps/syncinstances/demo',
      headers: { authorization: 'Bearer abc' },
    });
    expect(seen[1]!.line).toBe(
      'PATCH /prefix/apis/millrace.dev/v1alpha1/namespaces/apps/syncinstances/demo/status?fieldManager=millrace-operator&force=true',
    );
    expect(seen[1]!.headers['content-type']).toBe('application/apply-patch+yaml');
    expect(JSON.parse(seen[1]!.body)).toEqual({ ...odd, apiVersion: 'millrace.dev/v1alpha1', kind: 'SyncInstance' });
  });

  test.each([
    ['NotFound', 404, 'NotFound'],
    ['Conflict', 409, 'Conflict'],
    ['AlreadyExists', 409, 'AlreadyExists'],
    ['Forbidden', 403, 'Forbidden'],
    ['Expired', 410, 'Expired'],
    ['Gone', 410, 'Expired'],
    ['Invalid', 422, 'Invalid'],
    ['SomethingNew', 418, 'Other'],
  ])('%s (%i) is understood', async (reason, status, expected) => {
    const { kube } = await answering((_seen, response) => json(response, status, failure(reason, status)));
    await expect(kube.create(CONFIG_MAPS, { metadata: place })).rejects.toMatchObject({ failure: expected, status });
    if (expected === 'NotFound') {
      expect(await kube.get(CONFIG_MAPS, place)).toBeNull();
      await kube.delete(CONFIG_MAPS, place, { propagation: 'Background' });
    }
  });

  test('an answer that is no Status object is not repeated in the error', async () => {
    const { kube } = await answering((_seen, response) => void response.writeHead(502).end('<html>secret</html>'));
    await expect(kube.get(CONFIG_MAPS, place)).rejects.toThrow(/^GET .*\/configmaps\/demo: 502$/);
  });

  test('an overloaded server is asked again after the time it asks for (429, Retry-After), a few times', async () => {
    const { kube, seen } = await answering((_seen, response, count) =>
      count <= 2
        ? json(response, 429, failure('TooManyRequests', 429), { 'retry-after': '0.05' })
        : json(response, 200, { metadata: { name: 'demo' } }),
    );
    expect(await kube.get(CONFIG_MAPS, place)).toEqual({ metadata: { name: 'demo' } });
    expect(seen.length).toBe(3);
    const never = await answering((_seen, response) =>
      json(response, 503, failure('x', 503), { 'retry-after': '0.01' }),
    );
    await expect(never.kube.get(CONFIG_MAPS, place)).rejects.toMatchObject({ failure: 'TooManyRequests' });
    expect(never.seen.length).toBe(4);
  });

  test('lists all pages; only metadata of what is not to be known', async () => {
    const pages = [
      { metadata: { resourceVersion: '9', continue: 'next/page' }, items: [{ metadata: { name: 'a' } }] },
      { metadata: { resourceVersion: '9' }, items: [{ metadata: { name: 'b' } }] },
    ];
    const { kube, seen } = await answering((_seen, response, count) => json(response, 200, pages[count - 1]));
    const { items, resourceVersion } = await kube.list(SECRETS, { namespace: null, metadataOnly: true });
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
    expect(resourceVersion).toBe('9');
    // Items of lists come without, and owner references are made from them.
    expect(items[0]).toMatchObject({ apiVersion: 'v1', kind: 'Secret' });
    expect(seen[1]!.line).toBe('GET /prefix/api/v1/secrets?limit=500&continue=next%2Fpage');
    expect(seen[0]!.headers.accept).toBe('application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1');
  });

  test('a watch gives events however they are cut, and throws what the server says', async () => {
    const event = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;
    const text =
      event('ADDED', { metadata: { name: 'ü' } }) +
      event('BOOKMARK', { metadata: {} }) +
      event('ERROR', failure('Expired', 410));
    const { kube, seen } = await answering(async (_seen, response) => {
      response.writeHead(200);
      for (const byte of Buffer.from(text)) {
        response.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    });
    const got: [string, KubeObject][] = [];
    const reading = (async () => {
      const signal = new AbortController().signal;
      for await (const { type, object } of kube.watch(HTTP_ROUTES, { namespace: 'apps', resourceVersion: '7', signal }))
        got.push([type, object]);
    })();
    await expect(reading).rejects.toMatchObject({ failure: 'Expired' });
    const type = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute' };
    expect(got).toEqual([
      ['ADDED', { ...type, metadata: { name: 'ü' } }],
      ['BOOKMARK', { ...type, metadata: {} }],
    ]);
    expect(seen[0]!.line).toContain('watch=true&allowWatchBookmarks=true&resourceVersion=7&timeoutSeconds=180');
  });

  test('requests do not wait for watches, however many there are', async () => {
    const watches = 100;
    const { promise: allArrived, resolve: arrive } = Promise.withResolvers<void>();
    const { kube } = await answering(({ line }, response, count) => {
      if (!line.includes('watch=true')) return json(response, 200, { metadata: { name: 'demo' } });
      response.writeHead(200).flushHeaders();
      if (count === watches) arrive();
    });
    const end = new AbortController();
    const selection = { namespace: 'apps', resourceVersion: '1', signal: end.signal };
    const watching = Promise.allSettled(
      Array.from({ length: watches }, () => kube.watch(CONFIG_MAPS, selection)[Symbol.asyncIterator]().next()),
    );
    await allArrived;
    expect(await kube.get(CONFIG_MAPS, place)).toEqual({ metadata: { name: 'demo' } });
    end.abort();
    await watching;
  });

  test('nobody there is Unreachable, without the token', async () => {
    const { kube } = await answering(() => undefined);
    server!.close();
    server!.closeAllConnections();
    const error = await kube.get(CONFIG_MAPS, place).catch((error: unknown) => error);
    expect(error).toMatchObject({ failure: 'Unreachable' });
    expect(String(error)).not.toContain('abc');
  });
});
