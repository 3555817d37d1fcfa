import { deserialize, serialize } from 'bson';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  appendRekeyed,
  bodySizeBound,
  cutOperations,
  decodeOperations,
  encodeOperations,
  HEAD_BYTES,
  operationChecksum,
  writeBody,
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

  test('what the hot path writes: the size bounds hold, the checksum is of the content alone (S-411, S-412)', () => {
    const texts = fc.tuple(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.string(),
      fc.option(fc.string({ unit: 'binary' })),
    );
    fc.assert(
      fc.property(texts, fc.nat(), fc.nat(2 ** 52), ([type, id, subkey, data], index, opId) => {
        const length = type.length + id.length + subkey.length + (data ?? '').length;
        const body = Buffer.alloc(7 + bodySizeBound(length), 0xee);
        const written = { end: 0, checksum: 0 };
        writeBody(body, 7, type, id, subkey, data, written);
        expect(written.end).toBeLessThan(body.length);
        expect(written.checksum).toBe(operationChecksum(type, id, subkey, data));
        const target = Buffer.alloc(HEAD_BYTES + written.end - 7, 0xdd);
        const end = writeOperation(target, 0, index, opId, body, 7, written.end);
        expect(end).toBeLessThanOrEqual(target.length);
        const bytes = target.subarray(0, end);
        const [decoded] = decodeOperations(bytes);
        const wellFormed = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');
        expect(decoded).toEqual({
          opId,
          op: data === null ? 'REMOVE' : 'PUT',
          objectType: wellFormed(type),
          objectId: wellFormed(id),
          subkey: wellFormed(subkey),
          checksum: written.checksum,
          data: data === null ? null : wellFormed(data),
        });
        expect(bytes.subarray(0, bytes.indexOf(0) + 1).toString('latin1')).toBe(`\x03${index}\0`);
      }),
    );
  });

  test('another kind, type, id, subkey or row has another checksum', () => {
    const of = operationChecksum;
    const sums = [
      of('t', 'a', '1/a', '{}'),
      of('t', 'a', '1/a', null),
      of('u', 'a', '1/a', '{}'),
      of('t', 'b', '1/a', '{}'),
      of('t', 'a', '1/b', '{}'),
      of('t', 'a', '1/a', '{"id":"a"}'),
      of('ta', '', '1/a', '{}'),
    ];
    expect(new Set(sums).size).toBe(sums.length);
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
