/** The row of another table that a session would need, as SQL. */
import type { PlanExpr, PlanLookupRule, PlanStep, SyncPlan, TablePattern } from '../plan.ts';
import type { NeededRow } from './contract.ts';
import { printCut } from './evaluated.ts';
import { printOptionsOf } from './explain-rule.ts';
import { literalOf, valuesOf } from './key-values.ts';
import { quoteName } from './print-expression.ts';

/** Values that are listed behind IN. */
const MOST_LISTED = 5;

/** `asked`: the keys that the session asked with. `wanted`: what the row would have to give, by variable. */
export function neededRow(
  plan: SyncPlan,
  step: PlanStep & { kind: 'lookup' },
  asked: readonly string[],
  wanted: ReadonlyMap<number, string>,
): NeededRow {
  const lookup = plan.lookups[step.lookup];
  const [rule] = lookup?.rules ?? [];
  if (lookup === undefined || rule === undefined) throw new Error(`the plan has no lookup ${step.lookup}`);
  const print = (expr: PlanExpr): string => {
    const text = printCut(expr, printOptionsOf(rule, false));
    return expr.kind === 'binary' && expr.op === 'or' ? `(${text})` : text;
  };
  const equal: string[] = [];
  const gives: string[] = [];
  for (const [at, output] of rule.outputs.entries()) {
    const value = wanted.get(step.outputs[at] ?? -1);
    if (value === undefined) gives.push(print(output));
    else equal.push(`${print(output)} = ${literalOf(value)}`);
  }
  const where = [...inputs(rule, asked, print), ...equal, ...rule.filters.map(print)].join(' AND ');
  return { lookup: lookup.name, table: tableText(rule.table), where, gives };
}

function inputs(rule: PlanLookupRule, asked: readonly string[], print: (expr: PlanExpr) => string): string[] {
  const keys = asked.map((key) => valuesOf(key).map(literalOf));
  const [first] = keys;
  if (first === undefined || rule.keys.length === 0) return [];
  if (keys.length === 1) return rule.keys.map((key, at) => `${print(key)} = ${first[at]}`);
  const tuple = (items: readonly string[]): string => (items.length === 1 ? `${items[0]}` : `(${items.join(', ')})`);
  const more = keys.length > MOST_LISTED ? `, … ${keys.length - MOST_LISTED} more` : '';
  return [`${tuple(rule.keys.map(print))} IN (${keys.slice(0, MOST_LISTED).map(tuple).join(', ')}${more})`];
}

/** As queries name it; `%` stands where it means several schemas or tables. */
export function tableText({ schema, anySchema, name, wildcard }: TablePattern): string {
  const own = wildcard ? `"${name}%"` : quoteName(name);
  return anySchema === true ? `"${schema}%".${own}` : own;
}
