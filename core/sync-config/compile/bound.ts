/** Expressions whose names are resolved: leaves know which source of the query they belong to. */
import { canonical, mapLeaves, visitLeaves } from '../expr-tree.ts';
import type { ElementColumn, ExprOf, ParameterScope, PlanExpr, TablePattern } from '../plan.ts';
import type { Name, Span } from '../sql/ast.ts';

export type BoundLeaf =
  | { readonly kind: 'column'; readonly of: TableSource; readonly name: string }
  | { readonly kind: 'table'; readonly of: TableSource; readonly what: 'schema' | 'name' | 'suffix' }
  | { readonly kind: 'element'; readonly of: EachSource; readonly column: ElementColumn }
  | { readonly kind: 'parameter'; readonly scope: ParameterScope; readonly key: string | null; readonly span: Span }
  /** `bucket.x` in legacy data queries. */
  | { readonly kind: 'bucketParameter'; readonly name: string; readonly span: Span };
export type BoundExpr = ExprOf<BoundLeaf>;

/** One occurrence of a source table in a query. */
export interface TableSource {
  readonly kind: 'table';
  readonly id: number;
  /** What qualifies its columns: alias, or name. */
  readonly visible: string;
  readonly pattern: TablePattern;
  /** Client-side name of its rows; null: the name of the source table. */
  readonly objectType: string | null;
  readonly span: Span;
}
/** The elements of a JSON value: json_each, IN over an array, &&. */
export interface EachSource {
  readonly kind: 'each';
  readonly id: number;
  readonly visible: string | null;
  readonly mode: 'array' | 'each';
  readonly value: BoundExpr;
  /** The table whose rows hold the value; null: the session does. */
  readonly owner: TableSource | null;
  readonly span: Span;
}
/** A subquery or CTE in FROM: its sources and conditions are those of the query around it. */
export interface DerivedSource {
  readonly kind: 'derived';
  readonly visible: string;
  readonly items: readonly BoundItem[];
  readonly span: Span;
}
/** What could not be bound. It may have any column, of which only follow-ups are reported; its query is refused. */
export interface UnknownSource {
  readonly kind: 'unknown';
  readonly visible: string | null;
}
export type Source = TableSource | EachSource | DerivedSource | UnknownSource;
/** What a branch of a query reads. */
export type PrimarySource = TableSource | EachSource;

export type BoundItem =
  | { readonly kind: 'star'; readonly of: TableSource | EachSource; readonly span: Span }
  | {
      readonly kind: 'value';
      readonly name: string | null;
      readonly value: BoundExpr;
      readonly span: Span;
      readonly nameSpan: Name | null;
    };

/**
 * Which side of the plan can evaluate an expression: nobody needed (`constant`), the session, the rows of one table, the
 * elements of one parameter array, or (legacy) a bucket parameter. `mixed`: none alone.
 */
export type World =
  | { readonly kind: 'constant' | 'session' | 'bucket' }
  | { readonly kind: 'row'; readonly table: TableSource }
  | { readonly kind: 'each'; readonly each: EachSource }
  | { readonly kind: 'mixed'; readonly parameters: boolean };

export function worldOf(expr: BoundExpr): World {
  let parameters = false;
  let bucket = false;
  const tables = new Set<TableSource>();
  const eaches = new Set<EachSource>();
  visitLeaves<BoundLeaf>(expr, (leaf) => {
    if (leaf.kind === 'parameter') parameters = true;
    else if (leaf.kind === 'bucketParameter') bucket = true;
    else if (leaf.kind !== 'element') tables.add(leaf.of);
    else if (leaf.of.owner === null) eaches.add(leaf.of);
    else tables.add(leaf.of.owner);
  });
  const [table] = tables;
  const [each] = eaches;
  if (bucket)
    return tables.size + eaches.size > 0 || parameters ? { kind: 'mixed', parameters: true } : { kind: 'bucket' };
  if (tables.size > 1 || eaches.size > 1 || (table !== undefined && (parameters || each !== undefined))) {
    return { kind: 'mixed', parameters: parameters || eaches.size > 0 };
  }
  if (table !== undefined) return { kind: 'row', table };
  if (each !== undefined) return { kind: 'each', each };
  return { kind: parameters ? 'session' : 'constant' };
}

/** Can one place evaluate both? Constants go anywhere; elements of a parameter array see the session's values too. */
export function combineWorlds(a: World, b: World): World {
  if (a.kind === 'constant') return b;
  if (b.kind === 'constant') return a;
  if (a.kind === 'session' && (b.kind === 'session' || b.kind === 'each')) return b;
  if (b.kind === 'session' && a.kind === 'each') return a;
  if (a.kind === 'row' && b.kind === 'row' && a.table === b.table) return a;
  if (a.kind === 'each' && b.kind === 'each' && a.each === b.each) return a;
  const parameters = [a, b].some((world) => world.kind !== 'row' && !(world.kind === 'mixed' && !world.parameters));
  return { kind: 'mixed', parameters };
}

/** The expression as it stands in a rule whose expansions are `eaches`, or (for session values) in an expand step. */
export function toPlan(expr: BoundExpr, eaches: readonly EachSource[]): PlanExpr {
  return mapLeaves(expr, (leaf: BoundLeaf): PlanExpr => {
    switch (leaf.kind) {
      case 'column':
        return { kind: 'column', name: leaf.name };
      case 'table':
        return { kind: 'table', what: leaf.what };
      case 'element': {
        const expansion = eaches.indexOf(leaf.of);
        if (expansion < 0) throw new Error('an element is used outside of its expansion');
        return { kind: 'element', expansion, column: leaf.column };
      }
      case 'parameter':
        return { kind: 'parameter', scope: leaf.scope, key: leaf.key };
      case 'bucketParameter':
        throw new Error('a bucket parameter is used as a value');
    }
  });
}

/** Text that is equal for equal expressions over the same sources. */
export function boundKey(expr: BoundExpr): string {
  return canonical(
    mapLeaves(expr, (leaf: BoundLeaf): ExprOf<{ kind: string }> => {
      if (leaf.kind === 'parameter') return { kind: `parameter ${leaf.scope} ${JSON.stringify(leaf.key)}` };
      if (leaf.kind === 'bucketParameter') return { kind: `bucket ${leaf.name}` };
      const { kind, of } = leaf;
      return {
        kind: `${kind} ${of.id} ${kind === 'column' ? leaf.name : kind === 'element' ? leaf.column : leaf.what}`,
      };
    }),
  );
}
