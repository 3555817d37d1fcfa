/** Bounds of JSON that clients send (G9, S-615). */
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { assertModestJson } from './json-bounds.ts';

describe('JSON of a client', () => {
  test('is let through whatever is in it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (text) => {
        assertModestJson(text);
      }),
    );
  });

  test('counts levels and values outside of texts only', () => {
    const texts = fc.string({ unit: fc.constantFrom('[', '{', ',', '"', '\\', 'a'), maxLength: 300 });
    fc.assert(
      fc.property(fc.array(texts, { maxLength: 20 }), (list) => {
        assertModestJson(JSON.stringify({ [list.join()]: list }));
      }),
    );
  });

  const nested = (levels: number): string => `${'[{"a":'.repeat(levels / 2)}"]]]]"${'}]'.repeat(levels / 2)}`;
  const members = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]));
  test.each([
    ['64 levels', nested(64), null],
    ['65 levels', `[${nested(64)}]`, /nested deeper than 64 levels/],
    ['brackets without end', '['.repeat(1e6), /nested deeper than 64 levels/],
    ['250,001 values', JSON.stringify(Array(250_001).fill(0)), null],
    ['250,002 values', JSON.stringify(Array(250_002).fill(0)), /more than 250000 values/],
    ['10,000 members', JSON.stringify([members(10_000), members(10_000)]), null],
    ['10,001 members', JSON.stringify([[1, members(10_001)]]), /more than 10000 members/],
    ['a list between two members', JSON.stringify({ a: Array(20_000).fill(0), ...members(9999) }), null],
    ['brackets that were never opened', ']'.repeat(100) + '['.repeat(64), null],
    ['a text without end', `{"a": "${'['.repeat(1e6)}`, null],
    ['a text that ends in backslashes', `["${'\\\\'.repeat(1e5)}"${',['.repeat(100)}`, /nested deeper/],
    ['a text with a quote in it', `["\\"${',['.repeat(100)}"]`, null],
  ])('%s', (_name, text, refused) => {
    const check = (): void => assertModestJson(text);
    if (refused === null) expect(check).not.toThrow();
    else {
      expect(check).toThrow(refused);
      expect(check).toThrow(expect.objectContaining({ code: 'PSYNC_S2001', status: 400 }) as Error);
    }
  });

  // Time in proportion to the text is a fraction of a second; its square would be more than an hour, far beyond what a test may take.
  test.each(['"', '\\', '"\\', 'a', ' ', ',"', '[]', '""', '"\\"'])('10 MB of %j are looked through once', (text) => {
    const look = vi.fn<() => void>(() => assertModestJson(text.repeat((10 * 1024 * 1024) / text.length)));
    try {
      look();
    } catch {
      // refused before its end
    }
    expect(look).toHaveBeenCalledOnce();
  });
});
