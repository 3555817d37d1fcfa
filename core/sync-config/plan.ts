/**
 * The compiled sync config as data: plain JSON, stored with the deployed version, hashed for identity, without functions.
 *
 * A query becomes a data side (which row goes into which bucket: `PlanBucket`, replicator) and a parameter side (which
 * buckets a session gets: `PlanQuerier`, api-worker). Both sides meet in the bucket key: a list of values, of which the
 * data side computes the row's and the parameter side the session's. Tables read on the parameter side are indexed by
 * the replicator as lookups: input values -> output tuples.
 */
import type { PlanDefinition } from './contract.ts';

export interface TablePattern {
  /** Connection tag. */
  readonly source: string;
  readonly schema: string;
  /** `schema` is a prefix: the table in all schemas that begin with it, except those of the system (S-689). */
  readonly anySchema?: true;
  /** Exact name, or prefix when `wildcard`. */
  readonly name: string;
  readonly wildcard: boolean;
}

export type ParameterScope = 'auth' | 'connection' | 'subscription';
export type ElementColumn = 'key' | 'value' | 'type' | 'atom';
export type PlanOperator =
  | 'and'
  | 'or'
  | '='
  | '!='
  | '<'
  | '>'
  | '<='
  | '>='
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '&'
  | '|'
  | '<<'
  | '>>'
  | '||'
  | '->'
  | '->>';
export type CastType = 'text' | 'numeric' | 'integer' | 'real' | 'blob';

export type PlanLiteral =
  | { readonly kind: 'null' }
  /** `value` is decimal; outside of 64 bits it is a real. */
  | { readonly kind: 'integer'; readonly value: string }
  | { readonly kind: 'real'; readonly value: string }
  | { readonly kind: 'text'; readonly value: string };

/** An expression over leaves of some kind. */
export type ExprOf<Leaf> =
  | PlanLiteral
  | Leaf
  | { readonly kind: 'unary'; readonly op: 'not' | '-' | '+' | '~'; readonly operand: ExprOf<Leaf> }
  | { readonly kind: 'binary'; readonly op: PlanOperator; readonly left: ExprOf<Leaf>; readonly right: ExprOf<Leaf> }
  | { readonly kind: 'isNull'; readonly operand: ExprOf<Leaf>; readonly negated: boolean }
  | {
      readonly kind: 'between';
      readonly operand: ExprOf<Leaf>;
      readonly low: ExprOf<Leaf>;
      readonly high: ExprOf<Leaf>;
      readonly negated: boolean;
    }
  | {
      readonly kind: 'inList';
      readonly operand: ExprOf<Leaf>;
      readonly items: readonly ExprOf<Leaf>[];
      readonly negated: boolean;
    }
  /** Member of a JSON array; null when `array` is none. */
  | {
      readonly kind: 'inArray';
      readonly operand: ExprOf<Leaf>;
      readonly array: ExprOf<Leaf>;
      readonly negated: boolean;
    }
  | {
      readonly kind: 'case';
      readonly subject: ExprOf<Leaf> | null;
      readonly whens: readonly { readonly when: ExprOf<Leaf>; readonly then: ExprOf<Leaf> }[];
      readonly otherwise: ExprOf<Leaf> | null;
    }
  | { readonly kind: 'cast'; readonly operand: ExprOf<Leaf>; readonly to: CastType }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly ExprOf<Leaf>[] };

export type PlanLeaf =
  | { readonly kind: 'column'; readonly name: string }
  /** Metadata of the row's table (S-256, S-688). */
  | { readonly kind: 'table'; readonly what: 'schema' | 'name' | 'suffix' }
  /** A column of the current element of the rule's expansion number `expansion`. */
  | { readonly kind: 'element'; readonly expansion: number; readonly column: ElementColumn }
  /** `key: null`: all parameters of the scope as JSON text. */
  | { readonly kind: 'parameter'; readonly scope: ParameterScope; readonly key: string | null };

/** An expression over one row (and its expansions), or over the parameters of a session. */
export type PlanExpr = ExprOf<PlanLeaf>;

/** Multiplies a row: one copy per element of a JSON value. `array`: only arrays have elements; `each`: as json_each. */
export interface PlanExpansion {
  readonly mode: 'array' | 'each';
  readonly value: PlanExpr;
}

/** How rows of a table become keys. A row (times its expansions) counts when every filter is true and no key is null. */
export interface PlanRule {
  readonly table: TablePattern;
  readonly expansions: readonly PlanExpansion[];
  readonly filters: readonly PlanExpr[];
  readonly keys: readonly PlanExpr[];
}
export type PlanOutput =
  | { readonly kind: 'star' }
  | { readonly kind: 'column'; readonly name: string; readonly value: PlanExpr };
export interface PlanBucketRule extends PlanRule {
  /** Table name on the client; null: the name of the source table (S-212, S-255). */
  readonly objectType: string | null;
  /** In order; of equal names the last one counts (S-211). */
  readonly outputs: readonly PlanOutput[];
}
export interface PlanBucket {
  readonly identity: string;
  /** `stream|index`, or the name of a legacy definition. */
  readonly name: string;
  readonly source: string;
  readonly rules: readonly PlanBucketRule[];
}

export interface PlanLookupRule extends PlanRule {
  readonly outputs: readonly PlanExpr[];
}
export interface PlanLookup {
  readonly identity: string;
  /** For people: `crew(sailor_id)->(boat_id)`. */
  readonly name: string;
  readonly source: string;
  readonly rules: readonly PlanLookupRule[];
}

export interface PlanEventRule {
  readonly table: TablePattern;
  readonly filters: readonly PlanExpr[];
  readonly userId: PlanExpr;
  readonly clientId: PlanExpr;
  readonly checkpoint: PlanExpr;
}
/** Custom write checkpoints (S-484…S-491). */
export interface PlanEvent {
  readonly identity: string;
  readonly name: 'write_checkpoints' | 'checkpoint_requests';
  readonly source: string;
  readonly rules: readonly PlanEventRule[];
}

/** A value known on the parameter side: of the session, or a variable bound by an earlier step of the component. */
export type PlanOperand =
  | { readonly kind: 'value'; readonly value: PlanExpr }
  | { readonly kind: 'variable'; readonly variable: number };

/**
 * Extends each tuple of variables. A variable in `outputs` that is bound already filters by equality; null matches
 * nothing. `keep`: the variables needed afterwards; tuples are made distinct on them.
 */
export type PlanStep =
  | {
      readonly kind: 'expand';
      readonly mode: 'array' | 'each';
      readonly value: PlanExpr;
      /** Over the session and the element (expansion 0). */
      readonly filters: readonly PlanExpr[];
      readonly outputs: readonly { readonly value: PlanExpr; readonly variable: number }[];
      readonly keep: readonly number[];
    }
  | {
      readonly kind: 'lookup';
      /** Index in `SyncPlan.lookups`. */
      readonly lookup: number;
      readonly inputs: readonly PlanOperand[];
      /** Variable of each output column of the lookup. */
      readonly outputs: readonly number[];
      readonly keep: readonly number[];
    };

/** Steps that share variables; components are independent of one another: the result is their product. */
export interface PlanComponent {
  readonly steps: readonly PlanStep[];
}

/** One way to get buckets of one definition. */
export interface PlanQuerier {
  /** Index in `SyncPlan.buckets`. */
  readonly bucket: number;
  /** Legacy `_priority` (S-237); null: that of the stream. */
  readonly priority: number | null;
  /** All must be true. */
  readonly gates: readonly PlanExpr[];
  readonly components: readonly PlanComponent[];
  /** Where each key position comes from. */
  readonly key: readonly (
    | { readonly kind: 'value'; readonly value: PlanExpr }
    | { readonly kind: 'variable'; readonly component: number; readonly variable: number }
  )[];
}

export interface PlanStream {
  readonly name: string;
  readonly legacy: boolean;
  readonly autoSubscribe: boolean;
  readonly priority: number;
  /** Names of the subscription parameters that its queries read (S-213). */
  readonly subscriptionParameters: readonly string[];
  readonly queriers: readonly PlanQuerier[];
}

/** How sources map values (S-43, S-46, S-48). Part of every identity. */
export interface ValueOptions {
  readonly timestampsIso8601: boolean;
  readonly timestampMaxPrecision: 'seconds' | 'milliseconds' | 'microseconds' | 'nanoseconds' | null;
  readonly customPostgresTypes: boolean;
}

export interface SyncPlan {
  readonly format: 1;
  /** Every table pattern that any query reads, without duplicates: what a source snapshots and watches. */
  readonly tables: readonly TablePattern[];
  readonly valueOptions: ValueOptions;
  /** S-45: how paths without `$` are read. */
  readonly fixedJsonExtract: boolean;
  /** S-44. Bucket names carry the version in any case; kept for completeness. */
  readonly versionedBucketIds: boolean;
  readonly streams: readonly PlanStream[];
  readonly buckets: readonly PlanBucket[];
  readonly lookups: readonly PlanLookup[];
  readonly events: readonly PlanEvent[];
}

/** The definitions that storage deploys, buckets first. */
export function definitionSpecs(plan: SyncPlan): PlanDefinition[] {
  return [
    ...plan.buckets.map(({ identity, name, source }) => ({ kind: 'bucket' as const, identity, name, source })),
    ...plan.lookups.map(({ identity, name, source }) => ({ kind: 'lookup' as const, identity, name, source })),
  ];
}
