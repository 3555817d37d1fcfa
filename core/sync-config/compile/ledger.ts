/**
 * Accounts for every predicate of a query (G4): written -> claimed -> used. Nothing that restricts rows may get lost
 * between the text and the plan, so each stage is checked against what an independent walk of the syntax tree found.
 */
import { SqlError, type Expr, type Span } from '../sql/ast.ts';

/** A predicate (or a group of them kept as one expression) on its way into the plan. */
export interface Claim extends Span {
  readonly node: Expr;
}

/** One WHERE or ON as bound once; a CTE that is read twice has two. */
export interface ConditionLedger {
  claim(node: Expr): Claim;
  /** Throws PSYNC_R2299 unless each predicate of the condition is claimed exactly once. */
  verify(): void;
}

/** The predicates of a condition: what stands between AND, OR, NOT and parentheses. */
function predicatesOf(node: Expr, found: Expr[] = []): Expr[] {
  if (node.kind === 'group') return predicatesOf(node.inner, found);
  if (node.kind === 'unary' && node.op === 'not') return predicatesOf(node.operand, found);
  if (node.kind === 'binary' && (node.op === 'and' || node.op === 'or')) {
    predicatesOf(node.left, found);
    return predicatesOf(node.right, found);
  }
  found.push(node);
  return found;
}

function lost(span: Span): SqlError {
  return new SqlError('PSYNC_R2299', 'This condition is not accounted for in the plan; the query is refused.', span);
}

export function openCondition(condition: Expr): ConditionLedger {
  const expected = new Set(predicatesOf(condition));
  const claimed = new Set<Expr>();
  return {
    claim: (node) => {
      for (const predicate of predicatesOf(node)) {
        if (!expected.has(predicate) || claimed.has(predicate)) throw lost(predicate);
        claimed.add(predicate);
      }
      return { node, start: node.start, end: node.end };
    },
    verify: () => {
      for (const predicate of expected) if (!claimed.has(predicate)) throw lost(predicate);
    },
  };
}

/** The claims of one branch: each must be used in the plan exactly once. */
export interface BranchLedger {
  use(claim: Claim, as: 'filter' | 'gate' | 'match'): void;
  verify(): void;
}
export function openBranch(claims: readonly Claim[]): BranchLedger {
  const open = new Set(claims);
  if (open.size !== claims.length) throw lost(claims[0] ?? { start: 0, end: 1 });
  return {
    use: (claim) => {
      if (!open.delete(claim)) throw lost(claim);
    },
    verify: () => {
      for (const claim of open) throw lost(claim);
    },
  };
}
