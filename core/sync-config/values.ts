/** Values as SQLite knows them (S-124, S-269): integers are bigint, reals are number, blobs are bytes. Nothing else. */
export type SqliteValue = null | bigint | number | string | Uint8Array;

/** One source row: values in the order of `SourceTable.columns`. A value not known (only the key is) is null. */
export type SourceRow = readonly SqliteValue[];

/** A source table as the evaluator needs to know it. */
export interface SourceTable {
  /** Tag of its connection. */
  readonly source: string;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly string[];
}
