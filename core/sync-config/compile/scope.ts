/** Names: tables of FROM, columns, and what the source schema says about them (S-33, S-116, S-244…S-257). */
import { matchesTable } from '../evaluate/matches-table.ts';
import type { ElementColumn, TablePattern } from '../plan.ts';
import { SqlError, type FromItem, type Name, type Span } from '../sql/ast.ts';
import type { BoundExpr, DerivedSource, EachSource, Source, TableSource } from './bound.ts';
import { type QueryContext, streamsOnly } from './context.ts';

/** Sources visible to an expression: of its own query, then of the queries around it. */
export interface Scope {
  readonly sources: readonly Source[];
  readonly parent: Scope | null;
}

const ELEMENT_COLUMNS: readonly string[] = ['key', 'value', 'type', 'atom'];
/** SQLite's json_each has more columns; these say nothing that a filter or key could need. */
const OTHER_ELEMENT_COLUMNS = new Set(['id', 'parent', 'fullkey', 'path', 'json', 'root']);

/** The table that an item of FROM names: `table`, `schema.table`, `"tag.schema"."table"`, with `%` at the end. */
export function tablePattern(item: FromItem & { kind: 'table' }, context: QueryContext): TablePattern {
  const { options } = context;
  let source = options.defaultSource;
  let schema: string | null = item.schema?.text ?? null;
  let anySchema = false;
  if (item.schema !== null && schema !== null) {
    const dot = schema.indexOf('.');
    if (dot >= 0) {
      source = schema.slice(0, dot);
      schema = schema.slice(dot + 1);
      if (!options.sources.includes(source)) {
        const message = `There is no connection "${source}"; configured are ${options.sources.join(', ')}.`;
        throw new SqlError('PSYNC_R2218', message, item.schema);
      }
    }
    anySchema = schema.endsWith('%');
    if (anySchema) schema = schemaPrefix(schema.slice(0, -1), source, item.schema, context);
    else if (schema.includes('%')) throw new SqlError('PSYNC_R2215', SCHEMA_PERCENT, item.schema);
    warnMixedCase(item.schema, context);
  }
  const name = item.name.text;
  const percent = name.indexOf('%');
  if (percent >= 0 && percent !== name.length - 1) {
    throw new SqlError('PSYNC_R2215', '% can only be the last character of a table name.', item.name);
  }
  const wildcard = percent >= 0;
  return {
    source,
    schema: schema ?? options.defaultSchemas[source] ?? 'public',
    ...(anySchema ? { anySchema } : {}),
    name: wildcard ? name.slice(0, -1) : name,
    wildcard,
  };
}

const SCHEMA_PERCENT = '% can only be the last character of a schema.';

/** Of all schemas that a pattern means (S-689). */
function schemaPrefix(prefix: string, source: string, name: Name, context: QueryContext): string {
  if (prefix.includes('%')) throw new SqlError('PSYNC_R2215', SCHEMA_PERCENT, name);
  streamsOnly('A pattern of schemas', name, context);
  const { schemaPatterns } = context.options;
  if (schemaPatterns !== undefined && !schemaPatterns.includes(source)) {
    throw new SqlError('PSYNC_R2215', `The source "${source}" has no patterns of schemas; name one schema.`, name);
  }
  return prefix;
}

/** Warns when no table of the known schema fits. */
export function checkTable(pattern: TablePattern, name: Name, context: QueryContext): void {
  const { schema } = context.options;
  if (schema === undefined) return warnMixedCase(name, context);
  if (schema.some((table) => matchesTable(pattern, table))) return;
  const written = schema.some((table) => table.schema === pattern.schema && table.name === name.written);
  if (written && !name.quoted) {
    context.report(
      'warning',
      'PSYNC_R2303',
      `Table ${name.written} is read as ${name.text}; write "${name.written}".`,
      name,
    );
  } else {
    const full = `"${pattern.schema}${pattern.anySchema === true ? '%' : ''}"."${name.text}"`;
    context.report('warning', 'PSYNC_R2301', `Table ${full} was not found; it syncs once it exists.`, name);
  }
}

/** Without a schema to compare with: unquoted names with capitals are probably meant to keep them (S-247). */
export function warnMixedCase(name: Name, context: QueryContext): void {
  if (name.quoted || name.written === name.text || name.written === name.written.toUpperCase()) return;
  context.report(
    'warning',
    'PSYNC_R2303',
    `${name.written} is read as ${name.text}; write "${name.written}" to keep the case.`,
    name,
  );
}

/** The source that a qualifier means; null when there is none. */
export function findSource(name: Name, scope: Scope | null): Source | null {
  for (let at = scope; at !== null; at = at.parent) {
    const found = at.sources.find((source) => source.visible === name.text);
    if (found !== undefined) return found;
  }
  return null;
}

/**
 * Resolves `[table.]column`. Throws PSYNC_R2216. A bare name belongs to the innermost query that can have such a column: the known
 * source schema only decides between several tables of that query. A column that is missing there is a warning (S-33), and never means
 * one of a query around it: else a dropped column would change what a subquery restricts (G4).
 */
export function resolveColumn(table: Name | null, column: Name, scope: Scope, context: QueryContext): BoundExpr {
  if (table !== null) {
    const source = findSource(table, scope);
    if (source === null) {
      throw new SqlError('PSYNC_R2216', `There is no table or alias ${table.written} here.`, table);
    }
    return columnOf(source, column, context);
  }
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    const possible = at.sources.filter((source) => canHave(source, column));
    const candidates = possible.length > 1 ? possible.filter((source) => mayHave(source, column, context)) : possible;
    const [only] = candidates;
    if (only !== undefined && candidates.length === 1) return columnOf(only, column, context);
    if (possible.length > 0) {
      const names = possible.map((source) => source.visible ?? '').join(', ');
      throw new SqlError(
        'PSYNC_R2216',
        `Column ${column.written} could belong to ${names}; write table.${column.written}.`,
        column,
      );
    }
  }
  // over json_each alone the finding is about its columns (open question 13)
  const [only, ...others] = scope.sources;
  if (only?.kind === 'each' && others.length === 0) return elementColumn(only, column);
  throw new SqlError('PSYNC_R2216', `There is no column ${column.written} here.`, column);
}

/** By its kind: tables can have any column. */
function canHave(source: Source, column: Name): boolean {
  switch (source.kind) {
    case 'table':
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
  if (source.kind === 'each') return canHave(source, column);
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
  }
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
    context.report(
      'warning',
      'PSYNC_R2303',
      `Column ${column.written} is read as ${column.text}; write "${column.written}".`,
      column,
    );
  } else {
    context.report(
      'warning',
      'PSYNC_R2302',
      `Column ${column.text} was not found; it is null until it exists.`,
      column,
    );
  }
}

function elementColumn(source: EachSource, column: Name): BoundExpr {
  if (!ELEMENT_COLUMNS.includes(column.text)) {
    const message = `json_each has no column ${column.written} here; use ${ELEMENT_COLUMNS.join(', ')} (write "value AS ${column.text}" to rename).`;
    throw new SqlError('PSYNC_R2216', message, column);
  }
  return { kind: 'element', of: source, column: column.text as ElementColumn };
}

function derivedColumn(source: DerivedSource, column: Name, context: QueryContext): BoundExpr {
  for (const item of source.items.toReversed()) {
    if (item.kind === 'value' && item.name === column.text) return item.value;
    if (item.kind === 'star')
      return item.of.kind === 'table' ? tableColumn(item.of, column, context) : elementColumn(item.of, column);
  }
  throw new SqlError('PSYNC_R2216', `${source.visible} has no column ${column.written}.`, column);
}

/** Each visible name of a FROM clause may stand for one source only. */
export function checkDistinctNames(sources: readonly Source[], span: Span): void {
  const seen = new Set<string>();
  for (const { visible } of sources) {
    if (visible === null) continue;
    if (seen.has(visible))
      throw new SqlError('PSYNC_R2216', `${visible} stands for two tables here; give one of them an alias.`, span);
    seen.add(visible);
  }
}
