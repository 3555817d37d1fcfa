/** Columns: which source of the query they belong to, and what the source schema says about them (S-33, S-34). */
import { matchesTable } from '../evaluate/matches-table.ts';
import type { ElementColumn } from '../plan.ts';
import { SqlError, type Name, type Span } from '../sql/ast.ts';
import type { BoundExpr, DerivedSource, EachSource, Source, TableSource } from './bound.ts';
import type { QueryContext } from './context.ts';
import { quoted, unknownQualifier } from './name-hints.ts';
import { findSource, warnMixedCase, type Scope } from './scope.ts';

const ELEMENT_COLUMNS: readonly string[] = ['key', 'value', 'type', 'atom'];
/** SQLite's json_each has more columns; these say nothing that a filter or key could need. */
const OTHER_ELEMENT_COLUMNS = new Set(['id', 'parent', 'fullkey', 'path', 'json', 'root']);

/**
 * Resolves `[table.]column`. Throws PSYNC_R2216. A bare name belongs to the query that it stands in, never to one around it: else a
 * misspelt column, or one that was dropped, would change what a subquery restricts (G4). Only where a query has no source (yet) it can
 * mean nothing but the query around it. The known source schema only decides between several tables of the query; a column that is
 * missing there is a warning (S-33).
 */
export function resolveColumn(table: Name | null, column: Name, scope: Scope, context: QueryContext): BoundExpr {
  if (table !== null) {
    const source = findSource(table, scope);
    if (source === null) throw unknownQualifier(table, column, scope, context);
    return columnOf(source, column, context);
  }
  let at = scope;
  while (at.sources.length === 0 && at.parent !== null) at = at.parent;
  const possible = at.sources.filter((source) => canHave(source, column));
  const [first, ...others] = possible;
  if (first === undefined) throw missingColumn(column, at);
  if (possible.some(({ kind }) => kind === 'unknown')) return unknownValue(column, context);
  const [only, ...more] = others.length === 0 ? possible : possible.filter((item) => mayHave(item, column, context));
  if (only !== undefined && more.length === 0) return columnOf(only, column, context);
  const names = possible.map((source) => source.visible ?? '').join(', ');
  throw new SqlError(
    'PSYNC_R2216',
    `Column ${column.written} could belong to ${names}; write table.${column.written}.`,
    column,
  );
}

/** No source of the query has the column: the query around it may, and must then be named. */
function missingColumn(column: Name, { sources, parent }: Scope): SqlError {
  if (sources.length === 0) {
    const message = `There is no column ${column.written} here; name its table in FROM, before it.`;
    return new SqlError('PSYNC_R2216', message, column);
  }
  const outer = aroundWith(column, sources, parent);
  const hint = outer === null ? '' : `write ${outer}.${column.written} if that is meant`;
  const [only, ...others] = sources;
  // the finding is about the columns of json_each (open question 13)
  if (only?.kind === 'each' && others.length === 0) return noElement(column, hint);
  const names = sources.map(({ visible }) => visible ?? '').join(' and ');
  const verb = others.length === 0 ? 'has' : 'have';
  const message = `${names} ${verb} no column ${column.written}${columnsOf(sources)}`;
  return new SqlError('PSYNC_R2216', `${message}${hint === '' ? '' : `; ${hint}`}.`, column);
}

/** `, only a and b`, where that is not too long. */
function columnsOf(sources: readonly Source[]): string {
  const columns = sources.flatMap((source) =>
    source.kind === 'derived' ? source.items.flatMap((item) => (item.kind === 'value' ? (item.name ?? []) : [])) : [],
  );
  const names = [...new Set(columns)].map(quoted);
  return names.length === 0 || names.length > 12 ? '' : `, only ${names.join(', ')}`;
}

/** Qualifier of the nearest source around the query that can have the column; null when none can be named. */
function aroundWith(column: Name, inner: readonly Source[], parent: Scope | null): string | null {
  const hidden = new Set(inner.map(({ visible }) => visible));
  for (let at = parent; at !== null; at = at.parent) {
    const found = at.sources.find(
      (item) => item.visible !== null && !hidden.has(item.visible) && canHave(item, column),
    );
    if (found !== undefined) return quoted(found.visible ?? '');
    for (const { visible } of at.sources) hidden.add(visible);
  }
  return null;
}

/** By its kind: tables can have any column. */
function canHave(source: Source, column: Name): boolean {
  switch (source.kind) {
    case 'table':
    case 'unknown':
      return true;
    case 'each':
      return (
        source.visible !== null && (ELEMENT_COLUMNS.includes(column.text) || OTHER_ELEMENT_COLUMNS.has(column.text))
      );
    case 'derived':
      return source.items.some((item) => (item.kind === 'star' ? canHave(item.of, column) : item.name === column.text));
  }
}

/** By what is known of the source schema; an unknown table may have any column. */
function mayHave(source: Source, column: Name, context: QueryContext): boolean {
  if (source.kind === 'derived') {
    return source.items.some((item) =>
      item.kind === 'star' ? mayHave(item.of, column, context) : item.name === column.text,
    );
  }
  if (source.kind !== 'table') return canHave(source, column);
  const tables = context.options.schema?.filter((table) => matchesTable(source.pattern, table)) ?? [];
  if (tables.length === 0 || column.text === '_table_suffix') return true;
  return tables.some((table) => table.columns.includes(column.text));
}

function columnOf(source: Source, column: Name, context: QueryContext): BoundExpr {
  switch (source.kind) {
    case 'table':
      return tableColumn(source, column, context);
    case 'each':
      return elementColumn(source, column);
    case 'derived':
      return derivedColumn(source, column, context);
    case 'unknown':
      return unknownValue(column, context);
  }
}

/** Of a source that could not be read, because of a finding that is reported. */
export function unknownValue(span: Span, { report }: Pick<QueryContext, 'report'>): BoundExpr {
  report('follow-up', 'PSYNC_R2228', 'This cannot be read because of errors in what it refers to.', span);
  return { kind: 'null' };
}

function tableColumn(source: TableSource, column: Name, context: QueryContext): BoundExpr {
  if (column.text === '_table_suffix' && source.pattern.wildcard) return { kind: 'table', of: source, what: 'suffix' };
  checkColumn(source, column, context);
  return { kind: 'column', of: source, name: column.text };
}

/** Warns when the known tables do not have the column (S-33, S-34). */
function checkColumn(source: TableSource, column: Name, context: QueryContext): void {
  const tables = context.options.schema?.filter((table) => matchesTable(source.pattern, table)) ?? [];
  if (tables.length === 0) return warnMixedCase(column, context);
  if (tables.some((table) => table.columns.includes(column.text))) return;
  if (!column.quoted && tables.some((table) => table.columns.includes(column.written))) {
    const message = `Column ${column.written} is read as ${column.text}; write "${column.written}".`;
    context.report('warning', 'PSYNC_R2303', message, column);
    return;
  }
  const text = column.quoted ? ` Texts take single quotes: '${column.text.replaceAll("'", "''")}'.` : '';
  const message = `Column ${column.text} was not found; it is null until it exists.${text}`;
  context.report('warning', 'PSYNC_R2302', message, column);
}

function elementColumn(source: EachSource, column: Name): BoundExpr {
  if (!ELEMENT_COLUMNS.includes(column.text)) throw noElement(column, '');
  return { kind: 'element', of: source, column: column.text as ElementColumn };
}

function noElement(column: Name, hint: string): SqlError {
  const columns = `use value, key, type or atom ("value AS ${column.text}" renames it)`;
  const message = `json_each has no column ${column.written}; ${columns}${hint === '' ? '' : `, or ${hint}`}.`;
  return new SqlError('PSYNC_R2216', message, column);
}

function derivedColumn(source: DerivedSource, column: Name, context: QueryContext): BoundExpr {
  for (const item of source.items.toReversed()) {
    if (item.kind === 'value' && item.name === column.text) return item.value;
    if (item.kind === 'star')
      return item.of.kind === 'table' ? tableColumn(item.of, column, context) : elementColumn(item.of, column);
  }
  throw new SqlError('PSYNC_R2216', `${source.visible} has no column ${column.written}${columnsOf([source])}.`, column);
}
