/** Which rows the page marks, with a client's database in which downloading and applying are two steps. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LocalRow } from './page/local-database.ts';
import { createRowChanges } from './page/row-changes.ts';

const step = fc.oneof(
  fc.record({ kind: fc.constant('download' as const), id: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ kind: fc.constant('apply' as const) }),
  fc.record({ kind: fc.constant('look' as const) }),
);

interface Stored {
  readonly lastOp: number;
  readonly data: string;
  readonly isApplied: boolean;
}

const rowOf = ([id, { lastOp, data, isApplied }]: [string, Stored]): LocalRow => ({
  ...{ id, lastOp: String(lastOp), isApplied, data },
  holders: [{ bucket: 'all', op: String(lastOp) }],
});

test('an applied change is always shown, and marked the first time that one looks', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const changes = createRowChanges();
      // Shown with one row, so that every later one is a change.
      const stored = new Map<string, Stored>([['first', { lastOp: 1, data: 'of 1', isApplied: true }]]);
      const looks = new Map(changes.see('items', [...stored].map(rowOf)).map(({ row, look }) => [row.id, look]));
      const unseen = new Set<string>();
      let lastOp = 1;
      for (const { kind, ...more } of [...steps, { kind: 'apply' as const }, { kind: 'look' as const }]) {
        if (kind === 'download') {
          const { id } = more as { id: string };
          // Until it is applied an app sees the older data.
          stored.set(id, { lastOp: ++lastOp, data: stored.get(id)?.data ?? 'none', isApplied: false });
          unseen.delete(id);
        } else if (kind === 'apply') {
          for (const [id, row] of stored) {
            if (row.isApplied) continue;
            stored.set(id, { ...row, data: `of ${row.lastOp}`, isApplied: true });
            unseen.add(id);
          }
        } else {
          for (const { row, isNew, look } of changes.see('items', [...stored].map(rowOf))) {
            expect(isNew).toBe(unseen.has(row.id));
            if (isNew) expect(look).not.toBe(looks.get(row.id));
            looks.set(row.id, look);
          }
          unseen.clear();
        }
      }
    }),
  );
});

test('rows of a table that is shown for the first time are not marked', () => {
  const changes = createRowChanges();
  const row = rowOf(['a', { lastOp: 5, data: '{}', isApplied: true }]);
  expect(changes.see('items', [row]).map(({ isNew }) => isNew)).toEqual([false]);
  expect(changes.see('lists', [{ ...row, lastOp: '9' }]).map(({ isNew }) => isNew)).toEqual([false]);
  expect(changes.see('items', [{ ...row, lastOp: '10' }]).map(({ isNew }) => isNew)).toEqual([false]);
  expect(changes.see(null, [])).toEqual([]);
});
