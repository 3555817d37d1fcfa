import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonical } from '../expr-tree.ts';
import type { PlanExpr } from '../plan.ts';
import { expression } from '../testing/random-expressions.ts';
import { array, gate, scalar } from '../testing/random-values.ts';
import { planExpressionOf } from '../testing/support.ts';
import { cut, printExpression, printValue, quoteName } from './print-expression.ts';

const OPTIONS = { table: 't', expansions: [], legacy: false };
const planned = (sql: string): PlanExpr | null => {
  try {
    return planExpressionOf(sql);
  } catch {
    return null;
  }
};

describe('an expression as SQL', () => {
  test('reads as the same expression (S-125)', () => {
    let compared = 0;
    fc.assert(
      fc.property(fc.oneof(expression, gate, scalar, array), ({ ours }) => {
        const expr = planned(ours);
        fc.pre(expr !== null);
        const printed = printExpression(expr, OPTIONS);
        expect(canonical(planExpressionOf(printed)), `${ours}\n${printed}`).toBe(canonical(expr));
        compared++;
      }),
      { numRuns: 1500 },
    );
    expect(compared).toBeGreaterThan(1000);
  });

  test.each([
    ['owner_id = auth.user_id()'],
    ["auth.parameter('role') IN ('admin', 'captain')"],
    ['NOT (a = 1 OR b IS NULL)'],
    ['a - (b - c) * 2 >= -1'],
    ['-(-5) < ~a'],
    ["a IN ROW('[1]')"],
    ['a IN (1)'],
    ["a NOT IN '[1,2]'"],
    ["a IN (doc -> 'x')"],
    ["a BETWEEN 'x' AND 'y' AND (b OR c)"],
    ["CASE a WHEN 1 THEN 'x' ELSE \"Größe\" END = 'x'"],
    ["doc ->> 'a' = CAST(n AS integer)"],
    ["connection.parameters() -> '$.a' ->> 0 = subscription.parameter('it''s')"],
    ['"order" = 1'],
    ['t.schema() = t.table_name() || t.table_suffix()'],
  ])('%s', (sql) => {
    const printed = printExpression(planExpressionOf(sql), OPTIONS);
    expect(canonical(planExpressionOf(printed))).toBe(canonical(planExpressionOf(sql)));
    // a set in parentheses needs none around a value
    expect(printed).toBe(sql === "a IN (doc -> 'x')" ? "a IN doc -> 'x'" : sql);
  });

  test('elements of lists, and what bucket definitions call what a session brings (S-223…S-229)', () => {
    const element: PlanExpr = { kind: 'element', expansion: 0, column: 'value' };
    const expansions: PlanExpr[] = [{ kind: 'column', name: 'tags' }];
    expect(printExpression(element, { ...OPTIONS, expansions })).toBe('json_each(tags).value');
    const legacy = { ...OPTIONS, legacy: true };
    const parameter = (scope: 'auth' | 'connection', key: string | null): string =>
      printExpression({ kind: 'parameter', scope, key }, legacy);
    expect(parameter('auth', 'sub')).toBe('request.user_id()');
    expect(parameter('auth', null)).toBe('request.jwt()');
    expect(parameter('connection', 'a')).toBe("request.parameters() ->> 'a'");
  });
});

describe('values and names', () => {
  test('values as SQL literals', () => {
    const values = [null, 5n, 5, 1.5, Number.POSITIVE_INFINITY, "it's", new Uint8Array([1, 255]), new Uint8Array(30)];
    expect(values.map(printValue)).toEqual([
      ...['NULL', '5', '5.0', '1.5', 'Infinity', "'it''s'", "x'01ff'"],
      `x'${'00'.repeat(20)}…' (30 bytes)`,
    ]);
  });

  test('long texts are cut between characters', () => {
    expect(cut('abc', 3)).toBe('abc');
    expect(cut('abcd', 3)).toBe('abc…');
    expect(cut('ab😀d', 3)).toBe('ab…');
    expect(printValue('x'.repeat(10_000)).length).toBeLessThan(210);
  });

  test('names as queries have to write them (S-143)', () => {
    expect(['owner_id', 'ownerId', 'größe', 'a"b', 'null', 'Order', '1st'].map(quoteName)).toEqual([
      ...['owner_id', '"ownerId"', '"größe"', '"a""b"', '"null"', '"Order"', '"1st"'],
    ]);
  });
});
