/**
 * What deploying a plan would mean, said before it is done ("plan first", docs/adr/0008-operator.md): which streams keep their data, which
 * are copied, and how many rows are read again. Pure. What storage keeps in truth follows the same rule; conformance compares both.
 */
import type { PlanDefinition } from './contract.ts';
import { definitionSpecs, type SyncPlan, type TablePattern } from './plan.ts';

/** A table, or all that a pattern means: then `schema` or `name` ends with %. */
export interface ReadTable {
  readonly source: string;
  readonly schema: string;
  readonly name: string;
}

/** A definition with what needs it and what it reads. */
export interface DefinitionReads extends PlanDefinition {
  /** Streams that need it, by name. */
  readonly streams: readonly string[];
  readonly tables: readonly ReadTable[];
}

/** Equal ones hold the same data. */
type DefinitionIdentity = Pick<PlanDefinition, 'kind' | 'identity' | 'source'>;

/** What is known of the active version; `GET /status` of a part has it in this form. */
export interface ActiveDefinitions {
  readonly streams: readonly string[];
  /** Null: how many is not known. */
  readonly tables: readonly (ReadTable & { readonly rows: number | null })[];
  readonly definitions: readonly DefinitionIdentity[];
}

export interface StreamChange {
  readonly name: string;
  /** Kept: nothing of it is read again. Copied: something is, at least. Removed: the plan does not have it any more. */
  readonly action: 'Kept' | 'Copied' | 'Removed';
  /** Of the tables that are read again for it; null: not known of one of them. */
  readonly rows: number | null;
}

export interface PlanChanges {
  /** In the order of the plan, then those that are removed. */
  readonly streams: readonly StreamChange[];
  /** Each table counts once; null: not known of one of them. */
  readonly rowsToCopy: number | null;
  /** That are read again. */
  readonly tables: readonly (ReadTable & { readonly rows: number | null })[];
}

/** The definitions of a plan, each once, buckets first. */
export function definitionReads(plan: SyncPlan): DefinitionReads[] {
  const bucketStreams = plan.buckets.map(() => new Set<string>());
  const lookupStreams = plan.lookups.map(() => new Set<string>());
  for (const { name, queriers } of plan.streams)
    for (const { bucket, components } of queriers) {
      bucketStreams[bucket]?.add(name);
      for (const step of components.flatMap(({ steps }) => steps))
        if (step.kind === 'lookup') lookupStreams[step.lookup]?.add(name);
    }
  const streams = [...bucketStreams, ...lookupStreams];
  const rules = [...plan.buckets, ...plan.lookups].map((definition) => definition.rules);
  const found = new Map<string, DefinitionReads>();
  for (const [at, spec] of definitionSpecs(plan).entries()) {
    const known = found.get(keyOf(spec));
    found.set(keyOf(spec), {
      ...spec,
      streams: [...new Set([...(known?.streams ?? []), ...(streams[at] ?? [])])],
      tables: distinct([...(known?.tables ?? []), ...(rules[at] ?? []).map(({ table }) => readTable(table))]),
    });
  }
  return [...found.values()];
}

/** Tells of which definitions storage keeps what it has: those that the active version has too. */
export function keptBy(
  active: Pick<ActiveDefinitions, 'definitions'> | null,
): (definition: DefinitionIdentity) => boolean {
  const kept = new Set(active?.definitions.map(keyOf));
  return (definition) => kept.has(keyOf(definition));
}

/** `active` null: nothing is served yet, everything is copied. */
export function planChanges(active: ActiveDefinitions | null, plan: SyncPlan): PlanChanges {
  const isKept = keptBy(active);
  const fresh = definitionReads(plan).filter((definition) => !isKept(definition));
  const rows = new Map(active?.tables.map((table) => [tableKey(table), table.rows]));
  const counted = (tables: readonly ReadTable[]) =>
    distinct(tables).map((table) => ({ ...table, rows: rows.get(tableKey(table)) ?? null }));
  const streams = plan.streams.map(({ name }): StreamChange => {
    const own = fresh.filter((definition) => definition.streams.includes(name));
    const isNew = own.length > 0 || active?.streams.includes(name) !== true;
    return { name, action: isNew ? 'Copied' : 'Kept', rows: sumOf(counted(own.flatMap(({ tables }) => tables))) };
  });
  const names = new Set(plan.streams.map(({ name }) => name));
  const removed = (active?.streams ?? []).filter((name) => !names.has(name));
  // A new cursor reads the tables of custom write checkpoints too.
  const sources = new Set(fresh.map(({ source }) => source));
  const events = plan.events.flatMap((event) => event.rules.map(({ table }) => readTable(table)));
  const tables = counted([
    ...fresh.flatMap((definition) => definition.tables),
    ...events.filter(({ source }) => sources.has(source)),
  ]);
  return {
    streams: [...streams, ...removed.map((name): StreamChange => ({ name, action: 'Removed', rows: 0 }))],
    rowsToCopy: sumOf(tables),
    tables,
  };
}

/** How a pattern is shown: `%` where it means several. */
export function readTable({ source, schema, anySchema, name, wildcard }: TablePattern): ReadTable {
  return { source, schema: anySchema === true ? `${schema}%` : schema, name: wildcard ? `${name}%` : name };
}

const keyOf = ({ kind, source, identity }: DefinitionIdentity): string => JSON.stringify([kind, source, identity]);
const tableKey = ({ source, schema, name }: ReadTable): string => JSON.stringify([source, schema, name]);
const distinct = (tables: readonly ReadTable[]): ReadTable[] => [
  ...new Map(tables.map((table) => [tableKey(table), table])).values(),
];
const sumOf = (tables: readonly { readonly rows: number | null }[]): number | null =>
  tables.reduce<number | null>((sum, { rows }) => (sum === null || rows === null ? null : sum + rows), 0);
