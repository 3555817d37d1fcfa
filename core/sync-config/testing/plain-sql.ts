/**
 * For tests: what a query means, as plain SQL for SQLite over tables that have every column. Made from the syntax tree alone, without
 * the compiler, so that both can be compared.
 */
import type { Expr, FromItem, Name, Select, SelectItem } from '../sql/ast.ts';
import { arrayJson, quoted, quotedName, validJson } from './sql-text.ts';

/** How people and tables must look so that the query can run. */
export interface PlainNeeds {
  /** Names in FROM. */
  readonly tables: Set<string>;
  readonly columns: Set<string>;
  /** `scope key`. */
  readonly parameters: Set<string>;
  /** Columns and parameters that are read as arrays, and as JSON; and the keys that are looked for in them. */
  readonly arrays: Set<string>;
  readonly documents: Set<string>;
  readonly keys: Set<string>;
  /** Literals, as SQL. */
  readonly literals: Set<string>;
}
export const noNeeds = (): PlainNeeds => ({
  tables: new Set(),
  columns: new Set(),
  parameters: new Set(),
  arrays: new Set(),
  documents: new Set(),
  keys: new Set(),
  literals: new Set(),
});

/** Where a query stands: its CTEs, and whether it belongs to a bucket definition. */
export interface PlainContext {
  readonly ctes: ReadonlyMap<string, Select>;
  readonly legacy: boolean;
  /** What the queries turn out to need. */
  readonly needs: PlainNeeds;
}

/** Columns that say what is known of a row's table; every table has them. */
export const METADATA: Readonly<Record<string, string>> = {
  schema: '_schema',
  table_name: '_name',
  table_suffix: '_suffix',
};

/** Values of `:name` in the statement, by scope and key; `*` is all of the scope. */
export const bindingName = (scope: string, key: string): string =>
  `p_${scope}_${Array.from(key, (character) => (/\w/.test(character) ? character : `_${character.codePointAt(0)}_`)).join('')}`;

/** What a bucket parameter is called in the table `buckets`: like no column of a data query. */
export const bucketColumn = (name: string): string => `bucket ${name}`;

function parameter(scope: string, key: string, { needs }: PlainContext): string {
  needs.parameters.add(`${scope} ${key}`);
  return `:${bindingName(scope, key)}`;
}
const ident = (name: Name): string => quotedName(name.text);

/** The CTE that a name means on the right side of IN, && and =. */
function cteNamed(expr: Expr, { ctes }: PlainContext): string | null {
  const inner = expr.kind === 'group' ? expr.inner : expr;
  if (inner.kind !== 'column' || inner.table !== null || !ctes.has(inner.name.text)) return null;
  return `SELECT * FROM ${ident(inner.name)}`;
}
function rowsOf(set: Expr, plain: PlainContext): string | null {
  const inner = set.kind === 'group' ? set.inner : set;
  return inner.kind === 'subquery' ? plainSelect(inner.select, plain) : cteNamed(set, plain);
}

/** The query; `also`: further items of FROM. Throws for what has no counterpart in SQLite. */
export function plainSelect({ items, from, where }: Select, plain: PlainContext, also: readonly string[] = []): string {
  const sources = from.map((item, at) => {
    const on = item.on === null ? '' : ` ON ${value(item.on, plain)}`;
    return at === 0 ? source(item, plain) : ` JOIN ${source(item, plain)}${on}`;
  });
  const outputs = items.map((item) => output(item, from, plain));
  const condition = where === null ? '' : ` WHERE ${value(where, plain)}`;
  const all = [...(sources.length === 0 ? [] : [sources.join('')]), ...also];
  return `SELECT ${outputs.length === 0 ? '1' : outputs.join(', ')}${all.length === 0 ? '' : ` FROM ${all.join(', ')}`}${condition}`;
}

function output(item: SelectItem, from: readonly FromItem[], plain: PlainContext): string {
  if (item.kind === 'expr') {
    const name = item.alias ?? (item.expr.kind === 'column' ? item.expr.name : null);
    return `${value(item.expr, plain)}${name === null ? '' : ` AS ${ident(name)}`}`;
  }
  if (item.table !== null) return `${ident(item.table)}.*`;
  // * means the columns of tables (S-108)
  const tables = from.filter(({ kind }) => kind !== 'function');
  return (tables.length === 0 ? from : tables).map((table) => `${visible(table)}.*`).join(', ');
}
const visible = (item: FromItem): string =>
  item.alias !== null ? ident(item.alias) : item.kind === 'select' ? '' : ident(item.name);

function source(item: FromItem, plain: PlainContext): string {
  switch (item.kind) {
    case 'function': {
      const [argument] = item.args;
      if (argument === undefined) throw new Error('json_each without argument');
      markAs(argument, plain.needs.arrays);
      return `json_each(${validJson(value(argument, plain))}) AS ${visible(item)}`;
    }
    case 'select': {
      const inner = plainSelect(item.select, plain);
      if (item.columns === null) return `(${inner}) AS ${visible(item)}`;
      const columns = item.columns.map(ident).join(', ');
      return `(WITH renamed(${columns}) AS (${inner}) SELECT * FROM renamed) AS ${visible(item)}`;
    }
    case 'table': {
      if (item.schema === null && plain.ctes.has(item.name.text)) return `${ident(item.name)} AS ${visible(item)}`;
      const table = `${item.schema === null ? '' : `${item.schema.text}.`}${item.name.text}`;
      plain.needs.tables.add(table);
      return `${quotedName(table)} AS ${visible(item)}`;
    }
  }
}

/** Notes that a column or parameter is read as an array or as JSON. */
function markAs(expr: Expr, set: Set<string>): void {
  if (expr.kind === 'group') markAs(expr.inner, set);
  else if (expr.kind === 'column') set.add(expr.name.text);
  else if (expr.kind === 'binary' && (expr.op === '->' || expr.op === '->>')) markKey(expr.right, set);
  else if (expr.kind === 'call') {
    const [argument] = expr.args;
    if (argument?.kind === 'string') set.add(argument.value);
  }
}
function markKey(key: Expr, set: Set<string>): void {
  if (key.kind === 'string') set.add(key.value.replace(/^\$\./, ''));
}

const list = (exprs: readonly Expr[], plain: PlainContext): string =>
  exprs.map((expr) => value(expr, plain)).join(', ');
function literal(text: string, { needs }: PlainContext): string {
  needs.literals.add(text);
  return text;
}

function value(expr: Expr, plain: PlainContext): string {
  switch (expr.kind) {
    case 'null':
      return 'NULL';
    case 'integer':
    case 'real':
      return literal(expr.text, plain);
    case 'string':
      return literal(quoted(expr.value), plain);
    case 'boolean':
      return literal(expr.value ? '1' : '0', plain);
    case 'column':
      return column(expr, plain);
    case 'call':
      return call(expr, plain);
    case 'unary':
      return `(${expr.op === 'not' ? 'NOT' : expr.op} ${value(expr.operand, plain)})`;
    case 'binary':
      return binary(expr, plain);
    case 'isNull':
      return `(${value(expr.operand, plain)} IS ${expr.negated ? 'NOT ' : ''}NULL)`;
    case 'between': {
      const [x, low, high] = [value(expr.operand, plain), value(expr.low, plain), value(expr.high, plain)];
      const unknown = `${x} IS NULL OR ${low} IS NULL OR ${high} IS NULL`;
      return `(CASE WHEN ${unknown} THEN NULL ELSE ${x} ${expr.negated ? 'NOT ' : ''}BETWEEN ${low} AND ${high} END)`;
    }
    case 'in':
      return membership(expr, plain);
    case 'overlaps': {
      markAs(expr.left, plain.needs.arrays);
      const left = `SELECT value AS v FROM json_each(${arrayJson(value(expr.left, plain))})`;
      const rows = rowsOf(expr.right, plain);
      if (rows === null) markAs(expr.right, plain.needs.arrays);
      const right = rows ?? `SELECT value FROM json_each(${arrayJson(value(expr.right, plain))})`;
      return `EXISTS (SELECT 1 FROM (${left}) WHERE v IN (${right}))`;
    }
    case 'case': {
      const subject = expr.subject === null ? '' : ` ${value(expr.subject, plain)}`;
      const whens = expr.whens.map(({ when, then }) => ` WHEN ${value(when, plain)} THEN ${value(then, plain)}`);
      const otherwise = expr.otherwise === null ? '' : ` ELSE ${value(expr.otherwise, plain)}`;
      return `(CASE${subject}${whens.join('')}${otherwise} END)`;
    }
    case 'cast':
      // without affinity
      return `(+CAST(${value(expr.operand, plain)} AS ${expr.type.text}))`;
    case 'list':
      throw new Error('a list is no value');
    case 'group':
      return `(${value(expr.inner, plain)})`;
    case 'subquery':
      throw new Error('a subquery is no value');
  }
}

function column(expr: Expr & { kind: 'column' }, plain: PlainContext): string {
  const table = expr.table?.text ?? null;
  const name = expr.name.text;
  if (plain.legacy && table === 'token_parameters')
    return name === 'user_id' ? parameter('auth', 'sub', plain) : parameter('auth', `parameters.${name}`, plain);
  if (plain.legacy && table === 'user_parameters') return parameter('connection', name, plain);
  if (plain.legacy && table === 'bucket') return `buckets.${quotedName(bucketColumn(name))}`;
  plain.needs.columns.add(name);
  return `${expr.table === null ? '' : `${ident(expr.table)}.`}${ident(expr.name)}`;
}

function binary(expr: Expr & { kind: 'binary' }, plain: PlainContext): string {
  if (expr.op === '->' || expr.op === '->>') {
    if (expr.left.kind === 'column') plain.needs.documents.add(expr.left.name.text);
    if (expr.right.kind === 'string') plain.needs.keys.add(expr.right.value.replace(/^\$\./, ''));
    const path = expr.right.kind === 'string' ? quoted(expr.right.value) : value(expr.right, plain);
    return `(${validJson(value(expr.left, plain))} ${expr.op} ${path})`;
  }
  if (expr.op === '=') {
    const rows = cteNamed(expr.right, plain);
    if (rows !== null) return `(${value(expr.left, plain)} IN (${rows}))`;
  }
  return `(${value(expr.left, plain)} ${expr.op} ${value(expr.right, plain)})`;
}

function membership({ operand, set, negated }: Expr & { kind: 'in' }, plain: PlainContext): string {
  const not = negated ? 'NOT ' : '';
  const left = value(operand, plain);
  const rows = rowsOf(set, plain);
  if (rows !== null) return `(${left} ${not}IN (${rows}))`;
  if (set.kind === 'list') return `(${left} ${not}IN (${list(set.items, plain)}))`;
  if (set.kind === 'group' && ['integer', 'real', 'boolean', 'null'].includes(set.inner.kind))
    return `(${left} ${not}IN (${value(set.inner, plain)}))`;
  if (set.kind === 'group' && set.inner.kind === 'string' && !/^\s*\[/.test(set.inner.value))
    return `(${left} ${not}IN (${value(set.inner, plain)}))`;
  markAs(set, plain.needs.arrays);
  const array = arrayJson(value(set, plain));
  return `(CASE WHEN ${array} IS NOT NULL THEN ${left} ${not}IN (SELECT value FROM json_each(${array})) END)`;
}

function call({ schema, name, args }: Expr & { kind: 'call' }, plain: PlainContext): string {
  const scope = schema?.text ?? null;
  const [first] = args;
  if (scope === 'request' && plain.legacy) {
    if (name.text === 'user_id') return parameter('auth', 'sub', plain);
    return parameter(name.text === 'jwt' ? 'auth' : 'connection', '*', plain);
  }
  if (scope !== null && ['auth', 'connection', 'subscription'].includes(scope)) {
    if (name.text === 'user_id') return parameter('auth', 'sub', plain);
    return parameter(scope, first?.kind === 'string' ? first.value : '*', plain);
  }
  const what = METADATA[name.text];
  if (schema !== null && what !== undefined) return `${ident(schema)}.${quotedName(what)}`;
  const json = ['json_extract', 'json_array_length', 'json_keys'].includes(name.text);
  if (json && first?.kind === 'column')
    (name.text === 'json_array_length' ? plain.needs.arrays : plain.needs.documents).add(first.name.text);
  if (name.text === 'json_extract' && args[1]?.kind === 'string')
    plain.needs.keys.add(args[1].value.replace(/^\$\./, ''));
  const values = args.map((arg, at) =>
    json && at === 0 ? validJson(value(arg, plain)) : arg.kind === 'string' ? quoted(arg.value) : value(arg, plain),
  );
  return `${name.text}(${values.join(', ')})`;
}

/** The text with its CTEs in front. */
export function withCtes(ctes: ReadonlyMap<string, string>, text: string): string {
  const named = [...ctes].map(([name, query]) => `${quotedName(name)} AS (${query})`);
  return named.length === 0 ? text : `WITH ${named.join(', ')} ${text}`;
}
