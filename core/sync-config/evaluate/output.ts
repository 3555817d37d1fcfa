/** The synced form of a row: its id and its JSON text (S-206…S-211, S-263, S-271, S-275, S-276). */
import type { PlanOutput } from '../plan.ts';
import type { SourceRow, SourceTable, SqliteValue } from '../values.ts';
import type { Evaluate } from './expression.ts';
import { valueToText } from './numbers.ts';
import type { RowCompiler } from './row-expression.ts';

export interface RowOutput {
  /** Text form of the `id` output; null when there is none or it is null (S-265). */
  id(row: SourceRow): string | null;
  render(row: SourceRow): string;
  /** Columns that the id depends on; and all that are read. */
  readonly idColumns: readonly number[];
  readonly columnsRead: readonly number[];
}

/** Outputs with every `*` replaced by the table's columns; of equal names the last one stays (S-211). */
export function outputColumns(
  outputs: readonly PlanOutput[],
  table: SourceTable,
): Map<string, PlanOutput & { kind: 'column' }> {
  const columns = new Map<string, PlanOutput & { kind: 'column' }>();
  for (const output of outputs) {
    if (output.kind === 'column') {
      columns.set(output.name, output);
    } else {
      for (const name of table.columns) columns.set(name, { kind: 'column', name, value: { kind: 'column', name } });
    }
  }
  return columns;
}

export function createOutput(outputs: readonly PlanOutput[], table: SourceTable, compiler: RowCompiler): RowOutput {
  const columns = [...outputColumns(outputs, table).values()];
  const evaluators = columns.map((column) => compiler.compile(column.value, []));
  // '"name":' of the first column and ',"name":' of later ones differ by row when columns are left out
  const names = columns.map((column) => `${JSON.stringify(column.name)}:`);
  const idAt = columns.findIndex((column) => column.name === 'id');
  const evaluateId: Evaluate<SourceRow> = evaluators[idAt] ?? (() => null);
  const count = columns.length;
  return {
    id: (row) => {
      const value = evaluateId(row);
      return value === null ? null : valueToText(value);
    },
    render: (row) => {
      let json = '{';
      for (let at = 0; at < count; at++) {
        const value = (evaluators[at] as Evaluate<SourceRow>)(row);
        if (typeof value === 'object' && value !== null) continue;
        if (json.length > 1) json += ',';
        json += names[at];
        json += renderValue(value);
      }
      return `${json}}`;
    },
    idColumns: columns[idAt] === undefined ? [] : compiler.columnsOf(columns[idAt].value),
    columnsRead: columns.flatMap((column) => compiler.columnsOf(column.value)),
  };
}

/** JSON of a value that is no blob: exact integers, reals with a fraction, no NaN or infinities. */
export function renderValue(value: Exclude<SqliteValue, Uint8Array>): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'bigint':
      return value.toString();
    case 'number': {
      if (!Number.isFinite(value)) return 'null';
      const text = Object.is(value, -0) ? '-0' : String(value);
      return Number.isInteger(value) && !text.includes('e') ? `${text}.0` : text;
    }
    default:
      return 'null';
  }
}
