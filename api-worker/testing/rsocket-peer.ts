/** Frames as the library of the clients makes and reads them (S-593), in the terms of a test. */
import { constants, inflateRawSync } from 'node:zlib';
import { deserializeFrame, Flags, FrameTypes, serializeFrame, type Frame } from 'rsocket-core';

export const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
export const PATH = json({ path: '/sync/stream' });

export interface SetupOptions {
  readonly token?: string;
  /** Instead of the usual ones. */
  readonly metadata?: Buffer | null;
  readonly metadataMime?: string;
  readonly dataMime?: string;
  readonly majorVersion?: number;
  readonly lifetimeMs?: number;
  readonly flags?: number;
  readonly resumeToken?: Buffer;
}

/** SETUP as current clients send it (S-594). */
export function setup(options: SetupOptions = {}): Buffer {
  const token = `Token ${options.token ?? 'u1'}`;
  const metadata = options.metadata === undefined ? json({ token, user_agent: 'rsocket-peer' }) : options.metadata;
  return serializeFrame({
    type: FrameTypes.SETUP,
    streamId: 0,
    flags: (options.flags ?? 0) | (metadata === null ? 0 : Flags.METADATA),
    majorVersion: options.majorVersion ?? 1,
    minorVersion: 0,
    keepAlive: 20_000,
    lifetime: options.lifetimeMs ?? 90_000,
    metadataMimeType: options.metadataMime ?? 'application/json',
    dataMimeType: options.dataMime ?? 'application/json',
    resumeToken: options.resumeToken ?? null,
    metadata,
    data: null,
  });
}

export interface RequestOptions {
  readonly stream?: number;
  readonly n?: number;
  readonly metadata?: Buffer | null;
  readonly data?: Buffer;
  readonly follows?: boolean;
}

/** REQUEST_STREAM of a sync stream (S-595). */
export function requestStream(options: RequestOptions = {}): Buffer {
  const metadata = options.metadata === undefined ? PATH : options.metadata;
  return serializeFrame({
    type: FrameTypes.REQUEST_STREAM,
    streamId: options.stream ?? 1,
    requestN: options.n ?? 10,
    flags: (options.follows === true ? Flags.FOLLOWS : 0) | (metadata === null ? 0 : Flags.METADATA),
    metadata,
    data: options.data ?? json({}),
  });
}

/** A further part of a request. */
export function payload(
  data: Buffer,
  {
    stream = 1,
    follows = false,
    metadata = null,
  }: { stream?: number; follows?: boolean; metadata?: Buffer | null } = {},
): Buffer {
  const flags = Flags.NEXT | (follows ? Flags.FOLLOWS : 0) | (metadata === null ? 0 : Flags.METADATA);
  return serializeFrame({ type: FrameTypes.PAYLOAD, streamId: stream, flags, data, metadata });
}
export const requestN = (n: number, stream = 1): Buffer =>
  serializeFrame({ type: FrameTypes.REQUEST_N, streamId: stream, flags: 0, requestN: n });
export const cancel = (stream = 1): Buffer => serializeFrame({ type: FrameTypes.CANCEL, streamId: stream, flags: 0 });
export const keepalive = (respond = true, data: Buffer | null = null): Buffer =>
  serializeFrame({
    type: FrameTypes.KEEPALIVE,
    streamId: 0,
    flags: respond ? Flags.RESPOND : 0,
    lastReceivedPosition: 0,
    data,
  });
export const error = (stream: number): Buffer =>
  serializeFrame({ type: FrameTypes.ERROR, streamId: stream, flags: 0, code: 0x201, message: 'no more' });

/** A frame of any type, without content. */
export function frameOfType(type: number, stream: number, flags = 0): Buffer {
  const frame = Buffer.alloc(6);
  frame.writeUInt32BE(stream, 0);
  frame.writeUInt16BE((type << 10) | flags, 4);
  return frame;
}

/** A compressed message, with the four bytes that were left out and without an end of the stream (RFC 7692, 7.2.2). */
export const inflated = (payload: Buffer): Buffer =>
  inflateRawSync(Buffer.concat([payload, Buffer.of(0, 0, 0xff, 0xff)]), { finishFlush: constants.Z_SYNC_FLUSH });

/** What the service sent, in short. */
export type ServerFrame =
  | { readonly kind: 'line'; readonly stream: number; readonly data: Buffer }
  | { readonly kind: 'complete'; readonly stream: number }
  | { readonly kind: 'error'; readonly stream: number; readonly code: number; readonly message: string }
  | { readonly kind: 'keepalive'; readonly data: Buffer };

const [COMPLETE, NEXT]: number[] = [Flags.COMPLETE, Flags.NEXT];

/** Reads one message as the clients' library does; throws for what a service never sends. */
export function readServerFrame(message: Buffer): ServerFrame {
  const frame = deserializeFrame(message) as Frame | undefined;
  switch (frame?.type) {
    case FrameTypes.PAYLOAD:
      if (frame.flags === COMPLETE && frame.data === null) return { kind: 'complete', stream: frame.streamId };
      if (frame.flags !== NEXT || frame.metadata != null) break;
      return { kind: 'line', stream: frame.streamId, data: frame.data! };
    case FrameTypes.ERROR:
      return { kind: 'error', stream: frame.streamId, code: frame.code, message: frame.message };
    case FrameTypes.KEEPALIVE:
      if (Flags.hasRespond(frame.flags)) break;
      return { kind: 'keepalive', data: frame.data ?? Buffer.alloc(0) };
    default:
  }
  throw new Error(`the service must not send this: ${message.subarray(0, 60).toString('hex')}`);
}
