import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addChecksums } from '#core/protocol/checksum.ts';
import { decodeOperations } from '#core/protocol/operations.ts';
import { createOperationBuffer } from './operation-buffer.ts';

const add = fc.record({
  definition: fc.integer({ min: 1, max: 3 }),
  key: fc.constantFrom('[]', '["u1"]', '["u2"]', '[1]'),
  objectType: fc.constantFrom('lists', 'items'),
  objectId: fc.string({ unit: 'grapheme' }),
  subkey: fc.string(),
  data: fc.option(fc.oneof(fc.json(), fc.constant('x'.repeat(300_000))), { nil: null }),
});

describe('operation buffer', () => {
  test('chunks hold every operation once, in order, with running totals (I4)', () => {
    const buffer = createOperationBuffer();
    fc.assert(
      fc.property(
        fc.array(add, { maxLength: 60 }),
        fc.nat(2 ** 40),
        fc.nat(0xffffffff),
        (operations, first, checksumBefore) => {
          buffer.clear();
          for (const item of operations)
            buffer.add(item.definition, item.key, item.objectType, item.objectId, item.subkey, item.data);
          expect(buffer.count).toBe(operations.length);
          const before = buffer.buckets().map(() => ({ lastOp: 0, count: 7, checksum: checksumBefore }));
          const chunks = buffer.build(first + 1, before);
          const totals = new Map<string, { count: number; checksum: number }>();
          const seen: string[] = [];
          for (const chunk of chunks) {
            const bucket = `${chunk.definition}${chunk.key}`;
            const decoded = decodeOperations(Buffer.from(chunk.operations));
            const known = totals.get(bucket) ?? { count: 7, checksum: checksumBefore };
            const checksum = decoded.reduce((sum, item) => addChecksums(sum, item.checksum), 0);
            const now = { count: known.count + decoded.length, checksum: addChecksums(known.checksum, checksum) };
            totals.set(bucket, now);
            expect(chunk).toMatchObject({
              count: decoded.length,
              checksum,
              firstOp: decoded[0]!.opId,
              lastOp: decoded.at(-1)!.opId,
            });
            expect(chunk.totals).toEqual({ ...now, lastOp: chunk.lastOp });
            for (const item of decoded) {
              const source = operations[item.opId - first - 1]!;
              expect([bucket, item.objectType, item.objectId, item.subkey, item.data]).toEqual([
                `${source.definition}${source.key}`,
                source.objectType,
                source.objectId,
                source.subkey,
                source.data,
              ]);
              seen.push(String(item.opId));
            }
          }
          expect(new Set(seen).size).toBe(operations.length);
        },
      ),
    );
  });

  test('a chunk stays within its bounds unless one row is larger (S-575)', () => {
    const buffer = createOperationBuffer();
    for (let index = 0; index < 1200; index++) buffer.add(1, '[]', 't', `${index}`, `1/${index}`, `{"id":"${index}"}`);
    buffer.add(1, '[]', 't', 'big', '1/big', JSON.stringify({ id: 'big', text: 'y'.repeat(2_000_000) }));
    const chunks = buffer.build(1, [{ lastOp: 0, count: 0, checksum: 0 }]);
    expect(chunks.map((chunk) => chunk.count)).toEqual([500, 500, 200, 1]);
  });

  test('building again gives the same bytes: a retried storage transaction (S-402)', () => {
    const buffer = createOperationBuffer();
    buffer.add(1, '["a"]', 't', 'r', '1/r', '{"id":"r"}');
    buffer.add(1, '["b"]', 't', 'r', '1/r', '{"id":"r"}');
    const totals = buffer.buckets().map(() => ({ lastOp: 0, count: 0, checksum: 0 }));
    const once = buffer.build(10, totals).map((chunk) => Buffer.from(chunk.operations).toString('hex'));
    expect(buffer.build(10, totals).map((chunk) => Buffer.from(chunk.operations).toString('hex'))).toEqual(once);
  });
});
