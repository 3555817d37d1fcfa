/**
 * gzip of a stream without a compressor per client: each burst is compressed on its own, and the pieces add up to one valid body. An idle
 * client keeps a CRC, nothing else, and what several clients get alike is compressed once. The body is header, deflate blocks, final
 * block, trailer; a burst that ends with a sync flush and refers to nothing before it can be put behind any other (RFC 1951, 3.2).
 *
 * In zstd only whole frames can be joined like that, and of several frames that arrive together Node's decompressor (v24), which fetch
 * uses, returns the first and drops the rest. So zstd has a compressor per client (zstd-stream.ts), and gzip is preferred (ADR 0009).
 */
import { constants, crc32, deflateRaw, deflateRawSync } from 'node:zlib';
import type { EncodedLine } from '#core/protocol/lines.ts';
import { appendCrc, summedBytes, type SummedBytes } from './crc32-append.ts';
import type { Compression } from './negotiate.ts';

/** Below this, compressing costs more than it saves: stored as it is, in a block of the format. */
export const STORED_BYTES = 256;
/** Larger pieces are compressed on the thread pool; handing over a smaller one costs more than it is worth, and as much again in page faults. */
const ASYNC_BYTES = 512 * 1024;
/** Parts of a line beyond this are compressed where they are: copying them together would cost nearly as much as compressing them. */
const APART_BYTES = 32 * 1024;
/** Bandwidth matters less than how many clients a worker serves. */
const DEFLATE_OPTIONS = { level: 3, finishFlush: constants.Z_SYNC_FLUSH };
const MAX_STORED_BLOCK = 65_535;

type Compressed = Buffer | Promise<Buffer>;

const deflatedLines = new WeakMap<EncodedLine, Compressed>();

/** What a body begins with. */
export function bodyStart(compression: Compression): Buffer | null {
  return compression === 'gzip' ? Buffer.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff) : null;
}

/** A line as deflate blocks; remembered with the line, which sessions share. */
export function deflateLine(line: EncodedLine): Compressed {
  const known = deflatedLines.get(line);
  if (known !== undefined) return known;
  const result = deflateParts(line);
  deflatedLines.set(line, result);
  if (!Buffer.isBuffer(result)) {
    result.then(
      (buffer) => deflatedLines.set(line, buffer),
      () => deflatedLines.delete(line),
    );
  }
  return result;
}

/** Neighbours that are small are one piece. Ends with a flush. */
function deflateParts({ parts, bytes }: EncodedLine): Compressed {
  if (parts.length === 1) return deflatePiece(parts[0]!);
  if (bytes < APART_BYTES || bytes >= ASYNC_BYTES) return deflatePiece(Buffer.concat(parts, bytes));
  const pieces: Buffer[] = [];
  let small: Buffer[] = [];
  for (const part of [...parts, null]) {
    if (part !== null && part.length < APART_BYTES) {
      small.push(part);
      continue;
    }
    if (small.length > 0) pieces.push(deflateNow(Buffer.concat(small)));
    small = [];
    if (part !== null) pieces.push(deflateNow(part));
  }
  if (pieces.at(-1)!.readUInt32BE(pieces.at(-1)!.length - 4) !== 0xffff) pieces.push(FLUSH);
  return Buffer.concat(pieces);
}

/** What a sync flush ends with: an empty stored block. */
const FLUSH = Buffer.of(0, 0, 0, 0xff, 0xff);

function deflateNow(bytes: Buffer): Buffer {
  return bytes.length < STORED_BYTES ? storedBlock(bytes) : deflateRawSync(bytes, DEFLATE_OPTIONS);
}

function deflatePiece(bytes: Buffer): Compressed {
  if (bytes.length < ASYNC_BYTES) return deflateNow(bytes);
  return promised((done) => deflateRaw(bytes, DEFLATE_OPTIONS, done));
}

function promised(start: (done: (error: Error | null, result: Buffer) => void) => void): Promise<Buffer> {
  return new Promise((resolve, reject) => start((error, result) => (error ? reject(error) : resolve(result))));
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

/** What ends a body, given what was in it. */
export interface BodySum {
  add(line: EncodedLine): void;
  end(): Buffer | null;
}

/** From this size on, a line's own sum is made once for all clients and added to theirs. */
const SUMMED_BYTES = 4096;
const lineSums = new WeakMap<EncodedLine, SummedBytes>();

function sumOf(line: EncodedLine): SummedBytes {
  let summed = lineSums.get(line);
  if (summed === undefined) {
    let crc = 0;
    for (const part of line.parts) crc = crc32(part, crc);
    lineSums.set(line, (summed = summedBytes(crc, line.bytes)));
  }
  return summed;
}

export function createBodySum(compression: Compression): BodySum {
  let sum = 0;
  let length = 0;
  return {
    add(line) {
      if (compression !== 'gzip') return;
      if (line.bytes < SUMMED_BYTES) for (const part of line.parts) sum = crc32(part, sum);
      else sum = appendCrc(sum, sumOf(line));
      length = (length + line.bytes) % 2 ** 32;
    },
    end() {
      if (compression === 'identity') return null;
      // The last block of the frame: empty, uncompressed.
      if (compression === 'zstd') return Buffer.of(1, 0, 0);
      // An empty final block with fixed codes, then CRC and length.
      const trailer = Buffer.alloc(10);
      trailer[0] = 3;
      trailer.writeUInt32LE(sum, 2);
      trailer.writeUInt32LE(length, 6);
      return trailer;
    },
  };
}
