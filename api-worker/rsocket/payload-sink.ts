/** A sync stream as payloads of one RSocket stream: a line each, never more than the client has asked for (S-597, S-598). */
import type { Clock, Timer } from '#core/platform/clock.ts';
import { bsonEncoding } from '#core/protocol/encoding/bson.ts';
import type { EncodedLine } from '#core/protocol/lines.ts';
import { HIGH_WATER_BYTES, type SocketWriter } from '../connection/socket-writer.ts';
import type { LineSink } from '../session/contract.ts';
import { MAX_REQUEST_N } from './frames.ts';
import { burstOf, compressedBurstOf, compressedMessage, plainMessage, type Message } from './websocket-frames.ts';

export interface PayloadSink extends LineSink {
  listen(listener: { drained(): void; closed(): void }): void;
  /** The client asks for more payloads. */
  request(n: number): void;
  /** The connection has taken something of what waited. */
  progress(): void;
  /** The client cancelled, or the connection is gone. */
  close(): void;
}

export interface PayloadSinkOptions {
  readonly stream: number;
  readonly initialN: number;
  /** The client accepts compressed messages. */
  readonly compresses: boolean;
  readonly writer: SocketWriter;
  readonly clock: Clock;
  /** The stream has ended: in order, or with an error. */
  readonly onEnd: (error: unknown) => void;
  readonly onAbort: () => void;
}

const END_TIMEOUT_MS = 30_000;

export function createPayloadSink(options: PayloadSinkOptions): PayloadSink {
  const { stream, compresses, writer, clock, onEnd, onAbort } = options;
  let listener: { drained(): void; closed(): void } | null = null;
  let credit = options.initialN;
  /** Lines beyond the credit: at most one burst of the session, and a keep-alive (G9). */
  let held: EncodedLine[] = [];
  /** Since when they are held, or since something was taken last. */
  let heldSince = 0;
  /** The last message that is being compressed; later ones wait for it. */
  let compressing: Promise<void> | null = null;
  let compressingBytes = 0;
  let awaitsDrain = false;
  let state: 'open' | 'ending' | 'ended' = 'open';
  let endTimer: Timer | null = null;
  const sentBefore = writer.sentBytes();

  const isWritable = (): boolean =>
    state === 'open' && held.length === 0 && credit > 0 && writer.waitingBytes() + compressingBytes < HIGH_WATER_BYTES;

  const settle = (): void => {
    if (state === 'ending' && held.length === 0 && compressing === null && writer.isEmpty()) {
      stop();
      return onEnd(null);
    }
    if (!awaitsDrain || !isWritable()) return;
    awaitsDrain = false;
    listener?.drained();
  };

  const write = (message: Message): void => {
    if (state !== 'ended') writer.write(message.buffers, message.bytes, false);
  };

  /** All that is ready is one write, as a rule the one that the clients before have got. */
  const sendLines = (lines: readonly EncodedLine[]): void => {
    credit -= lines.length;
    const burst = compressing === null ? (compresses ? compressedBurstOf : burstOf)(lines, stream) : null;
    if (burst === null) lines.forEach(sendLine);
    else write(burst);
  };

  const sendLine = (line: EncodedLine): void => {
    const message = compresses ? compressedMessage(line, stream) : plainMessage(line, stream);
    if (compressing === null && !(message instanceof Promise)) return write(message);
    compressingBytes += line.bytes;
    const turn: Promise<void> = Promise.all([message, compressing]).then(
      ([ready]) => {
        compressingBytes -= line.bytes;
        if (compressing === turn) compressing = null;
        write(ready);
        settle();
      },
      () => abort(),
    );
    compressing = turn;
  };

  const sendHeld = (): void => {
    const ready = held.splice(0, credit);
    if (ready.length === 0) return;
    sendLines(ready);
    heldSince = clock.monotonic();
  };

  const stop = (): void => {
    state = 'ended';
    held = [];
    endTimer?.cancel();
  };

  const end = (error: unknown): void => {
    listener = null;
    if (state !== 'open') return;
    if (error !== null) {
      stop();
      return onEnd(error);
    }
    state = 'ending';
    // nobody watches a client that does not take the rest
    endTimer = clock.setTimer(END_TIMEOUT_MS, abort);
    settle();
  };

  /** The session still hears of the end when the connection is gone, unless it asked for it. */
  const abort = (): void => {
    stop();
    onAbort();
  };

  return {
    encoding: bsonEncoding,
    takesDeflated: compresses,
    listen(to) {
      listener = to;
    },
    send(lines) {
      if (state !== 'open') return;
      if (held.length > 0 || lines.length > credit) {
        if (held.length === 0) heldSince = clock.monotonic();
        held.push(...lines);
        return sendHeld();
      }
      sendLines(lines);
    },
    request(n) {
      // the sum of what was asked for is bounded by the protocol too
      credit = Math.min(credit + n, MAX_REQUEST_N);
      sendHeld();
      settle();
    },
    progress() {
      heldSince = clock.monotonic();
      settle();
    },
    writable() {
      const writable = isWritable();
      if (!writable) awaitsDrain = true;
      return writable;
    },
    sentBytes: () => writer.sentBytes() - sentBefore,
    stalledSince() {
      const stalled = writer.stalledSince();
      if (held.length === 0) return stalled;
      // a message that is still on its way keeps the client from asking for more
      return Math.max(heldSince, stalled ?? heldSince);
    },
    fail: end,
    end: () => end(null),
    abort() {
      listener = null;
      abort();
    },
    close() {
      const informed = listener;
      listener = null;
      stop();
      informed?.closed();
    },
  };
}
