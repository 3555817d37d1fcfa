/**
 * Bytes to one client: bursts that several clients get alike are one buffer, made once; what the socket does not take waits here, in slices, so
 * that the progress of a slow client can be seen.
 */
import type { Socket } from 'node:net';
import type { Clock } from '#core/platform/clock.ts';

export interface SocketWriterOptions {
  readonly socket: Socket;
  readonly clock: Clock;
  /** Wire bytes, as they are given to the socket (O-174). */
  readonly onSent: (bytes: number) => void;
  /** The socket has taken something of what waited. */
  readonly onProgress: () => void;
}

export interface SocketWriter {
  /** `chunked`: framed as a chunk of an HTTP body (RFC 9112, 7.1). The same list of buffers for the next client costs no copy. */
  write(buffers: readonly Buffer[], bytes: number, chunked: boolean): void;
  /** Bytes that the client has not taken yet, as far as this process knows. */
  waitingBytes(): number;
  /** Nothing waits for the socket to take more. */
  isEmpty(): boolean;
  sentBytes(): number;
  /** Since when the client has taken nothing although something waits; null when nothing waits. `clock.monotonic()` time. */
  stalledSince(): number | null;
  /** Lets go of the socket and of what waits. */
  release(): void;
}

/** With this much waiting for a client, nothing is added (G9). */
export const HIGH_WATER_BYTES = 256 * 1024;
/** Bursts up to this are one buffer; larger ones are not worth copying. */
export const JOIN_BYTES = 32 * 1024;
/** Progress of a slow client is seen in steps of this. */
const SLICE_BYTES = 256 * 1024;

export function createSocketWriter({ socket, clock, onSent, onProgress }: SocketWriterOptions): SocketWriter {
  let queue: Slice[] = [];
  let queuedBytes = 0;
  let sentBytes = 0;
  let released = false;
  let deliveredBytes = -1;
  let deliveredAt = 0;

  const count = (bytes: number): void => {
    sentBytes += bytes;
    onSent(bytes);
  };

  /** One slice at a time: of what a socket was given, it does not tell how much the client has taken. */
  const pump = (): void => {
    while (queue.length > 0 && !socket.writableNeedDrain && socket.writable) {
      const slice = queue.shift()!;
      queuedBytes -= slice.bytes;
      writeSlice(slice);
    }
  };

  const writeSlice = ({ buffers, bytes, chunked }: Slice): void => {
    const size = chunked ? `${bytes.toString(16)}\r\n` : '';
    count(bytes + (chunked ? size.length + 2 : 0));
    socket.cork();
    if (chunked) socket.write(size, 'latin1');
    for (const buffer of buffers) socket.write(buffer);
    if (chunked) socket.write('\r\n', 'latin1');
    socket.uncork();
  };

  const onDrain = (): void => {
    pump();
    onProgress();
  };
  socket.on('drain', onDrain);

  return {
    write(buffers, bytes, chunked) {
      if (released || !socket.writable) return;
      if (bytes <= JOIN_BYTES && queue.length === 0) {
        const framed = join(buffers, bytes, chunked);
        count(framed.length);
        socket.write(framed);
        return;
      }
      for (const slice of slicesOf(buffers, chunked)) {
        queue.push(slice);
        queuedBytes += slice.bytes;
      }
      pump();
    },
    waitingBytes: () => socket.writableLength + queuedBytes,
    isEmpty: () => queue.length === 0,
    sentBytes: () => sentBytes,
    stalledSince() {
      if (socket.writableLength === 0) return null;
      const delivered = socket.bytesWritten - socket.writableLength;
      if (delivered !== deliveredBytes) {
        deliveredBytes = delivered;
        deliveredAt = clock.monotonic();
      }
      return deliveredAt;
    },
    release() {
      released = true;
      queue = [];
      queuedBytes = 0;
      socket.off('drain', onDrain);
    },
  };
}

/** Written at once, as one chunk. */
interface Slice {
  readonly buffers: readonly Buffer[];
  readonly bytes: number;
  readonly chunked: boolean;
}

function slicesOf(buffers: readonly Buffer[], chunked: boolean): Slice[] {
  const slices: Slice[] = [];
  let current: Buffer[] = [];
  let bytes = 0;
  const close = (): void => {
    if (bytes > 0) slices.push({ buffers: current, bytes, chunked });
    current = [];
    bytes = 0;
  };
  for (const buffer of buffers) {
    for (let at = 0; at < buffer.length;) {
      const piece = buffer.subarray(at, at + SLICE_BYTES - bytes);
      current.push(piece);
      bytes += piece.length;
      at += piece.length;
      if (bytes >= SLICE_BYTES) close();
    }
  }
  close();
  return slices;
}

let lastJoin: { readonly buffers: readonly Buffer[]; readonly chunked: boolean; readonly framed: Buffer } | null = null;

function join(buffers: readonly Buffer[], bytes: number, chunked: boolean): Buffer {
  if (lastJoin !== null && lastJoin.buffers === buffers && lastJoin.chunked === chunked) return lastJoin.framed;
  const [only] = buffers;
  if (buffers.length === 1 && only !== undefined && !chunked) return only;
  const head = chunked ? `${bytes.toString(16)}\r\n` : '';
  const framed = Buffer.allocUnsafe(head.length + bytes + (chunked ? 2 : 0));
  let at = framed.write(head, 'latin1');
  for (const buffer of buffers) at += buffer.copy(framed, at);
  if (chunked) framed.write('\r\n', at, 'latin1');
  lastJoin = { buffers, chunked, framed };
  return framed;
}
