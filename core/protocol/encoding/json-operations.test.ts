/** Operations as JSON, against `JSON.stringify` (S-395, S-527). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isCodedError } from '../../platform/errors/coded-error.ts';
import { encodeOperations, type Operation } from '../operations.ts';
import { renderOperations } from './json-operations.ts';

/** Texts with what JSON must escape, and with characters of one to four bytes. */
const text = fc.string({
  unit: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('"', '\\', '\n', '\r', '\t', '\b', '\f', '\u0000', '\u001f', '\u007f') },
    { weight: 2, arbitrary: fc.constantFrom('a', '7', 'ä', '€', '\u2028', '🚢') },
    { weight: 2, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }) },
  ),
});
const row = fc
  .tuple(text, fc.constantFrom(0, 1, 1, 3000))
  .map(([note, times]) => ({ id: 'r', note: note.repeat(times) }));
const common = { opId: fc.nat(2 ** 40), checksum: fc.nat(2 ** 32 - 1), objectType: text, objectId: text, subkey: text };
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ ...common, op: fc.constant('PUT' as const), data: row.map((value) => JSON.stringify(value)) }),
  fc.record({ ...common, op: fc.constant('REMOVE' as const), data: fc.constant(null) }),
  fc.record({
    ...{ opId: common.opId, checksum: common.checksum, op: fc.constantFrom('MOVE' as const, 'CLEAR' as const) },
    ...{
      objectType: fc.constant(null),
      objectId: fc.constant(null),
      subkey: fc.constant(null),
      data: fc.constant(null),
    },
  }),
);

function expected(operations: readonly Operation[], form: 'string' | 'object'): string {
  return operations
    .map(({ opId, op, objectType, objectId, checksum, subkey, data }) => {
      const shown = {
        ...{ op_id: `${opId}`, op },
        ...(objectType === null ? {} : { object_type: objectType }),
        ...(objectId === null ? {} : { object_id: objectId }),
        checksum,
        ...(subkey === null ? {} : { subkey }),
        ...(op === 'MOVE' || op === 'CLEAR'
          ? {}
          : { data: data !== null && form === 'object' ? JSON.parse(data) : data }),
      };
      return JSON.stringify(shown);
    })
    .join();
}

describe('operations as JSON', () => {
  test.each(['string', 'object'] as const)('rows as %s: what JSON.stringify makes of them', (form) => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 6 }), (operations) => {
        expect(renderOperations(encodeOperations(operations), form).toString('utf8')).toBe(expected(operations, form));
      }),
      { numRuns: 300 },
    );
  });

  test('a row of megabytes, in which every byte is escaped, and one after it', () => {
    const large: Operation = {
      ...{ opId: 1, op: 'PUT', objectType: 't', objectId: '1', subkey: 's', checksum: 1 },
      data: JSON.stringify({ id: '1', note: '\u0001"\\'.repeat(500_000) }),
    };
    for (const operations of [[large], [{ ...large, data: '{"id":"1"}' }]]) {
      expect(renderOperations(encodeOperations(operations), 'string').toString()).toBe(expected(operations, 'string'));
    }
  });

  test('bytes that are no operations are refused (PSYNC_S0001), whatever they are', () => {
    let refused = 0;
    fc.assert(
      fc.property(
        fc.array(operation, { minLength: 1, maxLength: 3 }),
        fc.nat(),
        fc.nat(255),
        fc.boolean(),
        (operations, where, byte, cut) => {
          const bytes = encodeOperations(operations);
          const at = where % bytes.length;
          const damaged = cut ? bytes.subarray(0, at) : Buffer.from(bytes);
          if (!cut) damaged[at] = byte;
          try {
            renderOperations(damaged, 'string');
          } catch (error) {
            refused++;
            expect(isCodedError(error) && error.code).toBe('PSYNC_S0001');
          }
        },
      ),
      { numRuns: 1000 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});
