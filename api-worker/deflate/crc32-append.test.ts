/** The sum of a body from the sums of its lines (RFC 1952). */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { appendCrc, summedBytes } from './crc32-append.ts';

const bytes = fc.uint8Array({ maxLength: 2000 }).map((array) => Buffer.from(array));

test('is the sum of the bytes put together', () => {
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 6 }), (pieces) => {
      const sum = pieces.reduce((crc, piece) => appendCrc(crc, summedBytes(crc32(piece), piece.length)), 0);
      expect(sum).toBe(crc32(Buffer.concat(pieces)));
    }),
    { numRuns: 500 },
  );
});

test.each([0, 1, 65_535, 65_536, 1 << 24, (1 << 26) + 3])('of %i bytes behind others', (length) => {
  const first = Buffer.from('what was before');
  const second = Buffer.alloc(length, 'lines');
  expect(appendCrc(crc32(first), summedBytes(crc32(second), length))).toBe(crc32(Buffer.concat([first, second])));
});
