/** The HTTP server of the API: limits against hostile or broken clients, CORS, errors. Routes are in the files beside it. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { Clock } from '#core/platform/clock.ts';
import type { Log } from '#core/platform/log.ts';
import { assertModestJson } from './json-bounds.ts';
import { answerBrokenRequest, CORS_HEADERS, createErrorHandler, sendError } from './errors.ts';

export interface ServerLimits {
  /** Largest request body (wire/09: 12 MB are refused). */
  readonly bodyBytes: number;
  /** All headers of a request together; a token may have 16 KB. */
  readonly headerBytes: number;
  /** A request must have arrived, with its body, in this time. */
  readonly requestMs: number;
  readonly headersMs: number;
  /** How often connections are looked at for these limits of time. */
  readonly checkMs: number;
  /** TCP connections; must leave room for answering those that are refused. */
  readonly connections: number;
}

export const DEFAULT_SERVER_LIMITS = {
  bodyBytes: 10 * 1024 * 1024,
  headerBytes: 32 * 1024,
  requestMs: 60_000,
  headersMs: 15_000,
  checkMs: 5000,
} as const satisfies Omit<ServerLimits, 'connections'>;

const KEEP_ALIVE_MS = 65_000;

const PREFLIGHT_HEADERS = {
  'access-control-allow-methods': 'GET,HEAD,POST',
  'access-control-allow-headers': 'Content-Type, Authorization, User-Agent, X-User-Agent',
  'access-control-max-age': '3600',
};

/** A server without routes. `log` gets errors of routes and refused requests. */
export function createServer(options: {
  readonly limits: ServerLimits;
  readonly log: Log;
  readonly clock: Clock;
  readonly nextRequestId: () => string;
  /** A token was refused with this code (O-185). */
  readonly onRefusedToken: (code: string) => void;
}): FastifyInstance {
  const { limits, log, clock, nextRequestId, onRefusedToken } = options;
  const handleError = createErrorHandler(log, onRefusedToken);
  /** Responses that are not finished; several where requests are pipelined. */
  const responses = new WeakMap<Socket, Set<ServerResponse>>();
  const server = fastify({
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: true,
    genReqId: nextRequestId,
    clientErrorHandler(error, socket) {
      const isAnswering = [...(responses.get(socket) ?? [])].some(({ headersSent }) => headersSent);
      answerBrokenRequest(error, socket, isAnswering, clock);
    },
    frameworkErrors: handleError,
    // A HEAD of a route that creates something would create it.
    exposeHeadRoutes: false,
    // Answers in the same form as ours; its own 503 is not.
    return503OnClosing: false,
    routerOptions: { ignoreTrailingSlash: false, maxParamLength: 500 },
    http: {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.checkMs,
      // Checked below, for an answer in our form.
      requireHostHeader: false,
    },
  });
  server.server.maxConnections = limits.connections;
  server.server.on('request', ({ socket }, response: ServerResponse) => {
    const open = responses.get(socket) ?? new Set();
    responses.set(socket, open.add(response));
    response.once('close', () => open.delete(response));
  });
  server.server.on('checkExpectation', (_request, response: ServerResponse) => {
    response.setHeader('connection', 'close');
    sendError(response, codedError('PSYNC_S2001', 'The expectation of the request cannot be met', { status: 417 }));
  });

  server.removeContentTypeParser(['application/json', 'text/plain']);
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, parseJson(body as string));
    } catch (error) {
      done(error as Error);
    }
  });

  server.addHook('onRequest', ({ raw }, reply, done) => {
    reply.headers(CORS_HEADERS);
    if (raw.headers.host !== undefined || raw.httpVersion !== '1.1') return done();
    done(codedError('PSYNC_S2001', 'The request has no Host header', { status: 400 }));
  });
  server.options('/*', (_request, reply) =>
    reply.code(204).headers(PREFLIGHT_HEADERS).header('content-length', '0').send(),
  );
  server.setNotFoundHandler((request) => {
    throw routeNotFound(request);
  });
  server.setErrorHandler(handleError);
  return server;
}

function routeNotFound({ method, url }: FastifyRequest): Error {
  const shown = url.length > 200 ? `${url.slice(0, 200)}…` : url;
  return codedError('PSYNC_S2002', 'The path does not exist on this server', {
    details: `The path ${method} "${shown}" does not exist on this server`,
  });
}

/** Throws PSYNC_S2001 with status 400, and where the text goes wrong; also for text that is deeper or longer than any request. */
function parseJson(text: string): unknown {
  if (text.trim() === '')
    throw codedError('PSYNC_S2001', 'The request body is empty: a JSON object is expected', { status: 400 });
  assertModestJson(text);
  try {
    return JSON.parse(text);
  } catch (error) {
    const position = /at position (\d+)/.exec((error as Error).message)?.[1];
    // V8's own text quotes the body, which may hold anything.
    const where = position === undefined ? 'at its end' : `at position ${position}`;
    throw codedError('PSYNC_S2001', `The request body is not valid JSON: unexpected character ${where}`, {
      status: 400,
    });
  }
}
