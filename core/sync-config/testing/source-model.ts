/** For tests: the source's rows, changed step by step in the replicator's model and in SQLite alike. */
import assert from 'node:assert/strict';
import type { PlainDatabase } from './plain-database.ts';
import type { Step } from './random-scenarios.ts';
import { rowOf, tablesOf, type Cells, type HeldTable, type Schema } from './random-schemas.ts';
import type { ReplicatorModel } from './replicator-model.ts';

export interface SourceModel {
  /** Answers the lookup keys that changed. */
  apply(step: Step): ReadonlySet<string>;
  cells(table: number, key: number): Cells;
  count(): number;
  copyTo(replicator: ReplicatorModel): void;
}

export function createSource(schema: Schema, replicator: ReplicatorModel, database: PlainDatabase): SourceModel {
  interface Living {
    readonly table: number;
    readonly key: number;
    readonly cells: Cells;
  }
  const living = new Map<string, Living>();
  let lastKey = 0;
  const tableOf = (at: number): HeldTable => schema.tables[at] as HeldTable;
  const nameOf = ({ table, key }: Omit<Living, 'cells'>): string => `${table}/${key}`;
  const write = (table: number, key: number, cells: Cells | null): ReadonlySet<string> => {
    const name = nameOf({ table, key });
    const before = living.get(name);
    if (cells === null) living.delete(name);
    else living.set(name, { table, key, cells });
    if (cells === null) database.delete(table, key);
    else database.put(table, key, cells);
    const held = tableOf(table);
    const row = (of: Cells | null | undefined) => (of === null || of === undefined ? null : rowOf(held, of));
    return replicator.change(held, name, row(before?.cells), row(cells));
  };
  /** Mostly a table that the queries read; else any, also those that are only called alike. */
  const tableFor = (name: keyof Schema['patterns'], at: number): number => {
    const read = tablesOf(schema.patterns[name], schema.tables);
    const tables = at > 5 || read.length === 0 ? schema.tables : read;
    return schema.tables.indexOf(tables[at % tables.length] as HeldTable);
  };
  return {
    apply: (step) => {
      if (step.kind === 'insert') return write(tableFor(step.name, step.table), ++lastKey, step.cells);
      if (step.kind === 'truncate') {
        const table = tableFor(step.name, step.table);
        const gone = [...living.values()].filter((row) => row.table === table);
        return new Set(gone.flatMap(({ key }) => [...write(table, key, null)]));
      }
      const row = [...living.values()][step.row % Math.max(1, living.size)];
      if (row === undefined) return new Set();
      return write(row.table, row.key, step.kind === 'delete' ? null : { ...row.cells, ...step.cells });
    },
    cells: (table, key) => living.get(nameOf({ table, key }))?.cells ?? assert.fail('SQLite gives a row that is gone'),
    count: () => living.size,
    copyTo: (copy) => {
      for (const row of living.values()) {
        const table = tableOf(row.table);
        copy.change(table, nameOf(row), null, rowOf(table, row.cells));
      }
    },
  };
}
