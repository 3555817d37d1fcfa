/** Why a session does not have a row: the question that a failed test leaves open. */
import { createTableEvaluator } from '../evaluate/table-evaluator.ts';
import { matchesTable } from '../evaluate/matches-table.ts';
import type { PlanBucket, PlanBucketRule, SyncPlan } from '../plan.ts';
import type { FixtureTable, RejectedRow, ReplicatedRows, RowOrigin } from './replicate.ts';
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
  /** The row passes the filters, but a value that is compared with the session is null, or a list that is empty. */
  | { readonly kind: 'no-key' }
  /** A filter is not true for the row. */
  | { readonly kind: 'filtered' };

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
    const { rules, definitions, placed, passing, all, rejected } = rowsOf(stream);
    const name = rowName(table, id);
    const given = rules.filter((rule) => clientTables(rule, tables).includes(table));
    if (given.length === 0) return { kind: 'other-table', tables: clientTablesOf(rules, tables) };
    const buckets = placed.get(name);
    if (buckets !== undefined) {
      const own = session.buckets.filter(({ identity }) => definitions.has(identity)).map((bucket) => bucket.name);
      return { kind: 'other-bucket', buckets: [...buckets], own };
    }
    const origins = all.get(name);
    if (origins === undefined) return { kind: 'no-row', sources: [...new Set(given.map(sourceName))] };
    const refused = rejected.find(({ origin }) =>
      origins.some((at) => at.table === origin.table && at.row === origin.row),
    );
    if (refused !== undefined) return { kind: 'rejected', code: refused.code, reason: refused.reason };
    return passing.has(name) ? { kind: 'no-key' } : { kind: 'filtered' };
  };
  return { whyMissing, exists: (stream, table, id) => rowsOf(stream).all.has(rowName(table, id)) };
}

/** Names of the client tables that a rule fills: its alias, else the names of the source tables that it reads (S-212, S-255). */
export function clientTables(rule: PlanBucketRule, tables: readonly FixtureTable[]): string[] {
  if (rule.objectType !== null) return [rule.objectType];
  if (!rule.table.wildcard) return [rule.table.name];
  return tables.filter((table) => matchesTable(rule.table, table)).map(({ name }) => name);
}

function clientTablesOf(rules: readonly PlanBucketRule[], tables: readonly FixtureTable[]): string[] {
  return [...new Set(rules.flatMap((rule) => clientTables(rule, tables)))];
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
  readonly rules: readonly PlanBucketRule[];
  /** Identities of the stream's definitions. */
  readonly definitions: ReadonlySet<string>;
  /** Buckets that hold a row of a client. */
  readonly placed: ReadonlyMap<string, ReadonlySet<string>>;
  /** Rows that pass the filters, and those that any query reads, whatever it asks of them. */
  readonly passing: ReadonlyMap<string, readonly RowOrigin[]>;
  readonly all: ReadonlyMap<string, readonly RowOrigin[]>;
  readonly rejected: readonly RejectedRow[];
}

function indexStream(
  plan: SyncPlan,
  stream: string,
  tables: readonly FixtureTable[],
  replicated: ReplicatedRows,
): StreamRows {
  const buckets = bucketsOf(plan, stream);
  const placed = new Map<string, Set<string>>();
  for (const { identity, name } of buckets) {
    for (const [key, rows] of replicated.buckets(identity)) {
      for (const { table, id } of rows) {
        const row = rowName(table, id);
        placed.set(row, (placed.get(row) ?? new Set()).add(`${name}${key}`));
      }
    }
  }
  const definitions = new Set(buckets.map(({ identity }) => identity));
  return {
    rules: buckets.flatMap(({ rules }) => rules),
    definitions,
    placed,
    passing: rowsOf(plan, buckets, (rule) => ({ ...rule, keys: [] }), tables),
    all: rowsOf(plan, buckets, (rule) => ({ ...rule, filters: [], keys: [], expansions: [] }), tables),
    rejected: replicated.rejected.filter(({ identity }) => definitions.has(identity)),
  };
}

/** Which rows the rules would give if they asked less. */
function rowsOf(
  plan: SyncPlan,
  buckets: readonly PlanBucket[],
  relax: (rule: PlanBucketRule) => PlanBucketRule,
  tables: readonly FixtureTable[],
): Map<string, RowOrigin[]> {
  const relaxed = buckets.map((bucket) => ({ ...bucket, rules: bucket.rules.map(relax) }));
  const found = new Map<string, RowOrigin[]>();
  for (const [table, source] of tables.entries()) {
    const evaluator = createTableEvaluator({ ...plan, buckets: relaxed, lookups: [], events: [] }, source);
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
