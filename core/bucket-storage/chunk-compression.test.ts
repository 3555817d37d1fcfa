import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compressOperations, decompressOperations } from './chunk-compression.ts';

test('what is stored comes back', () => {
  const repetitive = fc
    .tuple(fc.uint8Array({ minLength: 1 }), fc.integer({ min: 1, max: 2000 }))
    .map(([part, times]) => Buffer.concat(Array.from({ length: times }, () => Buffer.from(part))));
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array(), fc.uint8Array({ minLength: 4000, maxLength: 9000 }), repetitive),
      (operations) => {
        const stored = compressOperations(operations);
        expect(Buffer.from(decompressOperations(stored)).equals(Buffer.from(operations))).toBe(true);
        expect(stored.bytes.length).toBeLessThanOrEqual(operations.length);
      },
    ),
  );
});

test('damaged bytes are refused with a code', () => {
  const stored = compressOperations(Buffer.from('{"id":"1"}'.repeat(5000)));
  expect(stored.rawLength).toBe(50_000);
  expect(() => decompressOperations({ bytes: stored.bytes.slice(0, -3), rawLength: stored.rawLength })).toThrow(
    /PSYNC_S0001/,
  );
  expect(() => decompressOperations({ bytes: stored.bytes, rawLength: 49_000 })).toThrow(/PSYNC_S0001/);
  expect(() => decompressOperations({ bytes: stored.bytes, rawLength: 51_000 })).toThrow(/PSYNC_S0001/);
});
