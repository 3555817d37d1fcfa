/**
 * `GET /inspector`: a page that is a client like any other, for whoever has a client token. The service gives it no data but through the
 * sync protocol, with that token; nothing here looks at tokens, storage or sessions.
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip, zstdCompress } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { Log } from '#core/platform/log.ts';
import { negotiateCompression, type Compression } from '../http/negotiate.ts';
import type { PageFile, PageFiles } from './bundle-page.ts';

export const INSPECTOR_PATH = '/inspector';

/** In index.html: the folder of the page's files, relative to the page, so that a prefix of an ingress does not matter. */
const ASSETS_PLACEHOLDER = '%ASSETS%';
const YEAR_SECONDS = 31_536_000;

const SECURITY_HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    // SQLite is WebAssembly.
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    "connect-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const;

interface Served {
  readonly hash: string;
  readonly page: PreparedFile;
  /** By path below /inspector. */
  readonly assets: ReadonlyMap<string, PreparedFile>;
}

interface PreparedFile {
  readonly type: string;
  body(compression: Compression): Promise<Buffer>;
}

/** `load` is called at once, and again for a request after it failed; meanwhile the path answers with the reason. */
export function addInspectorRoutes(
  server: FastifyInstance,
  { load, log }: { readonly load: () => Promise<PageFiles>; readonly log: Log },
): void {
  let loading: Promise<Served> | null = null;
  const served = (): Promise<Served> => {
    loading ??= load()
      .then(prepare)
      .catch((error: unknown) => {
        loading = null;
        throw error;
      });
    return loading;
  };
  served().catch((error: unknown) => log.error({ error }, 'The inspector cannot be served; everything else goes on'));

  server.get(INSPECTOR_PATH, async (request, reply) => {
    const { hash, page } = await served();
    const etag = `"${hash}"`;
    reply.headers({ etag, 'cache-control': 'no-cache' });
    if (request.headers['if-none-match'] === etag) return secure(reply).code(304).send();
    return send(request, reply, page);
  });
  server.get(`${INSPECTOR_PATH}/`, (_request, reply) => secure(reply).redirect(`..${INSPECTOR_PATH}`, 308));
  server.get<{ Params: { '*': string } }>(`${INSPECTOR_PATH}/*`, async (request, reply) => {
    const { assets } = await served();
    const file = assets.get(request.params['*']);
    if (!file) throw codedError('PSYNC_S2002', 'The path is no part of the inspector');
    reply.header('cache-control', `public, max-age=${YEAR_SECONDS}, immutable`);
    return send(request, reply, file);
  });
}

/** The API's own `access-control-allow-origin: *` is of no use for a page. */
function secure(reply: FastifyReply): FastifyReply {
  reply.removeHeader('access-control-allow-origin').removeHeader('access-control-expose-headers');
  return reply.headers(SECURITY_HEADERS);
}

async function send(request: FastifyRequest, reply: FastifyReply, file: PreparedFile): Promise<FastifyReply> {
  const compression = negotiateCompression(request.headers['accept-encoding']);
  const body = await file.body(compression);
  secure(reply).headers({ 'content-type': file.type, vary: 'accept-encoding' });
  if (compression !== 'identity') reply.header('content-encoding', compression);
  return reply.send(body);
}

/** One hash for all files in their path: the SDK's worker finds its parts beside it, and what is cached never goes with something newer. */
function prepare(files: PageFiles): Served {
  const index = files.get('index.html');
  if (!index) throw codedError('PSYNC_S0001', 'The inspector has no index.html');
  const sum = createHash('sha256');
  for (const path of [...files.keys()].toSorted()) sum.update(path).update('\0').update(files.get(path)!.body);
  const hash = sum.digest('hex').slice(0, 16);
  const assets = [...files].filter(([path]) => path !== 'index.html');
  const html = index.body.toString().replaceAll(ASSETS_PLACEHOLDER, `${INSPECTOR_PATH.slice(1)}/${hash}`);
  return {
    hash,
    page: prepareFile({ ...index, body: Buffer.from(html) }),
    assets: new Map(assets.map(([path, file]) => [`${hash}/${path}`, prepareFile(file)])),
  };
}

const COMPRESS = { gzip: promisify(gzip), zstd: promisify(zstdCompress) } as const;

/** Compressed when first asked for, outside the event loop, and kept. */
function prepareFile({ type, body }: PageFile): PreparedFile {
  const bodies = new Map<Compression, Promise<Buffer>>([['identity', Promise.resolve(body)]]);
  return {
    type,
    body(compression) {
      const known = bodies.get(compression);
      if (known || compression === 'identity') return known ?? Promise.resolve(body);
      const compressed = COMPRESS[compression](body);
      bodies.set(compression, compressed);
      return compressed;
    },
  };
}
