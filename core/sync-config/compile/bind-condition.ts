/** WHERE and ON -> conditions over claims (S-147…S-163). Negation is pushed down to the predicates. */
import { SqlError, type Expr, type Select, type Span } from '../sql/ast.ts';
import { bindExpression } from './bind-expression.ts';
import { combineWorlds, worldOf, type BoundExpr, type EachSource, type World } from './bound.ts';
import type { BindSelect, BoundSelect } from './bound-select.ts';
import { ALWAYS, type Condition, type Leaf } from './condition.ts';
import { attempt, attemptOnce, selectOfCte, watch, type QueryContext, streamsOnly } from './context.ts';
import { openCondition, type Claim, type ConditionLedger } from './ledger.ts';
import type { Scope } from './scope.ts';

/** A whole WHERE or ON. Findings are reported; a predicate that has one counts as true, which only matters for further findings. */
export function bindCondition(
  node: Expr | null,
  scope: Scope,
  context: QueryContext,
  bindSelect: BindSelect,
): Condition {
  if (node === null) return ALWAYS;
  const ledger = openCondition(node);
  const { context: watched, failed } = watch(context);
  const condition = createBinder({ ledger, scope, context: watched, bindSelect })(node, false);
  if (!failed()) attempt(context, () => ledger.verify(), undefined);
  return condition;
}

type Bind = (node: Expr, negated: boolean) => Condition;

function createBinder(where: PredicateContext): Bind {
  const { context } = where;
  const bind: Bind = (node, negated) => {
    if (node.kind === 'group') return bind(node.inner, negated);
    if (node.kind === 'unary' && node.op === 'not') return bind(node.operand, !negated);
    if (node.kind === 'binary' && (node.op === 'and' || node.op === 'or')) {
      const kind = (node.op === 'and') === negated ? 'or' : 'and';
      if (kind === 'or') {
        const whole = attempt(context, () => bindWhole(node, negated, where), null);
        if (whole !== null) return whole;
      }
      return { kind, children: operands(node, node.op).map((operand) => bind(operand, negated)) };
    }
    return attemptOnce(context, (watched) => bindPredicate(node, negated, { ...where, context: watched }), ALWAYS);
  };
  return bind;
}

/** The operands of a chain of one operator. */
function operands(node: Expr, op: 'and' | 'or'): Expr[] {
  const found: Expr[] = [];
  let at = node;
  while (at.kind === 'binary' && at.op === op) {
    found.push(at.right);
    at = at.left;
  }
  found.push(at);
  return found.toReversed();
}

/** An OR that one side of the plan can evaluate as it stands needs no branches. */
function bindWhole(node: Expr, negated: boolean, { ledger, scope, context }: PredicateContext): Condition | null {
  if (hasSet(node, context)) return null;
  let value: BoundExpr;
  try {
    value = bindExpression(node, scope, { ...context, report: () => undefined });
  } catch (error) {
    if (error instanceof SqlError) return null;
    throw error;
  }
  const world = worldOf(value);
  if (world.kind === 'mixed' || world.kind === 'bucket') return null;
  bindExpression(node, scope, context);
  return leafOf({ kind: 'value', value: negate(value, negated), claim: ledger.claim(node) });
}

/** Does it contain a subquery, a CTE or &&? Those are no plain expressions. */
function hasSet(node: Expr, context: QueryContext): boolean {
  switch (node.kind) {
    case 'group':
      return hasSet(node.inner, context);
    case 'unary':
      return hasSet(node.operand, context);
    case 'binary':
      if (node.op === '=' && setOf(node.right, context) !== null) return true;
      return hasSet(node.left, context) || hasSet(node.right, context);
    case 'in':
      return setOf(node.set, context) !== null;
    case 'overlaps':
    case 'subquery':
      return true;
    default:
      return false;
  }
}

const leafOf = (leaf: Leaf): Condition => ({ kind: 'leaf', leaf });
const negate = (value: BoundExpr, negated: boolean): BoundExpr =>
  negated ? { kind: 'unary', op: 'not', operand: value } : value;

/** Where a predicate stands. */
interface PredicateContext {
  readonly ledger: ConditionLedger;
  readonly scope: Scope;
  readonly context: QueryContext;
  readonly bindSelect: BindSelect;
}

function bindPredicate(node: Expr, negated: boolean, where: PredicateContext): Condition {
  const { scope, context, ledger } = where;
  if (node.kind === 'in') return bindIn(node, negated, where);
  if (node.kind === 'overlaps') return bindOverlaps(node, negated, where);
  if (node.kind === 'binary' && node.op === '=') {
    const cte = setOf(node.right, context);
    if (cte !== null && cte.cte !== null) return bindInSelect(node.left, cte, node, node.right, negated, where);
    const left = bindExpression(node.left, scope, context);
    const right = bindExpression(node.right, scope, context);
    const worlds = [worldOf(left), worldOf(right)] as const;
    if (combineWorlds(...worlds).kind === 'mixed') {
      checkMatch(worlds, node, negated);
      return leafOf({ kind: 'match', left, right, claim: ledger.claim(node), from: 'equality' });
    }
  }
  const value = bindExpression(node, scope, context);
  const world = worldOf(value);
  if (world.kind === 'mixed' || world.kind === 'bucket') throw mixedError(node, world);
  return leafOf({ kind: 'value', value: negate(value, negated), claim: ledger.claim(node) });
}

/** Both sides of a match must each belong to one world, and it cannot be negated (S-155). */
function checkMatch(worlds: readonly World[], node: Expr, negated: boolean): void {
  for (const world of worlds) if (world.kind === 'mixed') throw mixedError(node, world);
  if (!negated) return;
  const parameters = worlds.some((world) => world.kind !== 'row');
  if (parameters) {
    throw new SqlError(
      'PSYNC_R2210',
      'A match with a parameter cannot be negated; state positively which rows match.',
      node,
    );
  }
  throw new SqlError(
    'PSYNC_R2207',
    'Tables can only be compared by =; state positively which rows belong together.',
    node,
  );
}

const RANGES: readonly string[] = ['<', '>', '<=', '>='];

/** Why a predicate over several worlds is refused. */
function mixedError(node: Expr, world: World): SqlError {
  const parameters = world.kind !== 'mixed' || world.parameters;
  if (!parameters) {
    return new SqlError(
      'PSYNC_R2207',
      'Values of different tables can only be compared by = (one table on each side).',
      node,
    );
  }
  if (node.kind === 'between' || (node.kind === 'binary' && RANGES.includes(node.op))) {
    return new SqlError('PSYNC_R2211', 'A parameter can be matched by = or IN only, not by a range.', node);
  }
  if (node.kind === 'binary' && node.op === '!=') {
    return new SqlError(
      'PSYNC_R2210',
      'A match with a parameter cannot be negated; state positively which rows match.',
      node,
    );
  }
  return new SqlError(
    'PSYNC_R2212',
    'Row values and parameters meet in = or IN only, with one of them on each side.',
    node,
  );
}

/** `cte`: the name of the CTE that the query is; null for a subquery. */
type SetSource = { readonly cte: string | null; readonly select: Select };

/** The query that the right side of IN means: a subquery, or a CTE by its name. */
function setOf(set: Expr, context: QueryContext): SetSource | null {
  const inner = set.kind === 'group' ? set.inner : set;
  if (inner.kind === 'subquery') return { cte: null, select: inner.select };
  if (inner.kind !== 'column' || inner.table !== null) return null;
  const cte = context.ctes.get(inner.name.text);
  return cte === undefined ? null : { cte: cte.name, select: selectOfCte(cte, context, inner) };
}

function bindIn(node: Expr & { kind: 'in' }, negatedOutside: boolean, where: PredicateContext): Condition {
  const { scope, context, ledger } = where;
  const negated = node.negated !== negatedOutside;
  const set = setOf(node.set, context);
  if (set !== null) return bindInSelect(node.operand, set, node, node.set, negated, where);
  if (node.set.kind === 'list') return bindList(node, node.set.items, negatedOutside, where);

  const left = bindExpression(node.operand, scope, context);
  const right = bindExpression(node.set, scope, context);
  const worlds = [worldOf(left), worldOf(right)] as const;
  if (combineWorlds(...worlds).kind !== 'mixed') return bindPlain(node, negatedOutside, where);
  checkMatch(worlds, node, negated);
  if (worlds[1].kind === 'bucket') {
    throw new SqlError(
      'PSYNC_R2228',
      'A bucket parameter is one value; write bucket.x IN column, or column = bucket.x.',
      node,
    );
  }
  const each = eachOf('array', right, worlds[1], node.set, null, context);
  const match: Leaf = {
    kind: 'match',
    left,
    right: { kind: 'element', of: each, column: 'value' },
    claim: ledger.claim(node),
    from: 'in',
  };
  return { kind: 'and', children: [{ kind: 'sources', sources: [each] }, leafOf(match)] };
}

/** `x IN (a, b)` where x, a and b are not all of one world: a match for each value that x is not comparable with in place. */
function bindList(
  node: Expr & { kind: 'in' },
  nodes: readonly Expr[],
  negatedOutside: boolean,
  where: PredicateContext,
): Condition {
  const { scope, context, ledger } = where;
  const left = bindExpression(node.operand, scope, context);
  const items = nodes.map((item) => bindExpression(item, scope, context));
  let world = worldOf(left);
  const inPlace: BoundExpr[] = [];
  const matched: BoundExpr[] = [];
  for (const item of items) {
    const combined = combineWorlds(world, worldOf(item));
    if (combined.kind === 'mixed' || combined.kind === 'bucket') matched.push(item);
    else {
      inPlace.push(item);
      world = combined;
    }
  }
  if (matched.length === 0) return bindPlain(node, negatedOutside, where);
  const negated = node.negated !== negatedOutside;
  for (const item of matched) checkMatch([worldOf(left), worldOf(item)], node, negated);
  const claim = ledger.claim(node);
  const children = matched.map((right) => leafOf({ kind: 'match', left, right, claim, from: 'equality' }));
  if (inPlace.length > 0) {
    children.push(leafOf({ kind: 'value', value: { kind: 'inList', operand: left, items: inPlace, negated }, claim }));
  }
  return { kind: 'or', children };
}

/** A membership test that one side of the plan evaluates. */
function bindPlain(node: Expr, negated: boolean, { scope, context, ledger }: PredicateContext): Condition {
  const value = bindExpression(node, scope, context);
  const world = worldOf(value);
  if (world.kind === 'mixed' || world.kind === 'bucket') throw mixedError(node, world);
  return leafOf({ kind: 'value', value: negate(value, negated), claim: ledger.claim(node) });
}

/** Source for the elements of a JSON value; it belongs to the rows of a table or to the session. */
export function eachOf(
  mode: 'array' | 'each',
  value: BoundExpr,
  world: World,
  span: Span,
  visible: string | null,
  context: QueryContext,
): EachSource {
  if (world.kind === 'each') {
    throw new SqlError('PSYNC_R2228', 'Elements of a parameter array cannot be expanded again.', span);
  }
  if (world.kind === 'mixed' || world.kind === 'bucket') {
    throw new SqlError('PSYNC_R2212', 'An array must come from one table or from parameters only.', span);
  }
  return {
    kind: 'each',
    id: context.nextId(),
    visible,
    mode,
    value,
    owner: world.kind === 'row' ? world.table : null,
    span,
  };
}

/** `written`: the right side, as what `set` stands in `node`. */
function bindInSelect(
  operand: Expr,
  set: SetSource,
  node: Expr,
  written: Expr,
  negated: boolean,
  where: PredicateContext,
): Condition {
  const { scope, context, ledger } = where;
  streamsOnly('A subquery', node, context);
  if (negated) {
    throw new SqlError('PSYNC_R2210', 'A subquery cannot be negated; state positively which rows match.', node);
  }
  const left = bindExpression(operand, scope, context);
  const inner = bindInner(set, where);
  return matchSelect(left, inner, { operand, written, claim: ledger.claim(node) });
}

/** A CTE sees nothing of the query that reads it. */
function bindInner({ cte, select }: SetSource, { scope, context, bindSelect }: PredicateContext): BoundSelect {
  return cte === null ? bindSelect(select, scope, context) : bindSelect(select, null, { ...context, insideCte: cte });
}

interface SelectMatch {
  readonly operand: Expr;
  readonly written: Expr;
  readonly claim: Claim;
}

/** `left = the only column of the subquery`, for some of its rows. */
function matchSelect(left: BoundExpr, inner: BoundSelect, { operand, written, claim }: SelectMatch): Condition {
  const right = onlyColumn(inner, written);
  for (const world of [worldOf(left), worldOf(right)]) {
    if (world.kind === 'mixed') throw mixedError(operand, world);
  }
  const match: Leaf = { kind: 'match', left, right, claim, from: 'in' };
  return { kind: 'and', children: [{ kind: 'sources', sources: inner.sources }, leafOf(match), inner.condition] };
}

function onlyColumn({ items, complete }: BoundSelect, span: Span): BoundExpr {
  const [item] = items;
  if (complete && items.length === 1 && item?.kind === 'value') return item.value;
  const names = items.map((one) => (one.kind === 'star' ? '*' : (one.name ?? 'an expression')));
  throw new SqlError(
    'PSYNC_R2209',
    `The query after IN must select exactly one column; it selects ${names.join(', ') || 'none'}.`,
    span,
  );
}

/** `array_column && (subquery or parameter array)` (S-175). */
function bindOverlaps(node: Expr & { kind: 'overlaps' }, negated: boolean, where: PredicateContext): Condition {
  const { scope, context, ledger } = where;
  streamsOnly('&&', node, context);
  const value = bindExpression(node.left, scope, context);
  const world = worldOf(value);
  if (world.kind !== 'row') {
    throw new SqlError('PSYNC_R2228', 'The left side of && must be an array column of a table.', node.left);
  }
  if (negated) throw new SqlError('PSYNC_R2210', '&& cannot be negated; state positively which rows match.', node);
  const each = eachOf('array', value, world, node.left, null, context);
  const left: BoundExpr = { kind: 'element', of: each, column: 'value' };
  const introduce: Condition = { kind: 'sources', sources: [each] };
  const set = setOf(node.right, context);
  if (set !== null) {
    const inner = bindInner(set, where);
    const match = { operand: node.left, written: node.right, claim: ledger.claim(node) };
    return { kind: 'and', children: [introduce, matchSelect(left, inner, match)] };
  }
  const array = bindExpression(node.right, scope, context);
  const arrayWorld = worldOf(array);
  if (arrayWorld.kind !== 'session') {
    throw new SqlError('PSYNC_R2228', 'The right side of && must be a subquery or a parameter array.', node.right);
  }
  const elements = eachOf('array', array, arrayWorld, node.right, null, context);
  const match: Leaf = {
    kind: 'match',
    left,
    right: { kind: 'element', of: elements, column: 'value' },
    claim: ledger.claim(node),
    from: 'in',
  };
  return { kind: 'and', children: [{ kind: 'sources', sources: [each, elements] }, leafOf(match)] };
}
