/** Which queries of a plan use a table, as diagnostics and validation list it. */
import type { SyncPlan } from '#core/sync-config/contract.ts';
import type { TablePattern } from '#core/sync-config/plan.ts';

export interface TableUse {
  readonly schema: string;
  readonly name: string;
  /** Its rows are synced. */
  readonly data_queries: boolean;
  /** Its rows decide who gets others. */
  readonly parameter_queries: boolean;
}

/** `%` stands where a pattern means several schemas or tables. */
export function tableUse(plan: SyncPlan, table: TablePattern): TableUse {
  const reads = ({ rules }: { readonly rules: readonly { readonly table: TablePattern }[] }): boolean =>
    rules.some((rule) => keyOf(rule.table) === keyOf(table));
  return {
    schema: table.anySchema === true ? `${table.schema}%` : table.schema,
    name: table.wildcard ? `${table.name}%` : table.name,
    data_queries: plan.buckets.some(reads),
    parameter_queries: plan.lookups.some(reads),
  };
}

const keyOf = ({ source, schema, anySchema, name, wildcard }: TablePattern): string =>
  JSON.stringify([source, schema, anySchema === true, name, wildcard]);
