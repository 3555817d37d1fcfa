/** Expressions with what they give, as an explanation shows them. */
import { isTrue } from '../evaluate/comparison.ts';
import { visitLeaves } from '../expr-tree.ts';
import type { PlanExpr, PlanLeaf } from '../plan.ts';
import type { SqliteValue } from '../values.ts';
import type { Evaluated } from './contract.ts';
import { cut, printExpression, printValue, type PrintOptions } from './print-expression.ts';

/** Evaluates an expression where it stands: over a row, or over a session. */
export type ValueOf = (expr: PlanExpr) => SqliteValue;

/** Longer expressions are cut. */
const MOST_CHARACTERS = 1000;
/** Leaves that are shown. */
const MOST_READS = 20;

export function printCut(expr: PlanExpr, print: PrintOptions): string {
  return cut(printExpression(expr, print), MOST_CHARACTERS);
}

/** As one of several conditions that are joined by AND. */
export function printConjunct(expr: PlanExpr, print: PrintOptions): string {
  const text = printCut(expr, print);
  return expr.kind === 'binary' && expr.op === 'or' ? `(${text})` : text;
}

export function evaluated(expr: PlanExpr, valueOf: ValueOf, print: PrintOptions): Evaluated {
  const reads = new Map<string, string>();
  visitLeaves<PlanLeaf>(expr, (leaf) => {
    if (reads.size >= MOST_READS) return;
    const name = printCut(leaf, print);
    if (!reads.has(name)) reads.set(name, printValue(valueOf(leaf)));
  });
  return {
    sql: printCut(expr, print),
    value: printValue(valueOf(expr)),
    reads: [...reads].map(([name, value]) => ({ name, value })),
  };
}

/** The parts of a condition that keep it from being true: of several joined by AND those that are not true. Empty when it is true. */
export function untrueParts(condition: PlanExpr, valueOf: ValueOf): PlanExpr[] {
  if (condition.kind === 'binary' && condition.op === 'and')
    return [...untrueParts(condition.left, valueOf), ...untrueParts(condition.right, valueOf)];
  return isTrue(valueOf(condition)) ? [] : [condition];
}
