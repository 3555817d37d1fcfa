/** WebSocket connections at `/sync/stream` (S-508): the handshake, messages in, and when a connection has lived long enough. */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { TokenVerifier } from '#core/platform/auth/token-verifier.ts';
import type { Clock } from '#core/platform/clock.ts';
import { codedError, isCodedError } from '#core/platform/errors/coded-error.ts';
import type { Log } from '#core/platform/log.ts';
import { createSocketWriter } from '../connection/socket-writer.ts';
import { answerUpgrade } from '../http/errors.ts';
import type { Sessions } from '../session/sessions.ts';
import type { TimerWheel } from '../session/timer-wheel.ts';
import { createConnection, type StreamRequest } from './connection.ts';
import type { PayloadSink } from './payload-sink.ts';

export interface WebSocketRouteOptions {
  readonly server: Server;
  readonly sessions: Sessions;
  readonly tokenVerifier: TokenVerifier;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly log: Log;
  /** Largest message of a client. */
  readonly maxMessageBytes: number;
  readonly nextRequestId: () => string;
  readonly onSent: (bytes: number) => void;
  readonly onRefusedToken: (code: string) => void;
}

export interface WebSocketRoute {
  /** Connections that are open, with or without a stream. */
  readonly connections: number;
  /** Cuts them. */
  close(): void;
}

const PATH = '/sync/stream';
/** A connection without a stream: before SETUP and REQUEST_STREAM, or after the end of its stream. */
const IDLE_MS = 15_000;
/** How often a connection is looked at. */
const CHECK_MS = 5000;
/** The other side has this long to answer a closing handshake; `ws` waits 30 s for it. */
const CLOSE_MS = 5000;
const NORMAL = 1000;

export function addWebSocketRoute(options: WebSocketRouteOptions): WebSocketRoute {
  const { server, clock } = options;
  const open = new Set<WebSocket>();
  const handshake = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: options.maxMessageBytes,
    // Without context between messages, a message is the same for all clients, and an idle one holds no window.
    perMessageDeflate: {
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      concurrencyLimit: 2,
      // only what clients send is ever handled by `ws`
      threshold: Number.POSITIVE_INFINITY,
    },
  });
  handshake.on('wsClientError', (error, socket) => answerUpgrade(socket as Socket, badHandshake(error), clock));

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const tcp = socket as Socket;
    tcp.on('error', () => tcp.destroy());
    if (pathOf(request) !== PATH) {
      return answerUpgrade(tcp, codedError('PSYNC_S2002', 'The path does not exist on this server'), clock);
    }
    handshake.handleUpgrade(request, socket, head, (webSocket) => {
      open.add(webSocket);
      webSocket.once('close', () => open.delete(webSocket));
      serve(webSocket, tcp, options);
    });
  };
  server.on('upgrade', onUpgrade);
  return {
    get connections() {
      return open.size;
    },
    close() {
      server.off('upgrade', onUpgrade);
      for (const webSocket of open) webSocket.terminate();
    },
  };
}

function pathOf({ url = '' }: IncomingMessage): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

function badHandshake(error: Error): Error {
  return codedError('PSYNC_S2001', `The WebSocket handshake is not valid: ${error.message}`, { status: 400 });
}

function serve(webSocket: WebSocket, socket: Socket, options: WebSocketRouteOptions): void {
  const { sessions, tokenVerifier, wheel, clock, log, onRefusedToken } = options;
  const rid = options.nextRequestId();
  let heardMs = clock.monotonic();
  let idleSinceMs: number | null = heardMs;
  let closing = false;

  const close = (how: 'in order' | 'now'): void => {
    if (how === 'now' || closing) return webSocket.terminate();
    closing = true;
    webSocket.close(NORMAL);
    wheel.schedule(item, clock.now() + CLOSE_MS);
  };
  const item = {
    due(now: number): void {
      const monotonic = clock.monotonic();
      idleSinceMs = connection.isIdle ? (idleSinceMs ?? monotonic) : null;
      if (closing || monotonic - heardMs > connection.lifetimeMs) return webSocket.terminate();
      if (idleSinceMs !== null && monotonic - idleSinceMs >= IDLE_MS) return close('in order');
      wheel.schedule(item, now + CHECK_MS);
    },
  };
  const writer = createSocketWriter({ socket, clock, onSent: options.onSent, onProgress: () => connection.progress() });
  const start = ({ token, userAgent, body }: StreamRequest, sink: PayloadSink): ReturnType<Sessions['start']> => {
    sessions.assertRoom();
    const { userId, claims, expiresAtMs } = token;
    const { positions, rawData: _, ...wanted } = body;
    return sessions.start({ userId, claims, expiresAtMs, ...wanted, userAgent, requestId: rid }, positions, sink);
  };
  const connection = createConnection({
    writer,
    clock,
    compresses: webSocket.extensions.includes('permessage-deflate'),
    maxRequestBytes: options.maxMessageBytes,
    batch(work) {
      socket.cork();
      work();
      socket.uncork();
    },
    async authenticate(authorization) {
      sessions.assertRoom();
      return tokenVerifier.verify(authorization);
    },
    start,
    onRefused(error) {
      const code = isCodedError(error) ? error.code : undefined;
      if (code?.startsWith('PSYNC_S21') === true) onRefusedToken(code);
      if (code === undefined) log.error({ rid, path: PATH, error }, 'Request failed');
      else log.info({ rid, path: PATH, error_code: code }, 'Request refused');
    },
    close,
  });

  webSocket.on('message', (data, isBinary) => {
    heardMs = clock.monotonic();
    if (isBinary) connection.receive(data as Buffer);
    else close('in order');
  });
  webSocket.on('ping', () => (heardMs = clock.monotonic()));
  // Too large, not masked, no UTF-8: `ws` closes with the fitting status.
  webSocket.on('error', () => undefined);
  webSocket.once('close', () => {
    wheel.remove(item);
    writer.release();
    connection.closed();
  });
  wheel.schedule(item, clock.now() + CHECK_MS);
}
