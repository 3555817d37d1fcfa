/** The sync config as written, before its queries are understood (S chapter 3). Missing options are null. */
import type { ValueOptions } from '../plan.ts';

/** A query and where its characters stand in the YAML text. */
export interface QueryText {
  readonly sql: string;
  readonly locate: (offset: number) => number;
  /** Of the whole scalar. */
  readonly start: number;
  readonly end: number;
  /** Of the `#` that ends a query without quotes: what stands behind it is not part of `sql`. */
  readonly comment: number | null;
}
/** A name with its place. */
export interface Key {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}
export interface CteConfig {
  readonly name: Key;
  readonly query: QueryText;
}
export interface StreamConfig {
  readonly name: Key;
  readonly autoSubscribe: boolean;
  readonly priority: number;
  readonly acceptDangerous: boolean;
  readonly ctes: readonly CteConfig[];
  readonly queries: readonly QueryText[];
}
export interface LegacyConfig {
  readonly name: Key;
  readonly priority: number;
  readonly acceptDangerous: boolean;
  readonly parameters: readonly QueryText[];
  readonly data: readonly QueryText[];
}
export interface EventConfig {
  readonly name: 'write_checkpoints' | 'checkpoint_requests';
  readonly payloads: readonly QueryText[];
}
export interface ConfigStructure {
  readonly valueOptions: ValueOptions;
  readonly fixedJsonExtract: boolean;
  readonly versionedBucketIds: boolean;
  readonly ctes: readonly CteConfig[];
  readonly streams: readonly StreamConfig[];
  readonly definitions: readonly LegacyConfig[];
  readonly events: readonly EventConfig[];
}
