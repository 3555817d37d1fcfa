/** Which tables of a source a plan reads: asked for every relation in the change stream. */
import type { SyncPlan } from '#core/sync-config/contract.ts';
import { matchesTable } from '#core/sync-config/evaluate/matches-table.ts';
import type { IsWanted } from './sources/contract.ts';

export function wantedTables(plan: SyncPlan, tag: string): IsWanted {
  const own = plan.tables.filter((pattern) => pattern.source === tag);
  return ({ schema, name }) => {
    const matching = own.filter((pattern) => matchesTable(pattern, { source: tag, schema, name }));
    if (matching.length === 0) return false;
    return matching.every(({ anySchema }) => anySchema === true) ? 'if published' : true;
  };
}
