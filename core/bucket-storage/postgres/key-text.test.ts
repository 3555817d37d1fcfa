import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { indexKey, restoreKey, wholeKey } from './key-text.ts';

const key = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 3000, minLength: 390 }),
  fc.constantFrom('', '\0', 'a\0b', 'a\u0001b', '5/12/0/x', `["${'x'.repeat(1195)}"]`, `["${'x'.repeat(1198)}"]`),
);

describe('index keys', () => {
  test('fit into an index, hold no NUL, and come back whole', () => {
    fc.assert(
      fc.property(key, (text) => {
        const stored = indexKey(text);
        expect(Buffer.byteLength(stored)).toBeLessThanOrEqual(1200);
        expect(stored).not.toContain('\0');
        expect(restoreKey(stored, wholeKey(text))).toBe(text.toWellFormed());
      }),
    );
  });

  test('differ when the keys differ', () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(indexKey(a) === indexKey(b)).toBe(a.toWellFormed() === b.toWellFormed());
      }),
    );
    // A key that looks like a folded one is none.
    const long = 'x'.repeat(5000);
    expect(indexKey(indexKey(long))).not.toBe(indexKey(long));
  });

  test('ordinary keys stay readable (O-74), and folded ones keep their beginning', () => {
    expect(indexKey('["u1",3]')).toBe('["u1",3]');
    expect(indexKey(`5/12/0/${'é'.repeat(3000)}`).startsWith('5/12/0/é')).toBe(true);
  });
});
