/** Expressions over rows of one table: columns by index, the current elements of the rule's expansions. */
import { visitExpr } from '../expr-tree.ts';
import type { PlanExpr, TablePattern } from '../plan.ts';
import type { SourceRow, SourceTable } from '../values.ts';
import { compileExpression, type Evaluate } from './expression.ts';
import type { JsonElement } from './json/functions.ts';

/** The current element of each expansion of one rule; written while a row is expanded. */
export type ElementFrame = (JsonElement | null)[];

/** Compiles for one table. Columns that it does not have are null (S-34). */
export interface RowCompiler {
  compile(expr: PlanExpr, frame: ElementFrame): Evaluate<SourceRow>;
  /** Indexes of the columns that the expression reads. */
  columnsOf(expr: PlanExpr): number[];
}

export function createRowCompiler(table: SourceTable, pattern: TablePattern, fixedJsonExtract: boolean): RowCompiler {
  const indexOf = new Map(table.columns.map((name, index) => [name, index]));
  const metadata = {
    schema: table.schema,
    name: table.name,
    suffix: pattern.wildcard ? table.name.slice(pattern.name.length) : '',
  };
  return {
    compile: (expr, frame) =>
      compileExpression<SourceRow>(
        expr,
        {
          column: (name) => {
            const index = indexOf.get(name);
            if (index === undefined) return () => null;
            return (row) => row[index] ?? null;
          },
          table: (what) => () => metadata[what],
          element: (expansion, column) => () => frame[expansion]?.[column] ?? null,
          parameter: (scope) => {
            throw new Error(`a row rule cannot read ${scope} parameters`);
          },
        },
        fixedJsonExtract,
      ),
    columnsOf: (expr) => {
      const columns = new Set<number>();
      visitExpr(expr, (node) => {
        const index = node.kind === 'column' ? indexOf.get(node.name) : undefined;
        if (index !== undefined) columns.add(index);
      });
      return [...columns];
    },
  };
}
