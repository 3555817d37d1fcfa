/** The items of SELECT -> synced table and columns (S-101, S-108, S-206…S-214). */
import { matchesTable } from '../evaluate/matches-table.ts';
import { visitLeaves } from '../expr-tree.ts';
import type { PlanOutput } from '../plan.ts';
import { SqlError, type Span } from '../sql/ast.ts';
import type { BoundSelect } from './bound-select.ts';
import { toPlan, worldOf, type BoundItem, type BoundLeaf, type TableSource } from './bound.ts';
import type { QueryContext } from './context.ts';

export interface SelectOutput {
  readonly table: TableSource;
  readonly objectType: string | null;
  readonly outputs: readonly PlanOutput[];
}

/** Throws `SqlError` when the columns are not those of one table. */
export function selectOutput(select: BoundSelect, span: Span, context: QueryContext): SelectOutput {
  if (select.items.length === 0)
    throw new SqlError('PSYNC_R2226', 'The query selects no columns; write SELECT * or name them.', span);
  let table: TableSource | null = null;
  for (const item of select.items) {
    const found = tableOf(item);
    if (found === null) continue;
    if (table !== null && table !== found) {
      const message = `Columns of ${table.visible} and ${found.visible} are selected; select those of one table only.`;
      throw new SqlError('PSYNC_R2206', message, item.span);
    }
    table = found;
  }
  table ??= onlyTable(select, span);
  const outputs = select.items.map((item): PlanOutput => {
    if (item.kind === 'star') return { kind: 'star' };
    if (item.name === null) throw new SqlError('PSYNC_R2228', 'This column needs a name; add AS name.', item.span);
    return { kind: 'column', name: item.name, value: toPlan(item.value, []) };
  });
  warnWithoutId(table, outputs, span, context);
  warnManyColumns(table, outputs, span, context);
  const derived = select.visible.find(
    (source) => source.kind === 'derived' && select.items.every((item) => source.items.includes(item)),
  );
  return { table, objectType: derived?.visible ?? table.objectType, outputs };
}

/** The table that an item belongs to; null for constants. */
function tableOf(item: BoundItem): TableSource | null {
  if (item.kind === 'star') {
    if (item.of.kind === 'table') return item.of;
    throw new SqlError('PSYNC_R2206', 'Elements of an array cannot be synced; select columns of a table.', item.span);
  }
  visitLeaves<BoundLeaf>(item.value, (leaf) => {
    if (leaf.kind === 'parameter' || leaf.kind === 'bucketParameter') {
      throw new SqlError(
        'PSYNC_R2213',
        'Parameters cannot be selected: a bucket is the same for all its users.',
        leaf.span,
      );
    }
    if (leaf.kind === 'element') {
      throw new SqlError('PSYNC_R2206', 'Elements of an array cannot be synced; select columns of a table.', item.span);
    }
  });
  const world = worldOf(item.value);
  if (world.kind === 'row') return world.table;
  if (world.kind === 'mixed')
    throw new SqlError('PSYNC_R2206', 'This column uses several tables; use columns of one table only.', item.span);
  return null;
}

function onlyTable(select: BoundSelect, span: Span): TableSource {
  const tables = select.sources.filter((source) => source.kind === 'table');
  const [table] = tables;
  if (table === undefined) throw new SqlError('PSYNC_R2227', 'The query needs a table in FROM.', span);
  if (tables.length > 1)
    throw new SqlError('PSYNC_R2206', 'It is not clear which table is meant; select columns of one table.', span);
  return table;
}

/** S-260, S-265. */
function warnWithoutId(table: TableSource, outputs: readonly PlanOutput[], span: Span, context: QueryContext): void {
  if (outputs.some((output) => output.kind === 'column' && output.name === 'id')) return;
  const star = outputs.some((output) => output.kind === 'star');
  const known = context.options.schema?.filter((candidate) => matchesTable(table.pattern, candidate)) ?? [];
  if (star && (known.length === 0 || known.some((candidate) => candidate.columns.includes('id')))) return;
  context.report(
    'warning',
    'PSYNC_R2304',
    'The query gives no column id, so none of its rows can sync; select the key AS id.',
    span,
  );
}

/** A table of a client has at most this many columns besides id (S-643). */
const MAX_COLUMNS = 1_999;

function warnManyColumns(table: TableSource, outputs: readonly PlanOutput[], span: Span, context: QueryContext): void {
  const named = new Set(outputs.flatMap((output) => (output.kind === 'column' ? [output.name] : [])));
  const star = outputs.some((output) => output.kind === 'star');
  const known = star
    ? (context.options.schema?.filter((candidate) => matchesTable(table.pattern, candidate)) ?? [])
    : [];
  const counts = known.map(({ columns }) => new Set([...columns, ...named, 'id']).size);
  const most = Math.max(named.size + (named.has('id') ? 0 : 1), ...counts) - 1;
  if (most <= MAX_COLUMNS) return;
  context.report(
    'warning',
    'PSYNC_R2306',
    `The query gives ${most} columns besides id; a table of a client can have ${MAX_COLUMNS}. Select fewer.`,
    span,
  );
}
