/** SELECT -> sources, items and one condition. CTEs and subqueries in FROM are merged into the query around them. */
import { SqlError, type FromItem, type SelectItem } from '../sql/ast.ts';
import { bindCondition, eachOf } from './bind-condition.ts';
import { bindExpression } from './bind-expression.ts';
import {
  worldOf,
  type BoundItem,
  type DerivedSource,
  type PrimarySource,
  type Source,
  type TableSource,
} from './bound.ts';
import type { BindSelect, BoundSelect } from './bound-select.ts';
import type { Condition } from './condition.ts';
import { attempt, checkCteInReach, type QueryContext, streamsOnly } from './context.ts';
import { checkDistinctNames, checkTable, findSource, tablePattern, warnMixedCase, type Scope } from './scope.ts';

/** Throws or reports findings. `parent`: the scope around a subquery. */
export const bindSelect: BindSelect = (select, parent, context) => {
  const visible: Source[] = [];
  const sources: PrimarySource[] = [];
  const conditions: Condition[] = [];
  // later items of FROM see the earlier ones (S-109)
  const scope: Scope = { sources: visible, parent };
  for (const item of select.from) {
    const known = attempt(
      context,
      () => (bindSource(item, scope, context, { visible, sources, conditions }), true),
      false,
    );
    if (!known) visible.push(unknownSource(item, context));
  }
  attempt(context, () => checkDistinctNames(visible, select), undefined);
  for (const item of select.from) conditions.push(bindCondition(item.on, scope, context, bindSelect));
  conditions.push(bindCondition(select.where, scope, context, bindSelect));
  const items = select.items.map((item) => attempt(context, () => bindItem(item, scope, context), null));
  return {
    visible,
    sources,
    condition: { kind: 'and', children: conditions },
    items: items.flatMap((item) => item ?? []),
    itemsComplete: !items.includes(null),
  };
};

interface Found {
  readonly visible: Source[];
  readonly sources: PrimarySource[];
  readonly conditions: Condition[];
}

function bindSource(item: FromItem, scope: Scope, context: QueryContext, found: Found): void {
  if (item.alias !== null) warnMixedCase(item.alias, context);
  const span = { start: item.start, end: item.end };
  if (item.kind === 'function') {
    if (item.name.text !== 'json_each' || item.args.length !== 1 || item.args[0] === undefined) {
      throw new SqlError('PSYNC_R2203', 'The only function in FROM is json_each(array), with one argument.', item);
    }
    if (context.dialect === 'data' || context.dialect === 'event') streamsOnly('json_each()', item, context);
    const value = bindExpression(item.args[0], scope, context);
    const each = eachOf('each', value, worldOf(value), span, item.alias?.text ?? 'json_each', context);
    found.visible.push(each);
    found.sources.push(each);
    return;
  }
  if (item.kind === 'select') {
    streamsOnly('A subquery', item, context);
    if (item.alias === null) throw new SqlError('PSYNC_R2216', 'A subquery in FROM needs an alias.', item);
    const inner = bindSelect(item.select, null, context);
    const items = item.columns === null ? inner.items : renamed(inner.items, item);
    merge({ kind: 'derived', visible: item.alias.text, items, span }, inner, found);
    return;
  }
  const cte = item.schema === null ? context.ctes.get(item.name.text) : undefined;
  if (cte !== undefined) {
    checkCteInReach(cte, context, item);
    if (cte.select === null)
      throw new SqlError('PSYNC_R2228', `${cte.name} cannot be read because of its own errors.`, item);
    const inner = bindSelect(cte.select, null, { ...context, insideCte: cte.name });
    merge({ kind: 'derived', visible: item.alias?.text ?? cte.name, items: inner.items, span }, inner, found);
    return;
  }
  const pattern = tablePattern(item, context);
  checkTable(pattern, item.name, context);
  const objectType = item.alias?.text ?? (pattern.wildcard ? null : pattern.name);
  const visible = item.alias?.text ?? item.name.text;
  const table: TableSource = { kind: 'table', id: context.nextId(), visible, pattern, objectType, span };
  found.visible.push(table);
  found.sources.push(table);
}

/** Stands for what could not be bound, so that its columns are no findings of their own. The query is refused anyway. */
function unknownSource(item: FromItem, context: QueryContext): Source {
  const span = { start: item.start, end: item.end };
  const id = context.nextId();
  const visible = item.alias?.text ?? (item.kind === 'select' ? '' : item.name.text);
  if (item.kind === 'function') {
    return { kind: 'each', id, visible, mode: 'each', value: { kind: 'null' }, owner: null, span };
  }
  const pattern = { source: '', schema: '', name: visible, wildcard: false };
  return { kind: 'table', id, visible, pattern, objectType: visible, span };
}

function merge(derived: DerivedSource, inner: BoundSelect, found: Found): void {
  found.visible.push(derived);
  found.sources.push(...inner.sources);
  found.conditions.push(inner.condition);
}

function renamed(items: readonly BoundItem[], from: FromItem & { kind: 'select' }): BoundItem[] {
  const columns = from.columns ?? [];
  if (items.length !== columns.length || items.some((item) => item.kind === 'star')) {
    throw new SqlError(
      'PSYNC_R2226',
      'The list of column names must name each column of the subquery (without *).',
      from,
    );
  }
  return items.map((item, at) => (item.kind === 'star' ? item : { ...item, name: columns[at]?.text ?? null }));
}

function bindItem(item: SelectItem, scope: Scope, context: QueryContext): BoundItem[] {
  const span = { start: item.start, end: item.end };
  if (item.kind === 'expr') {
    const value = bindExpression(item.expr, scope, context);
    if (item.alias !== null) warnMixedCase(item.alias, context);
    const nameSpan = item.alias ?? (item.expr.kind === 'column' ? item.expr.name : null);
    return [{ kind: 'value', name: nameSpan?.text ?? null, value, span, nameSpan }];
  }
  if (item.table !== null) {
    const source = findSource(item.table, { sources: scope.sources, parent: null });
    if (source === null)
      throw new SqlError('PSYNC_R2216', `There is no table or alias ${item.table.written} here.`, item.table);
    return starOf(source, span);
  }
  // in a join with json_each, * means the columns of the table (S-108)
  const tables = scope.sources.filter((source) => source.kind !== 'each');
  const [only] = tables.length > 0 ? tables : scope.sources;
  if (only === undefined) throw new SqlError('PSYNC_R2227', '* needs a table in FROM.', item);
  if (tables.length > 1) {
    throw new SqlError(
      'PSYNC_R2206',
      `* would select columns of ${tables.length} tables; write ${tables[0]?.visible}.* instead.`,
      item,
    );
  }
  return starOf(only, span);
}
function starOf(source: Source, span: { start: number; end: number }): BoundItem[] {
  return source.kind === 'derived' ? [...source.items] : [{ kind: 'star', of: source, span }];
}
