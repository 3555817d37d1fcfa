/** What a config gives to clients, for generated schemas and typed streams (S-213, O-272…O-276). */
import { matchesTable } from './evaluate/matches-table.ts';
import type { PlanBucketRule, PlanExpr, SyncPlan } from './plan.ts';
import { resultTypes, type ValueType, type ValueTypes } from './result-types.ts';
import type { SourceTable } from './values.ts';

/** A source table with the type that values of each column have (S chapter 8); null when that is not known. */
export interface TypedTable extends SourceTable {
  readonly types: readonly (ValueType | null)[];
}

export type ClientColumnType = 'text' | 'integer' | 'real';
export interface ClientTable {
  readonly name: string;
  /** Without `id`, which every table has (O-274), in the order of the queries. */
  readonly columns: readonly { readonly name: string; readonly type: ClientColumnType }[];
  /** Columns that the queries name and no source table has (O-276). */
  readonly unknown: readonly string[];
}
export interface ClientStream {
  readonly name: string;
  /** Names of the subscription parameters. */
  readonly parameters: readonly string[];
}
export interface ClientSchema {
  readonly tables: readonly ClientTable[];
  /** Those that clients subscribe to: without `auto_subscribe`. */
  readonly streams: readonly ClientStream[];
}

interface OpenTable {
  readonly columns: Map<string, Set<ValueType>>;
  readonly unknown: Set<string>;
}

/** Tables that `sources` does not contain are left out, unless an alias or their full name tells what they are called. */
export function clientSchema(plan: SyncPlan, sources: readonly TypedTable[]): ClientSchema {
  const tables = new Map<string, OpenTable>();
  for (const rule of plan.buckets.flatMap((bucket) => bucket.rules)) {
    const matching = sources.filter((source) => matchesTable(rule.table, source));
    for (const source of matching) addRule(tables, rule.objectType ?? source.name, rule, source);
    const name = rule.objectType ?? (rule.table.wildcard ? null : rule.table.name);
    if (matching.length === 0 && name !== null) addRule(tables, name, rule, null);
  }
  return {
    tables: [...tables].map(([name, { columns, unknown }]) => ({
      name,
      columns: [...columns].flatMap(([column, types]) => {
        const type = clientType(types);
        return type === null || column === 'id' ? [] : [{ name: column, type }];
      }),
      unknown: [...unknown].filter((column) => column !== 'id' && !columns.has(column)),
    })),
    streams: plan.streams
      .filter(({ legacy, autoSubscribe }) => !legacy && !autoSubscribe)
      .map(({ name, subscriptionParameters }) => ({ name, parameters: subscriptionParameters })),
  };
}

function addRule(tables: Map<string, OpenTable>, name: string, rule: PlanBucketRule, source: TypedTable | null): void {
  const table = tables.get(name) ?? { columns: new Map<string, Set<ValueType>>(), unknown: new Set<string>() };
  tables.set(name, table);
  const typeOf = (column: string): ValueType | null => source?.types[source.columns.indexOf(column)] ?? null;
  // of equal names the last one counts (S-211)
  const outputs = new Map<string, PlanExpr>();
  for (const output of rule.outputs) {
    if (output.kind === 'column') outputs.set(output.name, output.value);
    else for (const column of source?.columns ?? []) outputs.set(column, { kind: 'column', name: column });
  }
  for (const [column, value] of outputs) {
    if (value.kind === 'column' && source?.columns.includes(value.name) !== true) {
      table.unknown.add(column);
      continue;
    }
    const known = table.columns.get(column) ?? new Set<ValueType>();
    for (const type of resultTypes(value, typeOf)) known.add(type);
    table.columns.set(column, known);
  }
}

/** Null for columns that are never sent (S-271). A column of several types is text, which loses nothing (S-274). */
function clientType(types: ValueTypes): ClientColumnType | null {
  const sent = [...types].filter((type) => type !== 'blob');
  if (sent.length === 0) return types.size > 0 ? null : 'text';
  if (sent.includes('text')) return 'text';
  return sent.includes('real') ? 'real' : 'integer';
}
