import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCopyRate } from './copy-rate.ts';

test('a steady copy: the estimate is what is left divided by the rate, whatever the batches', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.integer({ min: 10, max: 1000 }),
      fc.integer({ min: 10, max: 200 }),
      (perBatch, everyMs, seconds) => {
        let now = 0;
        const rate = createCopyRate(() => now);
        for (; now <= seconds * 1000; now += everyMs) rate.copied(perBatch);
        const expected = (1_000_000 / perBatch) * (everyMs / 1000);
        const said = rate.secondsFor(1_000_000)!;
        // slots of five seconds are forgotten whole
        expect(said).toBeGreaterThan(expected * 0.7 - 1);
        expect(said).toBeLessThan(expected * 1.3 + 1);
      },
    ),
  );
});

test('nothing is said too early, or when the copy stands still', () => {
  let now = 0;
  const rate = createCopyRate(() => now);
  expect(rate.secondsFor(10)).toBeNull();
  rate.copied(100);
  expect(rate.secondsFor(10)).toBeNull();
  now += 10_000;
  expect(rate.secondsFor(10)).toBe(1);
  expect(rate.secondsFor(0)).toBe(0);
  now += 120_000;
  expect(rate.secondsFor(10)).toBeNull();
});
