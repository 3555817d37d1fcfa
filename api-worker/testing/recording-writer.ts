/** A socket writer without a socket: keeps the frames that it was given, and waits as long as a test wants. */
import type { SocketWriter } from '../connection/socket-writer.ts';
import { inflated, readServerFrame, type ServerFrame } from './rsocket-peer.ts';

export interface RecordingWriter extends SocketWriter {
  /** What the client got, decompressed. */
  readonly frames: readonly ServerFrame[];
  readonly writes: number;
  /** Set by the test. */
  readonly now: { waitingBytes: number; isEmpty: boolean; stalledSince: number | null };
}

/** `onFrame` hears of each frame at once. */
export function createRecordingWriter(onFrame: (frame: ServerFrame) => void = () => undefined): RecordingWriter {
  const frames: ServerFrame[] = [];
  let sentBytes = 0;
  let writes = 0;
  const now: RecordingWriter['now'] = { waitingBytes: 0, isEmpty: true, stalledSince: null };
  return {
    frames,
    write(buffers, bytes, chunked) {
      const messages = Buffer.concat(buffers);
      if (chunked || messages.length !== bytes) throw new Error('not written as WebSocket messages');
      sentBytes += bytes;
      writes++;
      for (let at = 0; at < messages.length;) {
        const { payload, end } = messageAt(messages, at);
        const frame = readServerFrame(payload);
        frames.push(frame);
        onFrame(frame);
        at = end;
      }
    },
    get writes() {
      return writes;
    },
    now,
    waitingBytes: () => now.waitingBytes,
    isEmpty: () => now.isEmpty,
    sentBytes: () => sentBytes,
    stalledSince: () => now.stalledSince,
    release: () => undefined,
  };
}

/** The payload of the WebSocket frame that begins at `at`, decompressed where it says so (RFC 6455, 5.2). */
function messageAt(bytes: Buffer, at: number): { payload: Buffer; end: number } {
  const size = bytes[at + 1]!;
  const start = at + (size < 126 ? 2 : size === 126 ? 4 : 10);
  const length = size < 126 ? size : size === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
  const end = start + length;
  if (end > bytes.length) throw new Error('not whole WebSocket messages');
  const payload = bytes.subarray(start, end);
  return { payload: (bytes[at]! & 0x40) === 0 ? payload : inflated(payload), end };
}
