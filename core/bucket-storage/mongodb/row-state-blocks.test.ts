import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rowStateKey, rowStatePrefix } from '../contract.ts';
import {
  blockId,
  blockPrefixOf,
  byHash,
  encodeBlocks,
  findInBlock,
  fitsBlock,
  hashOfKey,
  type KeyHash,
  type RowStateBlock,
  ROWS_PER_BLOCK,
  type StoredRow,
} from './row-state-blocks.ts';

const PREFIX = rowStatePrefix(3, 14, 1);
/** Whole characters of all planes, NUL among them. Half a surrogate pair has no UTF-8. */
const text = (maxLength: number) => fc.string({ unit: 'binary', maxLength });
const rows = (maxLength: number): fc.Arbitrary<StoredRow[]> =>
  fc
    .uniqueArray(fc.oneof(text(12), fc.stringMatching(/^[ab]{0,3}$/), text(300)), { minLength: 1, maxLength })
    .chain((names) =>
      fc
        .array(text(200), { minLength: names.length, maxLength: names.length })
        .map((states) => names.map((name, at) => ({ key: PREFIX + name, state: states[at]! }))),
    );

function search(
  blocks: readonly RowStateBlock[],
  keys: Iterable<string>,
  hashOf: KeyHash = hashOfKey,
): Record<string, string>[] {
  const wanted = byHash(keys, hashOf);
  return blocks.map(({ bytes }, at) => {
    const found = new Map<string, string>();
    findInBlock(blockId(PREFIX, 7, at), bytes, wanted, (key, state) => {
      expect(found.has(key)).toBe(false);
      found.set(key, state);
    });
    return Object.fromEntries(found);
  });
}

test('each row is found in exactly one block, nothing else is, also when hashes are equal', () => {
  const hashes: KeyHash[] = [hashOfKey, () => -5, (key) => (hashOfKey(key) & 3) - 2];
  fc.assert(
    fc.property(rows(100), fc.constantFrom(...hashes), fc.array(text(12)), (all, hashOf, others) => {
      const blocks = encodeBlocks(all, PREFIX.length, hashOf);
      const stored = new Map(all.map(({ key, state }) => [key, state]));
      const keys = new Set([...stored.keys(), ...others.map((name) => PREFIX + name), ...others]);
      const found = search(blocks, keys, hashOf);
      expect(found.flatMap((block) => Object.keys(block))).toEqual(all.map(({ key }) => key));
      expect(Object.assign({}, ...found)).toEqual(Object.fromEntries(stored));
      for (const { hashes: own, bytes } of blocks) {
        expect(own.length).toBeLessThanOrEqual(ROWS_PER_BLOCK);
        expect(bytes.length).toBeLessThan(2 ** 16);
      }
      expect(blocks.flatMap((block) => block.hashes)).toEqual(all.map(({ key }) => hashOf(key)));
      const [{ key }] = all as [StoredRow];
      expect(Object.assign({}, ...search(blocks, [key], hashOf))).toEqual({ [key]: stored.get(key) });
    }),
  );
});

test('the largest rows, of characters of three bytes, fit their offsets', () => {
  const all = Array.from({ length: 200 }, (_, at) => ({ key: `${PREFIX}${at}`, state: '€'.repeat(at % 2 ? 900 : 50) }));
  expect(all.every(fitsBlock)).toBe(true);
  const blocks = encodeBlocks(all, PREFIX.length);
  for (const { bytes } of blocks) expect(bytes.length).toBeLessThan(2 ** 16);
  const found = search(
    blocks,
    all.map(({ key }) => key),
  );
  expect(Object.assign({}, ...found)).toEqual(Object.fromEntries(all.map(({ key, state }) => [key, state])));
  expect(fitsBlock({ key: PREFIX, state: 'x'.repeat(1024) })).toBe(false);
});

test('keys with the same crc32 are told apart, and so are those of other groups', () => {
  const [first, second] = collidingKeys();
  expect(first).not.toBe(second);
  expect(hashOfKey(first)).toBe(hashOfKey(second));
  const blocks = encodeBlocks([{ key: first, state: 'one' }], PREFIX.length);
  expect(search(blocks, [second])).toEqual([{}]);
  expect(search(blocks, [second, first])).toEqual([{ [first]: 'one' }]);
  const both = encodeBlocks(
    [
      { key: first, state: 'one' },
      { key: second, state: 'two' },
    ],
    PREFIX.length,
  );
  expect(search(both, [second])).toEqual([{ [second]: 'two' }]);
  const same = encodeBlocks([{ key: first, state: 'one' }], PREFIX.length, () => 1);
  const other = rowStateKey(4, 14, 1, first.slice(PREFIX.length));
  expect(search(same, [other], () => 1)).toEqual([{}]);
});

test('hashes are whole numbers of 32 bits with a sign', () => {
  fc.assert(
    fc.property(text(20), (key) => {
      expect(hashOfKey(key)).toBe(crc32(key) | 0);
    }),
  );
});

test('the prefix of a key ends with its third slash', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(), text(20), (group, table, generation, row) => {
      const prefix = rowStatePrefix(group, table, generation);
      expect(blockPrefixOf(rowStateKey(group, table, generation, row))).toBe(prefix);
      expect(blockId(prefix, 255, 17)).toBe(`${prefix}00000000000000ff.000011`);
    }),
  );
  for (const key of ['', '/', '1/2', '1/2/3']) expect(blockPrefixOf(key)).toBe('');
});

test('blocks of later changes, and later blocks of a change, have greater ids', () => {
  const place = fc.record({ at: fc.maxSafeNat(), number: fc.nat({ max: 2 ** 24 - 1 }) });
  fc.assert(
    fc.property(place, place, (a, b) => {
      const order = Math.sign(a.at - b.at || a.number - b.number);
      const [left, right] = [blockId(PREFIX, a.at, a.number), blockId(PREFIX, b.at, b.number)];
      expect(left < right ? -1 : left > right ? 1 : 0).toBe(order);
    }),
  );
});

/** By the birthday paradox after about 80,000 keys. */
function collidingKeys(): [string, string] {
  const seen = new Map<number, string>();
  for (let at = 0; ; at++) {
    const key = `${PREFIX}${Math.imul(at, 0x9e3779b1).toString(36)}-${at}`;
    const other = seen.get(hashOfKey(key));
    if (other !== undefined) return [other, key];
    seen.set(hashOfKey(key), key);
  }
}
