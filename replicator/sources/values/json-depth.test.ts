import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isTextTooDeep, isTooDeep } from './json-depth.ts';

const depthOf = (value: unknown): number =>
  typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;

const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 30, depthSize: 'xlarge' },
    fc.string({ unit: fc.constantFrom('"', '\\', '[', '{', '}', 'é', 'a') }),
    fc.array(tie('json'), { maxLength: 2 }),
    fc.dictionary(fc.string({ unit: fc.constantFrom('{', '"', '\\') }), tie('json'), { maxKeys: 2 }),
  ),
}));

test('more than 20 levels are too deep, whatever the strings hold (R-61, S-273)', () => {
  fc.assert(
    fc.property(json, fc.integer({ min: 0, max: 25 }), fc.constantFrom(0, 1), (value, wraps, indent) => {
      let wrapped = value;
      for (let level = 0; level < wraps; level++) wrapped = level % 2 === 0 ? [wrapped] : { '"{[': wrapped };
      const text = JSON.stringify(wrapped, null, indent);
      const bytes = Buffer.from(`}]${text}[[`);
      expect(isTooDeep(bytes, 2, bytes.length - 2)).toBe(depthOf(wrapped) > 20);
      expect(isTextTooDeep(text)).toBe(depthOf(wrapped) > 20);
    }),
    { numRuns: 2_000 },
  );
});
