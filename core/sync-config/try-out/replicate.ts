/** What the replicator would put into buckets and lookups for a few rows, in memory: to try a sync config without a service. */
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { ReadLookups, RowSink } from '../contract.ts';
import { createTableEvaluator } from '../evaluate/table-evaluator.ts';
import type { SyncPlan } from '../plan.ts';
import type { SourceRow, SourceTable } from '../values.ts';

/** A source table with its rows, as the sync config sees them (S chapter 8). */
export interface FixtureTable extends SourceTable {
  readonly rows: readonly SourceRow[];
}

/** A row of the fixture: index of its table, and of the row there. */
export interface RowOrigin {
  readonly table: number;
  readonly row: number;
}

/** What one source row put into a bucket. */
export interface BucketRow {
  readonly table: string;
  readonly id: string;
  /** JSON text as clients get it (S-275, S-276). */
  readonly data: string;
  readonly origin: RowOrigin;
}

/** A row that cannot be synced for a definition (S-265, S-641). */
export interface RejectedRow {
  readonly identity: string;
  readonly code: string;
  readonly reason: string;
  readonly origin: RowOrigin;
}

export interface ReplicatedRows {
  /** By key of the bucket; empty when no row is in a bucket of this definition. */
  buckets(identity: string): ReadonlyMap<string, readonly BucketRow[]>;
  readonly read: ReadLookups;
  readonly rejected: readonly RejectedRow[];
}

/** Entries of all buckets and lookups together; more are no example any more. */
const MAX_ENTRIES = 1_000_000;

/** Evaluates every row once, as a first copy does. Throws PSYNC_R1304 when the rows make more entries than that. */
export function replicateRows(
  plan: SyncPlan,
  tables: readonly FixtureTable[],
  maxEntries = MAX_ENTRIES,
): ReplicatedRows {
  const buckets = new Map<string, Map<string, BucketRow[]>>();
  const lookups = new Map<string, string[]>();
  const rejected: RejectedRow[] = [];
  let entries = 0;
  const count = (): void => {
    if (++entries > maxEntries)
      throw codedError(
        'PSYNC_R1304',
        `The rows make more than ${maxEntries} entries in buckets and lookups; use fewer.`,
      );
  };
  for (const [table, source] of tables.entries()) {
    const evaluator = createTableEvaluator(plan, source);
    if (evaluator === null) continue;
    const identityOf = (definition: number): string => evaluator.definitions[definition]?.identity ?? '';
    let origin: RowOrigin = { table, row: 0 };
    const sink: RowSink = {
      bucket: (definition, key, type, id, data) => {
        count();
        add(inner(buckets, identityOf(definition)), key, { table: type, id, data: data ?? '', origin });
      },
      lookup: (definition, key, values) => {
        count();
        add(lookups, lookupName(identityOf(definition), key), values);
      },
      writeCheckpoint: () => {},
      rejected: (definition, code, reason) => {
        rejected.push({ identity: identityOf(definition), code, reason, origin });
      },
    };
    for (const [row, values] of source.rows.entries()) {
      origin = { table, row };
      evaluator.evaluate(values, sink);
    }
  }
  return {
    buckets: (identity) => buckets.get(identity) ?? NO_BUCKETS,
    read: async (keys) => keys.map(({ identity, key }) => lookups.get(lookupName(identity, key)) ?? []),
    rejected,
  };
}

const NO_BUCKETS: ReadonlyMap<string, readonly BucketRow[]> = new Map();
const lookupName = (identity: string, key: string): string => `${identity}${key}`;

function add<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}

function inner<T>(maps: Map<string, Map<string, T>>, key: string): Map<string, T> {
  let map = maps.get(key);
  if (map === undefined) maps.set(key, (map = new Map()));
  return map;
}
