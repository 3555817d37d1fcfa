import fc from 'fast-check';
import { expect, test } from 'vitest';
import { copyRanges, copyStatement, estimatedRows, fileNodeOf } from './copy-ranges.ts';
import type { FoundTable } from './published-tables.ts';

const facts = { versionNumber: 180_000, version: '18.0', blockBytes: 8_192, walSenderTimeoutMs: 60_000 };
const found = (changes: Partial<FoundTable>): FoundTable => ({
  published: {
    oid: 5,
    schema: 'public',
    name: 't"x',
    replicaIdentity: 'd',
    columns: [
      { name: 'id', type: 23, inIdentity: true },
      { name: 'A b', type: 25, inIdentity: false },
    ],
  },
  rowFilter: null,
  fileNode: '16384',
  bytes: 8_192,
  rows: 10,
  ...changes,
});

test('ranges cover every page once, the last one without end', () => {
  fc.assert(
    fc.property(fc.nat(2_000_000), fc.double({ min: -1, max: 1e9, noNaN: true }), (pages, rows) => {
      const ranges = copyRanges(found({ bytes: pages * 8_192, rows }), facts);
      if (ranges.length === 1) {
        expect(ranges).toEqual(['16384:*']);
        return;
      }
      let next = 0;
      for (const range of ranges) {
        const [from, to] = range.slice('16384:'.length).split('-') as [string, string];
        expect(Number(from)).toBe(next);
        next = to === '' ? Number.POSITIVE_INFINITY : Number(to);
        expect(next).toBeGreaterThan(Number(from));
      }
      expect(next).toBe(Number.POSITIVE_INFINITY);
    }),
  );
});

test('parts hold at most 64 MB and about 50,000 rows', () => {
  const gigabyte = 1024 ** 3;
  expect(copyRanges(found({ bytes: gigabyte, rows: 1_000 }), facts)).toHaveLength(16);
  const narrow = copyRanges(found({ bytes: gigabyte, rows: 20_000_000 }), facts);
  expect(narrow.length).toBeGreaterThan(300);
  expect(narrow.length).toBeLessThan(2_000);
});

test('the same table is cut in the same places after it grew', () => {
  const before = copyRanges(found({ bytes: 200 * 1024 * 1024, rows: 2_000_000 }), facts);
  const after = copyRanges(found({ bytes: 210 * 1024 * 1024, rows: 2_100_000 }), facts);
  expect(after).toEqual(expect.arrayContaining(before.slice(0, -1)));
});

test('before version 14 a table is one part', () => {
  expect(copyRanges(found({ bytes: 1024 ** 3 }), { ...facts, versionNumber: 130_000 })).toEqual(['16384:*']);
});

test('the statement selects what is published, in quotes', () => {
  expect(copyStatement(found({}), '16384:*')).toBe('COPY (SELECT "id", "A b" FROM ONLY "public"."t""x") TO STDOUT');
  expect(copyStatement(found({ rowFilter: 'id > 3' }), '16384:64-128')).toBe(
    `COPY (SELECT "id", "A b" FROM ONLY "public"."t""x" WHERE ctid >= '(64,0)'::pg_catalog.tid AND ctid < '(128,0)'::pg_catalog.tid AND (id > 3)) TO STDOUT`,
  );
  expect(copyStatement(found({}), '16384:128-')).toContain(`WHERE ctid >= '(128,0)'::pg_catalog.tid)`);
  expect(fileNodeOf('16384:128-')).toBe('16384');
});

test('tables without statistics are estimated by their size', () => {
  expect(estimatedRows(found({ rows: -1, bytes: 81_920 }))).toBe(819);
  expect(estimatedRows(found({ rows: 0, bytes: 0 }))).toBe(0);
  expect(estimatedRows(found({ rows: 12, bytes: 8_192 }))).toBe(12);
});
