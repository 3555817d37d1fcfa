/** The row as its source has it now. */
import { cut, printExpression, printValue } from '#core/sync-config/explain/print-expression.ts';
import { createTableEvaluator } from '#core/sync-config/evaluate/table-evaluator.ts';
import { matchesTable } from '#core/sync-config/evaluate/matches-table.ts';
import type { PlanExpr, SyncPlan } from '#core/sync-config/plan.ts';
import type { FoundRow, FoundRows, ReplicatedTable, RowQuery } from '#replicator/sources/contract.ts';
import type { SourceReport } from './contract.ts';
import type { TableName } from './choose-table.ts';

/** Asks one source for rows; rejects with what keeps it from answering, without secrets. Null: this process knows no such source. */
export type AskSource = ((query: RowQuery, plan: SyncPlan) => Promise<FoundRows>) | null;

export interface SourceRow {
  readonly report: SourceReport;
  readonly table: ReplicatedTable | null;
  /** Null: there is none, or it is not known. */
  readonly row: FoundRow | null;
}

/** Columns of a row that are shown. */
const MOST_COLUMNS = 100;

/** Never rejects: what keeps the source from answering stands in the report. */
export async function readSourceRow(
  ask: AskSource,
  { table, id, plan }: { readonly table: TableName; readonly id: string; readonly plan: SyncPlan },
): Promise<SourceRow> {
  const { columns, computed } = idColumns(plan, table);
  const none = (state: SourceReport['state'], reason: string, searched: readonly string[] = []): SourceRow => ({
    report: { state, reason, key: null, searched, columns: [], others: [] },
    table: null,
    row: null,
  });
  if (ask === null) return none('unavailable', `This process has no connection to the source "${table.source}".`);
  let found: FoundRows;
  try {
    found = await ask({ schema: table.schema, name: table.name, text: id, columns }, plan);
  } catch (error) {
    return none('unavailable', error instanceof Error ? error.message : String(error));
  }
  const name = `${table.schema}.${table.name}`;
  if (found.table === null) {
    const [fatal] = found.report?.errors.filter(({ level }) => level === 'fatal') ?? [];
    if (found.report === null) return none('no-table', `The source has no table ${name}.`);
    return none(
      'unusable',
      fatal === undefined ? `Table ${name} cannot be replicated.` : `[${fatal.code}] ${fatal.message}`,
    );
  }
  const searched = describeSearch(found, columns, computed);
  const rows = rankRows(found, plan, id);
  const [row] = rows;
  if (row === undefined) return { ...none('missing', `The source has no such row.`, searched), table: found.table };
  return {
    report: {
      ...stateOf(row, name),
      key: row.key,
      searched,
      columns: columnsOf(found.table, row),
      others: rows.slice(1).map(({ key }) => key),
    },
    table: found.table,
    row,
  };
}

function stateOf({ fault, shown }: FoundRow, name: string): Pick<SourceReport, 'state' | 'reason'> {
  if (fault !== null) return { state: 'unusable', reason: `[${fault.code}] ${fault.message}` };
  if (!shown)
    return { state: 'hidden', reason: `The publication of ${name} has a row filter that leaves the row out.` };
  return { state: 'found', reason: null };
}

function columnsOf({ columns }: ReplicatedTable, { row }: FoundRow): { name: string; value: string }[] {
  return columns.slice(0, MOST_COLUMNS).map((name, at) => ({ name, value: printValue(row?.[at] ?? null) }));
}

/** What queries make the id of: columns that can be searched, and expressions that cannot. */
function idColumns(plan: SyncPlan, table: TableName): { columns: string[]; computed: string[] } {
  const columns = new Set<string>();
  const computed = new Set<string>();
  for (const bucket of plan.buckets) {
    for (const rule of bucket.rules.filter((item) => matchesTable(item.table, table))) {
      let id: PlanExpr | null = null;
      for (const output of rule.outputs) {
        if (output.kind === 'star') id = { kind: 'column', name: 'id' };
        else if (output.name === 'id') id = output.value;
      }
      const column = id?.kind === 'cast' ? id.operand : id;
      if (column?.kind === 'column') columns.add(column.name);
      else if (column !== null)
        computed.add(cut(printExpression(column, { table: table.name, expansions: [], legacy: false })));
    }
  }
  return { columns: [...columns], computed: [...computed] };
}

function describeSearch(
  { table, unsearched }: FoundRows,
  columns: readonly string[],
  computed: readonly string[],
): string[] {
  const searched: string[] = [];
  if (table?.identity === 'key')
    searched.push(
      `by its key in the source (${table.identityColumns.map((index) => table.columns[index]).join(', ')})`,
    );
  for (const column of columns.filter((name) => table?.columns.includes(name) === true)) {
    const late = unsearched.includes(column) ? ', not to the end: it has no index' : '';
    searched.push(`by its id on the client (${column}${late})`);
  }
  for (const expression of computed) searched.push(`not by an id that is computed (${expression})`);
  return searched;
}

/** Rows whose id on the client is the one that was given come first. */
function rankRows({ table, rows }: FoundRows, plan: SyncPlan, id: string): FoundRow[] {
  if (table === null) return [];
  const evaluator = createTableEvaluator({ ...plan, lookups: [], events: [] }, table);
  const hasId = ({ row }: FoundRow): boolean => {
    let found = false;
    if (row !== null)
      evaluator?.members(row, {
        bucket: (_definition, _key, _type, objectId) => (found ||= objectId === id),
        lookup: () => {},
        writeCheckpoint: () => {},
        rejected: () => {},
      });
    return found;
  };
  return [...rows.filter(hasId), ...rows.filter((row) => !hasId(row))];
}
