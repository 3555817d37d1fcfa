/** A socket writer without a socket: keeps the frames that it was given, and waits as long as a test wants. */
import type { SocketWriter } from '../connection/socket-writer.ts';
import { inflated, readServerFrame, type ServerFrame } from './rsocket-peer.ts';

export interface RecordingWriter extends SocketWriter {
  /** What the client got, decompressed. */
  readonly frames: readonly ServerFrame[];
  /** Set by the test. */
  readonly now: { waitingBytes: number; isEmpty: boolean; stalledSince: number | null };
}

/** `onFrame` hears of each frame at once. */
export function createRecordingWriter(onFrame: (frame: ServerFrame) => void = () => undefined): RecordingWriter {
  const frames: ServerFrame[] = [];
  let sentBytes = 0;
  const now: RecordingWriter['now'] = { waitingBytes: 0, isEmpty: true, stalledSince: null };
  return {
    frames,
    write(buffers, bytes, chunked) {
      const message = Buffer.concat(buffers);
      if (chunked || message.length !== bytes) throw new Error('not written as one WebSocket message');
      sentBytes += bytes;
      const frame = readServerFrame(payloadOf(message));
      frames.push(frame);
      onFrame(frame);
    },
    now,
    waitingBytes: () => now.waitingBytes,
    isEmpty: () => now.isEmpty,
    sentBytes: () => sentBytes,
    stalledSince: () => now.stalledSince,
    release: () => undefined,
  };
}

/** Of one WebSocket frame, decompressed where it says so (RFC 6455, 5.2). */
function payloadOf(message: Buffer): Buffer {
  const size = message[1]!;
  const payload = message.subarray(size < 126 ? 2 : size === 126 ? 4 : 10);
  return (message[0]! & 0x40) === 0 ? payload : inflated(payload);
}
