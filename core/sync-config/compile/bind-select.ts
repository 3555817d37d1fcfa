/** SELECT -> sources, items and one condition. CTEs and subqueries in FROM are merged into the query around them. */
import { SqlError, type FromItem, type SelectItem, type Span } from '../sql/ast.ts';
import { bindCondition, eachOf } from './bind-condition.ts';
import { bindExpression } from './bind-expression.ts';
import {
  worldOf,
  type BoundItem,
  type DerivedSource,
  type PrimarySource,
  type Source,
  type TableSource,
  type UnknownSource,
} from './bound.ts';
import type { BindSelect, BoundSelect } from './bound-select.ts';
import type { Condition } from './condition.ts';
import { attempt, selectOfCte, type QueryContext, streamsOnly } from './context.ts';
import { unknownQualifier } from './name-hints.ts';
import { checkDistinctNames, checkTable, findSource, tablePattern, warnMixedCase, type Scope } from './scope.ts';
import { warnUnconnectedJoins } from './unconnected-joins.ts';

/** Throws or reports findings. `parent`: the scope around a subquery. */
export const bindSelect: BindSelect = (select, parent, context) => {
  const visible: Source[] = [];
  const sources: PrimarySource[] = [];
  const conditions: Condition[] = [];
  const read: PrimarySource[][] = [];
  // later items of FROM see the earlier ones (S-109)
  const scope: Scope = { sources: visible, parent };
  for (const item of select.from) {
    const before = sources.length;
    const found = attempt(context, () => bindSource(item, scope, context, { sources, conditions }), null);
    visible.push(found ?? unknownSource(item, context));
    read.push(sources.slice(before));
  }
  attempt(context, () => checkDistinctNames(select.from, visible), undefined);
  for (const item of select.from) conditions.push(bindCondition(item.on, scope, context, bindSelect));
  conditions.push(bindCondition(select.where, scope, context, bindSelect));
  const condition: Condition = { kind: 'and', children: conditions };
  const items = select.items.map((item) => attempt(context, () => bindItem(item, scope, context), null));
  const complete = !items.includes(null) && visible.every(({ kind }) => kind !== 'unknown');
  if (complete) warnUnconnectedJoins({ items: select.from, visible, read, condition }, context);
  return { visible, sources, condition, items: items.flatMap((item) => item ?? []), complete };
};

/** What a query reads and requires through its sources. */
interface Found {
  readonly sources: PrimarySource[];
  readonly conditions: Condition[];
}

function bindSource(item: FromItem, scope: Scope, context: QueryContext, found: Found): Source {
  if (item.alias !== null) warnMixedCase(item.alias, context);
  if (item.kind === 'function') return bindFunction(item, scope, context, found);
  if (item.kind === 'select') {
    streamsOnly('A subquery', item, context);
    if (item.alias === null) throw new SqlError('PSYNC_R2216', 'A subquery in FROM needs an alias.', item);
    const inner = bindSelect(item.select, null, context);
    if (!inner.complete) return unknownSource(item, context);
    const items = item.columns === null ? inner.items : renamed(inner.items, item);
    return merge({ kind: 'derived', visible: item.alias.text, items, span: spanOf(item) }, inner, found);
  }
  const cte = item.schema === null ? context.ctes.get(item.name.text) : undefined;
  if (cte !== undefined) {
    const inner = bindSelect(selectOfCte(cte, context, item.name), null, { ...context, insideCte: cte.name });
    if (!inner.complete) return unknownSource(item, context);
    const visible = item.alias?.text ?? cte.name;
    return merge({ kind: 'derived', visible, items: inner.items, span: spanOf(item) }, inner, found);
  }
  const pattern = tablePattern(item, context);
  checkTable(pattern, item.name, context);
  const objectType = item.alias?.text ?? (pattern.wildcard ? null : pattern.name);
  const visible = item.alias?.text ?? item.name.text;
  const table: TableSource = { kind: 'table', id: context.nextId(), visible, pattern, objectType, span: spanOf(item) };
  found.sources.push(table);
  return table;
}

function bindFunction(
  item: FromItem & { kind: 'function' },
  scope: Scope,
  context: QueryContext,
  found: Found,
): Source {
  const [argument, ...others] = item.args;
  if (item.name.text !== 'json_each' || argument === undefined || others.length > 0) {
    throw new SqlError('PSYNC_R2203', 'The only function in FROM is json_each(array), with one argument.', item);
  }
  if (context.dialect === 'data' || context.dialect === 'event') streamsOnly('json_each()', item, context);
  const value = bindExpression(argument, scope, context);
  const each = eachOf('each', value, worldOf(value), spanOf(item), item.alias?.text ?? 'json_each', context);
  found.sources.push(each);
  return each;
}

const spanOf = ({ start, end }: Span): Span => ({ start, end });

/** Stands for what could not be bound, so that its columns are no findings of their own. */
function unknownSource(item: FromItem, context: QueryContext): UnknownSource {
  const visible = item.alias?.text ?? (item.kind === 'select' ? null : item.name.text);
  context.report('follow-up', 'PSYNC_R2228', `${visible ?? 'This'} cannot be read because of its own errors.`, item);
  return { kind: 'unknown', visible };
}

function merge(derived: DerivedSource, inner: BoundSelect, found: Found): DerivedSource {
  found.sources.push(...inner.sources);
  found.conditions.push(inner.condition);
  return derived;
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
    if (source === null) throw unknownQualifier(item.table, null, { sources: scope.sources, parent: null }, context);
    return starOf(source, span);
  }
  if (scope.sources.some(({ kind }) => kind === 'unknown')) return [];
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
function starOf(source: Source, span: Span): BoundItem[] {
  if (source.kind === 'unknown') return [];
  return source.kind === 'derived' ? [...source.items] : [{ kind: 'star', of: source, span }];
}
