/** For tests: a syntax tree as text again. Parentheses are those that the tree has: what is put together by hand needs its own. */
import type { Expr, FromItem, Name, Select, SelectItem } from '../sql/ast.ts';
import { quoted } from './sql-text.ts';

export function printSelect({ items, from, where }: Select): string {
  const parts = [`SELECT ${items.map(printItem).join(', ')}`];
  for (const [at, item] of from.entries()) {
    const text = printSource(item);
    const comma = item.on === null && (item as { readonly joined?: boolean }).joined !== true;
    const behind = comma ? `, ${text}` : ` JOIN ${text}${item.on === null ? '' : ` ON ${printExpr(item.on)}`}`;
    parts.push(at === 0 ? ` FROM ${text}` : behind);
  }
  if (where !== null) parts.push(` WHERE ${printExpr(where)}`);
  return parts.join('');
}

const name = ({ written }: Name): string => written;
const as = (alias: Name | null): string => (alias === null ? '' : ` AS ${name(alias)}`);
const list = (exprs: readonly Expr[]): string => exprs.map(printExpr).join(', ');

function printItem(item: SelectItem): string {
  if (item.kind === 'expr') return `${printExpr(item.expr)}${as(item.alias)}`;
  return item.table === null ? '*' : `${name(item.table)}.*`;
}

function printSource(item: FromItem): string {
  switch (item.kind) {
    case 'table':
      return `${item.schema === null ? '' : `${name(item.schema)}.`}${name(item.name)}${as(item.alias)}`;
    case 'function':
      return `${name(item.name)}(${list(item.args)})${as(item.alias)}`;
    case 'select': {
      const columns = item.columns === null ? '' : `(${item.columns.map(name).join(', ')})`;
      return `(${printSelect(item.select)})${as(item.alias)}${columns}`;
    }
  }
}

export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'null':
      return 'NULL';
    case 'integer':
    case 'real':
      return expr.text;
    case 'string':
      return quoted(expr.value);
    case 'boolean':
      return expr.value ? 'TRUE' : 'FALSE';
    case 'column':
      return `${expr.table === null ? '' : `${name(expr.table)}.`}${name(expr.name)}`;
    case 'call':
      return `${expr.schema === null ? '' : `${name(expr.schema)}.`}${name(expr.name)}(${list(expr.args)})`;
    case 'unary':
      return `${expr.op === 'not' ? 'NOT' : expr.op} ${printExpr(expr.operand)}`;
    case 'binary':
      return `${printExpr(expr.left)} ${expr.op.toUpperCase()} ${printExpr(expr.right)}`;
    case 'isNull':
      return `${printExpr(expr.operand)} IS ${expr.negated ? 'NOT ' : ''}NULL`;
    case 'between':
      return `${printExpr(expr.operand)} ${expr.negated ? 'NOT ' : ''}BETWEEN ${printExpr(expr.low)} AND ${printExpr(expr.high)}`;
    case 'in':
      return `${printExpr(expr.operand)} ${expr.negated ? 'NOT ' : ''}IN ${printExpr(expr.set)}`;
    case 'overlaps':
      return `${printExpr(expr.left)} && ${printExpr(expr.right)}`;
    case 'case': {
      const subject = expr.subject === null ? '' : ` ${printExpr(expr.subject)}`;
      const whens = expr.whens.map(({ when, then }) => ` WHEN ${printExpr(when)} THEN ${printExpr(then)}`);
      const otherwise = expr.otherwise === null ? '' : ` ELSE ${printExpr(expr.otherwise)}`;
      return `CASE${subject}${whens.join('')}${otherwise} END`;
    }
    case 'cast':
      return `CAST(${printExpr(expr.operand)} AS ${name(expr.type)})`;
    case 'list':
      return `ROW(${list(expr.items)})`;
    case 'group':
      return `(${printExpr(expr.inner)})`;
    case 'subquery':
      return `(${printSelect(expr.select)})`;
  }
}

/** The tree without its places in the text: equal for texts that differ in layout only. */
export function withoutPlaces(tree: Select): unknown {
  const places = new Set(['start', 'end', 'opSpan', 'written']);
  return JSON.parse(JSON.stringify(tree, (key, value: unknown) => (places.has(key) ? undefined : value)));
}
