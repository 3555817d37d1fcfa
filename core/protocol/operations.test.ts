import { deserialize, serialize } from 'bson';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  appendRekeyed,
  cutOperations,
  decodeOperations,
  encodedSizeBound,
  encodeOperations,
  writeOperation,
  type Operation,
} from './operations.ts';

const operation: fc.Arbitrary<Omit<Operation, 'opId'>> = fc.oneof(
  fc.record({
    op: fc.constantFrom('PUT' as const, 'REMOVE' as const),
    objectType: fc.string({ unit: 'grapheme' }),
    objectId: fc.string({ unit: 'grapheme' }),
    subkey: fc.string(),
    checksum: fc.nat(0xffffffff),
    data: fc.option(fc.json(), { nil: null }),
  }),
  fc.record({
    op: fc.constantFrom('MOVE' as const, 'CLEAR' as const),
    objectType: fc.constant(null),
    objectId: fc.constant(null),
    subkey: fc.constant(null),
    checksum: fc.nat(0xffffffff),
    data: fc.constant(null),
  }),
);
const operations = fc
  .tuple(fc.nat(2 ** 40), fc.array(operation, { maxLength: 30 }))
  .map(([first, list]): Operation[] => list.map((item, index) => ({ ...item, opId: first + 1 + index })));

/** What a BSON library makes of the array. */
function asBson(bytes: Buffer): unknown[] {
  const document = Buffer.concat([Buffer.alloc(4), bytes, Buffer.of(0)]);
  document.writeInt32LE(document.length);
  return Object.entries(deserialize(document)).map(([key, value], index) => {
    expect(key).toBe(String(index));
    return value;
  });
}

describe('operations in wire form', () => {
  test('decode gives back what was encoded', () => {
    fc.assert(
      fc.property(operations, (list) => {
        expect(decodeOperations(encodeOperations(list))).toEqual(list);
      }),
    );
  });

  test('a BSON library reads the same fields in the documented types (S-387…S-393)', () => {
    fc.assert(
      fc.property(operations, (list) => {
        const read = asBson(encodeOperations(list)) as Record<string, unknown>[];
        expect(
          read.map((item) => [item['op_id'], item['op'], item['object_id'] ?? null, item['checksum'], item['data']]),
        ).toEqual(list.map((item) => [String(item.opId), item.op, item.objectId, item.checksum, item.data]));
      }),
    );
  });

  test('joined chunks are one well-formed array', () => {
    fc.assert(
      fc.property(operations, operations, (a, b) => {
        const [first, second] = [encodeOperations(a), encodeOperations(b)];
        const target = Buffer.alloc(first.length + second.length + 4 * (a.length + b.length));
        const one = appendRekeyed(target, 0, 0, first);
        const two = appendRekeyed(target, one.end, one.count, second);
        expect(one.count + two.count).toBe(a.length + b.length);
        expect(asBson(target.subarray(0, two.end))).toHaveLength(a.length + b.length);
        expect(decodeOperations(target.subarray(0, two.end))).toEqual([...a, ...b]);
      }),
    );
  });

  test('a cut keeps exactly the operations after one id and up to another (S-574)', () => {
    fc.assert(
      fc.property(operations, fc.nat(40), fc.nat(40), (list, skip, take) => {
        const after = (list[0]?.opId ?? 1) - 1 + skip;
        const kept = list.filter((item) => item.opId > after && item.opId <= after + take);
        const cut = cutOperations(encodeOperations(list), after, after + take);
        expect(decodeOperations(cut.bytes)).toEqual(kept);
        expect(cut.count).toBe(kept.length);
        expect(cut.lastOp).toBe(kept.at(-1)?.opId ?? after);
        asBson(cut.bytes);
      }),
    );
  });

  test('the size bound holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.uint8Array(), fc.nat(), (id, type, data, index) => {
        const target = Buffer.alloc(encodedSizeBound(id.length + type.length + 3, data.length));
        const end = writeOperation(
          target,
          0,
          index,
          Number.MAX_SAFE_INTEGER,
          'REMOVE',
          type,
          id,
          '1/2',
          0xffffffff,
          Buffer.from(data),
        );
        expect(end).toBeLessThanOrEqual(target.length);
      }),
    );
  });

  test('random bytes are refused with a code, never read past their end', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          operations.map((list) => encodeOperations(list).subarray(0, -1)),
        ),
        (bytes) => {
          try {
            decodeOperations(Buffer.from(bytes));
          } catch (error) {
            expect((error as Error).message).toMatch(/malformed/);
          }
        },
      ),
    );
    expect(() => decodeOperations(Buffer.from(serialize({ a: 1 })))).toThrow(/malformed/);
  });
});
