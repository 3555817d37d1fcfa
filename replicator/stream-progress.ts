/** The changing record of a stream's tables: what storage keeps as `StreamProgress`, with what must be written next. */
import type { StreamProgress, TableProgress } from '#core/bucket-storage/contract.ts';
import type { Position, ReplicatedTable } from './sources/contract.ts';

export interface ProgressTracker {
  readonly value: StreamProgress;
  /** Table id of a table object, once known. */
  idOf(table: ReplicatedTable): number | null;
  know(table: ReplicatedTable, id: number): void;
  table(id: number): TableProgress | null;
  update(id: number, change: Partial<TableProgress>): void;
  forget(id: number): void;
  set(change: Partial<Omit<StreamProgress, 'tables'>>): void;
  /** Takes over entries of another stream for tables that this one does not have (switch-over). */
  adopt(other: StreamProgress): void;
  rowsCopied(table: ReplicatedTable, rows: number): void;
  /** It changed since it was last taken. */
  readonly changed: boolean;
  /** The progress if it changed since it was last taken. */
  take(): StreamProgress | undefined;
}

const NEW_TABLE: Omit<TableProgress, 'table'> = {
  generation: 0,
  state: 'waiting',
  ranges: [],
  rowsCopied: 0,
  rowsEstimated: 0,
};

export function createProgressTracker(stored: StreamProgress | null): ProgressTracker {
  const tables = new Map<number, TableProgress>((stored?.tables ?? []).map((table) => [table.table, table]));
  let rest: Omit<StreamProgress, 'tables'> = {
    snapshot: stored?.snapshot ?? 'copying',
    startPosition: stored?.startPosition ?? null,
    holdUntil: stored?.holdUntil ?? null,
    ...(stored?.reports ? { reports: stored.reports } : {}),
    ...(stored?.blocked ? { blocked: stored.blocked } : {}),
  };
  const ids = new WeakMap<ReplicatedTable, number>();
  const names = new Map<number, { readonly schema: string; readonly name: string }>();
  let dirty = false;

  const tracker: ProgressTracker = {
    get value() {
      return { ...rest, tables: [...tables.values()] };
    },
    idOf: (table) => ids.get(table) ?? null,
    know(table, id) {
      ids.set(table, id);
      names.set(id, { schema: table.schema, name: table.name });
      // Stored without names, by an earlier release. A table that is renamed gets another id.
      if (tables.has(id) && tables.get(id)?.name !== table.name) tracker.update(id, {});
    },
    table: (id) => tables.get(id) ?? null,
    update(id, change) {
      tables.set(id, { ...NEW_TABLE, table: id, ...tables.get(id), ...names.get(id), ...change });
      dirty = true;
    },
    forget(id) {
      dirty = tables.delete(id) || dirty;
    },
    set(change) {
      rest = { ...rest, ...change };
      dirty = true;
    },
    adopt(other) {
      for (const table of other.tables) if (!tables.has(table.table)) tables.set(table.table, table);
      dirty = true;
    },
    rowsCopied(table, rows) {
      const id = ids.get(table);
      if (id !== undefined) tracker.update(id, { rowsCopied: (tables.get(id)?.rowsCopied ?? 0) + rows });
    },
    get changed() {
      return dirty;
    },
    take() {
      if (!dirty) return undefined;
      dirty = false;
      return tracker.value;
    },
  };
  return tracker;
}

/** Later of two positions; null is earlier than all. */
export function laterPosition(
  a: Position | null,
  b: Position | null,
  compare: (a: Position, b: Position) => number,
): Position | null {
  if (a === null) return b;
  if (b === null) return a;
  return compare(a, b) >= 0 ? a : b;
}
