import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCopyLine } from './copy-text.ts';
import { createRowBytes, isNull } from './rows.ts';

/** As Postgres' CopyAttributeOutText writes. */
function writeLine(columns: readonly (string | null)[]): string {
  const escapes: Record<string, string> = {
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\v': '\\v',
    '\\': '\\\\',
  };
  const column = (text: string): string => text.replaceAll(/[\b\f\n\r\t\v\\]/g, (character) => escapes[character]!);
  return `${columns.map((text) => (text === null ? '\\N' : column(text))).join('\t')}\n`;
}
function read(line: Buffer): (string | null)[] {
  const row = createRowBytes();
  const count = readCopyLine(line, 0, line.length, row);
  return Array.from({ length: count }, (_, index) =>
    row.end[index] === isNull ? null : row.bytes.toString('utf8', row.start[index], row.end[index]),
  );
}

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('\\', 'N', '\t', '\n', '\r', '\b', '\f', '\v', 'a', '.', 'é') }),
);

test('reading undoes writing', () => {
  const columns = fc.array(fc.option(text.map((value) => value.replaceAll('\0', '').toWellFormed())), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(columns, (values) => {
      expect(read(Buffer.from(writeLine(values)))).toEqual(values);
    }),
    { numRuns: 2_000 },
  );
});

test('a line in the middle of a buffer leaves its neighbours alone', () => {
  const [before, line, after] = ['a\\tb\n', 'c\\\\d\t\\N\n', 'e\\nf\n'].map((each) => Buffer.from(each)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const all = Buffer.concat([before, line, after]);
  const row = createRowBytes();
  expect(readCopyLine(all, before.length, before.length + line.length, row)).toBe(2);
  expect(row.bytes.toString('utf8', row.start[0], row.end[0])).toBe('c\\d');
  expect(all.subarray(0, before.length)).toEqual(before);
  expect(all.subarray(before.length + line.length)).toEqual(after);
});

test('any bytes give columns inside the line', () => {
  const bytes = fc.array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(9, 10, 92, 78)), {
    maxLength: 100,
  });
  fc.assert(
    fc.property(bytes, (values) => {
      const line = Buffer.from(values);
      const row = createRowBytes();
      const count = readCopyLine(line, 0, line.length, row);
      for (let index = 0; index < count; index += 1) {
        if (row.end[index] === isNull) continue;
        expect(row.start[index]).toBeLessThanOrEqual(row.end[index]!);
        expect(row.end[index]).toBeLessThanOrEqual(line.length);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('no line has more columns than a row can hold', () => {
  const row = createRowBytes();
  expect(readCopyLine(Buffer.from('\t'.repeat(10_000)), 0, 10_000, row)).toBe(row.start.length);
});
