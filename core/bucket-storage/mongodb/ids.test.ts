import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bucketEnd,
  bucketOf,
  bucketPrefix,
  chunkId,
  definitionRange,
  fieldOf,
  lookupId,
  lookupPrefix,
  opOf,
  prefixRange,
  rowOf,
} from './ids.ts';

const op = fc.maxSafeNat();
const key = fc
  .array(fc.oneof(fc.string({ unit: 'binary' }), fc.double(), fc.boolean()))
  .map((values) => JSON.stringify(values));
const bucket = fc.record({ definition: fc.integer({ min: 1, max: 200 }), key });
/** As the server compares strings. */
const compare = (a: string, b: string): number => Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));
const within = (id: string, range: { after: string; before: string }): boolean =>
  compare(range.after, id) < 0 && compare(id, range.before) < 0;

test('chunk ids are taken apart again, and sort by op within their bucket', () => {
  fc.assert(
    fc.property(bucket, op, op, ({ definition, key: text }, a, b) => {
      const id = chunkId(definition, text, a);
      expect(bucketOf(id)).toEqual({ definition, key: text });
      expect(opOf(id)).toBe(a);
      expect(compare(id, chunkId(definition, text, b))).toBe(Math.sign(a - b));
    }),
  );
});

test('a bucket is one range, which holds nothing of another bucket', () => {
  fc.assert(
    fc.property(bucket, bucket, op, (one, other, at) => {
      const range = { after: bucketPrefix(one), before: bucketEnd(one) };
      const same = one.definition === other.definition && one.key === other.key;
      expect(within(chunkId(other.definition, other.key, at), range)).toBe(same);
      expect(within(chunkId(other.definition, other.key, at), definitionRange(one.definition))).toBe(
        one.definition === other.definition,
      );
    }),
    { numRuns: 1000 },
  );
});

test('lookup ids sort by key, row, op', () => {
  const text = fc.string({ unit: 'grapheme' }).filter((row) => !row.includes('\u0000'));
  const entry = fc.record({ lookup: fc.constant(3), key: fc.constantFrom('[]', '["a"]', '["a b"]'), row: text, op });
  fc.assert(
    fc.property(entry, entry, (a, b) => {
      const expected = compare(a.key, b.key) || compare(a.row, b.row) || Math.sign(a.op - b.op);
      expect(compare(lookupId(a), lookupId(b))).toBe(expected);
      expect(rowOf(lookupId(a), lookupPrefix(a).length)).toBe(a.row);
      expect(opOf(lookupId(a))).toBe(a.op);
    }),
  );
});

test('a prefix range holds what begins with the prefix', () => {
  expect(within('12/3/x', prefixRange('12/'))).toBe(true);
  expect(within('12/\u{10ffff}', prefixRange('12/'))).toBe(true);
  expect(within('120/', prefixRange('12/'))).toBe(false);
});

test('source tags are field names without dots and dollars, one each', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (a, b) => {
      expect(fieldOf(a)).not.toMatch(/[.$\0]/);
      expect(fieldOf(a) === fieldOf(b)).toBe(a === b);
    }),
  );
});
