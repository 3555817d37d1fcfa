/** Conditions as a tree over claims, and its branches (S-150). */
import { SqlError, type Span } from '../sql/ast.ts';
import type { BoundExpr, PrimarySource } from './bound.ts';
import type { Claim } from './ledger.ts';

/** `value`: true in one world. `match`: equality between values of two worlds; null matches nothing. */
export type Leaf =
  | { readonly kind: 'value'; readonly value: BoundExpr; readonly claim: Claim }
  | {
      readonly kind: 'match';
      readonly left: BoundExpr;
      readonly right: BoundExpr;
      readonly claim: Claim;
      readonly from: 'equality' | 'in';
    };

export type Condition =
  | { readonly kind: 'leaf'; readonly leaf: Leaf }
  /** Holds for some row of the sources: they belong to every branch through here. */
  | { readonly kind: 'sources'; readonly sources: readonly PrimarySource[] }
  | { readonly kind: 'and' | 'or'; readonly children: readonly Condition[] };

export const ALWAYS: Condition = { kind: 'and', children: [] };

/** One way to satisfy a condition: all leaves hold, for some combination of rows of the sources. */
export interface Branch {
  readonly leaves: readonly Leaf[];
  readonly sources: readonly PrimarySource[];
}

/** More branches than this make too many definitions. */
const MAX_BRANCHES = 100;

/** Disjunctive normal form; throws PSYNC_R2217 when it is too large. Checked against the tree (G4). */
export function branchesOf(condition: Condition, span: Span): Branch[] {
  const branches = expand(condition, span);
  const used = new Set(branches.flatMap((branch) => branch.leaves));
  for (const leaf of leavesOf(condition)) if (!used.has(leaf)) throw lost(leaf.claim);
  for (const branch of branches) {
    if (!implies(new Set<Leaf | PrimarySource>([...branch.leaves, ...branch.sources]), condition)) throw lost(span);
  }
  return branches;
}

function expand(condition: Condition, span: Span): Branch[] {
  switch (condition.kind) {
    case 'leaf':
      return [{ leaves: [condition.leaf], sources: [] }];
    case 'sources':
      return [{ leaves: [], sources: condition.sources }];
    case 'or':
      return bounded(
        condition.children.flatMap((child) => expand(child, span)),
        span,
      );
    case 'and': {
      let branches: Branch[] = [{ leaves: [], sources: [] }];
      for (const child of condition.children) {
        const alternatives = expand(child, span);
        const product = branches.length * alternatives.length;
        if (product > MAX_BRANCHES) bounded({ length: product }, span);
        branches = branches.flatMap((a) =>
          alternatives.map((b) => ({ leaves: [...a.leaves, ...b.leaves], sources: [...a.sources, ...b.sources] })),
        );
      }
      return branches;
    }
  }
}
function bounded<T extends { readonly length: number }>(branches: T, span: Span): T {
  if (branches.length > MAX_BRANCHES) {
    throw new SqlError(
      'PSYNC_R2217',
      `The condition has more than ${MAX_BRANCHES} OR branches; split the query.`,
      span,
    );
  }
  return branches;
}

function leavesOf(condition: Condition): Leaf[] {
  if (condition.kind === 'leaf') return [condition.leaf];
  return condition.kind === 'sources' ? [] : condition.children.flatMap(leavesOf);
}

/** Independent of `expand`: do these leaves and sources make the whole condition true? */
function implies(held: ReadonlySet<Leaf | PrimarySource>, condition: Condition): boolean {
  switch (condition.kind) {
    case 'leaf':
      return held.has(condition.leaf);
    case 'sources':
      return condition.sources.every((source) => held.has(source));
    case 'and':
      return condition.children.every((child) => implies(held, child));
    case 'or':
      return condition.children.some((child) => implies(held, child));
  }
}

function lost(span: Span): SqlError {
  return new SqlError('PSYNC_R2299', 'This condition is not accounted for in the plan; the query is refused.', span);
}
