import type { CreateTableEvaluator, RowSink, TableDefinition } from '../contract.ts';
import type { PlanBucket, PlanEvent, PlanLookup, SyncPlan } from '../plan.ts';
import type { SourceRow, SourceTable } from '../values.ts';
import { matchesTable } from './matches-table.ts';
import { valueToText } from './numbers.ts';
import { createOutput, type RowOutput } from './output.ts';
import { createRowCompiler } from './row-expression.ts';
import { compileRule, tupleText } from './rule.ts';

/** Largest synced row (S-641), in bytes of its JSON text. */
const MAX_ROW_BYTES = 15 * 1024 * 1024;

/** Everything of one definition that applies to a row. */
type Contribute = (row: SourceRow, sink: RowSink, render: boolean) => void;

interface Part {
  readonly definition: TableDefinition;
  readonly columnsRead: readonly number[];
  readonly contribute: Contribute;
}

/** Outputs of the present row, shared by all definitions: each is rendered once and its id computed once. */
interface OutputCache {
  slot(key: string, create: () => RowOutput): OutputSlot;
  reset(): void;
}
interface OutputSlot {
  readonly output: RowOutput;
  id: string | null | undefined;
  data: string | undefined;
}

function createOutputCache(): OutputCache {
  const byKey = new Map<string, OutputSlot>();
  const slots: OutputSlot[] = [];
  return {
    slot: (key, create) => {
      let slot = byKey.get(key);
      if (slot === undefined) {
        slot = { output: create(), id: undefined, data: undefined };
        byKey.set(key, slot);
        slots.push(slot);
      }
      return slot;
    },
    reset: () => {
      for (let at = 0; at < slots.length; at++) {
        const slot = slots[at] as OutputSlot;
        slot.id = undefined;
        slot.data = undefined;
      }
    },
  };
}

/**
 * The compiled form of everything in a plan that reads one table. Definitions outside `identities` are left out; events
 * have no stored definition and always belong to it.
 */
export const createTableEvaluator: CreateTableEvaluator = (plan, table, identities) => {
  const wanted = (identity: string): boolean => identities === undefined || identities.has(identity);
  const cache = createOutputCache();
  const parts: Part[] = [];
  for (const bucket of plan.buckets) {
    if (wanted(bucket.identity)) addPart(parts, bucketPart(plan, bucket, table, cache, parts.length));
  }
  for (const lookup of plan.lookups) {
    if (wanted(lookup.identity)) addPart(parts, lookupPart(plan, lookup, table, parts.length));
  }
  for (const event of plan.events) addPart(parts, eventPart(plan, event, table, parts.length));
  if (parts.length === 0) return null;

  const columnsRead = table.columns.map(() => false);
  for (const part of parts) for (const column of part.columnsRead) columnsRead[column] = true;
  const contributions = parts.map((part) => part.contribute);
  const run = (row: SourceRow, sink: RowSink, render: boolean): void => {
    cache.reset();
    for (let at = 0; at < contributions.length; at++) (contributions[at] as Contribute)(row, sink, render);
  };
  return {
    definitions: parts.map((part) => part.definition),
    columnsRead,
    evaluate: (row, sink) => run(row, sink, true),
    members: (row, sink) => run(row, sink, false),
  };
};

function addPart(parts: Part[], part: Part | null): void {
  if (part !== null) parts.push(part);
}
const unique = (columns: readonly number[]): number[] => [...new Set(columns)].toSorted((a, b) => a - b);

function bucketPart(
  plan: SyncPlan,
  bucket: PlanBucket,
  table: SourceTable,
  cache: OutputCache,
  definition: number,
): Part | null {
  const rules = bucket.rules
    .filter((rule) => matchesTable(rule.table, table))
    .map((rule) => {
      const compiler = createRowCompiler(table, rule.table, plan.fixedJsonExtract);
      const pattern = rule.table.wildcard ? rule.table.name : '';
      const slot = cache.slot(JSON.stringify([pattern, rule.outputs]), () =>
        createOutput(rule.outputs, table, compiler),
      );
      return { rule: compileRule(rule, compiler), slot, objectType: rule.objectType ?? table.name };
    });
  if (rules.length === 0) return null;
  // a row can reach the same bucket twice only through several rules or elements
  const seen = rules.length > 1 || rules.some(({ rule }) => rule.expands) ? new Set<string>() : null;

  let sink: RowSink;
  let render = false;
  let rejected = false;
  const emitters = rules.map(({ rule, slot, objectType }) => (row: SourceRow): void => {
    const key = rule.key(row);
    if (key === null) return;
    if (slot.id === undefined) slot.id = slot.output.id(row);
    if (slot.id === null) {
      if (!rejected)
        sink.rejected(definition, 'PSYNC_S1010', 'the row has no id: the output column "id" is missing or null');
      rejected = true;
      return;
    }
    if (seen !== null) {
      const identity = `${key}\0${objectType}\0${slot.id}`;
      if (seen.has(identity)) return;
      seen.add(identity);
    }
    if (!render) return sink.bucket(definition, key, objectType, slot.id, null);
    slot.data ??= slot.output.render(row);
    if (isTooLarge(slot.data)) {
      if (!rejected) sink.rejected(definition, 'PSYNC_S1002', 'the synced row is larger than 15 MB');
      rejected = true;
      return;
    }
    sink.bucket(definition, key, objectType, slot.id, slot.data);
  });

  return {
    definition: {
      kind: 'bucket',
      identity: bucket.identity,
      membershipColumns: unique(rules.flatMap(({ rule, slot }) => [...rule.columns, ...slot.output.idColumns])),
    },
    columnsRead: rules.flatMap(({ rule, slot }) => [...rule.columns, ...slot.output.columnsRead]),
    contribute: (row, target, rendering) => {
      sink = target;
      render = rendering;
      rejected = false;
      seen?.clear();
      for (let at = 0; at < rules.length; at++) {
        (rules[at] as (typeof rules)[number]).rule.forEachMatch(row, emitters[at] as (row: SourceRow) => void);
      }
    },
  };
}

function isTooLarge(data: string): boolean {
  return data.length * 3 > MAX_ROW_BYTES && (data.length > MAX_ROW_BYTES || Buffer.byteLength(data) > MAX_ROW_BYTES);
}

function lookupPart(plan: SyncPlan, lookup: PlanLookup, table: SourceTable, definition: number): Part | null {
  const rules = lookup.rules
    .filter((rule) => matchesTable(rule.table, table))
    .map((rule) => {
      const compiler = createRowCompiler(table, rule.table, plan.fixedJsonExtract);
      const compiled = compileRule(rule, compiler);
      const outputs = rule.outputs.map((output) => compiler.compile(output, compiled.frame));
      return {
        rule: compiled,
        outputs,
        columns: [...compiled.columns, ...rule.outputs.flatMap((output) => compiler.columnsOf(output))],
      };
    });
  if (rules.length === 0) return null;
  const columns = unique(rules.flatMap((rule) => rule.columns));
  const shape: TableDefinition = { kind: 'lookup', identity: lookup.identity, membershipColumns: columns };

  const [only] = rules;
  if (rules.length === 1 && only !== undefined && !only.rule.expands) {
    let sink: RowSink;
    const emit = (row: SourceRow): void => {
      const key = only.rule.key(row);
      const tuple = key === null ? null : tupleText(only.outputs, row);
      if (key !== null && tuple !== null) sink.lookup(definition, key, `[${tuple}]`);
    };
    return {
      definition: shape,
      columnsRead: columns,
      contribute: (row, target) => {
        sink = target;
        only.rule.forEachMatch(row, emit);
      },
    };
  }

  const tuplesByKey = new Map<string, Set<string>>();
  const emitters = rules.map(({ rule, outputs }) => (row: SourceRow): void => {
    const key = rule.key(row);
    const tuple = key === null ? null : tupleText(outputs, row);
    if (key === null || tuple === null) return;
    const tuples = tuplesByKey.get(key);
    if (tuples === undefined) tuplesByKey.set(key, new Set([tuple]));
    else tuples.add(tuple);
  });
  return {
    definition: shape,
    columnsRead: columns,
    contribute: (row, target) => {
      tuplesByKey.clear();
      for (let at = 0; at < rules.length; at++) {
        (rules[at] as (typeof rules)[number]).rule.forEachMatch(row, emitters[at] as (row: SourceRow) => void);
      }
      for (const [key, tuples] of tuplesByKey) target.lookup(definition, key, `[${[...tuples].join(',')}]`);
    },
  };
}

function eventPart(plan: SyncPlan, event: PlanEvent, table: SourceTable, definition: number): Part | null {
  const rules = event.rules
    .filter((rule) => matchesTable(rule.table, table))
    .map((rule) => {
      const compiler = createRowCompiler(table, rule.table, plan.fixedJsonExtract);
      const compiled = compileRule({ table: rule.table, expansions: [], filters: rule.filters, keys: [] }, compiler);
      const [userId, clientId, checkpoint] = [rule.userId, rule.clientId, rule.checkpoint].map((expr) =>
        compiler.compile(expr, []),
      );
      const columns = [
        ...compiled.columns,
        ...[rule.userId, rule.clientId, rule.checkpoint].flatMap((expr) => compiler.columnsOf(expr)),
      ];
      let sink: RowSink;
      const emit = (row: SourceRow): void => {
        const user = userId?.(row) ?? null;
        const client = clientId?.(row) ?? null;
        const value = checkpoint?.(row) ?? null;
        const number = typeof value === 'string' && /^\d{1,19}$/.test(value) ? BigInt(value) : value;
        if (
          user === null ||
          client === null ||
          typeof number !== 'bigint' ||
          number <= 0n ||
          number > 0x7fff_ffff_ffff_ffffn
        ) {
          sink.rejected(
            definition,
            'PSYNC_S1011',
            'a write checkpoint needs user_id, client_id and a positive integer checkpoint',
          );
          return;
        }
        sink.writeCheckpoint(valueToText(user), valueToText(client), number);
      };
      return { columns, run: (row: SourceRow, target: RowSink) => ((sink = target), compiled.forEachMatch(row, emit)) };
    });
  if (rules.length === 0) return null;
  const columns = unique(rules.flatMap((rule) => rule.columns));
  return {
    definition: { kind: 'event', identity: event.identity, membershipColumns: columns },
    columnsRead: columns,
    contribute: (row, target, render) => {
      // a removal or before image reaches no checkpoint (S-487)
      if (render) for (const rule of rules) rule.run(row, target);
    },
  };
}
