/** zstd for one client, flushed after each burst: one frame for as long as the stream lasts. */
import { constants, createZstdCompress } from 'node:zlib';
import type { EncodedLine } from '#core/protocol/lines.ts';

export interface ZstdStream {
  /** The lines, in blocks that can be decompressed as soon as they arrive. Answers come in the order of the calls. */
  compress(lines: readonly EncodedLine[]): Promise<Buffer>;
  /** Frees its memory; what is under way is never answered. */
  close(): void;
}

/** The window is most of what a compressor takes; lines repeat themselves within less. */
const PARAMS = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_windowLog]: 17 };

export function createZstdStream(): ZstdStream {
  const stream = createZstdCompress({ params: PARAMS });
  let output: Buffer[] = [];
  let last: Promise<unknown> = Promise.resolve();
  stream.on('data', (part: Buffer) => void output.push(part));

  const run = async (lines: readonly EncodedLine[]): Promise<Buffer> => {
    for (const line of lines) for (const part of line.parts) stream.write(part);
    await new Promise<void>((resolve, reject) => {
      stream.once('error', reject);
      stream.flush(constants.ZSTD_e_flush, () => {
        stream.off('error', reject);
        // What was flushed may be emitted in the next turn.
        setImmediate(resolve);
      });
    });
    const compressed = Buffer.concat(output);
    output = [];
    return compressed;
  };

  return {
    compress(lines) {
      const result = last.then(() => run(lines));
      last = result.catch(() => undefined);
      return result;
    },
    close: () => void stream.destroy(),
  };
}
