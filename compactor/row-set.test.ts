import { hash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRowSet } from './row-set.ts';

test('answers what a set of the names answers, however often it grew', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3000), { maxLength: 6000, minLength: 1000 }), (numbers) => {
      const rows = createRowSet();
      const names = new Set<string>();
      for (const number of numbers) {
        const name = `row ${number}`;
        expect(rows.add(name)).toBe(!names.has(name));
        names.add(name);
      }
      expect(rows.size).toBe(names.size);
      rows.clear();
      expect(rows.size).toBe(0);
      expect(rows.add(`row ${numbers[0]}`)).toBe(true);
    }),
    { numRuns: 10 },
  );
});

test('tells apart names whose hashes begin alike', () => {
  const rows = createRowSet();
  const first = new Map<number, string>();
  let pair: readonly [string, string] | null = null;
  // Slots are chosen by the second word.
  for (let number = 0; pair === null; number++) {
    const start = hash('sha256', String(number), 'buffer').readUInt32LE(4) & 0xff_ff_ff;
    const other = first.get(start);
    if (other !== undefined) pair = [other, String(number)];
    first.set(start, String(number));
  }
  expect(pair.map((name) => rows.add(name))).toEqual([true, true]);
  expect(pair.map((name) => rows.add(name))).toEqual([false, false]);
});
