/** What storage knows of source tables and rows, for people who ask. Reads only, outside of every hot path, by anybody. */
import type { TableIdentity } from './contract.ts';

/** A source table that was registered, as it was then. */
export interface RegisteredTable extends TableIdentity {
  /** Id from `SourceWriter.registerTable`: part of subkeys and row-state keys. */
  readonly id: number;
}

/** Tables in one answer. */
export const MOST_REGISTERED_TABLES = 100;

export interface StorageInspection {
  /** Every incarnation of a table under this name, newest first; the newest `MOST_REGISTERED_TABLES` of them. */
  tables(of: Pick<TableIdentity, 'source' | 'schema' | 'name'>): Promise<readonly RegisteredTable[]>;
  /**
   * As `SourceWriter.readRowStates`, by anybody: what the writer of the source has stored, which may not be visible yet. At most 10,000
   * keys.
   */
  rowStates(keys: readonly string[]): Promise<(string | null)[]>;
}
