/** Tables of FROM: which ones are meant, and what the source schema says about them (S-33, S-116, S-244…S-257). */
import { matchesTable } from '../evaluate/matches-table.ts';
import type { TablePattern } from '../plan.ts';
import { SqlError, type FromItem, type Name } from '../sql/ast.ts';
import type { Source } from './bound.ts';
import { type QueryContext, streamsOnly } from './context.ts';

/** Sources visible to an expression: of its own query, then of the queries around it. */
export interface Scope {
  readonly sources: readonly Source[];
  readonly parent: Scope | null;
}

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
      if (options.sources.length > 0 && !options.sources.includes(source)) {
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

/** Each visible name of a FROM clause may stand for one source only; `items` and `sources` belong together. */
export function checkDistinctNames(items: readonly FromItem[], sources: readonly Source[]): void {
  const seen = new Set<string>();
  for (const [at, { visible }] of sources.entries()) {
    if (visible === null) continue;
    if (seen.has(visible)) {
      const item = items[at];
      const second = item?.kind === 'select' ? item.alias : (item?.alias ?? item?.name ?? null);
      throw new SqlError(
        'PSYNC_R2216',
        `${visible} stands for two tables here; give one of them an alias.`,
        second ?? item ?? { start: 0, end: 1 },
      );
    }
    seen.add(visible);
  }
}
