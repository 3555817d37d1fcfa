import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CommitNotice } from '../../bucket-storage/contract.ts';
import { decodeCommit, encodeCommit, MAX_MESSAGE_BYTES } from './commit-codec.ts';

const whole = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const text = fc.string({ unit: 'binary' });
const keyOf = (value: unknown): string => JSON.stringify(value);
const key = fc.array(fc.oneof(text, fc.integer(), fc.constant(null)), { maxLength: 3 }).map(keyOf);
const bucket = fc.record({
  definition: whole,
  key,
  lastOp: whole,
  count: whole,
  checksum: fc.nat({ max: 0xffff_ffff }),
});
const reached = fc.record({ userId: text, clientId: text, checkpoint: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }) });
const notice: fc.Arbitrary<CommitNotice> = fc.record({
  version: whole,
  op: whole,
  previous: whole,
  buckets: fc.option(fc.array(bucket, { maxLength: 20 })),
  lookups: fc.option(fc.array(fc.record({ lookup: whole, key }), { maxLength: 20 })),
  writeCheckpoints: fc.option(fc.array(reached, { maxLength: 20 })),
  sourceTimeMs: fc.option(whole),
  storedMs: whole,
});

/** As it travels: through UTF-8. */
const travel = (message: string): CommitNotice | null => decodeCommit(Buffer.from(message).toString());

const empty: CommitNotice = {
  version: 1,
  op: 2,
  previous: 1,
  buckets: [],
  lookups: [],
  writeCheckpoints: [],
  sourceTimeMs: null,
  storedMs: 3,
};
const bucketsOf = (count: number, size: number): CommitNotice['buckets'] =>
  Array.from({ length: count }, (_, index) => ({
    definition: 1,
    key: JSON.stringify([`${index}`.padEnd(size, 'ä')]),
    lastOp: 2,
    count: 1,
    checksum: 5,
  }));
const lookupsOf = (count: number, size: number): CommitNotice['lookups'] =>
  Array.from({ length: count }, (_, index) => ({ lookup: 1, key: JSON.stringify([`${index}`.padEnd(size)]) }));

describe('commit notices as messages', () => {
  test('what is encoded is decoded, whatever it holds', () => {
    fc.assert(
      fc.property(notice, (given) => {
        expect(travel(encodeCommit(given))).toEqual(given);
      }),
    );
  });

  test('5000 buckets with usual keys fit (NOTICE_LIST_LIMIT)', () => {
    const buckets = bucketsOf(5000, 20);
    const message = encodeCommit({ ...empty, buckets });
    expect(Buffer.byteLength(message)).toBeLessThan(MAX_MESSAGE_BYTES);
    expect(travel(message)?.buckets).toEqual(buckets);
  });

  test('no message is longer than the limit; the longest lists become null first, the rest stays', () => {
    const sizes = fc.record({
      buckets: fc.tuple(fc.nat(6000), fc.nat(200)),
      lookups: fc.tuple(fc.nat(6000), fc.nat(200)),
      reached: fc.nat(2000),
    });
    fc.assert(
      fc.property(sizes, (size) => {
        const writeCheckpoints = [{ userId: 'u'.repeat(size.reached), clientId: 'c', checkpoint: 7n }];
        const given = {
          ...empty,
          buckets: bucketsOf(...size.buckets),
          lookups: lookupsOf(...size.lookups),
          writeCheckpoints,
        };
        const message = encodeCommit(given);
        const got = travel(message)!;
        expect(Buffer.byteLength(message)).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
        expect(got.writeCheckpoints).toEqual(writeCheckpoints);
        expect(got.buckets === null || got.buckets.length === size.buckets[0]).toBe(true);
        expect(got.lookups === null || got.lookups.length === size.lookups[0]).toBe(true);
        const weight = (list: readonly unknown[] | null): number => JSON.stringify(list).length;
        if (got.buckets === null && got.lookups !== null) {
          expect(weight(given.buckets)).toBeGreaterThan(weight(given.lookups) / 2);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('write checkpoints alone may be too long as well', () => {
    const writeCheckpoints = Array.from({ length: 3000 }, () => ({
      userId: 'u'.repeat(300),
      clientId: 'c',
      checkpoint: 7n,
    }));
    const got = travel(encodeCommit({ ...empty, writeCheckpoints }));
    expect(got).toEqual({ ...empty, writeCheckpoints: null });
  });

  test('the form is fixed: changing it needs another form number', () => {
    const given: CommitNotice = {
      ...empty,
      buckets: [{ definition: 3, key: '["u1"]', lastOp: 2, count: 7, checksum: 9 }],
      lookups: [{ lookup: 4, key: '[1]' }],
      writeCheckpoints: [{ userId: 'u', clientId: 'c', checkpoint: 2n ** 62n }],
    };
    expect(encodeCommit(given)).toBe(
      '[1,1,2,1,null,3,[3,"[\\"u1\\"]",2,7,9],[4,"[1]"],["u","c","4611686018427387904"]]',
    );
  });

  test('anything else is null and never throws', () => {
    const valid = encodeCommit({ ...empty, buckets: bucketsOf(2, 3), lookups: lookupsOf(2, 3) });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.nat(valid.length).map((end) => valid.slice(0, end - 1)),
        ),
        (message) => {
          expect(decodeCommit(message)).toBe(null);
        },
      ),
    );
    for (const message of [
      '[2,1,2,1,null,3,[],[],[]]',
      '[1,1,2,1,null,3,[],[]]',
      '[1,1,"2",1,null,3,[],[],[]]',
      '[1,1,2,1,null,3,[1,"k",2,3],[],[]]',
      '[1,1,2,1,null,3,[1,2,3,4,5],[],[]]',
      '[1,1,2,1,null,3,[1,"k",2,3,4.5],[],[]]',
      '[1,1,2,1,null,3,[],[1,2],[]]',
      '[1,1,2,1,null,3,[],[],["u","c",5]]',
      '[1,1,2,1,null,3,[],[],["u","c","five"]]',
      '[1,1,2,1,"now",3,[],[],[]]',
    ]) {
      expect(decodeCommit(message), message).toBe(null);
    }
  });
});
