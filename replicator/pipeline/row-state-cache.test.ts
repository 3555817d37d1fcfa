import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RowStateWrite } from '#core/bucket-storage/contract.ts';
import { createRowStateCache } from './row-state-cache.ts';
import { decodeRowState, encodeRowState } from './row-state.ts';

type Step =
  | { readonly kind: 'load' | 'set'; readonly key: string; readonly state: string | null }
  | { readonly kind: 'flush'; readonly commit: boolean }
  | { readonly kind: 'written' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('load' as const, 'set' as const),
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      state: fc.option(fc.constantFrom('x', 'y', 'z'), { nil: null }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const), commit: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('written' as const) }) },
);

test('what is read is what was set last, whatever is in flight; `previous` is the committed state', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.constantFrom(0, 400, 1e9), async (steps, cacheBytes) => {
      const stored = new Map<string, string | null>();
      const expected = new Map<string, string | null>();
      let committed = new Map<string, string | null>();
      const read = async (keys: readonly string[]) => keys.map((key) => stored.get(key) ?? null);
      const cache = createRowStateCache({ readRowStates: read }, cacheBytes);
      const flights: RowStateWrite[][] = [];
      const land = (): void => {
        const batch = flights.shift();
        if (!batch) return;
        for (const { key, state } of batch) stored.set(key, state);
        cache.release(batch);
      };
      for (const item of steps) {
        if (item.kind === 'written') land();
        else if (item.kind === 'flush') {
          while (flights.length > 0) land();
          const batch = cache.take();
          for (const write of batch) expect(write.previous).toBe(committed.get(write.key) ?? null);
          flights.push(batch);
          if (item.commit) {
            cache.committed();
            committed = new Map(expected);
          }
        } else {
          await cache.load([item.key]);
          expect(cache.get(item.key)).toBe(expected.get(item.key) ?? null);
          if (item.kind === 'set') {
            cache.set(item.key, item.state);
            expected.set(item.key, item.state);
          }
        }
      }
      while (flights.length > 0) land();
      const last = cache.take();
      for (const { key, state } of last) stored.set(key, state);
      for (const [key, state] of expected) expect(stored.get(key) ?? null).toBe(state);
    }),
  );
});

test('the cache keeps what was asked for lately, within its bytes', async () => {
  const reads: string[] = [];
  const cache = createRowStateCache(
    {
      readRowStates: async (keys) => {
        reads.push(...keys);
        return keys.map(() => 'state');
      },
    },
    200_000,
  );
  const batch = async (from: number): Promise<void> => {
    const keys = Array.from({ length: 100 }, (_, at) => `key ${from + at}`);
    await cache.load(['often', ...keys]);
    for (const key of ['often', ...keys]) expect(cache.get(key)).toBe('state');
    cache.release(cache.take());
  };
  for (let at = 0; at < 50; at++) await batch(at * 100);
  expect(reads).toHaveLength(5001);
  await batch(4500);
  expect(reads).toHaveLength(5001);
  await batch(0);
  expect(reads).toHaveLength(5101);
});

test('a state survives encoding, with the usual names left out', () => {
  const placement = fc.record({
    definition: fc.nat(),
    key: fc.json(),
    objectType: fc.constantFrom('items', 'other'),
    objectId: fc.constantFrom('k1', 'x"y'),
  });
  fc.assert(
    fc.property(
      fc.array(placement, { maxLength: 4 }),
      fc.option(fc.dictionary(fc.string(), fc.string()), { nil: null }),
      (placements, retained) => {
        const text = encodeRowState(placements, retained, 'k1', 'items');
        if (text === null) expect([placements.length, retained]).toEqual([0, null]);
        else expect(decodeRowState(text, 'k1', 'items')).toEqual({ placements, retained });
      },
    ),
  );
});
