/**
 * A sync stream as the body of an HTTP response. With its first line the connection leaves the HTTP server (detachable-connections.ts), and
 * writes go to the socket with the chunk framing made here: one buffer, shared by all clients that get the same lines, and one system call a burst.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '#core/platform/clock.ts';
import type { EncodedLine, LineEncoding } from '#core/protocol/lines.ts';
import type { LineSink } from '../session/contract.ts';
import { joined, shareBursts } from '../connection/bursts.ts';
import { createSocketWriter, HIGH_WATER_BYTES, type SocketWriter } from '../connection/socket-writer.ts';
import { deflateLine } from '../deflate/lines.ts';
import { bodyStart, createBodySum } from './compression.ts';
import { CORS_HEADERS, sendError } from './errors.ts';
import type { Compression } from './negotiate.ts';
import { responseHead } from './response-head.ts';
import { createZstdStream, type ZstdStream } from './zstd-stream.ts';

export interface StreamSinkOptions {
  /** Nothing was sent of it yet. */
  readonly response: ServerResponse;
  /** Takes its connection from the HTTP server. */
  readonly detach: (connection: Duplex) => Socket;
  readonly encoding: LineEncoding;
  readonly compression: Compression;
  readonly clock: Clock;
  /** Wire bytes, as they are given to the socket (O-174). */
  readonly onSent: (bytes: number) => void;
  readonly onClosed: () => void;
}

export interface StreamSink extends LineSink {
  /** Who hears of the connection; set once, before the first line. */
  listen(listener: { drained(): void; closed(): void }): void;
}

const END_TIMEOUT_MS = 30_000;
/** So much of a client's lines may be under way in the compressor: the next page is read meanwhile. */
const COMPRESSING_BYTES = 2 * HIGH_WATER_BYTES;

export function createStreamSink({
  response: unanswered,
  detach,
  encoding,
  compression,
  clock,
  onSent,
  onClosed,
}: StreamSinkOptions): StreamSink {
  const sum = createBodySum(compression);
  /** Until the first line; it holds on to the request and all that comes with it. */
  let response: ServerResponse | null = unanswered;
  /** From the first line on. */
  let writer: SocketWriter | null = null;
  let socket: Socket | null = null;
  let zstd: ZstdStream | null = null;
  let listener: { drained(): void; closed(): void } | null = null;
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
    if (ending && !finished && compressing === null && writer?.isEmpty() === true) return finish();
    if (!awaitsDrain || !isWritable()) return;
    awaitsDrain = false;
    listener?.drained();
  };
  const isWritable = (): boolean =>
    !finished && (writer?.waitingBytes() ?? 0) < HIGH_WATER_BYTES && compressingBytes < COMPRESSING_BYTES;

  const start = ({ socket: connection, req }: ServerResponse): void => {
    response!.off('close', onClose);
    response = null;
    const taken = detach(connection!);
    socket = taken;
    writer = createSocketWriter({ socket: taken, clock, onSent, onProgress: settle });
    taken.on('close', onClose).on('data', onInput).on('end', onHalfClose);
    chunked = req.httpVersion !== '1.0';
    taken.cork();
    taken.write(headOf(encoding, compression, chunked, clock), 'latin1');
    const first = bodyStart(compression);
    if (first !== null) write([first], first.length);
    process.nextTick(() => taken.uncork());
  };

  const write = (buffers: readonly Buffer[], bytes: number): void => {
    if (!finished) writer!.write(buffers, bytes, chunked);
  };

  const writeLines = (lines: readonly EncodedLine[]): void => {
    const burst = burstOf(lines, 0);
    write(burst.buffers, burst.bytes);
  };

  const writeBlocks = (blocks: readonly Buffer[]): void =>
    write(
      blocks,
      blocks.reduce((total, block) => total + block.length, 0),
    );

  const writeCompressed = (lines: readonly EncodedLine[]): void => {
    const pieces = compression === 'zstd' ? [(zstd ??= createZstdStream()).compress(lines)] : lines.map(deflateLine);
    for (const line of lines) sum.add(line);
    if (compressing === null && pieces.every((piece) => Buffer.isBuffer(piece))) {
      return writeBlocks(pieces);
    }
    const bytes = lines.reduce((total, line) => total + line.bytes, 0);
    compressingBytes += bytes;
    const turn = Promise.all([Promise.all(pieces.map(async (piece) => piece)), compressing ?? Promise.resolve()]).then(
      ([blocks]) => {
        compressingBytes -= bytes;
        if (compressing === turn) compressing = null;
        writeBlocks(blocks);
        settle();
      },
      () => void socket!.destroy(),
    );
    compressing = turn;
  };

  const finish = (): void => {
    const last = sum.end();
    if (last !== null) write([last], last.length);
    finished = true;
    if (chunked) socket!.end(LAST_CHUNK, 'latin1');
    else socket!.end();
  };

  const end = (): void => {
    listener = null;
    if (finished || socket === null) return;
    ending = true;
    // Nobody watches a client that does not take the rest, or does not go.
    endTimer = clock.setTimer(END_TIMEOUT_MS, () => socket!.destroy());
    settle();
  };

  const onClose = (): void => {
    finished = true;
    writer?.release();
    zstd?.close();
    endTimer?.cancel();
    listener?.closed();
    listener = null;
    onClosed();
  };
  unanswered.once('close', onClose);

  return {
    encoding,
    takesDeflated: compression === 'gzip',
    listen(to) {
      listener = to;
    },
    send(lines) {
      if (finished) return;
      if (response !== null) start(response);
      if (compression === 'identity') writeLines(lines);
      else writeCompressed(lines);
    },
    writable() {
      const writable = isWritable();
      // Whoever saw that it is not will wait.
      if (!writable) awaitsDrain = true;
      return writable;
    },
    sentBytes: () => writer?.sentBytes() ?? 0,
    stalledSince: () => writer?.stalledSince() ?? null,
    fail(error) {
      if (response === null) return end();
      if (finished) return;
      finished = true;
      sendError(response, error);
    },
    end,
    abort() {
      listener = null;
      finished = true;
      (socket ?? response)?.destroy();
    },
  };
}

/** S-522; and proxies must not hold lines back (S-515). The connection serves nothing else afterwards: the HTTP server does not have it any more. */
function headOf(encoding: LineEncoding, compression: Compression, chunked: boolean, clock: Clock): string {
  return responseHead(200, {
    'content-type': encoding.contentType,
    ...(compression === 'identity' ? {} : { 'content-encoding': compression }),
    ...CORS_HEADERS,
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    date: httpDate(Math.floor(clock.now() / 1000)),
    connection: 'close',
    ...(chunked ? { 'transfer-encoding': 'chunked' } : {}),
  });
}

let lastDate = { seconds: 0, text: '' };

/** Clients that come together get the same text. */
function httpDate(seconds: number): string {
  if (lastDate.seconds !== seconds) lastDate = { seconds, text: new Date(seconds * 1000).toUTCString() };
  return lastDate.text;
}

const LAST_CHUNK = '0\r\n\r\n';

/** The connection was told to close after the stream: nothing can follow but the line ends that some clients put behind a body. */
function onInput(this: Socket, bytes: Buffer): void {
  if (bytes.some((byte) => byte !== 0x0d && byte !== 0x0a)) this.destroy();
}

/** A client that closes its side has gone. */
function onHalfClose(this: Socket): void {
  this.end();
}

const burstOf = shareBursts((lines) => joined(lines.map(({ parts, bytes }) => ({ buffers: parts, bytes }))));
