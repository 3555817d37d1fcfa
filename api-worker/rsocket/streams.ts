/** The streams of a connection: requests, and the one that is served at a time (S-593, S-595). */
import type { VerifiedToken } from '#core/platform/auth/token-verifier.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { parseSyncRequest, type SyncRequestBody } from '../http/sync-request.ts';
import type { ConnectionOptions } from './contract.ts';
import { MAX_REQUEST_N, RSOCKET_ERROR, type ClientFrame } from './frames.ts';
import type { Outgoing } from './outgoing.ts';
import { createPayloadSink, type PayloadSink } from './payload-sink.ts';
import type { Setup } from './set-up.ts';

/** A client whose token was accepted. */
export interface KnownClient extends Pick<Setup, 'userAgent' | 'readData' | 'readMetadata'> {
  readonly token: VerifiedToken;
}

export interface StreamsOptions extends Pick<
  ConnectionOptions,
  'writer' | 'clock' | 'compresses' | 'maxRequestBytes' | 'start' | 'onRefused'
> {
  readonly outgoing: Outgoing;
  /** Ends the connection with an error. */
  readonly reject: (code: number, error: unknown) => void;
  /** The client broke the protocol: the same. */
  readonly violation: (message: string) => void;
  /** Ends the connection at once. */
  readonly abort: () => void;
}

export interface Streams {
  /** From now on requests are served; one that is complete already, at once (S-602). */
  serve(client: KnownClient): void;
  begin(frame: ClientFrame & { type: 'request stream' }): void;
  /** A further piece of a request. */
  extend(frame: ClientFrame & { type: 'payload' }): void;
  request(stream: number, n: number): void;
  cancel(stream: number): void;
  /** Answers a stream with an error; the connection goes on. */
  refuse(stream: number, error: unknown): void;
  /** Requested, or being served. */
  has(stream: number): boolean;
  isServing(): boolean;
  progress(): void;
  /** Nothing of them is left afterwards. */
  release(): void;
}

/** What a frame of a request costs besides its bytes: as many as one likes would fit into any bound of those. */
const FRAME_COST_BYTES = 128;
/** Nobody goes on after so many: each is answered, and stands in the log. */
const MAX_REFUSED_STREAMS = 20;

/** Not complete yet, or waiting for the token. */
interface OpenRequest {
  readonly stream: number;
  initialN: number;
  readonly metadata: Buffer[];
  readonly data: Buffer[];
  bytes: number;
  complete: boolean;
}
type Present =
  | { readonly kind: 'none' }
  | { readonly kind: 'requested'; readonly stream: number; readonly request: OpenRequest }
  | { readonly kind: 'served'; readonly stream: number; readonly sink: PayloadSink };

const NONE: Present = { kind: 'none' };

export function createStreams(options: StreamsOptions): Streams {
  const { outgoing, reject, violation, start, onRefused } = options;
  let client: KnownClient | null = null;
  let present: Present = NONE;
  let refused = 0;

  const refuse = (stream: number, error: unknown): void => {
    if (++refused > MAX_REFUSED_STREAMS) return violation('too many streams were refused');
    onRefused(error);
    outgoing.error(stream, RSOCKET_ERROR.applicationError, error);
  };
  const isOf = (sink: PayloadSink): boolean => present.kind === 'served' && present.sink === sink;

  const sinkFor = ({ stream, initialN }: OpenRequest): PayloadSink => {
    const { compresses, writer, clock } = options;
    const sink = createPayloadSink({
      ...{ stream, initialN, compresses, writer, clock },
      onEnd(error) {
        if (isOf(sink)) present = NONE;
        if (error === null) outgoing.complete(stream);
        else refuse(stream, error);
      },
      onAbort: options.abort,
    });
    return sink;
  };

  const open = (request: OpenRequest, { readData, readMetadata, token, userAgent }: KnownClient): void => {
    const { stream } = request;
    present = NONE;
    let body: SyncRequestBody;
    try {
      const { path } = readMetadata(joined(request.metadata));
      if (path !== '/sync/stream') throw unknownPath(path);
      body = parseSyncRequest(readData(joined(request.data)));
    } catch (error) {
      return refuse(stream, error);
    }
    const sink = sinkFor(request);
    present = { kind: 'served', stream, sink };
    try {
      sink.listen(start({ token, userAgent, body }, sink));
    } catch (error) {
      present = NONE;
      refuse(stream, error);
    }
  };

  const add = (
    request: OpenRequest,
    { metadata, data, follows }: Pick<ClientFrame & { type: 'payload' }, 'metadata' | 'data' | 'follows'>,
  ): void => {
    request.bytes += FRAME_COST_BYTES + (metadata?.length ?? 0) + data.length;
    if (request.bytes > options.maxRequestBytes) {
      return reject(RSOCKET_ERROR.connectionError, codedError('PSYNC_S2020', 'The request body is too large'));
    }
    if (metadata !== null) request.metadata.push(metadata);
    request.data.push(data);
    request.complete = !follows;
    if (request.complete && client !== null) open(request, client);
  };

  const has = (stream: number): boolean => present.kind !== 'none' && present.stream === stream;
  const release = (): void => {
    const released = present;
    present = NONE;
    client = null;
    if (released.kind === 'served') released.sink.close();
  };

  return {
    serve(known) {
      client = known;
      if (present.kind === 'requested' && present.request.complete) open(present.request, known);
    },
    begin(frame) {
      const { stream, initialN } = frame;
      if (stream % 2 === 0) return violation('streams of a client have odd ids');
      if (has(stream)) return violation('a stream id is used twice');
      if (present.kind !== 'none') {
        const message = 'Only one stream at a time is served on a connection';
        return refuse(stream, codedError('PSYNC_S2001', message, { status: 400 }));
      }
      const request = { stream, initialN, metadata: [], data: [], bytes: 0, complete: false };
      present = { kind: 'requested', stream, request };
      add(request, frame);
    },
    extend(frame) {
      if (present.kind === 'requested' && has(frame.stream) && !present.request.complete) add(present.request, frame);
    },
    request(stream, n) {
      if (!has(stream)) return;
      if (present.kind === 'served') present.sink.request(n);
      else if (present.kind === 'requested')
        present.request.initialN = Math.min(present.request.initialN + n, MAX_REQUEST_N);
    },
    cancel(stream) {
      if (!has(stream)) return;
      const cancelled = present;
      present = NONE;
      if (cancelled.kind === 'served') cancelled.sink.close();
    },
    refuse,
    has,
    isServing: () => present.kind === 'served',
    progress() {
      if (present.kind === 'served') present.sink.progress();
    },
    release,
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
