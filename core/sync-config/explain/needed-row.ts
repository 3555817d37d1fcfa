/** The row of another table that a session would need, as SQL. */
import type { PlanExpr, PlanStep, SyncPlan, TablePattern } from '../plan.ts';
import type { NeededRow } from './contract.ts';
import { printConjunct } from './evaluated.ts';
import { printOptionsOf } from './explain-rule.ts';
import { literalOf } from './key-values.ts';
import { quoteName } from './print-expression.ts';

/** Values that are listed behind IN. */
const MOST_LISTED = 5;

/** What a lookup had to give. */
export interface Demand {
  /** Output variables that had a value already: the lookup filters by them. */
  readonly bound: ReadonlySet<number>;
  /** Values, one tuple of which the row must have: of the lookup's keys, then of the outputs that are `bound`; canonical texts. */
  readonly tuples: readonly (readonly string[])[];
  /** What another output had to be. */
  readonly wanted: { readonly variable: number; readonly value: string } | null;
}

/** What a row of the lookup's table would have to be. Throws when the plan has no such lookup. */
export function neededRow(
  plan: SyncPlan,
  step: PlanStep & { kind: 'lookup' },
  { bound, tuples, wanted }: Demand,
): NeededRow {
  const lookup = plan.lookups[step.lookup];
  const [rule] = lookup?.rules ?? [];
  if (lookup === undefined || rule === undefined) throw new Error(`the plan has no lookup ${step.lookup}`);
  const print = (expr: PlanExpr): string => printConjunct(expr, printOptionsOf(rule, false));
  const outputs = new Map(step.outputs.map((variable, at) => [variable, rule.outputs[at]]));
  const equal = rule.keys.map(print);
  const also: string[] = [];
  const gives: string[] = [];
  for (const [variable, output] of outputs) {
    if (output === undefined) continue;
    if (bound.has(variable)) equal.push(print(output));
    else if (variable === wanted?.variable) also.push(`${print(output)} = ${literalOf(wanted.value)}`);
    else gives.push(print(output));
  }
  const where = [...oneOf(equal, tuples), ...also, ...rule.filters.map(print)].join(' AND ');
  return { lookup: lookup.name, table: tableText(rule.table), where, gives };
}

/** That expressions have the values of one of the tuples, of canonical texts; nothing where there is nothing to compare. */
export function oneOf(exprs: readonly string[], tuples: readonly (readonly string[])[]): string[] {
  const distinct = new Map(tuples.map((values) => [values.join('\0'), values]));
  const [first, ...others] = distinct.values();
  if (first === undefined || exprs.length === 0) return [];
  if (others.length === 0) return exprs.map((expr, at) => `${expr} = ${literalOf(first[at] ?? 'null')}`);
  const tuple = (items: readonly string[]): string => (items.length === 1 ? `${items[0]}` : `(${items.join(', ')})`);
  const more = distinct.size > MOST_LISTED ? `, … ${distinct.size - MOST_LISTED} more` : '';
  const listed = [first, ...others].slice(0, MOST_LISTED).map((values) => tuple(values.map(literalOf)));
  return [`${tuple(exprs)} IN (${listed.join(', ')}${more})`];
}

/** As queries name it; `%` stands where it means several schemas or tables. */
export function tableText({ schema, anySchema, name, wildcard }: TablePattern): string {
  const own = wildcard ? `"${name}%"` : quoteName(name);
  return anySchema === true ? `"${schema}%".${own}` : own;
}
