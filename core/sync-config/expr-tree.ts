/** Walking and rewriting expressions of the plan, whatever their leaves are. */
import type { ExprOf } from './plan.ts';

const INNER_KINDS = new Set(['unary', 'binary', 'isNull', 'between', 'inList', 'inArray', 'case', 'cast', 'call']);
const LITERAL_KINDS = new Set(['null', 'integer', 'real', 'text']);

type Tagged = { readonly kind: string };
type Inner = Extract<
  ExprOf<never>,
  { kind: 'unary' | 'binary' | 'isNull' | 'between' | 'inList' | 'inArray' | 'case' | 'cast' | 'call' }
>;

/** Calls `visit` for the expression and everything in it. */
export function visitExpr<Leaf extends Tagged>(expr: ExprOf<Leaf>, visit: (node: ExprOf<Leaf>) => void): void {
  visit(expr);
  for (const child of childrenOf(expr)) visitExpr(child, visit);
}

/** Calls `visit` for each leaf that is no literal. */
export function visitLeaves<Leaf extends Tagged>(expr: ExprOf<Leaf>, visit: (leaf: Leaf) => void): void {
  visitExpr(expr, (node) => {
    if (!INNER_KINDS.has(node.kind) && !LITERAL_KINDS.has(node.kind)) visit(node as Leaf);
  });
}

/** Direct operands of an expression, in order. */
export function childrenOf<Leaf extends Tagged>(expr: ExprOf<Leaf>): ExprOf<Leaf>[] {
  const inner = expr as Inner;
  switch (inner.kind) {
    case 'unary':
    case 'isNull':
    case 'cast':
      return [inner.operand];
    case 'binary':
      return [inner.left, inner.right];
    case 'between':
      return [inner.operand, inner.low, inner.high];
    case 'inList':
      return [inner.operand, ...inner.items];
    case 'inArray':
      return [inner.operand, inner.array];
    case 'case': {
      const parts = inner.subject === null ? [] : [inner.subject];
      for (const { when, then } of inner.whens) parts.push(when, then);
      return inner.otherwise === null ? parts : [...parts, inner.otherwise];
    }
    case 'call':
      return [...inner.args];
    default:
      return [];
  }
}

/** The same expression with every leaf replaced. */
export function mapLeaves<From extends Tagged, To extends Tagged>(
  expr: ExprOf<From>,
  replace: (leaf: From) => ExprOf<To>,
): ExprOf<To> {
  const map = (node: ExprOf<never>): ExprOf<To> => mapLeaves<From, To>(node, replace);
  if (LITERAL_KINDS.has(expr.kind)) return expr as ExprOf<To>;
  if (!INNER_KINDS.has(expr.kind)) return replace(expr as From);
  const inner = expr as Inner;
  switch (inner.kind) {
    case 'unary':
    case 'isNull':
    case 'cast':
      return { ...inner, operand: map(inner.operand) };
    case 'binary':
      return { ...inner, left: map(inner.left), right: map(inner.right) };
    case 'between':
      return { ...inner, operand: map(inner.operand), low: map(inner.low), high: map(inner.high) };
    case 'inList':
      return { ...inner, operand: map(inner.operand), items: inner.items.map(map) };
    case 'inArray':
      return { ...inner, operand: map(inner.operand), array: map(inner.array) };
    case 'case':
      return {
        kind: 'case',
        subject: inner.subject === null ? null : map(inner.subject),
        whens: inner.whens.map(({ when, then }) => ({ when: map(when), then: map(then) })),
        otherwise: inner.otherwise === null ? null : map(inner.otherwise),
      };
    case 'call':
      return { ...inner, args: inner.args.map(map) };
  }
}

/** Canonical text: equal exactly for equal data, whatever the order of members. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}
