/** Values that a branch requires to be equal, as classes: equality of normalised values is transitive. */
import { boundKey, worldOf, type BoundExpr, type EachSource, type TableSource } from './bound.ts';
import type { Leaf } from './condition.ts';

/** One side of a match; `target`: the class is wanted as a key of the parameter side. */
export type Term = {
  readonly key: string;
  readonly value: BoundExpr;
} & (
  | { readonly side: 'target' }
  | { readonly side: 'table'; readonly table: TableSource }
  | { readonly side: 'each'; readonly each: EachSource }
  | { readonly side: 'session' }
);

export interface EqualityClass {
  /** In the order of first appearance. */
  readonly terms: Term[];
}

export interface EqualityClasses {
  /** In the order of first appearance. */
  readonly all: readonly EqualityClass[];
  /** The class of each target, in order. */
  readonly targets: readonly EqualityClass[];
}

/** Matches have one world on each side. */
export function equalityClasses(
  matches: readonly (Leaf & { kind: 'match' })[],
  targets: readonly BoundExpr[],
): EqualityClasses {
  const classOf = new Map<string, EqualityClass>();
  for (const { left, right } of matches) {
    const a = classFor(left, classOf);
    const b = classFor(right, classOf);
    if (a === b) continue;
    a.terms.push(...b.terms);
    for (const term of b.terms) classOf.set(term.key, a);
  }
  const targetClasses = targets.map((value, at) => {
    const found = classFor(value, classOf);
    found.terms.push({ key: `target ${at}`, value, side: 'target' });
    return found;
  });
  return { all: [...new Set(classOf.values())], targets: targetClasses };
}

function classFor(value: BoundExpr, classOf: Map<string, EqualityClass>): EqualityClass {
  const key = boundKey(value);
  let found = classOf.get(key);
  if (found === undefined) classOf.set(key, (found = { terms: [termOf(key, value)] }));
  return found;
}

function termOf(key: string, value: BoundExpr): Term {
  const world = worldOf(value);
  if (world.kind === 'row') return { key, value, side: 'table', table: world.table };
  if (world.kind === 'each') return { key, value, side: 'each', each: world.each };
  return { key, value, side: 'session' };
}
