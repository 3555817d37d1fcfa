/** Why a session does not have a row: the question that a failed test leaves open. */
import { createTableEvaluator } from '../evaluate/table-evaluator.ts';
import { matchesTable } from '../evaluate/matches-table.ts';
import { readsElement } from '../evaluate/rule.ts';
import type { RowReason } from '../explain/contract.ts';
import { rowReasons } from '../explain/explain-rule.ts';
import type { PlanBucket, PlanBucketRule, PlanExpr, SyncPlan } from '../plan.ts';
import type { FixtureTable, ReplicatedRows, RowOrigin } from './replicate.ts';
import { rowName, type TriedSession } from './try-session.ts';

export type MissingReason =
  /** The session does not have the stream. */
  | { readonly kind: 'not-subscribed' }
  /** No query of the stream fills this client table; `tables` are those that they fill. */
  | { readonly kind: 'other-table'; readonly tables: readonly string[] }
  /** No row of the source tables that fill it gives this id. */
  | { readonly kind: 'no-row'; readonly sources: readonly string[] }
  /** The row is in these buckets of the stream; the session has `own` of the same definitions. */
  | { readonly kind: 'other-bucket'; readonly buckets: readonly string[]; readonly own: readonly string[] }
  /** The row cannot be synced (S-265, S-641). */
  | { readonly kind: 'rejected'; readonly code: string; readonly reason: string }
  /** The row passes the filters, but a value that is compared with the session is null, or no element of a list fits. */
  | { readonly kind: 'no-key'; readonly because: readonly RowReason[] }
  /** A filter is not true for the row. */
  | { readonly kind: 'filtered'; readonly because: readonly RowReason[] };

/** Knows of every row that the queries read, whoever gets it. */
export interface RowFinder {
  /** Why a session does not have a row of a client table in one stream. */
  whyMissing(session: TriedSession, stream: string, table: string, id: string): MissingReason;
  /** Does any row give this id to a query of the stream, whatever else the query asks of it? */
  exists(stream: string, table: string, id: string): boolean;
}

export function createRowFinder(
  plan: SyncPlan,
  tables: readonly FixtureTable[],
  replicated: ReplicatedRows,
): RowFinder {
  const streams = new Map<string, StreamRows>();
  const rowsOf = (stream: string): StreamRows => {
    let rows = streams.get(stream);
    if (rows === undefined) streams.set(stream, (rows = indexStream(plan, stream, tables, replicated)));
    return rows;
  };
  const whyMissing: RowFinder['whyMissing'] = (session, stream, table, id) => {
    if (!session.streams.has(stream)) return { kind: 'not-subscribed' };
    const { definitions, placed, passing, all } = rowsOf(stream);
    const name = rowName(table, id);
    const gives = (rule: PlanBucketRule): boolean => clientTables(rule, tables).includes(table);
    const filling = definitions.filter(({ rules }) => rules.some(gives));
    if (filling.length === 0) return { kind: 'other-table', tables: clientTablesOf(definitions, tables) };
    const fills = ({ identity }: { readonly identity: string }): boolean =>
      filling.some((definition) => definition.identity === identity);
    const buckets = placed.get(name);
    if (buckets !== undefined) {
      const own = session.buckets.filter(fills).map((bucket) => bucket.name);
      return { kind: 'other-bucket', buckets: [...buckets], own };
    }
    const origins = all.get(name);
    if (origins === undefined) {
      const sources = filling.flatMap(({ rules }) => rules.filter(gives).map(sourceName));
      return { kind: 'no-row', sources: [...new Set(sources)] };
    }
    const refused = replicated.rejected.find(
      (row) => fills(row) && origins.some((at) => at.table === row.origin.table && at.row === row.origin.row),
    );
    if (refused !== undefined) return { kind: 'rejected', code: refused.code, reason: refused.reason };
    const [origin] = origins;
    const because = filling.flatMap(({ rules }) =>
      rules.filter(gives).flatMap((rule) => reasonsOf(plan, stream, rule, tables, origin)),
    );
    return { kind: passing.has(name) ? 'no-key' : 'filtered', because };
  };
  return { whyMissing, exists: (stream, table, id) => rowsOf(stream).all.has(rowName(table, id)) };
}

/** What in the row the rule does not accept; of several rows that give the same id, one stands for all. */
function reasonsOf(
  plan: SyncPlan,
  stream: string,
  rule: PlanBucketRule,
  tables: readonly FixtureTable[],
  origin: RowOrigin | undefined,
): RowReason[] {
  const table = tables[origin?.table ?? -1];
  const row = table?.rows[origin?.row ?? -1];
  if (table === undefined || row === undefined || !matchesTable(rule.table, table)) return [];
  const legacy = plan.streams.some(({ name, legacy: isLegacy }) => name === stream && isLegacy);
  return rowReasons(rule, [], { plan, table, row, legacy });
}

/** Names of the client tables that a rule fills: its alias, else the names of the source tables that it reads (S-212, S-255). */
function clientTables(rule: PlanBucketRule, tables: readonly FixtureTable[]): string[] {
  if (rule.objectType !== null) return [rule.objectType];
  if (!rule.table.wildcard) return [rule.table.name];
  return tables.filter((table) => matchesTable(rule.table, table)).map(({ name }) => name);
}

/** Without duplicates, in alphabetical order. */
export function clientTablesOf(definitions: readonly PlanBucket[], tables: readonly FixtureTable[]): string[] {
  const names = definitions.flatMap(({ rules }) => rules.flatMap((rule) => clientTables(rule, tables)));
  return [...new Set(names)].toSorted();
}

/** The bucket definitions that a stream fills. */
export function bucketsOf(plan: SyncPlan, stream: string): PlanBucket[] {
  const queriers = plan.streams.find(({ name }) => name === stream)?.queriers ?? [];
  return [...new Set(queriers.map(({ bucket }) => bucket))].flatMap((index) => plan.buckets[index] ?? []);
}

function sourceName({ table }: PlanBucketRule): string {
  return `${table.schema}${table.anySchema === true ? '%' : ''}.${table.name}${table.wildcard ? '%' : ''}`;
}

interface StreamRows {
  readonly definitions: readonly PlanBucket[];
  /** Names of the buckets that hold a client's row, by `rowName` like the others. */
  readonly placed: ReadonlyMap<string, ReadonlySet<string>>;
  /** Rows that pass the filters, and those that any query reads, whatever it asks of them. */
  readonly passing: ReadonlyMap<string, readonly RowOrigin[]>;
  readonly all: ReadonlyMap<string, readonly RowOrigin[]>;
}

function indexStream(
  plan: SyncPlan,
  stream: string,
  tables: readonly FixtureTable[],
  replicated: ReplicatedRows,
): StreamRows {
  const definitions = bucketsOf(plan, stream);
  const placed = new Map<string, Set<string>>();
  for (const { identity, name } of definitions) {
    for (const [key, rows] of replicated.buckets(identity)) {
      for (const { table, id } of rows) {
        const row = rowName(table, id);
        placed.set(row, (placed.get(row) ?? new Set()).add(`${name}${key}`));
      }
    }
  }
  return {
    definitions,
    placed,
    passing: rowsOf(
      plan,
      definitions,
      (rule) =>
        relaxed(
          rule,
          rule.filters.filter((filter) => !readsElement(filter)),
        ),
      tables,
    ),
    all: rowsOf(plan, definitions, (rule) => relaxed(rule, []), tables),
  };
}

const relaxed = (rule: PlanBucketRule, filters: readonly PlanExpr[]): PlanBucketRule => ({
  ...rule,
  filters,
  keys: [],
  expansions: [],
});

/** Which rows the rules would give if they asked less. */
function rowsOf(
  plan: SyncPlan,
  buckets: readonly PlanBucket[],
  relax: (rule: PlanBucketRule) => PlanBucketRule,
  tables: readonly FixtureTable[],
): Map<string, RowOrigin[]> {
  const asking = buckets.map((bucket) => ({ ...bucket, rules: bucket.rules.map(relax) }));
  const found = new Map<string, RowOrigin[]>();
  for (const [table, source] of tables.entries()) {
    const evaluator = createTableEvaluator({ ...plan, buckets: asking, lookups: [], events: [] }, source);
    for (const [row, values] of evaluator === null ? [] : source.rows.entries()) {
      evaluator?.members(values, {
        bucket: (_definition, _key, type, id) => {
          const name = rowName(type, id);
          const known = found.get(name);
          if (known === undefined) found.set(name, [{ table, row }]);
          else known.push({ table, row });
        },
        lookup: () => {},
        writeCheckpoint: () => {},
        rejected: () => {},
      });
    }
  }
  return found;
}
