/** Syntax tree -> expression with resolved names, for everything that is no condition on several tables. */
import { functionDefinition } from '../evaluate/functions.ts';
import { parsePath } from '../evaluate/json/path.ts';
import { rootOf } from '../evaluate/json/scan.ts';
import type { CastType, PlanExpr } from '../plan.ts';
import { SqlError, type Expr } from '../sql/ast.ts';
import type { BoundExpr } from './bound.ts';
import { resolveColumn, unknownValue } from './columns.ts';
import { type QueryContext, streamsOnly } from './context.ts';
import { rejectPresentTime, unknownFunction } from './function-hints.ts';
import { warnNullComparison } from './null-comparison.ts';
import { bindParameterCall, bindParameterColumn } from './parameters.ts';
import { findSource, type Scope } from './scope.ts';

const CAST_TYPES: readonly string[] = ['text', 'numeric', 'integer', 'real', 'blob'];
const METADATA: ReadonlyMap<string, 'schema' | 'name' | 'suffix'> = new Map([
  ['schema', 'schema'],
  ['table_name', 'name'],
  ['table_suffix', 'suffix'],
]);

/** Throws `SqlError`. Subqueries and CTE names are no values. */
export function bindExpression(expr: Expr, scope: Scope, context: QueryContext): BoundExpr {
  const bind = (node: Expr): BoundExpr => bindExpression(node, scope, context);
  warnNullComparison(expr, context);
  switch (expr.kind) {
    case 'null':
      return { kind: 'null' };
    case 'integer':
      return { kind: 'integer', value: expr.text };
    case 'real':
      return { kind: 'real', value: expr.text };
    case 'string':
      return { kind: 'text', value: expr.value };
    case 'boolean':
      return { kind: 'integer', value: expr.value ? '1' : '0' };
    case 'group':
      return bind(expr.inner);
    case 'column':
      rejectPresentTime(expr);
      return bindParameterColumn(expr, context) ?? resolveColumn(expr.table, expr.name, scope, context);
    case 'unary':
      // the least integer can only be written with its sign
      if (expr.op === '-') {
        const operand = ungrouped(expr.operand);
        if (operand.kind === 'integer') return { kind: 'integer', value: `-${operand.text}` };
      }
      return { kind: 'unary', op: expr.op, operand: bind(expr.operand) };
    case 'binary':
      if (expr.op === '->' || expr.op === '->>') checkAccessor(expr.right);
      return { kind: 'binary', op: expr.op, left: bind(expr.left), right: bind(expr.right) };
    case 'isNull':
      return { kind: 'isNull', operand: bind(expr.operand), negated: expr.negated };
    case 'between':
      streamsOnly('BETWEEN', expr, context);
      return {
        kind: 'between',
        operand: bind(expr.operand),
        low: bind(expr.low),
        high: bind(expr.high),
        negated: expr.negated,
      };
    case 'in':
      return bindMembership(expr, scope, context);
    case 'case': {
      streamsOnly('CASE', expr, context);
      const whens = expr.whens.map(({ when, then }) => ({ when: bind(when), then: bind(then) }));
      const subject = expr.subject === null ? null : bind(expr.subject);
      return { kind: 'case', subject, whens, otherwise: expr.otherwise === null ? null : bind(expr.otherwise) };
    }
    case 'cast':
      return { kind: 'cast', operand: bind(expr.operand), to: castType(expr) };
    case 'call':
      return bindCall(expr, scope, context);
    case 'overlaps':
      throw new SqlError('PSYNC_R2228', '&& is a condition of WHERE, not a value.', expr);
    case 'list':
      throw new SqlError('PSYNC_R2228', 'A list of values can only stand after IN.', expr);
    case 'subquery':
      throw new SqlError('PSYNC_R2228', 'A subquery can only stand after IN or && in a condition.', expr);
  }
}

function ungrouped(expr: Expr): Expr {
  return expr.kind === 'group' ? ungrouped(expr.inner) : expr;
}

/** The key of -> and ->> is a literal (S-142). */
function checkAccessor(key: Expr): void {
  const inner = key.kind === 'unary' && key.op === '-' ? key.operand : key;
  if (inner.kind === 'string' || inner.kind === 'integer') return;
  throw new SqlError('PSYNC_R2204', 'The right side of -> and ->> must be a text or integer literal.', key);
}

function castType(expr: Expr & { kind: 'cast' }): CastType {
  if (!CAST_TYPES.includes(expr.type.text)) {
    throw new SqlError(
      'PSYNC_R2204',
      `Type ${expr.type.written} is not known; use ${CAST_TYPES.join(', ')}.`,
      expr.type,
    );
  }
  return expr.type.text as CastType;
}

/** `x [NOT] IN` a literal set or a JSON array (S-154, S-173). */
function bindMembership(expr: Expr & { kind: 'in' }, scope: Scope, context: QueryContext): BoundExpr {
  const operand = bindExpression(expr.operand, scope, context);
  const items = literalItems(expr.set);
  if (items !== null) {
    return {
      kind: 'inList',
      operand,
      items: items.map((item) => bindExpression(item, scope, context)),
      negated: expr.negated,
    };
  }
  if (expr.set.kind === 'column' && expr.set.table === null && context.ctes.has(expr.set.name.text)) {
    throw new SqlError('PSYNC_R2228', 'IN with a CTE is a condition of WHERE, not a value.', expr);
  }
  const array = bindExpression(expr.set, scope, context);
  if (array.kind === 'text' && rootOf(array.value) < 0) {
    throw new SqlError(
      'PSYNC_R2204',
      "The text after IN is not a JSON array; write '[\"a\",\"b\"]' or ROW('a','b').",
      expr.set,
    );
  }
  return { kind: 'inArray', operand, array, negated: expr.negated };
}

/** The items of a list; `('a')` is a list of one unless it is a JSON array. */
function literalItems(set: Expr): readonly Expr[] | null {
  if (set.kind === 'list') return set.items;
  if (set.kind !== 'group') return null;
  const { inner } = set;
  if (inner.kind === 'string')
    return rootOf(inner.value) >= 0 && inner.value.trimStart().startsWith('[') ? null : [inner];
  return ['integer', 'real', 'boolean', 'null'].includes(inner.kind) ? [inner] : null;
}

function bindCall(expr: Expr & { kind: 'call' }, scope: Scope, context: QueryContext): BoundExpr {
  if (expr.schema !== null) {
    const parameter = bindParameterCall(expr, scope, context);
    if (parameter !== null) return parameter;
    const source = findSource(expr.schema, scope);
    const what = METADATA.get(expr.name.text);
    if (source?.kind === 'table' && what !== undefined && expr.args.length === 0) {
      streamsOnly(`${expr.name.written}()`, expr, context);
      if (what === 'suffix' && !source.pattern.wildcard) {
        context.report(
          'warning',
          'PSYNC_R2305',
          `${source.visible} has no wildcard: table_suffix() is always empty.`,
          expr,
        );
      }
      return { kind: 'table', of: source, what };
    }
    if (source?.kind === 'unknown') return unknownValue(expr, context);
    throw new SqlError('PSYNC_R2203', `There is no function ${expr.schema.written}.${expr.name.written}().`, expr);
  }
  const name = expr.name.text;
  if (name === 'json_each') {
    throw new SqlError('PSYNC_R2228', 'json_each() stands in FROM; write x IN (SELECT value FROM json_each(…)).', expr);
  }
  const args = expr.args.map((arg) => bindExpression(arg, scope, context));
  checkCall(expr, args as PlanExpr[]);
  return { kind: 'call', name, args };
}

function checkCall(expr: Expr & { kind: 'call' }, args: readonly PlanExpr[]): void {
  const name = expr.name.text;
  if (name === 'json_extract') {
    const [, path] = args;
    if (args.length !== 2) throw new SqlError('PSYNC_R2204', 'Write json_extract(data, path).', expr);
    if (path?.kind === 'text' && parsePath(path.value) === null) {
      throw new SqlError(
        'PSYNC_R2204',
        "The path of json_extract must start with '$.', for example '$.name'.",
        expr.args[1] ?? expr,
      );
    }
    return;
  }
  const definition = functionDefinition(name);
  if (definition === null) throw unknownFunction(expr);
  if (args.length < definition.minimum || args.length > definition.maximum) {
    throw new SqlError('PSYNC_R2204', `Write ${definition.usage}.`, expr);
  }
  const problem = definition.check?.(args) ?? null;
  if (problem === null) return;
  const now = expr.args.find(({ kind }) => problem.code === 'PSYNC_R2214' && kind === 'string');
  throw new SqlError(problem.code, problem.message, now ?? expr);
}
