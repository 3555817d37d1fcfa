import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { publishableOp } from './visibility.ts';

/** Two or three streams take ops in turn; each transaction is a set of ops, committed or not. */
const histories = fc
  .array(fc.record({ stream: fc.nat(2), ends: fc.boolean() }), { minLength: 1, maxLength: 14 })
  .map((steps) => {
    const open = new Map<number, number[]>();
    const closed: number[][] = [];
    steps.forEach(({ stream, ends }, index) => {
      const ops = open.get(stream) ?? [];
      ops.push(index + 1);
      open.set(stream, ops);
      if (!ends) return;
      closed.push(ops);
      open.delete(stream);
    });
    return { closed, open: [...open.values()] };
  });

/** By definition: every transaction lies wholly below or wholly above the checkpoint, and open ones above. */
function isCheckpoint(op: number, closed: number[][], open: number[][]): boolean {
  const torn = closed.some((ops) => ops[0]! <= op && ops.at(-1)! > op);
  return !torn && open.every((ops) => ops[0]! > op);
}

describe('publishableOp', () => {
  test('is the greatest commit that tears no transaction apart', () => {
    fc.assert(
      fc.property(histories, ({ closed, open }) => {
        const commits = closed.map((ops) => ({ firstOp: ops[0]!, op: ops.at(-1)! }));
        const openFrom = open.length === 0 ? null : Math.min(...open.map((ops) => ops[0]!));
        const expected = commits.map(({ op }) => op).filter((op) => isCheckpoint(op, closed, open));
        expect(publishableOp(commits, openFrom)).toBe(expected.length === 0 ? null : Math.max(...expected));
      }),
    );
  });

  test('when nothing is open, everything becomes visible', () => {
    fc.assert(
      fc.property(histories, ({ closed }) => {
        const commits = closed.map((ops) => ({ firstOp: ops[0]!, op: ops.at(-1)! }));
        const last = commits.length === 0 ? null : Math.max(...commits.map(({ op }) => op));
        expect(publishableOp(commits, null)).toBe(last);
      }),
    );
  });
});
