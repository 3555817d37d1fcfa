/** A source table joined with what the stream's definitions make of it. */
import { rowStatePrefix } from '#core/bucket-storage/contract.ts';
import type { DeployedDefinition } from '#core/bucket-storage/sync-config-store.ts';
import type { RowSink, SyncPlan, TableEvaluator } from '#core/sync-config/contract.ts';
import { createTableEvaluator } from '#core/sync-config/evaluate/table-evaluator.ts';
import type { SourceRow } from '#core/sync-config/values.ts';
import type { ReplicatedTable } from '../sources/contract.ts';
import type { Placement } from './row-state.ts';

export interface BoundDefinition {
  readonly kind: 'bucket' | 'lookup' | 'event';
  /** Storage id; -1 for events. */
  readonly id: number;
  /** Definition group of its row states (the version that created it). */
  readonly group: number;
  /** Where a row goes follows from its identity (or from complete before images): nothing to remember. */
  readonly stateless: boolean;
}

export interface TableBinding {
  readonly table: ReplicatedTable;
  /** Id from storage; part of subkeys and row-state keys. */
  readonly tableId: number;
  readonly evaluator: TableEvaluator;
  readonly definitions: readonly BoundDefinition[];
  readonly lookupIds: ReadonlySet<number>;
  /** Groups that keep row states for this table because a definition needs it. */
  readonly statefulGroups: readonly number[];
  /** Row-state keys of this table in a group begin with it. */
  statePrefix(group: number): string;
  /** Group under which retained values (TOAST) are kept; the first group of all. */
  readonly retainGroup: number;
}

/** Null when no definition of the stream reads the table. */
export function bindTable(
  plan: SyncPlan,
  deployed: readonly DeployedDefinition[],
  table: ReplicatedTable,
  tableId: number,
): TableBinding | null {
  const byIdentity = new Map(deployed.map((definition) => [definition.identity, definition]));
  const evaluator = createTableEvaluator(plan, table, new Set(byIdentity.keys()));
  if (!evaluator) return null;
  const identity = new Set(table.identityColumns);
  const definitions = evaluator.definitions.map((definition): BoundDefinition => {
    if (definition.kind === 'event') return { kind: 'event', id: -1, group: -1, stateless: true };
    const known = byIdentity.get(definition.identity);
    if (!known) throw new Error(`definition ${definition.identity} is not deployed`);
    const imaged = table.identity === 'full' || table.completeBeforeImages === true;
    const stateless = imaged || definition.membershipColumns.every((column) => identity.has(column));
    return { kind: definition.kind, id: known.id, group: known.since, stateless };
  });
  const prefixes = new Map<number, string>();
  const groups = definitions.filter((item) => item.kind !== 'event').map((item) => item.group);
  const stateful = definitions.filter((item) => !item.stateless).map((item) => item.group);
  return {
    table,
    tableId,
    evaluator,
    definitions,
    lookupIds: new Set(definitions.filter((item) => item.kind === 'lookup').map((item) => item.id)),
    statefulGroups: [...new Set(stateful)].toSorted((a, b) => a - b),
    statePrefix(group) {
      let prefix = prefixes.get(group);
      if (prefix === undefined) prefixes.set(group, (prefix = rowStatePrefix(group, tableId, 0)));
      return prefix;
    },
    retainGroup: Math.min(...groups, Number.MAX_SAFE_INTEGER),
  };
}

/** A placement with what is to be written there. */
export interface Placed extends Placement {
  readonly definitionIndex: number;
  readonly data: string | null;
}

export interface Evaluated {
  readonly buckets: Placed[];
  readonly lookups: Placed[];
  readonly writeCheckpoints: { userId: string; clientId: string; checkpoint: bigint }[];
  readonly rejections: { definition: number; code: string; reason: string }[];
}

/** One reusable sink: collects what a row contributes, until the next `run`. */
export function createCollector(): { run(binding: TableBinding, row: SourceRow, render: boolean): Evaluated } {
  let binding: TableBinding;
  const result: Evaluated = { buckets: [], lookups: [], writeCheckpoints: [], rejections: [] };
  const sink: RowSink = {
    bucket(definitionIndex, key, objectType, objectId, data) {
      result.buckets.push({
        definitionIndex,
        definition: binding.definitions[definitionIndex]!.id,
        key,
        objectType,
        objectId,
        data,
      });
    },
    lookup(definitionIndex, key, values) {
      result.lookups.push({
        definitionIndex,
        definition: binding.definitions[definitionIndex]!.id,
        key,
        objectType: '',
        objectId: values,
        data: null,
      });
    },
    writeCheckpoint(userId, clientId, checkpoint) {
      result.writeCheckpoints.push({ userId, clientId, checkpoint });
    },
    rejected(definition, code, reason) {
      result.rejections.push({ definition, code, reason });
    },
  };
  return {
    run(of, row, render) {
      binding = of;
      result.buckets.length = 0;
      result.lookups.length = 0;
      result.writeCheckpoints.length = 0;
      result.rejections.length = 0;
      if (render) of.evaluator.evaluate(row, sink);
      else of.evaluator.members(row, sink);
      return result;
    },
  };
}
