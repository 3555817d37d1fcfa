/** Error answers of the API (O-123, S-603…S-606): every one is JSON with a code. */
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { codedError, errorBody, isCodedError, type ErrorBodyOptions } from '#core/platform/errors/coded-error.ts';
import type { Clock } from '#core/platform/clock.ts';
import type { Log } from '#core/platform/log.ts';
import { responseHead } from './response-head.ts';

/** Seconds after which a client may try again when the answer depends on load or on a restart. */
const RETRY_AFTER_SECONDS = 5;

export const CORS_HEADERS = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'Content-Type',
} as const;

function headersFor(status: number): Record<string, string> {
  const retry = status === 429 || status === 503 ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {};
  return { ...CORS_HEADERS, 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store', ...retry };
}

/** Answers on the raw response, for routes that left the framework. */
export function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  const body = errorBody(error);
  const text = JSON.stringify(body);
  response.writeHead(body.error.status, {
    ...headersFor(body.error.status),
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** The codes of the framework's own errors. */
function translate(error: unknown, request: IncomingMessage): unknown {
  const { code, message, statusCode } = error as Partial<FastifyError>;
  if (isCodedError(error) || typeof code !== 'string') return error;
  // Nobody hears the answer, but it is not ours to repair.
  if ((request.destroyed || statusCode === 400) && !request.complete && !code.startsWith('FST_ERR'))
    return codedError('PSYNC_S2001', 'The client went away before its request was complete', { status: 400 });
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return codedError('PSYNC_S2020', 'The request body is too large');
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return codedError('PSYNC_S2004', 'Unsupported Media Type');
  if (code.startsWith('FST_ERR') && statusCode !== undefined && statusCode < 500) {
    return codedError('PSYNC_S2001', message ?? 'The request is not valid', { status: statusCode });
  }
  return error;
}

/** Turns whatever a route throws into an answer; logs what is ours to repair. */
export function createErrorHandler(
  log: Log,
  onRefusedToken: (code: string) => void,
): (error: unknown, request: FastifyRequest, reply: FastifyReply) => void {
  return (thrown, request, reply) => {
    const error = translate(thrown, request.raw);
    if (isCodedError(error) && error.code.startsWith('PSYNC_S21')) onRefusedToken(error.code);
    const isAdmin = request.url.startsWith('/api/');
    const options: ErrorBodyOptions = isAdmin ? { audience: 'operator' } : {};
    const body = errorBody(error, options);
    const { status, code } = body.error;
    const fields = {
      rid: request.id,
      method: request.method,
      path: request.routeOptions.url,
      status,
      error_code: code,
    };
    if (status >= 500 && status !== 503) log.error({ ...fields, error }, 'Request failed');
    else log.info(fields, 'Request refused');
    void reply.code(status).headers(headersFor(status)).send(JSON.stringify(body));
  };
}

/** An answer needs this long at most, even if the client does not close its side. */
const LINGER_MS = 5000;

/**
 * Answers what is not even a request: broken, too long, too slow. `isAnswering`: a response has begun, which another one must not be
 * written into; then the connection is cut.
 */
export function answerBrokenRequest(
  error: { readonly code?: string },
  socket: Socket,
  isAnswering: boolean,
  clock: Clock,
): void {
  if (isAnswering || error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy();
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
  answerUpgrade(socket, codedError('PSYNC_S2001', STATUS_CODES[status] ?? 'Bad Request', { status }), clock);
}

/** Answers on a connection that is no longer, or never was, one of the HTTP server's. */
export function answerUpgrade(socket: Socket, error: unknown, clock: Clock): void {
  const body = errorBody(error);
  const { status } = body.error;
  const text = JSON.stringify(body);
  const headers = { ...headersFor(status), 'content-length': Buffer.byteLength(text), connection: 'close' };
  socket.end(responseHead(status, headers) + text);
  const timer = clock.setTimer(LINGER_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
}
