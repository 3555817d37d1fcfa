/** Access that rests only on what a client claims (S-635…S-639). */
import { visitLeaves } from '../expr-tree.ts';
import type { BoundExpr, BoundLeaf } from './bound.ts';
import type { Branch } from './condition.ts';
import type { QueryContext } from './context.ts';

type Parameter = BoundLeaf & { kind: 'parameter' };

/**
 * Warns when the branch depends on connection or subscription parameters and nothing of the token must hold. Alternatives inside of one
 * condition (an OR that needs no branches of its own) are judged each, as branches are.
 */
export function warnDangerous(branch: Branch, values: readonly BoundExpr[], context: QueryContext): void {
  const terms = [
    ...branch.leaves.map((leaf) => (leaf.kind === 'match' ? [leaf.left, leaf.right] : [leaf.value])),
    ...branch.sources.map((source) => (source.kind === 'each' ? [source.value] : [])),
    values,
  ];
  if (terms.some((sides) => sides.some((side) => needsToken(side)))) return;
  const first = terms
    .flat()
    .flatMap(parametersOf)
    .find(({ scope }) => scope !== 'auth');
  if (first === undefined) return;
  context.report(
    'warning',
    'PSYNC_R2401',
    `Any client can send any value here, and nothing else restricts the rows. Add a condition on ${of(context)}, or set accept_potentially_dangerous_queries.`,
    first.span,
  );
}

const of = ({ dialect }: QueryContext): string =>
  dialect === 'stream' ? 'an auth parameter' : 'request.user_id() or request.jwt()';

function parametersOf(expr: BoundExpr): Parameter[] {
  const found: Parameter[] = [];
  visitLeaves<BoundLeaf>(expr, (leaf) => {
    if (leaf.kind === 'parameter') found.push(leaf);
  });
  return found;
}

/** Does each way to make it true (or, negated, false) depend on the token? */
function needsToken(expr: BoundExpr, negated = false): boolean {
  if (expr.kind === 'unary' && expr.op === 'not') return needsToken(expr.operand, !negated);
  if (expr.kind === 'binary' && (expr.op === 'and' || expr.op === 'or')) {
    const sides = [expr.left, expr.right].map((side) => needsToken(side, negated));
    return (expr.op === 'or') === negated ? sides.includes(true) : !sides.includes(false);
  }
  return parametersOf(expr).some(({ scope }) => scope === 'auth');
}
