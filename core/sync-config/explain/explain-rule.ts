/** What one rule of the plan makes of one row, and what in the row it does not accept. */
import { elementsOf } from '../evaluate/json/functions.ts';
import { keyText } from '../evaluate/keys.ts';
import { createRowCompiler, type ElementFrame } from '../evaluate/row-expression.ts';
import { readsElement } from '../evaluate/rule.ts';
import type { PlanExpr, PlanRule, SyncPlan } from '../plan.ts';
import type { SourceRow, SourceTable } from '../values.ts';
import type { RowReason } from './contract.ts';
import { evaluated, untrueParts, type ValueOf } from './evaluated.ts';
import type { PrintOptions } from './print-expression.ts';

/** Reasons that are told for one rule; the first ones help most. */
const MOST_REASONS = 10;
/** Elements, or combinations of elements, that are looked at. */
const MOST_COMBINATIONS = 1000;

export interface RuleContext {
  readonly plan: Pick<SyncPlan, 'fixedJsonExtract'>;
  readonly table: SourceTable;
  readonly row: SourceRow;
  readonly legacy: boolean;
}

/** How expressions of the rule are written. */
export function printOptionsOf(rule: PlanRule, legacy: boolean): PrintOptions {
  const { name, wildcard } = rule.table;
  const expansions = rule.expansions.map(({ value }) => value);
  return { table: wildcard ? `${name}%` : name, expansions, legacy };
}

/**
 * What in the row the rule does not accept: its filters, its lists, its keys and then `values`, in that order; of what comes earlier all, of
 * what comes later nothing. Empty when the rule takes the row, or an element of it.
 */
export function rowReasons(rule: PlanRule, values: readonly PlanExpr[], context: RuleContext): RowReason[] {
  const { valueOf, frame } = rowValues(rule, context);
  const print = printOptionsOf(rule, context.legacy);
  const found = new Map<string, RowReason>();
  const add = (kind: Exclude<RowReason['kind'], 'not-syncable'>, expr: PlanExpr): void => {
    if (found.size >= MOST_REASONS) return;
    const reason = { kind, ...evaluated(expr, valueOf, print) };
    found.set(JSON.stringify(reason), reason);
  };
  const addUntrue = (kind: 'filter' | 'element-filter', filters: readonly PlanExpr[]): boolean => {
    const untrue = filters.flatMap((filter) => untrueParts(filter, valueOf));
    for (const part of untrue) add(kind, part);
    return untrue.length > 0;
  };

  const elementFilters = rule.filters.filter(readsElement);
  let combinations = 0;
  let accepted = false;
  const visit = (): void => {
    combinations++;
    if (addUntrue('element-filter', elementFilters)) return;
    const unusable = [...rule.keys, ...values].filter((value) => keyText(valueOf(value)) === null);
    for (const value of unusable) add('null-key', value);
    accepted ||= unusable.length === 0;
  };
  const expandFrom = (at: number): void => {
    const expansion = rule.expansions[at];
    if (expansion === undefined) return visit();
    const elements = elementsOf(valueOf(expansion.value), expansion.mode);
    if (elements.length === 0) add('no-elements', expansion.value);
    for (const element of elements) {
      if (accepted || combinations >= MOST_COMBINATIONS) break;
      frame[at] = element;
      expandFrom(at + 1);
    }
    frame[at] = null;
  };
  const rowFilters = rule.filters.filter((filter) => !readsElement(filter));
  if (!addUntrue('filter', rowFilters)) expandFrom(0);
  return accepted ? [] : [...found.values()];
}

/** Evaluates expressions of the rule over the row, and over the elements that stand in `frame`. */
export function rowValues(
  rule: PlanRule,
  { plan, table, row }: RuleContext,
): { valueOf: ValueOf; frame: ElementFrame } {
  const compiler = createRowCompiler(table, rule.table, plan.fixedJsonExtract);
  const frame: ElementFrame = rule.expansions.map(() => null);
  return { frame, valueOf: (expr) => compiler.compile(expr, frame)(row) };
}
