import type { ReplicatedTable, ValueOptions } from '../contract.ts';
import { createRowLayout, type RowLayout } from './rows.ts';
import { type PublishedTable, replicatedTable, sameColumns } from './tables.ts';
import type { TypeCatalog } from './types/catalog.ts';
import { createColumnDecoders, type DecoderOf } from './types/column-decoders.ts';

/** Columns of a table that anybody reads; null: all of them. */
export type ReadColumns = (table: ReplicatedTable) => readonly boolean[] | null;

/** Makes layouts of tables as they are described, and finds them again. One per source, for all its streams and copies. */
export interface Layouts {
  /** Tag of the connection. */
  readonly source: string;
  /**
   * The layout of a table as it is described now. With `former` the same object stays as long as nothing changed, so that it goes
   * with all changes of the table. Loads types when needed, otherwise answers at once.
   */
  of(published: PublishedTable, former: RowLayout | null): RowLayout | Promise<RowLayout>;
  /** Grows when layouts have to be made anew. */
  readonly generation: number;
  /** The layout made last for an object id, by whichever stream or copy. */
  latest(oid: number): RowLayout | null;
  /** The newest layout of a table given out before; null for a table of someone else. */
  byTable(table: ReplicatedTable): RowLayout | null;
  /** Columns read, or value options, changed. */
  refresh(): void;
  /** A value did not fit what is known of its type: call `reload` and build the row again. */
  readonly isOutdated: boolean;
  reload(): Promise<void>;
}

export interface LayoutsDependencies {
  readonly source: string;
  readonly catalog: TypeCatalog;
  readonly valueOptions: () => ValueOptions;
  readonly readColumns: ReadColumns;
  /** Size of a page of the server, in bytes. */
  readonly blockBytes: () => number;
}

export function createLayouts(dependencies: LayoutsDependencies): Layouts {
  const { catalog, valueOptions } = dependencies;
  const byTable = new WeakMap<ReplicatedTable, RowLayout>();
  /** Bounded by the number of tables that were wanted at some time. */
  const latest = new Map<number, RowLayout>();
  let generation = 0;
  const generations = new WeakMap<RowLayout, number>();
  let decoders: { options: string; of: DecoderOf } | null = null;

  /** Decoders are made anew when the options change. */
  const decoderOf = (): DecoderOf => {
    const options = valueOptions();
    const text = JSON.stringify(options);
    if (decoders?.options !== text) decoders = { options: text, of: createColumnDecoders(catalog, options) };
    return decoders.of;
  };
  const make = (published: PublishedTable, former: RowLayout | null): RowLayout => {
    const described = replicatedTable(dependencies.source, published);
    const same = former !== null && isSameTable(former.table, described) && sameColumns(former.published, published);
    if (same && generations.get(former) === generation) return former;
    const table = same ? former.table : described;
    const layout = createRowLayout({
      published,
      table,
      decoderOf: decoderOf(),
      read: dependencies.readColumns(table),
      blockBytes: dependencies.blockBytes(),
    });
    byTable.set(table, layout);
    latest.set(published.oid, layout);
    generations.set(layout, generation);
    return layout;
  };

  const refresh = (): void => {
    generation += 1;
    decoders = null;
  };

  return {
    source: dependencies.source,
    latest: (oid) => latest.get(oid) ?? null,
    of(published, former) {
      const types = published.columns.map(({ type }) => type);
      return catalog.has(types) ? make(published, former) : catalog.load(types).then(() => make(published, former));
    },
    get generation() {
      return generation;
    },
    byTable: (table) => byTable.get(table) ?? null,
    refresh,
    get isOutdated() {
      return catalog.isOutdated;
    },
    async reload() {
      await catalog.reload();
      refresh();
    },
  };
}

/** One incarnation: the same object id, name and identity (R-122…R-124). */
export function isSameTable(a: ReplicatedTable, b: ReplicatedTable): boolean {
  return a.relation === b.relation && a.schema === b.schema && a.name === b.name && a.identityText === b.identityText;
}
