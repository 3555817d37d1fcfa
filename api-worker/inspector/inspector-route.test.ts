/** The inspector's page over HTTP: off unless wanted, nothing but its own files, headers that keep others out. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { realClock } from '#core/platform/clock.ts';
import type { Log } from '#core/platform/log.ts';
import { createServer, DEFAULT_SERVER_LIMITS } from '../http/server.ts';
import { startHarness } from '../testing/harness.ts';
import { bundlePage, type PageFiles } from './bundle-page.ts';
import { loadInspectorFiles, PAGE_FOLDER } from './inspector-files.ts';
import { addInspectorRoutes } from './inspector-route.ts';

const FILES: PageFiles = new Map([
  ['index.html', { type: 'text/html; charset=utf-8', body: Buffer.from('<script src="%ASSETS%/app.js"></script>') }],
  ['app.js', { type: 'text/javascript; charset=utf-8', body: Buffer.from('go()'.repeat(1000)) }],
  ['worker/assets/sqlite.wasm', { type: 'application/wasm', body: Buffer.from([0, 97, 115, 109]) }],
]);

const servers: FastifyInstance[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

function serve(load: () => Promise<PageFiles> = () => Promise.resolve(FILES)) {
  const heard = vi.fn<(fields: object, message: string) => void>();
  const log: Log = { debug: heard, info: heard, warn: heard, error: vi.fn<Log['error']>() };
  const server = createServer({
    limits: { ...DEFAULT_SERVER_LIMITS, connections: 10 },
    log,
    clock: realClock,
    nextRequestId: () => 'r',
    onRefusedToken: () => undefined,
  });
  addInspectorRoutes(server, { load, log });
  servers.push(server);
  const get = (url: string, headers: Record<string, string> = {}) =>
    server.inject({ method: 'GET', url, headers: { host: 'h', ...headers } });
  return { server, log, get };
}

/** `inspector/<hash>`, as the page has it. */
async function assetsOf({ get }: Pick<ReturnType<typeof serve>, 'get'>): Promise<string> {
  return /src="(inspector\/[0-9a-f]{16})\/app\.js"/.exec((await get('/inspector')).body)![1]!;
}

describe('on or off', () => {
  test.each([undefined, false])('api.inspector %s: the paths do not exist', async (inspector) => {
    await using stack = new AsyncDisposableStack();
    const harness = await startHarness({ worker: workerWith(inspector) });
    stack.defer(() => harness.close());
    for (const path of ['/inspector', '/inspector/', '/inspector/x/app.js']) {
      const response = await fetch(harness.endpoint + path);
      expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([
        404,
        'PSYNC_S2002',
      ]);
    }
  });

  test('api.inspector true: the real page, its script, styles and the worker of the SDK', async () => {
    await using stack = new AsyncDisposableStack();
    const harness = await startHarness({ worker: workerWith(true) });
    stack.defer(() => harness.close());
    const page = await fetch(`${harness.endpoint}/inspector`);
    expect(page.status).toBe(200);
    const html = await page.text();
    const used = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address!);
    // Without an address of anybody else.
    expect(used.filter((address) => !/^(inspector\/[0-9a-f]{16}\/|data:)/.test(address))).toEqual([]);
    const folder = /inspector\/[0-9a-f]{16}/.exec(html)![0];
    for (const path of ['app.js', 'style.css', 'worker/worker.js']) {
      const response = await fetch(`${harness.endpoint}/${folder}/${path}`);
      expect([path, response.status]).toEqual([path, 200]);
      expect((await response.text()).length).toBeGreaterThan(1000);
    }
  });
});

function workerWith(inspector: boolean | undefined) {
  const api = {
    maxConcurrentConnections: 10,
    maxDataFetchConcurrency: 10,
    maxBucketsPerConnection: 10,
    maxParameterQueryResults: 10,
    ...(inspector === undefined ? {} : { inspector }),
  };
  return { config: { api, port: 0, host: '127.0.0.1', probes: false } };
}

describe('headers', () => {
  test('nobody may frame the page, and it may load nothing but its own', async () => {
    const served = serve();
    const assets = await assetsOf(served);
    for (const path of ['/inspector', `/${assets}/app.js`, `/${assets}/worker/assets/sqlite.wasm`]) {
      const { headers } = await served.get(path);
      const policy = String(headers['content-security-policy']).split('; ');
      expect(policy).toEqual(
        expect.arrayContaining([
          "default-src 'none'",
          "script-src 'self' 'wasm-unsafe-eval'",
          "connect-src 'self'",
          "frame-ancestors 'none'",
        ]),
      );
      expect(policy.join()).not.toMatch(/unsafe-inline|'unsafe-eval'|\*|http/);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
      });
      expect(headers['access-control-allow-origin']).toBeUndefined();
    }
  });

  test('files are kept for ever under their hash, the page is asked for again', async () => {
    const served = serve();
    const assets = await assetsOf(served);
    const page = await served.get('/inspector');
    expect(page.headers['cache-control']).toBe('no-cache');
    const again = await served.get('/inspector', { 'if-none-match': String(page.headers['etag']) });
    expect([again.statusCode, again.body]).toEqual([304, '']);
    const script = await served.get(`/${assets}/app.js`);
    expect(script.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    const changed = new Map([...FILES, ['app.js', { ...FILES.get('app.js')!, body: Buffer.from('other()') }]] as const);
    expect(await assetsOf(serve(() => Promise.resolve(changed)))).not.toBe(assets);
  });

  test.each([
    ['gzip, deflate, br, zstd', 'gzip', gunzipSync],
    ['zstd', 'zstd', zstdDecompressSync],
    ['identity', undefined, (body: Buffer) => body],
  ] as const)('accept-encoding %s: %s', async (accepted, encoding, decode) => {
    const served = serve();
    const assets = await assetsOf(served);
    const { headers, rawPayload } = await served.get(`/${assets}/app.js`, { 'accept-encoding': accepted });
    expect(headers['content-encoding']).toBe(encoding);
    expect(headers['vary']).toBe('accept-encoding');
    expect(decode(rawPayload).equals(FILES.get('app.js')!.body)).toBe(true);
  });

  test('with a slash at the end: to the page, also behind a prefix', async () => {
    const { statusCode, headers } = await serve().get('/inspector/');
    expect([statusCode, headers['location']]).toEqual([308, '../inspector']);
  });
});

test.each([
  'app.js',
  '%ASSETS%/index.html',
  '%ASSETS%/..%2f..%2finspector-route.ts',
  '%ASSETS%/../../../package.json',
  '..%2f..%2f..%2fpackage.json',
  '%2e%2e/%2e%2e/package.json',
  '%ASSETS%//app.js',
  '%ASSETS%/app.js%00',
  '%ASSETS%/worker',
  '__proto__',
  'constructor',
])('nothing but its own files: %s', async (path) => {
  const served = serve();
  const folder = (await assetsOf(served)).slice('inspector/'.length);
  const { statusCode, body } = await served.get(`/inspector/${path.replace('%ASSETS%', folder)}`);
  expect([statusCode, (JSON.parse(body) as { error: { code: string } }).error.code]).toEqual([404, 'PSYNC_S2002']);
});

describe('where the page comes from', () => {
  let bundled: PageFiles;
  beforeAll(async () => {
    bundled = await bundlePage(PAGE_FOLDER);
  });
  const missing = (): Promise<never> =>
    Promise.reject(Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' }));

  test('the bundle has all parts and no data, and its page names only files that there are', () => {
    const paths = [...bundled.keys()];
    expect(paths).toEqual(expect.arrayContaining(['index.html', 'app.js', 'style.css', 'worker/worker.js']));
    expect(paths.filter((path) => path.endsWith('.wasm')).length).toBeGreaterThan(0);
    expect(paths.filter((path) => /\.(ts|map|json)$/.test(path))).toEqual([]);
    const html = bundled.get('index.html')!.body.toString();
    for (const [, path] of html.matchAll(/%ASSETS%\/([\w./-]+)/g)) expect(paths).toContain(path);
    expect(bundled.get('style.css')!.body.toString()).not.toMatch(/@import|url\(/);
  });

  test('without esbuild: what was built before', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-inspector-'));
    await writeFile(join(folder, 'index.html'), 'built');
    await writeFile(join(folder, 'notes.txt'), 'not served');
    const files = await loadInspectorFiles(missing, folder);
    expect([...files].map(([path, { body }]) => [path, body.toString()])).toEqual([['index.html', 'built']]);
    await rm(folder, { recursive: true });
  });

  test('with neither: an answer and a line in the log say what is missing, and the next request tries again', async () => {
    let attempts = 0;
    const { get, log } = serve(() =>
      ++attempts > 2 ? Promise.resolve(FILES) : loadInspectorFiles(missing, '/nowhere'),
    );
    await vi.waitFor(() => expect(log.error).toHaveBeenCalled());
    const { statusCode, body } = await get('/inspector');
    expect(statusCode).toBe(501);
    expect(JSON.parse(body)).toMatchObject({
      error: { code: 'PSYNC_S2001', description: expect.stringContaining('build.ts') as unknown },
    });
    expect((await get('/inspector')).statusCode).toBe(200);
  });

  test('a mistake in the page is not taken for a missing tool', async () => {
    const broken = (): Promise<never> => Promise.reject(new Error('Unexpected "}"'));
    await expect(loadInspectorFiles(broken, '/nowhere')).rejects.toThrow('Unexpected "}"');
  });
});
