/**
 * Lines as deflate blocks, made once for all clients that get them. Every line ends with a flush and refers to nothing before it, so it can
 * stand behind any other in the body of any client (RFC 1951, 3.2). What is known of a line goes with it when it does.
 */
import { constants, crc32, deflateRawSync } from 'node:zlib';
import type { EncodedLine } from '#core/protocol/lines.ts';
import { ownBuffer } from '../own-buffer.ts';
import { appendCrc, summedBytes, type SummedBytes } from './crc32-append.ts';
import { createDeflateEngine, openDeflate } from './engine.ts';

/** Below this, compressing costs more than it saves: stored as it is, in a block of the format. */
export const STORED_BYTES = 256;
/** Larger pieces are compressed on the thread pool; handing over a smaller one costs more than it is worth. */
const ENGINE_BYTES = 32 * 1024;
/** From this size on, a line's own sum is made once for all clients and added to theirs. */
const SUMMED_BYTES = 4096;
/** Two per cent more bytes than level 3, for five sixths of its time (ADR 0009). */
const LEVEL = 1;
const THREADS = 2;
const MAX_STORED_BLOCK = 65_535;
const engine = createDeflateEngine(() => openDeflate(LEVEL), THREADS);

type Deflated = Buffer | Promise<Buffer>;

const deflated = new WeakMap<EncodedLine, Deflated>();
const sums = new WeakMap<EncodedLine, SummedBytes>();
const listeners = new WeakMap<EncodedLine, (bytes: number) => void>();

/** A line as deflate blocks. */
export function deflateLine(line: EncodedLine): Deflated {
  const known = deflated.get(line);
  if (known !== undefined) return known;
  const result = deflateParts(line);
  deflated.set(line, result);
  if (Buffer.isBuffer(result)) listeners.get(line)?.(result.length);
  else {
    result.then(
      (blocks) => {
        deflated.set(line, blocks);
        listeners.get(line)?.(blocks.length);
      },
      () => deflated.delete(line),
    );
  }
  return result;
}

/** Calls `listener` with the size of the line's blocks when they are made. At most one for a line. */
export function onDeflated(line: EncodedLine, listener: (bytes: number) => void): void {
  listeners.set(line, listener);
}

/** The CRC-32 of a body that goes on with the line. */
export function appendLine(sum: number, line: EncodedLine): number {
  if (line.bytes < SUMMED_BYTES && !sums.has(line)) return partsSum(sum, line);
  return appendCrc(sum, sumOf(line));
}

function sumOf(line: EncodedLine): SummedBytes {
  let summed = sums.get(line);
  if (summed === undefined) sums.set(line, (summed = summedBytes(partsSum(0, line), line.bytes)));
  return summed;
}

function partsSum(sum: number, line: EncodedLine): number {
  for (const part of line.parts) sum = crc32(part, sum);
  return sum;
}

/**
 * The line without its plain bytes, for clients that take deflate; null when it was not compressed yet. Whoever asks for the bytes of such a line
 * gets an error. Small lines keep theirs.
 */
export function deflatedOnly(line: EncodedLine): EncodedLine | null {
  if (line.bytes < STORED_BYTES) return line;
  const blocks = deflated.get(line);
  if (!Buffer.isBuffer(blocks)) return null;
  const only: EncodedLine = {
    get parts(): never {
      throw new Error('Of this line there are deflate blocks only.');
    },
    bytes: line.bytes,
    operations: line.operations,
  };
  deflated.set(only, blocks);
  sums.set(only, sumOf(line));
  return only;
}

/** What a line's blocks take; 0 while there are none. */
export function deflatedBytes(line: EncodedLine): number {
  const blocks = deflated.get(line);
  return Buffer.isBuffer(blocks) ? blocks.length : 0;
}

/** Neighbours that are small are one piece. */
function deflateParts({ parts, bytes }: EncodedLine): Deflated {
  if (bytes < ENGINE_BYTES) return deflateNow(parts.length === 1 ? parts[0]! : Buffer.concat(parts, bytes));
  const pieces: Promise<Buffer>[] = [];
  let small: Buffer[] = [];
  for (const part of [...parts, null]) {
    if (part !== null && part.length < ENGINE_BYTES) {
      small.push(part);
      continue;
    }
    if (small.length > 0) pieces.push(Promise.resolve(deflateNow(Buffer.concat(small))));
    small = [];
    if (part !== null) pieces.push(engine.deflate(part));
  }
  return Promise.all(pieces).then((blocks) => {
    // A message of a WebSocket ends with the mark of a flush (RFC 7692, 7.2.1), which a stored block lacks.
    if (!endsWithFlush(blocks.at(-1)!)) blocks.push(FLUSH);
    return ownBuffer(Buffer.concat(blocks));
  });
}

/** What a flush ends with: an empty stored block. */
const FLUSH = Buffer.of(0, 0, 0, 0xff, 0xff);

const endsWithFlush = (blocks: Buffer): boolean => blocks.readUInt32BE(blocks.length - 4) === 0xffff;

function deflateNow(bytes: Buffer): Buffer {
  if (bytes.length < STORED_BYTES) return storedBlock(bytes);
  return ownBuffer(deflateRawSync(bytes, { level: LEVEL, finishFlush: constants.Z_SYNC_FLUSH }));
}

/** A deflate block of type "no compression", not the last one (RFC 1951, 3.2.4). */
export function storedBlock(bytes: Buffer): Buffer {
  if (bytes.length > MAX_STORED_BLOCK) throw new RangeError('too long for one stored block');
  const block = Buffer.allocUnsafe(5 + bytes.length);
  block[0] = 0;
  block.writeUInt16LE(bytes.length, 1);
  block.writeUInt16LE(bytes.length ^ 0xffff, 3);
  bytes.copy(block, 5);
  return block;
}
