/** A rule of the plan for one table: which rows count, and their keys. */
import { visitExpr } from '../expr-tree.ts';
import type { PlanExpr, PlanRule } from '../plan.ts';
import type { SourceRow } from '../values.ts';
import { isTrue } from './comparison.ts';
import type { Evaluate } from './expression.ts';
import { elementsOf } from './json/functions.ts';
import { keyText } from './keys.ts';
import type { ElementFrame, RowCompiler } from './row-expression.ts';

export interface CompiledRule {
  /** Calls `emit` for the row, or for each combination of its elements, that passes the filters; `emit` may read keys. */
  forEachMatch(row: SourceRow, emit: (row: SourceRow) => void): void;
  /** Canonical JSON array of the keys; null when one of them matches nothing. */
  key(row: SourceRow): string | null;
  readonly frame: ElementFrame;
  /** One row can match more than once. */
  readonly expands: boolean;
  readonly columns: readonly number[];
}

export function compileRule(rule: PlanRule, compiler: RowCompiler): CompiledRule {
  const frame: ElementFrame = rule.expansions.map(() => null);
  const expansions = rule.expansions.map(({ mode, value }) => ({ mode, value: compiler.compile(value, frame) }));
  const compile = (expr: PlanExpr): Evaluate<SourceRow> => compiler.compile(expr, frame);
  const rowFilters = rule.filters.filter((filter) => !readsElement(filter)).map(compile);
  const elementFilters = rule.filters.filter(readsElement).map(compile);
  const keys = rule.keys.map(compile);

  const expandFrom = (at: number, row: SourceRow, emit: (row: SourceRow) => void): void => {
    const expansion = expansions[at];
    if (expansion === undefined) {
      if (passes(elementFilters, row)) emit(row);
      return;
    }
    for (const element of elementsOf(expansion.value(row), expansion.mode)) {
      frame[at] = element;
      expandFrom(at + 1, row, emit);
    }
    frame[at] = null;
  };
  const used = [...rule.filters, ...rule.keys, ...rule.expansions.map((expansion) => expansion.value)];
  return {
    frame,
    expands: expansions.length > 0,
    columns: used.flatMap((expr) => compiler.columnsOf(expr)),
    key: (row) => tupleText(keys, row),
    forEachMatch: (row, emit) => {
      if (!passes(rowFilters, row)) return;
      if (expansions.length === 0) emit(row);
      else expandFrom(0, row, emit);
    },
  };
}

/** Is it about the elements of a list in the row, rather than about the row? */
export function readsElement(expr: PlanExpr): boolean {
  let found = false;
  visitExpr(expr, (node) => (found ||= node.kind === 'element'));
  return found;
}

function passes(filters: readonly Evaluate<SourceRow>[], row: SourceRow): boolean {
  for (let at = 0; at < filters.length; at++) {
    if (!isTrue((filters[at] as Evaluate<SourceRow>)(row))) return false;
  }
  return true;
}

/** Canonical JSON array of the values, or null when one of them can match nothing. */
export function tupleText(values: readonly Evaluate<SourceRow>[], row: SourceRow): string | null {
  let text = '[';
  for (let at = 0; at < values.length; at++) {
    const part = keyText((values[at] as Evaluate<SourceRow>)(row));
    if (part === null) return null;
    text += at === 0 ? part : `,${part}`;
  }
  return `${text}]`;
}
