/** A query whose names are resolved, and how conditions get at those of their subqueries. */
import type { Select } from '../sql/ast.ts';
import type { BoundItem, PrimarySource, Source } from './bound.ts';
import type { Condition } from './condition.ts';
import type { QueryContext } from './context.ts';
import type { Scope } from './scope.ts';

export interface BoundSelect {
  /** Visible in this query, in the order of FROM. */
  readonly visible: readonly Source[];
  /** Tables and arrays that it reads, those of merged queries included. */
  readonly sources: readonly PrimarySource[];
  readonly condition: Condition;
  readonly items: readonly BoundItem[];
  /** False when items or sources are missing because of a reported finding. */
  readonly complete: boolean;
}

/** `bindSelect`, handed to the conditions of a query since queries contain conditions and conditions contain queries. */
export type BindSelect = (select: Select, parent: Scope | null, context: QueryContext) => BoundSelect;
