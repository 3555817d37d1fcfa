import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MAX_ROW_BYTES } from '#core/platform/limits.ts';
import type { SqliteValue } from '#core/sync-config/values.ts';
import { createConvexReader, type ConvexRow, isSyncedTable } from './values.ts';

const read = (document: string): ConvexRow => {
  const row = createConvexReader()(document);
  if ('code' in row) throw new Error(`unfit: ${row.code}`);
  return row;
};

test.each<[string, string, SqliteValue]>([
  ['S-362 Id', '"j57a8z3n4vk6q2h9x1c5d7b0m96f8k1t"', 'j57a8z3n4vk6q2h9x1c5d7b0m96f8k1t'],
  ['S-363 Null', 'null', null],
  ['S-364 Int64, always text (R-244)', '"-9223372036854775808"', '-9223372036854775808'],
  ['S-365 Float64', '0.1', 0.1],
  ['S-365 a whole number is a real too', '3', 3],
  ['S-365 negative zero', '-0.0', -0],
  ['S-365 not a JSON number: text', '"NaN"', 'NaN'],
  ['S-366 Boolean', 'true', 1n],
  ['S-366 Boolean', 'false', 0n],
  ['S-367 String', '"a\\"\\u00e9\\n"', 'a"é\n'],
  ['S-368 Bytes', '"AAEC/w=="', 'AAEC/w=='],
  ['S-369 Array, as it was sent (S-272)', '[1.0, "a", null]', '[1.0, "a", null]'],
  ['S-370 Object', '{"b": {"n": 1e3},"a":[]}', '{"b": {"n": 1e3},"a":[]}'],
  ['S-371 Record', '{"10":true,"2":false}', '{"10":true,"2":false}'],
])('%s', (_, json, expected) => {
  expect(read(`{"v": ${json}}`)).toEqual({ columns: ['v'], values: [expected] });
});

test('one column per top-level field, in order, without what belongs to the stream (S-372)', () => {
  const reader = createConvexReader((name) => name !== 'unread');
  const document =
    '{"_table":"t","_id":"k1","2":1,"_creationTime":1700000000000.5,"unread":[[]],"1":2,"_ts":17,"_deleted":false,"_component":""}';
  const row = reader(document) as ConvexRow;
  expect(row).toEqual({
    columns: ['_id', '2', '_creationTime', 'unread', '1'],
    values: ['k1', 1, 1700000000000.5, null, 2],
  });
  expect((reader(document) as ConvexRow).columns).toBe(row.columns);
  expect(read('{}')).toEqual({ columns: [], values: [] });
});

test('any document: values are those of JSON.parse (S-362…S-372)', () => {
  const expectedOf = (value: unknown): unknown => {
    if (typeof value === 'boolean') return value ? 1n : 0n;
    return value;
  };
  const reader = createConvexReader();
  // A leading letter: JavaScript would order whole numbers, and no own field begins with _.
  const names = fc.string({ unit: 'binary', maxLength: 5 }).map((name) => `f${name}`);
  fc.assert(
    fc.property(fc.dictionary(names, fc.jsonValue({ maxDepth: 3 })), fc.constantFrom(0, 1), (document, indent) => {
      const row = reader(JSON.stringify(document, null, indent)) as ConvexRow;
      expect(row.columns).toEqual(Object.keys(document));
      const parsed = row.values.map((value, index) =>
        typeof value === 'string' && typeof document[row.columns[index]!] === 'object' ? JSON.parse(value) : value,
      );
      expect(parsed).toEqual(Object.values(JSON.parse(JSON.stringify(document)) as object).map(expectedOf));
    }),
  );
});

test('limits: 20 levels, 15 MB (S-273, R-60, R-61)', () => {
  const nest = (levels: number): string => `{"ok":1,"v":${'['.repeat(levels)}${']'.repeat(levels)}}`;
  const reader = createConvexReader();
  expect(reader(nest(20))).toHaveProperty('values');
  expect(reader(nest(21))).toEqual({ code: 'PSYNC_S1004', column: 'v' });
  expect(createConvexReader((name) => name !== 'v')(nest(21))).toHaveProperty('values');
  const large = (bytes: number): string => `{"v":"${'é'.repeat((bytes - 8) / 2)}"}`;
  expect(reader(large(MAX_ROW_BYTES))).toHaveProperty('values');
  expect(reader(large(MAX_ROW_BYTES + 2))).toEqual({ code: 'PSYNC_S1002', bytes: MAX_ROW_BYTES + 2 });
});

test.each(['', '[]', '{"a":1', '{"a":1}}', 'null', "{'a':1}", '{"a":01}'])('no document: %j', (text) => {
  expect(() => createConvexReader()(text)).toThrow('PSYNC_S1120');
});

test('the table of checkpoints is no table of the app (S-373)', () => {
  expect(['powersync_checkpoints', 'lists'].map(isSyncedTable)).toEqual([false, true]);
});
