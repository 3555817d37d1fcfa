/**
 * Compressing a stream without a compressor per client: each burst is compressed on its own, and the pieces add up to one valid gzip or
 * zstd body. An idle client keeps a CRC, nothing else, and what several clients get alike is compressed once.
 *
 * gzip: the body is header, deflate blocks, final block, trailer. A burst that ends with a sync flush and refers to nothing before it can
 * be put behind any other (RFC 1951, 3.2). zstd: a body may consist of any number of frames (RFC 8878, 3.1).
 */
import { constants, crc32, deflateRaw, deflateRawSync, zstdCompress, zstdCompressSync } from 'node:zlib';
import type { EncodedLine } from '#core/protocol/lines.ts';
import type { Compression } from './negotiate.ts';

/** Below this, compressing costs more than it saves: stored as it is, in a block of the format. */
const STORED_BYTES = 256;
/** Larger pieces are compressed on the thread pool. */
const ASYNC_BYTES = 32 * 1024;
/** Bandwidth matters less than how many clients a worker serves. */
const DEFLATE_OPTIONS = { level: 3, finishFlush: constants.Z_SYNC_FLUSH };
const ZSTD_OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const MAX_STORED_BLOCK = 65_535;

type Compressed = Buffer | Promise<Buffer>;

const compressedLines = { gzip: new WeakMap<EncodedLine, Compressed>(), zstd: new WeakMap<EncodedLine, Compressed>() };

/** What a body begins with. */
export function bodyStart(compression: Compression): Buffer | null {
  return compression === 'gzip' ? Buffer.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff) : null;
}

/** A line in compressed form; remembered with the line, which sessions share. */
export function compressLine(line: EncodedLine, compression: Exclude<Compression, 'identity'>): Compressed {
  const memo = compressedLines[compression];
  const known = memo.get(line);
  if (known !== undefined) return known;
  const bytes = line.parts.length === 1 ? line.parts[0]! : Buffer.concat(line.parts, line.bytes);
  const result = compression === 'gzip' ? deflatePiece(bytes) : zstdFrame(bytes);
  memo.set(line, result);
  if (!Buffer.isBuffer(result)) {
    result.then(
      (buffer) => memo.set(line, buffer),
      () => memo.delete(line),
    );
  }
  return result;
}

function deflatePiece(bytes: Buffer): Compressed {
  if (bytes.length < STORED_BYTES) return storedBlock(bytes);
  if (bytes.length < ASYNC_BYTES) return deflateRawSync(bytes, DEFLATE_OPTIONS);
  return promised((done) => deflateRaw(bytes, DEFLATE_OPTIONS, done));
}

function zstdFrame(bytes: Buffer): Compressed {
  if (bytes.length < ASYNC_BYTES) return zstdCompressSync(bytes, ZSTD_OPTIONS);
  return promised((done) => zstdCompress(bytes, ZSTD_OPTIONS, done));
}

function promised(start: (done: (error: Error | null, result: Buffer) => void) => void): Promise<Buffer> {
  return new Promise((resolve, reject) => start((error, result) => (error ? reject(error) : resolve(result))));
}

/** A deflate block of type "no compression", not the last one. */
function storedBlock(bytes: Buffer): Buffer {
  if (bytes.length > MAX_STORED_BLOCK) throw new RangeError('too long for one stored block');
  const block = Buffer.allocUnsafe(5 + bytes.length);
  block[0] = 0;
  block.writeUInt16LE(bytes.length, 1);
  block.writeUInt16LE(bytes.length ^ 0xffff, 3);
  bytes.copy(block, 5);
  return block;
}

/** CRC and length of a gzip body so far. */
export interface BodySum {
  add(line: EncodedLine): void;
  /** What ends the body. */
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
      if (compression !== 'gzip') return null;
      // An empty final block with fixed codes, then CRC and length.
      const trailer = Buffer.alloc(10);
      trailer[0] = 3;
      trailer.writeUInt32LE(sum, 2);
      trailer.writeUInt32LE(length, 6);
      return trailer;
    },
  };
}
