/**
 * Why a session has a row, or has it not: what each query makes of the row, and what the session gets of the same query. Plain JSON, for
 * people and programs that are allowed to see the row. Everything in it is bounded: long values are cut, long lists have their beginning.
 */

/** An expression, what it gives, and what it gives it for; all as SQL. */
export interface Evaluated {
  readonly sql: string;
  readonly value: string;
  /** Columns, elements of lists, and parameters in it. */
  readonly reads: readonly { readonly name: string; readonly value: string }[];
}

/**
 * Why a query does not take a row.
 * - filter: a condition on the row is not true; element-filter: it is not true for an element of a list in the row.
 * - no-elements: a list in the row, through whose elements the query goes, has none.
 * - null-key: what is compared with the session, or with another table, is null or a blob, which equals nothing (S-66, S-92).
 * - null-id: the row has no id on the client (S-265).
 */
export type RowReason =
  | ({ readonly kind: 'filter' | 'element-filter' | 'no-elements' | 'null-key' | 'null-id' } & Evaluated)
  | { readonly kind: 'not-syncable'; readonly code: string; readonly message: string };

/** One query that reads the table. Exactly one of `keys` and `because` is empty; both are without a row. */
export interface RuleReport {
  /** The client's table, and the row's id there; null: it has none. */
  readonly objectType: string;
  readonly objectId: string | null;
  /** The expression of the id. */
  readonly id: string;
  /** What the query asks of the row alone, and what of it must equal something of the session. */
  readonly conditions: readonly string[];
  readonly compared: readonly string[];
  /** Keys of the buckets that hold the row, and how many there are. */
  readonly keys: readonly string[];
  readonly keyCount: number;
  readonly because: readonly RowReason[];
}

/** What the session gave a lookup, and what came back. */
export interface AskedLookup {
  readonly lookup: string;
  readonly identity: string;
  readonly keys: readonly string[];
  readonly keyCount: number;
  /** Tuples of values, as JSON. */
  readonly answers: readonly string[];
  readonly answerCount: number;
}

/** A row of another table that there is not. */
export interface NeededRow {
  readonly lookup: string;
  readonly table: string;
  /** What it would have to fulfil, as SQL; empty: any row would do. */
  readonly where: string;
  /** What the query takes from it, which must not be null; without what `where` says of it. */
  readonly gives: readonly string[];
}

/**
 * Why a session does not get a bucket that holds the row.
 * - gate: a condition on the session is not true. null-value: a value of the session is null or no text or number, and equals nothing.
 * - other-value: the session has another value than the row. no-elements: a list of the session has no element, or none that fits.
 * - not-in-list: the row's value is not in a list of the session.
 * - no-lookup-row: a table that the query joins has no such row; `answers` are those that the session reaches there.
 * - no-combination: each of the row's values is reached, but not by the same rows.
 * - too-much: more rows lead there than are looked through.
 */
export type AccessReason =
  | ({ readonly kind: 'gate' | 'null-value' } & Evaluated)
  | { readonly kind: 'other-value'; readonly row: Evaluated; readonly session: Evaluated }
  | { readonly kind: 'no-elements'; readonly list: Evaluated; readonly conditions: readonly string[] }
  | { readonly kind: 'not-in-list'; readonly list: Evaluated; readonly row: Evaluated }
  | ({ readonly kind: 'no-lookup-row' } & NeededRow & Pick<AskedLookup, 'answers' | 'answerCount'>)
  | { readonly kind: 'no-combination'; readonly row: readonly Evaluated[] }
  | { readonly kind: 'too-much'; readonly rows: number };

/** One way in which the session may get buckets of a definition: by default, or through the subscription of that index. */
export interface AccessReport {
  readonly through: 'default' | number;
  /** Keys of its buckets, those that hold the row first, and how many there are. */
  readonly keys: readonly string[];
  readonly keyCount: number;
  readonly asked: readonly AskedLookup[];
  /** Empty when one of its buckets holds the row. Where the row is in no bucket: why there are no keys, if there are none. */
  readonly because: readonly AccessReason[];
}

/** One bucket definition that reads the table. */
export interface DefinitionReport {
  readonly identity: string;
  /** `stream|index`. */
  readonly name: string;
  readonly rules: readonly RuleReport[];
  readonly access: readonly AccessReport[];
  /** Keys of buckets that hold the row and that the session has; null: not known. */
  readonly shared: readonly string[] | null;
  /** Only the row is in the way: the session has a bucket that it would be in. */
  readonly butForTheRow: boolean;
}

/** One stream or bucket definition, with those of its queries that read the table. */
export interface StreamReport {
  readonly name: string;
  readonly legacy: boolean;
  readonly autoSubscribe: boolean;
  /** How the session has it: by default, or through the subscription of that index. Empty: it has it not. */
  readonly subscribed: readonly ('default' | number)[];
  readonly errors: readonly string[];
  readonly definitions: readonly DefinitionReport[];
}

/** What the row says about who gets other rows. */
export interface LookupReport {
  readonly name: string;
  /** Streams that ask it. */
  readonly streams: readonly string[];
  /** Key and tuples of values, as JSON. */
  readonly entries: readonly { readonly key: string; readonly values: string }[];
  readonly because: readonly RowReason[];
}

/** A place where the client gets the row from. */
export interface RowPlace {
  readonly stream: string;
  readonly definition: string;
  readonly identity: string;
  readonly key: string;
  readonly objectType: string;
  readonly objectId: string;
  /** As clients get it; null: not known. */
  readonly data: string | null;
}

export interface RowExplanation {
  readonly table: { readonly source: string; readonly schema: string; readonly name: string };
  /** Streams that read the table; the others give nothing of it. */
  readonly streams: readonly StreamReport[];
  readonly otherStreams: readonly string[];
  readonly lookups: readonly LookupReport[];
  /** Buckets that hold the row and that the session has. */
  readonly places: readonly RowPlace[];
  /** Other buckets that hold the row. */
  readonly elsewhere: readonly RowPlace[];
}
