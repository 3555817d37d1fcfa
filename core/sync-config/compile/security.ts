/** Access that rests only on what a client claims (S-635…S-639). */
import { visitLeaves } from '../expr-tree.ts';
import type { BoundExpr, BoundLeaf } from './bound.ts';
import type { Branch } from './condition.ts';
import type { QueryContext } from './context.ts';

type Parameter = BoundLeaf & { kind: 'parameter' };

/** Warns when the branch depends on connection or subscription parameters and on nothing of the token. */
export function warnDangerous(branch: Branch, values: readonly BoundExpr[], context: QueryContext): void {
  const parameters: Parameter[] = [];
  const collect = (expr: BoundExpr): void =>
    visitLeaves<BoundLeaf>(expr, (leaf) => {
      if (leaf.kind === 'parameter') parameters.push(leaf);
    });
  for (const leaf of branch.leaves)
    for (const side of leaf.kind === 'match' ? [leaf.left, leaf.right] : [leaf.value]) collect(side);
  for (const source of branch.sources) if (source.kind === 'each') collect(source.value);
  values.forEach(collect);
  if (parameters.some(({ scope }) => scope === 'auth')) return;
  const [first] = parameters;
  if (first === undefined) return;
  context.report(
    'warning',
    'PSYNC_R2401',
    'Any client can send any value here, and nothing else restricts the rows. Add a condition on an auth parameter.',
    first.span,
  );
}
