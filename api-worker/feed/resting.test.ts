/** What no session holds: bounded, oldest first. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createResting } from './resting.ts';

test('is never more than the limits, and what goes has rested longest', () => {
  const step = fc.oneof(
    fc.record({ add: fc.nat(9), bytes: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ remove: fc.nat(9) }),
    fc.constant({ clear: true }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const entries = Array.from({ length: 10 }, (_, index) => ({ index }));
      const dropped: object[] = [];
      const resting = createResting<object>({ maxEntries: 4, maxBytes: 100, drop: (entry) => dropped.push(entry) });
      let model: { entry: object; bytes: number }[] = [];
      for (const action of steps) {
        const expected: object[] = [];
        if ('add' in action) {
          const entry = entries[action.add]!;
          model = [...model.filter((item) => item.entry !== entry), { entry, bytes: action.bytes }];
          while (model.length > 4 || model.reduce((sum, { bytes }) => sum + bytes, 0) > 100)
            expected.push(model.shift()!.entry);
          resting.add(entry, action.bytes);
        } else if ('remove' in action) {
          model = model.filter((item) => item.entry !== entries[action.remove]);
          resting.remove(entries[action.remove]!);
        } else {
          expected.push(...model.map((item) => item.entry));
          model = [];
          resting.clear();
        }
        expect(dropped.splice(0)).toEqual(expected);
        expect(resting.size).toBe(model.length);
      }
    }),
  );
});
