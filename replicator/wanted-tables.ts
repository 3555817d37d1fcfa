/** Which tables of a source a plan reads: asked for every relation in the change stream. */
import type { SyncPlan } from '#core/sync-config/contract.ts';

export function wantedTables(plan: SyncPlan, tag: string): (table: { schema: string; name: string }) => boolean {
  const patterns = plan.tables.filter((pattern) => pattern.source === tag);
  return ({ schema, name }) =>
    patterns.some(
      (pattern) =>
        pattern.schema === schema && (pattern.wildcard ? name.startsWith(pattern.name) : name === pattern.name),
    );
}
