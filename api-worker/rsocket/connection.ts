/**
 * One RSocket connection of a client (S-593…S-602): SETUP with the token, then one stream at a time. Pure protocol: bytes come in
 * through `receive`, go out through the writer; the WebSocket around it is websocket-route.ts.
 */
import type { VerifiedToken } from '#core/platform/auth/token-verifier.ts';
import { codedError, errorBody, isCodedError } from '#core/platform/errors/coded-error.ts';
import type { Clock } from '#core/platform/clock.ts';
import { createLatestAnswer } from '../connection/latest-answer.ts';
import type { SocketWriter } from '../connection/socket-writer.ts';
import { parseSyncRequest, type SyncRequestBody } from '../http/sync-request.ts';
import {
  completeFrame,
  decodeFrame,
  errorFrame,
  FrameError,
  keepaliveFrame,
  MAX_REQUEST_N,
  RSOCKET_ERROR,
  type ClientFrame,
} from './frames.ts';
import { documentReader, type ReadDocument } from './payload-codec.ts';
import { createPayloadSink, type PayloadSink } from './payload-sink.ts';
import { messageOf } from './websocket-frames.ts';

export interface ConnectionOptions {
  readonly writer: SocketWriter;
  readonly clock: Clock;
  readonly compresses: boolean;
  /** Largest request, also one in several frames. */
  readonly maxRequestBytes: number;
  readonly batch: (work: () => void) => void;
  /** Checks that there is room, then the token. */
  readonly authenticate: (authorization: string | undefined) => Promise<VerifiedToken>;
  /** Starts the session of a request; throws when it is refused. */
  readonly start: (request: StreamRequest, sink: PayloadSink) => { drained(): void; closed(): void };
  /** A request or connection was refused, or the client broke the protocol. */
  readonly onRefused: (error: unknown) => void;
  /** Nothing more is sent: close in order once everything is written, or cut at once. */
  readonly close: (how: 'in order' | 'now') => void;
}

export interface StreamRequest {
  readonly token: VerifiedToken;
  readonly userAgent: string | undefined;
  readonly body: SyncRequestBody;
}

export interface Connection {
  /** One WebSocket message; text is none of the protocol. */
  receive(message: Buffer, isBinary: boolean): void;
  /** The writer has got rid of something. */
  progress(): void;
  /** The connection is gone, or nothing must be sent on it any more. */
  closed(): void;
  /** Longest silence of the client before it is given up (lifetime of SETUP), milliseconds. */
  readonly lifetimeMs: number;
  /** Nothing is going on: no SETUP yet, or no stream. */
  readonly isIdle: boolean;
}

/** Bounds of what a client may announce as its lifetime. */
const MIN_LIFETIME_MS = 5000;
const MAX_LIFETIME_MS = 300_000;
const MAX_TOKEN_LENGTH = 16 * 1024;
/** Sent by somebody who is not known yet (G9). */
const MAX_SETUP_BYTES = 32 * 1024;
/** A KEEPALIVE may carry data, which goes back. */
const MAX_KEEPALIVE_BYTES = 1024;
/** What a frame of a request costs besides its bytes: as many as one likes would fit into any bound of those. */
const FRAME_COST_BYTES = 128;
/** Nobody goes on after so many: each is answered, and stands in the log. */
const MAX_REFUSED_STREAMS = 20;

interface Ready {
  readonly token: VerifiedToken;
  readonly userAgent: string | undefined;
}
interface OpenRequest {
  readonly stream: number;
  initialN: number;
  readonly metadata: Buffer[];
  readonly data: Buffer[];
  bytes: number;
  complete: boolean;
}
type State =
  | { readonly kind: 'new' }
  | { readonly kind: 'verifying'; readonly readData: ReadDocument; readonly readMetadata: ReadDocument }
  | {
      readonly kind: 'ready';
      readonly ready: Ready;
      readonly readData: ReadDocument;
      readonly readMetadata: ReadDocument;
    }
  | { readonly kind: 'closed' };

export function createConnection(options: ConnectionOptions): Connection {
  const { writer, clock, compresses, batch, authenticate, start, onRefused, close } = options;
  let state: State = { kind: 'new' };
  let lifetimeMs = MAX_LIFETIME_MS;
  /** A request that is not complete yet, or waits for the token. */
  let request: OpenRequest | null = null;
  let active: { readonly stream: number; readonly sink: PayloadSink } | null = null;
  let refusedStreams = 0;
  const keepalive = createLatestAnswer(writer);

  const send = (frame: Buffer): void => {
    const { buffers, bytes } = messageOf(frame);
    writer.write(buffers, bytes, false);
  };
  /** Nothing of the client is left afterwards, and nothing that it sends counts. */
  const release = (): void => {
    state = { kind: 'closed' };
    request = null;
    const released = active;
    active = null;
    released?.sink.close();
  };
  /** Ends the connection with an error that the client understands (S-600). */
  const reject = (code: number, error: unknown): void => {
    if (state.kind === 'closed') return;
    onRefused(error);
    send(errorFrame(0, code, messageOfError(error)));
    release();
    close('in order');
  };
  const violation = (message: string): void =>
    reject(
      RSOCKET_ERROR.connectionError,
      codedError('PSYNC_S2001', `The RSocket protocol was violated: ${message}`, { status: 400 }),
    );

  const setUp = (frame: ClientFrame & { type: 'setup' }): void => {
    const { invalidSetup, unsupportedSetup, rejectedSetup } = RSOCKET_ERROR;
    const refuse = (code: number, message: string): void =>
      reject(code, codedError('PSYNC_S2001', message, { status: 400 }));
    if (state.kind !== 'new') return refuse(invalidSetup, 'SETUP was sent twice');
    if ((frame.metadata?.length ?? 0) > MAX_SETUP_BYTES) return refuse(invalidSetup, 'SETUP is too large');
    if (frame.majorVersion !== 1) return refuse(unsupportedSetup, 'Only RSocket 1 is supported');
    if (frame.resumes || frame.leases) return refuse(unsupportedSetup, 'Resuming and leases are not supported');
    const [readMetadata, readData] = [frame.metadataMime, frame.dataMime].map(documentReader);
    if (!readMetadata || !readData)
      return refuse(unsupportedSetup, 'Announce application/json or application/bson as MIME types');
    lifetimeMs = Math.min(Math.max(frame.lifetimeMs, MIN_LIFETIME_MS), MAX_LIFETIME_MS);
    let identity: Record<string, unknown>;
    try {
      identity = frame.metadata === null ? {} : readMetadata(frame.metadata);
    } catch (error) {
      return reject(invalidSetup, error);
    }
    const { token, user_agent: userAgent } = identity;
    state = { kind: 'verifying', readData, readMetadata };
    authenticate(typeof token === 'string' && token.length <= MAX_TOKEN_LENGTH ? token : undefined).then(
      (verified) => {
        if (state.kind !== 'verifying') return;
        const ready = { token: verified, userAgent: typeof userAgent === 'string' ? userAgent : undefined };
        state = { kind: 'ready', ready, readData, readMetadata };
        if (request?.complete === true) open(request);
      },
      (error: unknown) => reject(rejectedSetup, error),
    );
  };

  /** Of a stream; the connection goes on. */
  const refuseStream = (stream: number, error: unknown): void => {
    if (++refusedStreams > MAX_REFUSED_STREAMS) return violation('too many streams were refused');
    onRefused(error);
    send(errorFrame(stream, RSOCKET_ERROR.applicationError, messageOfError(error)));
  };

  const open = ({ stream, initialN, metadata, data }: OpenRequest): void => {
    request = null;
    if (state.kind !== 'ready') return;
    const { ready, readData, readMetadata } = state;
    let body: SyncRequestBody;
    try {
      const { path } = readMetadata(joined(metadata));
      if (path !== '/sync/stream') throw unknownPath(path);
      body = parseSyncRequest(readData(joined(data)));
    } catch (error) {
      return refuseStream(stream, error);
    }
    const sink = createPayloadSink({
      ...{ stream, initialN, compresses, writer, clock, batch },
      onEnd(error) {
        if (active?.sink === sink) active = null;
        if (error === null) send(completeFrame(stream));
        else refuseStream(stream, error);
      },
      onAbort() {
        release();
        close('now');
      },
    });
    active = { stream, sink };
    try {
      sink.listen(start({ ...ready, body }, sink));
    } catch (error) {
      active = null;
      refuseStream(stream, error);
    }
  };

  const isServed = (stream: number): boolean => stream === request?.stream || stream === active?.stream;

  const begin = (frame: ClientFrame & { type: 'request stream' }): void => {
    if (frame.stream % 2 === 0) return violation('streams of a client have odd ids');
    if (isServed(frame.stream)) return violation('a stream id is used twice');
    if (request !== null || active !== null) {
      const message = 'Only one stream at a time is served on a connection';
      return refuseStream(frame.stream, codedError('PSYNC_S2001', message, { status: 400 }));
    }
    request = { stream: frame.stream, initialN: frame.initialN, metadata: [], data: [], bytes: 0, complete: false };
    extend(request, frame);
  };

  const extend = (
    open_: OpenRequest,
    { metadata, data, follows }: { readonly metadata: Buffer | null; readonly data: Buffer; readonly follows: boolean },
  ): void => {
    open_.bytes += FRAME_COST_BYTES + (metadata?.length ?? 0) + data.length;
    if (open_.bytes > options.maxRequestBytes) {
      return reject(RSOCKET_ERROR.connectionError, codedError('PSYNC_S2020', 'The request body is too large'));
    }
    if (metadata !== null) open_.metadata.push(metadata);
    open_.data.push(data);
    open_.complete = !follows;
    if (open_.complete && state.kind === 'ready') open(open_);
  };

  const cancel = (stream: number): void => {
    if (request?.stream === stream) request = null;
    if (active?.stream !== stream) return;
    const { sink } = active;
    active = null;
    sink.close();
  };

  const handle = (frame: ClientFrame): void => {
    if (state.kind === 'new' && frame.type !== 'setup') return violation('the first frame must be SETUP');
    switch (frame.type) {
      case 'setup':
        return setUp(frame);
      case 'request stream':
        return begin(frame);
      case 'payload':
        if (request?.stream === frame.stream && !request.complete) extend(request, frame);
        return;
      case 'request n':
        if (active?.stream === frame.stream) active.sink.request(frame.n);
        else if (request?.stream === frame.stream)
          request.initialN = Math.min(request.initialN + frame.n, MAX_REQUEST_N);
        return;
      case 'cancel':
      case 'error':
        if (frame.stream !== 0) return cancel(frame.stream);
        release();
        return close('in order');
      case 'keepalive':
        if (frame.data.length > MAX_KEEPALIVE_BYTES) return violation('a KEEPALIVE carries too much');
        if (frame.respond) keepalive.send(messageOf(keepaliveFrame(frame.data)));
        return;
      case 'other':
        if (frame.ignorable) return;
        if (frame.stream === 0 || isServed(frame.stream)) return violation(`frame type ${frame.code} is not supported`);
        return refuseStream(
          frame.stream,
          codedError('PSYNC_S2001', 'Only request-stream is supported', { status: 400 }),
        );
    }
  };

  return {
    receive(message, isBinary) {
      if (state.kind === 'closed') return;
      if (!isBinary) return violation('messages must be binary');
      let frame: ClientFrame;
      try {
        frame = decodeFrame(message);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        return violation(error.message);
      }
      handle(frame);
    },
    progress() {
      keepalive.progress();
      active?.sink.progress();
    },
    closed: release,
    get lifetimeMs() {
      return lifetimeMs;
    },
    get isIdle() {
      return active === null;
    },
  };
}

const EMPTY = Buffer.alloc(0);
function joined(parts: readonly Buffer[]): Buffer {
  return parts.length === 1 ? (parts[0] ?? EMPTY) : Buffer.concat(parts);
}

function unknownPath(path: unknown): Error {
  const shown = typeof path === 'string' ? path.slice(0, 200) : '';
  return codedError('PSYNC_S2002', 'The path does not exist on this server', {
    details: `The path "${shown}" does not exist on this server`,
  });
}

/** With its code in front: a client that finds none fetches new credentials (S-600). */
function messageOfError(error: unknown): string {
  const { code, description, details } = errorBody(isCodedError(error) ? error : new Error()).error;
  return `[${code}] ${description}${details === undefined ? '' : `\n  ${details}`}`;
}
