/**
 * Deflates pieces on the thread pool, with compressors that live as long as the process: one for each piece costs the memory of its window each
 * time. A piece ends with a full flush, so that it refers to nothing before it and can be put behind any other (zlib manual, Z_FULL_FLUSH).
 */
import type { Transform } from 'node:stream';
import { constants, createDeflateRaw } from 'node:zlib';

export interface DeflateEngine {
  /** Deflate blocks that end on a byte, with an empty stored block (RFC 1951, 3.2.4). Rejects when there is no memory; the next piece tries anew. */
  deflate(bytes: Buffer): Promise<Buffer>;
}

const OUTPUT_BYTES = 64 * 1024;

interface Compressor {
  readonly stream: Transform;
  /** Of the piece under way; pieces are compressed one after the other. */
  output: Buffer[];
  waitingBytes: number;
}

/** Flushes fully after each write. */
export function openDeflate(level: number): Transform {
  return createDeflateRaw({ level, flush: constants.Z_FULL_FLUSH, chunkSize: OUTPUT_BYTES });
}

/** `threads`: so many pieces at the same time. What waits is bounded by who sends it: each client waits for its own (G9). */
export function createDeflateEngine(openStream: () => Transform, threads: number): DeflateEngine {
  let compressors: Compressor[] = [];

  const open = (): Compressor => {
    const compressor: Compressor = { stream: openStream(), output: [], waitingBytes: 0 };
    compressor.stream.on('data', (piece: Buffer) => compressor.output.push(piece));
    compressor.stream.on('error', () => {
      compressors = compressors.filter((other) => other !== compressor);
    });
    return compressor;
  };

  const leastBusy = (): Compressor => {
    const idle = compressors.find(({ waitingBytes }) => waitingBytes === 0);
    if (idle !== undefined) return idle;
    if (compressors.length < threads) {
      const opened = open();
      compressors.push(opened);
      return opened;
    }
    return compressors.reduce((least, other) => (other.waitingBytes < least.waitingBytes ? other : least));
  };

  return {
    deflate(bytes) {
      const compressor = leastBusy();
      compressor.waitingBytes += bytes.length;
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
      compressor.stream.write(bytes, (error) => {
        compressor.waitingBytes -= bytes.length;
        const { output } = compressor;
        compressor.output = [];
        if (error) reject(error);
        else resolve(output.length === 1 ? output[0]! : Buffer.concat(output));
      });
      return promise;
    },
  };
}
