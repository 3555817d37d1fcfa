/**
 * The frames of RSocket 1.0 that a sync stream needs (S-593; protocol: https://rsocket.io/about/protocol). One WebSocket message is one
 * frame, so frames have no length of their own.
 */

/** A frame from the client. Frames of other types are `other`. */
export type ClientFrame =
  | {
      readonly type: 'setup';
      readonly majorVersion: number;
      readonly resumes: boolean;
      readonly leases: boolean;
      readonly keepaliveMs: number;
      readonly lifetimeMs: number;
      readonly metadataMime: string;
      readonly dataMime: string;
      readonly metadata: Buffer | null;
    }
  | {
      readonly type: 'request stream';
      readonly stream: number;
      readonly initialN: number;
      readonly follows: boolean;
      readonly metadata: Buffer | null;
      readonly data: Buffer;
    }
  /** From a client only: the rest of a request that did not fit into one frame. */
  | {
      readonly type: 'payload';
      readonly stream: number;
      readonly follows: boolean;
      readonly metadata: Buffer | null;
      readonly data: Buffer;
    }
  | { readonly type: 'request n'; readonly stream: number; readonly n: number }
  | { readonly type: 'cancel'; readonly stream: number }
  | { readonly type: 'keepalive'; readonly respond: boolean; readonly data: Buffer }
  | { readonly type: 'error'; readonly stream: number }
  /** `ignorable`: the sender allows it to be ignored. */
  | { readonly type: 'other'; readonly stream: number; readonly ignorable: boolean; readonly code: number };

/** The bytes are no frame. */
export class FrameError extends Error {}

const TYPE = {
  setup: 0x01,
  keepalive: 0x03,
  requestStream: 0x06,
  requestN: 0x08,
  cancel: 0x09,
  payload: 0x0a,
  error: 0x0b,
} as const;
const FLAG = { ignore: 0x200, metadata: 0x100, follows: 0x80, complete: 0x40, next: 0x20 } as const;
/** In SETUP and KEEPALIVE these bits mean something else. */
const RESUME = FLAG.follows;
const LEASE = FLAG.complete;
const RESPOND = FLAG.follows;

const HEADER_BYTES = 6;
/** Most that a client can ask for at once. */
export const MAX_REQUEST_N = 0x7fff_ffff;

/** Error codes of the protocol. */
export const RSOCKET_ERROR = {
  invalidSetup: 0x0001,
  unsupportedSetup: 0x0002,
  rejectedSetup: 0x0003,
  connectionError: 0x0101,
  applicationError: 0x0201,
  rejected: 0x0202,
} as const;

/** Throws `FrameError`. Never reads beyond the bytes; buffers of the result are parts of them. */
export function decodeFrame(bytes: Buffer): ClientFrame {
  if (bytes.length < HEADER_BYTES) throw new FrameError('the frame is shorter than a header');
  const stream = bytes.readUInt32BE(0);
  if (stream > 0x7fff_ffff) throw new FrameError('the stream id is negative');
  const bits = bytes.readUInt16BE(4);
  const code = bits >> 10;
  const has = (flag: number): boolean => (bits & flag) !== 0;
  const reader = createReader(bytes, HEADER_BYTES);
  switch (code) {
    case TYPE.setup:
      requireStream(stream === 0);
      return decodeSetup(reader, has);
    case TYPE.keepalive:
      requireStream(stream === 0);
      // position for resuming, which is not offered
      reader.take(8);
      return { type: 'keepalive', respond: has(RESPOND), data: reader.rest() };
    case TYPE.requestStream: {
      requireStream(stream !== 0);
      const initialN = positive(reader.uint32());
      const metadata = has(FLAG.metadata) ? reader.take(reader.uint24()) : null;
      return { type: 'request stream', stream, initialN, follows: has(FLAG.follows), metadata, data: reader.rest() };
    }
    case TYPE.payload: {
      requireStream(stream !== 0);
      const metadata = has(FLAG.metadata) ? reader.take(reader.uint24()) : null;
      return { type: 'payload', stream, follows: has(FLAG.follows), metadata, data: reader.rest() };
    }
    case TYPE.requestN:
      requireStream(stream !== 0);
      return { type: 'request n', stream, n: positive(reader.uint32()) };
    case TYPE.cancel:
      requireStream(stream !== 0);
      return { type: 'cancel', stream };
    case TYPE.error:
      return { type: 'error', stream };
    default:
      return { type: 'other', stream, ignorable: has(FLAG.ignore), code };
  }
}

function decodeSetup(reader: Reader, has: (flag: number) => boolean): ClientFrame {
  const majorVersion = reader.uint16();
  reader.take(2);
  const keepaliveMs = reader.uint32();
  const lifetimeMs = reader.uint32();
  if (has(RESUME)) reader.take(reader.uint16());
  const metadataMime = reader.take(reader.uint8()).toString('latin1');
  const dataMime = reader.take(reader.uint8()).toString('latin1');
  const metadata = has(FLAG.metadata) ? reader.take(reader.uint24()) : null;
  return {
    type: 'setup',
    majorVersion,
    resumes: has(RESUME),
    leases: has(LEASE),
    keepaliveMs,
    lifetimeMs,
    metadataMime,
    dataMime,
    metadata,
  };
}

function requireStream(right: boolean): void {
  if (!right) throw new FrameError('the frame has a stream id that its type must not have');
}
function positive(n: number): number {
  if (n === 0 || n > MAX_REQUEST_N) throw new FrameError('a request must be for 1 to 2^31 - 1 payloads');
  return n;
}

interface Reader {
  uint8(): number;
  uint16(): number;
  uint24(): number;
  uint32(): number;
  take(length: number): Buffer;
  rest(): Buffer;
}
function createReader(bytes: Buffer, from: number): Reader {
  let at = from;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new FrameError('the frame ends too early');
    return bytes.subarray(at, (at += length));
  };
  return {
    take,
    uint8: () => take(1).readUInt8(),
    uint16: () => take(2).readUInt16BE(),
    uint24: () => take(3).readUIntBE(0, 3),
    uint32: () => take(4).readUInt32BE(),
    rest: () => bytes.subarray(at),
  };
}

/** What stands before the data of a PAYLOAD frame that carries the next line. */
export function payloadHeader(stream: number): Buffer {
  return header(stream, TYPE.payload, FLAG.next, HEADER_BYTES);
}
/** The stream has ended in order (S-601). */
export function completeFrame(stream: number): Buffer {
  return header(stream, TYPE.payload, FLAG.complete, HEADER_BYTES);
}
/** `stream` 0: the connection. */
export function errorFrame(stream: number, code: number, message: string): Buffer {
  const text = Buffer.from(message);
  const frame = header(stream, TYPE.error, 0, HEADER_BYTES + 4 + text.length);
  frame.writeUInt32BE(code, HEADER_BYTES);
  text.copy(frame, HEADER_BYTES + 4);
  return frame;
}
/** The answer to a KEEPALIVE, with its data (S-599). */
export function keepaliveFrame(data: Buffer): Buffer {
  const frame = header(0, TYPE.keepalive, 0, HEADER_BYTES + 8 + data.length);
  data.copy(frame, HEADER_BYTES + 8);
  return frame;
}

function header(stream: number, type: number, flags: number, length: number): Buffer {
  const frame = Buffer.alloc(length);
  frame.writeUInt32BE(stream, 0);
  frame.writeUInt16BE((type << 10) | flags, 4);
  return frame;
}
