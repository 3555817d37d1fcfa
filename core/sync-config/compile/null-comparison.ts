/** Comparisons with the literal NULL, which are never true (S-126). */
import type { Expr, Span } from '../sql/ast.ts';
import type { QueryContext } from './context.ts';

const COMPARISONS: readonly string[] = ['=', '!=', '<', '>', '<=', '>='];

/** Warns with PSYNC_R2107 where an expression compares with NULL itself; not where a value may happen to be null. */
export function warnNullComparison(expr: Expr, { report }: Pick<QueryContext, 'report'>): void {
  const warn = (what: string, instead: string, span: Span): void =>
    report('warning', 'PSYNC_R2107', `${what} is never true; ${instead}.`, span);

  if (expr.kind === 'binary' && COMPARISONS.includes(expr.op) && (isNull(expr.left) || isNull(expr.right))) {
    warn(`${expr.op} NULL`, `write ${expr.op === '!=' ? 'IS NOT NULL' : 'IS NULL'}`, expr);
  } else if (expr.kind === 'in') {
    const items = expr.set.kind === 'list' ? expr.set.items : [expr.set];
    if (expr.negated && items.some(isNull))
      warn('NOT IN with NULL in its list', 'write IS NOT NULL instead of it', expr);
    else if (items.length > 0 && items.every(isNull)) warn('IN (NULL)', 'write IS NULL', expr);
  } else if (expr.kind === 'case' && expr.subject !== null) {
    for (const { when } of expr.whens)
      if (isNull(when)) warn('A comparison of CASE with NULL', 'write CASE WHEN … IS NULL', when);
  }
}

function isNull(expr: Expr): boolean {
  return expr.kind === 'null' || (expr.kind === 'group' && isNull(expr.inner));
}
