/**
 * A sync stream as the body of an HTTP response. Writes go to the socket with the chunk framing made here: one buffer, shared by all clients
 * that get the same lines, and one system call a burst.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '#core/platform/clock.ts';
import type { EncodedLine, LineEncoding } from '#core/protocol/lines.ts';
import type { LineSink } from '../session/contract.ts';
import { createSocketWriter, HIGH_WATER_BYTES, JOIN_BYTES } from '../connection/socket-writer.ts';
import { bodyStart, createBodySum, deflateLine } from './compression.ts';
import { sendError } from './errors.ts';
import type { Compression } from './negotiate.ts';
import { createZstdStream, type ZstdStream } from './zstd-stream.ts';

export interface StreamSinkOptions {
  readonly response: ServerResponse;
  readonly encoding: LineEncoding;
  readonly compression: Compression;
  readonly clock: Clock;
  /** Wire bytes, as they are given to the socket (O-174). */
  readonly onSent: (bytes: number) => void;
}

export interface StreamSink extends LineSink {
  /** Who hears of the connection; set once, before the first line. */
  listen(listener: { drained(): void; closed(): void }): void;
}

const END_TIMEOUT_MS = 30_000;

export function createStreamSink(options: StreamSinkOptions): StreamSink {
  const { response, encoding, compression, clock, onSent } = options;
  const socket = response.socket as Socket;
  const sum = createBodySum(compression);
  let zstd: ZstdStream | null = null;
  let listener: { drained(): void; closed(): void } | null = null;
  let started = false;
  let finished = false;
  let chunked = true;
  let awaitsDrain = false;
  /** Bursts that are being compressed; later ones queue up behind. */
  let compressing: Promise<void> | null = null;
  let compressingBytes = 0;
  /** To be finished as soon as everything is written. */
  let ending = false;
  let endTimer: Timer | null = null;

  /** Tells the session, once it was told to wait. */
  const settle = (): void => {
    if (ending && !finished && compressing === null && writer.isEmpty) return finish();
    if (!awaitsDrain || !isWritable()) return;
    awaitsDrain = false;
    listener?.drained();
  };
  const writer = createSocketWriter({ socket, clock, onSent, onProgress: settle });
  const isWritable = (): boolean => !finished && writer.waitingBytes + compressingBytes < HIGH_WATER_BYTES;

  const start = (): void => {
    started = true;
    response.writeHead(200, {
      'content-type': encoding.contentType,
      ...(compression === 'identity' ? {} : { 'content-encoding': compression }),
      ...STREAM_HEADERS,
    });
    socket.cork();
    response.flushHeaders();
    chunked = response.chunkedEncoding;
    const first = bodyStart(compression);
    if (first !== null) write([first], first.length);
    process.nextTick(() => socket.uncork());
  };

  const write = (buffers: readonly Buffer[], bytes: number): void => {
    if (!finished) writer.write(buffers, bytes, chunked);
  };

  const writeLines = (lines: readonly EncodedLine[]): void => {
    const burst = burstOf(lines);
    write(burst.buffers, burst.bytes);
  };

  const writeCompressed = (lines: readonly EncodedLine[]): void => {
    const pieces = compression === 'zstd' ? [(zstd ??= createZstdStream()).compress(lines)] : lines.map(deflateLine);
    for (const line of lines) sum.add(line);
    if (compressing === null && pieces.every((piece) => Buffer.isBuffer(piece))) {
      const buffers = pieces as Buffer[];
      return write(
        buffers,
        buffers.reduce((total, buffer) => total + buffer.length, 0),
      );
    }
    const bytes = lines.reduce((total, line) => total + line.bytes, 0);
    compressingBytes += bytes;
    const turn = Promise.all([Promise.all(pieces.map(async (piece) => piece)), compressing ?? Promise.resolve()]).then(
      ([buffers]) => {
        compressingBytes -= bytes;
        if (compressing === turn) compressing = null;
        write(
          buffers,
          buffers.reduce((total, buffer) => total + buffer.length, 0),
        );
        settle();
      },
      () => void socket.destroy(),
    );
    compressing = turn;
  };

  const finish = (): void => {
    const last = sum.end();
    if (last !== null) write([last], last.length);
    finished = true;
    response.end();
  };

  const end = (): void => {
    listener = null;
    if (finished || !started) return;
    ending = true;
    // Nobody watches a client that does not take the rest.
    endTimer = clock.setTimer(END_TIMEOUT_MS, () => socket.destroy());
    settle();
  };

  response.once('close', () => {
    finished = true;
    writer.release();
    zstd?.close();
    endTimer?.cancel();
    listener?.closed();
    listener = null;
  });

  return {
    encoding,
    listen(to) {
      listener = to;
    },
    send(lines) {
      if (finished) return;
      if (!started) start();
      if (compression === 'identity') writeLines(lines);
      else writeCompressed(lines);
    },
    get writable() {
      const writable = isWritable();
      // Whoever saw that it is not will wait.
      if (!writable) awaitsDrain = true;
      return writable;
    },
    get sentBytes() {
      return writer.sentBytes;
    },
    get stalledSince() {
      return writer.stalledSince;
    },
    fail(error) {
      if (started) return end();
      if (finished) return;
      finished = true;
      sendError(response, error);
    },
    end,
    abort() {
      listener = null;
      finished = true;
      socket.destroy();
    },
  };
}

/** S-522; and proxies must not hold lines back (S-515). */
const STREAM_HEADERS = {
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'Content-Type',
};

interface Burst {
  readonly lines: readonly EncodedLine[];
  readonly buffers: readonly Buffer[];
  readonly bytes: number;
}
let lastBurst: Burst | null = null;

/** The same burst object while one session after the other sends the same lines. */
function burstOf(lines: readonly EncodedLine[]): Burst {
  if (
    lastBurst !== null &&
    lastBurst.lines.length === lines.length &&
    lines.every((line, index) => line === lastBurst!.lines[index])
  ) {
    return lastBurst;
  }
  const buffers: Buffer[] = [];
  let bytes = 0;
  for (const line of lines) {
    buffers.push(...line.parts);
    bytes += line.bytes;
  }
  const burst = { lines, buffers, bytes };
  if (bytes <= JOIN_BYTES) lastBurst = burst;
  return burst;
}
