import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NOTICE_LIST_LIMIT } from '../contract.ts';
import { decodeLists, encodeLists, mergeLists, type NoticeLists, UNLISTED } from './notice-lists.ts';

const small = fc.nat(3);
const lists: fc.Arbitrary<NoticeLists> = fc.record({
  buckets: fc.option(
    fc.array(
      fc.record({
        definition: small,
        key: fc.constantFrom('[]', '[1]'),
        lastOp: fc.nat(),
        count: fc.nat(),
        checksum: fc.nat(),
      }),
      { maxLength: 5 },
    ),
    { freq: 20 },
  ),
  lookups: fc.option(fc.array(fc.record({ lookup: small, key: fc.constantFrom('[]', '[1]') }), { maxLength: 5 }), {
    freq: 20,
  }),
  writeCheckpoints: fc.option(
    fc.array(
      fc.record({
        userId: fc.constantFrom('a', 'b'),
        clientId: fc.constantFrom('', '"'),
        checkpoint: fc.bigInt({ min: 1n, max: 2n ** 63n }),
      }),
      {
        maxLength: 5,
      },
    ),
    { freq: 20 },
  ),
});

describe('lists of a notice', () => {
  test('stored text gives back what was stored', () => {
    fc.assert(
      fc.property(lists, (item) => {
        expect(decodeLists(encodeLists(item))).toEqual(item);
      }),
    );
  });

  test('merged ones name each thing once, with its newest value; one unknown part makes the list unknown', () => {
    fc.assert(
      fc.property(fc.array(lists, { minLength: 1, maxLength: 4 }), (parts) => {
        const merged = mergeLists(parts);
        if (parts.some((part) => part.buckets === null)) {
          expect(merged.buckets).toBeNull();
          return;
        }
        const all = parts.flatMap((part) => part.buckets!);
        const names = new Set(all.map((item) => `${item.definition}${item.key}`));
        expect(merged.buckets).toHaveLength(names.size);
        for (const bucket of merged.buckets!) {
          const same = all.filter((item) => item.definition === bucket.definition && item.key === bucket.key);
          expect(bucket.lastOp).toBe(Math.max(...same.map((item) => item.lastOp)));
        }
      }),
    );
    const pair = { userId: 'u', clientId: 'c' };
    const [one, two] = [1n, 2n].map((checkpoint) => ({ ...UNLISTED, writeCheckpoints: [{ ...pair, checkpoint }] }));
    expect(mergeLists([two!, one!]).writeCheckpoints).toEqual([{ ...pair, checkpoint: 2n }]);
  });

  test('too long ones become null, and text that is too long is not stored', () => {
    const lookups = (count: number, key: string) => Array.from({ length: count }, (_, at) => ({ lookup: at, key }));
    const none = { buckets: [], writeCheckpoints: [] };
    expect(mergeLists([{ ...none, lookups: lookups(NOTICE_LIST_LIMIT, '[]') }]).lookups).toHaveLength(
      NOTICE_LIST_LIMIT,
    );
    expect(mergeLists([{ ...none, lookups: lookups(NOTICE_LIST_LIMIT + 1, '[]') }]).lookups).toBeNull();
    expect(decodeLists(encodeLists({ ...none, lookups: lookups(100, 'x'.repeat(30_000)) }))).toEqual(UNLISTED);
  });
});
