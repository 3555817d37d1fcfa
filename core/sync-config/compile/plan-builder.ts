/** Collects definitions of a plan; equal definitions exist once (S-2). */
import { createHash } from 'node:crypto';
import { canonical } from '../expr-tree.ts';
import type {
  PlanBucket,
  PlanBucketRule,
  PlanEvent,
  PlanEventRule,
  PlanLookup,
  PlanLookupRule,
  SyncPlan,
  TablePattern,
  ValueOptions,
} from '../plan.ts';

/** Part of every identity: what the same rules mean must not change for stored data. */
const SEMANTICS = 1;

export interface PlanSettings {
  readonly valueOptions: ValueOptions;
  readonly fixedJsonExtract: boolean;
  readonly versionedBucketIds: boolean;
}

export interface PlanBuilder {
  /** Index of the lookup with this rule. */
  addLookup(rule: PlanLookupRule): number;
  /** `owner`: stream or legacy definition. A name that is taken gets a `|` at its end. */
  addBucket(
    owner: { readonly name: string; readonly legacy: boolean },
    name: string,
    source: string,
    rules: readonly PlanBucketRule[],
  ): number;
  addEvent(name: PlanEvent['name'], source: string, rules: readonly PlanEventRule[]): void;
  finish(streams: SyncPlan['streams']): SyncPlan;
}

export function createPlanBuilder(settings: PlanSettings): PlanBuilder {
  const lookups: PlanLookup[] = [];
  const lookupIndexes = new Map<string, number>();
  const names = new Set<string>();
  const buckets: PlanBucket[] = [];
  const events: PlanEvent[] = [];
  const { valueOptions, fixedJsonExtract, versionedBucketIds } = settings;
  const identityOf = (content: unknown): string => {
    const text = canonical({ semantics: SEMANTICS, valueOptions, fixedJsonExtract, content });
    return createHash('sha256').update(text).digest('hex').slice(0, 40);
  };
  const inOrder = <T>(rules: readonly T[]): T[] => {
    const byText = new Map(rules.map((rule) => [canonical(rule), rule]));
    return [...byText].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, rule]) => rule);
  };
  return {
    addLookup: (rule) => {
      const identity = identityOf({ kind: 'lookup', rules: [rule] });
      const known = lookupIndexes.get(identity);
      if (known !== undefined) return known;
      const index = lookups.push({ identity, name: lookupName(rule), source: rule.table.source, rules: [rule] }) - 1;
      lookupIndexes.set(identity, index);
      return index;
    },
    addBucket: (owner, wanted, source, unordered) => {
      // names are part of bucket ids: a bucket definition may be called like a generated name ("s|0")
      let name = wanted;
      while (names.has(name)) name += '|';
      names.add(name);
      const rules = inOrder(unordered);
      const identity = identityOf({ kind: 'bucket', owner: { name: owner.name, legacy: owner.legacy }, source, rules });
      return buckets.push({ identity, name, source, rules }) - 1;
    },
    addEvent: (name, source, unordered) => {
      const rules = inOrder(unordered);
      events.push({ identity: identityOf({ kind: 'event', name, source, rules }), name, source, rules });
    },
    finish: (streams) => ({
      format: 1,
      tables: tablesOf([...buckets, ...lookups, ...events]),
      valueOptions,
      fixedJsonExtract,
      versionedBucketIds,
      streams,
      buckets,
      lookups,
      events,
    }),
  };
}

function tablesOf(
  definitions: readonly { readonly rules: readonly { readonly table: TablePattern }[] }[],
): TablePattern[] {
  const tables = new Map<string, TablePattern>();
  for (const { rules } of definitions) for (const { table } of rules) tables.set(canonical(table), table);
  return [...tables.values()];
}

/** For people: `crew(sailor_id)->(boat_id)`. */
function lookupName(rule: PlanLookupRule): string {
  const name = (value: PlanLookupRule['keys'][number]): string => (value.kind === 'column' ? value.name : value.kind);
  const table = rule.table.wildcard ? `${rule.table.name}%` : rule.table.name;
  return `${table}(${rule.keys.map(name).join(',')})->(${rule.outputs.map(name).join(',')})`;
}
