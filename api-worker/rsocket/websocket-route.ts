/** WebSocket connections at `/sync/stream` (S-508): the handshake, and messages in. */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { TokenVerifier } from '#core/platform/auth/token-verifier.ts';
import type { Clock } from '#core/platform/clock.ts';
import { codedError, isCodedError } from '#core/platform/errors/coded-error.ts';
import type { Log } from '#core/platform/log.ts';
import { createLatestAnswer } from '../connection/latest-answer.ts';
import { createSocketWriter } from '../connection/socket-writer.ts';
import { answerUpgrade } from '../http/errors.ts';
import type { Sessions } from '../session/sessions.ts';
import type { TimerWheel } from '../session/timer-wheel.ts';
import { createConnection } from './connection.ts';
import { createConnectionWatch } from './connection-watch.ts';
import type { StreamRequest } from './contract.ts';
import type { PayloadSink } from './payload-sink.ts';
import { pongMessage } from './websocket-frames.ts';

export interface WebSocketRouteOptions {
  readonly server: Server;
  /** Takes a connection from the HTTP server. */
  readonly detach: (connection: Duplex) => Socket;
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
/** Bytes of a client before its first message is complete. */
const MAX_UNKNOWN_BYTES = 128 * 1024;

export function addWebSocketRoute(options: WebSocketRouteOptions): WebSocketRoute {
  const { server, clock } = options;
  const open = new Set<WebSocket>();
  const handshake = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: options.maxMessageBytes,
    // `ws` would write them between the pieces of a message
    autoPong: false,
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

  const onUpgrade = (request: IncomingMessage, connection: Duplex, head: Buffer): void => {
    const tcp = options.detach(connection);
    if (pathOf(request) !== PATH) {
      return answerUpgrade(tcp, codedError('PSYNC_S2002', 'The path does not exist on this server'), clock);
    }
    handshake.handleUpgrade(request, tcp, head, (webSocket) =>
      serve(webSocket, tcp, acceptsCompressed(request, webSocket), options, open),
    );
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

/** Messages are compressed once, with the usual window: who wants a smaller one gets them as they are (RFC 7692, 7.1.2.1). */
function acceptsCompressed({ headers }: IncomingMessage, webSocket: WebSocket): boolean {
  const offered = headers['sec-websocket-extensions'] ?? '';
  return webSocket.extensions.includes('permessage-deflate') && !offered.includes('server_max_window_bits');
}

/**
 * `open` has the connection for as long as it lasts. A function of the module: its closures would keep the request of the handshake otherwise.
 */
function serve(
  webSocket: WebSocket,
  socket: Socket,
  compresses: boolean,
  options: WebSocketRouteOptions,
  open: Set<WebSocket>,
): void {
  const { sessions, tokenVerifier, wheel, clock } = options;
  const rid = options.nextRequestId();
  const onProgress = (): void => {
    pong.progress();
    connection.progress();
    watch.progress();
  };
  const writer = createSocketWriter({ socket, clock, onSent: options.onSent, onProgress });
  const pong = createLatestAnswer(writer);
  const watch = createConnectionWatch({ webSocket, writer, wheel, clock, connection: () => connection });
  const start = ({ token, userAgent, body }: StreamRequest, sink: PayloadSink): ReturnType<Sessions['start']> => {
    sessions.assertRoom();
    const { userId, claims, expiresAtMs } = token;
    const { positions, rawData: _, ...wanted } = body;
    return sessions.start({ userId, claims, expiresAtMs, ...wanted, userAgent, requestId: rid }, positions, sink);
  };
  const connection = createConnection({
    writer,
    clock,
    compresses,
    maxRequestBytes: options.maxMessageBytes,
    async authenticate(authorization) {
      sessions.assertRoom();
      // What it sends meanwhile stays with the kernel (G9).
      webSocket.pause();
      try {
        return await tokenVerifier.verify(authorization);
      } finally {
        webSocket.resume();
      }
    },
    start,
    onRefused: (error) => reportRefusal(error, rid, options),
    close: watch.close,
  });

  open.add(webSocket);
  boundFirstMessage(webSocket, socket, () => watch.close('now'));
  webSocket.on('message', (data, isBinary) => {
    watch.heard();
    connection.receive(data as Buffer, isBinary);
  });
  webSocket.on('ping', (data) => {
    watch.heard();
    pong.send(pongMessage(data));
  });
  // Too large, not masked, no UTF-8: `ws` has closed with the fitting status, after which nothing may follow.
  webSocket.on('error', () => {
    writer.release();
    watch.startClosing();
  });
  // It is told once; `once` would keep 500 bytes more for each connection.
  webSocket.on('close', () => {
    open.delete(webSocket);
    watch.stop();
    writer.release();
    connection.closed();
  });
}

function reportRefusal(error: unknown, rid: string, { log, onRefusedToken }: WebSocketRouteOptions): void {
  const code = isCodedError(error) ? error.code : undefined;
  if (code?.startsWith('PSYNC_S21') === true) onRefusedToken(code);
  if (code === undefined) log.error({ rid, path: PATH, error }, 'Request failed');
  else log.info({ rid, path: PATH, error_code: code }, 'Request refused');
}

/** Cuts a client whose first message is too large for somebody who is not known yet (G9). */
function boundFirstMessage(webSocket: WebSocket, socket: Socket, cut: () => void): void {
  let isUnknown = true;
  const bytesBefore = socket.bytesRead;
  const onBytes = (): void => {
    if (isUnknown && socket.bytesRead - bytesBefore > MAX_UNKNOWN_BYTES) cut();
  };
  socket.on('data', onBytes);
  webSocket.once('message', () => {
    // this chunk may hold the beginning of what follows as well
    isUnknown = false;
    socket.off('data', onBytes);
  });
}
