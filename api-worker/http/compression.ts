/**
 * gzip of a stream without a compressor per client: each burst is compressed on its own, and the pieces add up to one valid body. An idle
 * client keeps a CRC, nothing else, and what several clients get alike is compressed once. The body is header, deflate blocks, final
 * block, trailer; a burst that ends with a sync flush and refers to nothing before it can be put behind any other (RFC 1951, 3.2).
 *
 * In zstd only whole frames can be joined like that, and of several frames that arrive together Node's decompressor (v24), which fetch
 * uses, returns the first and drops the rest. So zstd has a compressor per client (zstd-stream.ts), and gzip is preferred.
 */
import { constants, crc32, deflateRaw, deflateRawSync } from 'node:zlib';
import type { EncodedLine } from '#core/protocol/lines.ts';
import type { Compression } from './negotiate.ts';

/** Below this, compressing costs more than it saves: stored as it is, in a block of the format. */
export const STORED_BYTES = 256;
/** Larger pieces are compressed on the thread pool. */
const ASYNC_BYTES = 32 * 1024;
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
  const bytes = line.parts.length === 1 ? line.parts[0]! : Buffer.concat(line.parts, line.bytes);
  const result = deflatePiece(bytes);
  deflatedLines.set(line, result);
  if (!Buffer.isBuffer(result)) {
    result.then(
      (buffer) => deflatedLines.set(line, buffer),
      () => deflatedLines.delete(line),
    );
  }
  return result;
}

function deflatePiece(bytes: Buffer): Compressed {
  if (bytes.length < STORED_BYTES) return storedBlock(bytes);
  if (bytes.length < ASYNC_BYTES) return deflateRawSync(bytes, DEFLATE_OPTIONS);
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

export function createBodySum(compression: Compression): BodySum {
  let sum = 0;
  let length = 0;
  return {
    add(line) {
      if (compression !== 'gzip') return;
      for (const part of line.parts) sum = crc32(part, sum);
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
