/** Pieces from the compressors of a process: each can be read on its own, and behind any other. */
import { Transform } from 'node:stream';
import { constants, createDeflateRaw, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createDeflateEngine, openDeflate } from './engine.ts';

const inflate = (blocks: Buffer): Buffer => inflateRawSync(blocks, { finishFlush: constants.Z_SYNC_FLUSH });
/** From a few bytes to more than one output buffer, of repeated and of random bytes. */
const piece = fc
  .tuple(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.constantFrom(1, 10, 1000), fc.boolean())
  .map(([bytes, times, noise]) => {
    const text = Buffer.concat(Array.from({ length: times }, () => Buffer.from(bytes)));
    if (noise) for (let at = 0; at < text.length; at++) text[at] = (at * 2_654_435_761) >>> 24;
    return text;
  });

describe('a deflate engine', () => {
  test.each([1, 3])('with %i threads gives each piece its own blocks, which fit behind any others', async (threads) => {
    const engine = createDeflateEngine(() => openDeflate(1), threads);
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 12 }), async (pieces) => {
        const blocks = await Promise.all(pieces.map((bytes) => engine.deflate(bytes)));
        for (const [index, bytes] of pieces.entries()) expect(inflate(blocks[index]!).equals(bytes)).toBe(true);
        expect(inflate(Buffer.concat(blocks.toReversed())).equals(Buffer.concat(pieces.toReversed()))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('takes the compressor that has the least to do', async () => {
    let opened = 0;
    const engine = createDeflateEngine(() => {
      opened++;
      return openDeflate(1);
    }, 2);
    await engine.deflate(Buffer.alloc(10));
    await engine.deflate(Buffer.alloc(10));
    expect(opened).toBe(1);
    await Promise.all([1, 2, 3, 4].map(() => engine.deflate(Buffer.alloc(10))));
    expect(opened).toBe(2);
  });

  test('a compressor that fails is replaced; what it had under way is rejected', async () => {
    let opened = 0;
    const broken = (): Transform =>
      new Transform({ transform: (_bytes, _encoding, done) => void setImmediate(done, new Error('no memory')) });
    const engine = createDeflateEngine(
      () => (opened++ === 0 ? broken() : createDeflateRaw({ flush: constants.Z_FULL_FLUSH })),
      1,
    );
    const [first, second] = await Promise.allSettled([
      engine.deflate(Buffer.alloc(9)),
      engine.deflate(Buffer.alloc(9)),
    ]);
    expect(first).toMatchObject({ status: 'rejected', reason: { message: 'no memory' } });
    expect(second.status).toBe('rejected');
    expect(inflate(await engine.deflate(Buffer.from('again'))).toString()).toBe('again');
    expect(opened).toBe(2);
  });
});
