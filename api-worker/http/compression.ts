/**
 * gzip of a stream without a compressor per client: each line is compressed on its own, once for all clients, and the pieces add up to one valid
 * body: header, deflate blocks, final block, trailer. An idle client keeps a CRC, nothing else.
 *
 * In zstd only whole frames can be joined like that, and of several frames that arrive together Node's decompressor (v24), which fetch
 * uses, returns the first and drops the rest. So zstd has a compressor per client (zstd-stream.ts), and gzip is preferred (ADR 0009).
 */
import type { EncodedLine } from '#core/protocol/lines.ts';
import { appendLine } from '../deflate/lines.ts';
import type { Compression } from './negotiate.ts';

/** What a body begins with. */
export function bodyStart(compression: Compression): Buffer | null {
  return compression === 'gzip' ? Buffer.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff) : null;
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
      sum = appendLine(sum, line);
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
