import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeRowState, encodeRowState } from './row-state.ts';

const place = fc.record({
  definition: fc.integer({ min: 1, max: 3 }),
  key: fc.oneof(fc.constantFrom('[]', '["u1"]'), fc.string()),
  objectType: fc.constantFrom('items', 'others'),
  objectId: fc.constantFrom('row-1', '0', ''),
});
const retained = fc.option(fc.dictionary(fc.string(), fc.string(), { minKeys: 1 }));

test('what is encoded is decoded again; equal places have equal texts, others never', () => {
  const texts = new Map<string, string>();
  fc.assert(
    fc.property(fc.array(place, { maxLength: 4 }), retained, fc.nat(3), (placements, values, excluded) => {
      const own = placements.filter(({ definition }) => definition !== excluded);
      const text = encodeRowState(placements, values, 'row-1', 'items', ({ definition }) => definition !== excluded);
      if (own.length === 0 && values === null) {
        expect(text).toBeNull();
        return;
      }
      expect(decodeRowState(text!, 'row-1', 'items')).toEqual({ placements: own, retained: values });
      const meaning = JSON.stringify([own, values]);
      expect(texts.get(text!) ?? meaning).toBe(meaning);
      texts.set(text!, meaning);
    }),
    { numRuns: 1000 },
  );
});
