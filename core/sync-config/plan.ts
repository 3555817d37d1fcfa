/** The compiled sync config as data. Placeholder shape to be completed by the compiler's author; consumers use contract.ts only. */
export interface TablePattern {
  /** Connection tag. */
  readonly source: string;
  readonly schema: string;
  /** Exact name, or prefix when `wildcard`. */
  readonly name: string;
  readonly wildcard: boolean;
}

export interface SyncPlan {
  readonly format: 1;
  /** Every table pattern that any query reads, without duplicates: what a source snapshots and watches. */
  readonly tables: readonly TablePattern[];
}
