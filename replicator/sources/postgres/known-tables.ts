import type { ReplicatedTable } from '../contract.ts';
import { isSameTable } from './layouts.ts';

/** The tables that one stream has seen, or that were copied for it: what a new description is compared with. */
export interface KnownTables {
  /**
   * Takes note of a table and returns those it comes instead of: the former incarnations under its object id (renamed, other
   * identity) and under its name (dropped and created again).
   */
  see(table: ReplicatedTable): readonly ReplicatedTable[];
  /** Forgets and returns the table under this object id; null if there is none. */
  lose(relation: string): ReplicatedTable | null;
}

export function createKnownTables(tables: readonly ReplicatedTable[]): KnownTables {
  const byRelation = new Map<string, ReplicatedTable>();
  for (const table of tables) byRelation.set(table.relation, table);
  return {
    see(table) {
      const former: ReplicatedTable[] = [];
      for (const each of byRelation.values()) {
        const sameName = each.schema === table.schema && each.name === table.name;
        if ((sameName || each.relation === table.relation) && !isSameTable(each, table)) former.push(each);
      }
      for (const each of former) byRelation.delete(each.relation);
      byRelation.set(table.relation, table);
      return former;
    },
    lose(relation) {
      const table = byRelation.get(relation) ?? null;
      byRelation.delete(relation);
      return table;
    },
  };
}
