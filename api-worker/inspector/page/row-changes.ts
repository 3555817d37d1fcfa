/** Which of the shown rows changed while one looks. */
import type { LocalRow } from './local-database.ts';

export interface SeenRow {
  readonly row: LocalRow;
  /** It arrived, and was applied, since the table was shown first. */
  readonly isNew: boolean;
  /** Equal as long as nothing of the row looks different; of a new row for as long as it stays as it arrived. */
  readonly look: string;
}

/** Follows what is shown of one table after the other. */
export interface RowChanges {
  see(table: string | null, rows: readonly LocalRow[]): SeenRow[];
}

export function createRowChanges(): RowChanges {
  let shownTable: string | null = null;
  let newestSeen = 0n;
  return {
    see(table, rows) {
      const isSameTable = shownTable === table;
      const before = isSameTable ? newestSeen : 0n;
      shownTable = table;
      // What is only downloaded arrives when it is applied.
      newestSeen = rows.reduce((most, row) => (row.isApplied ? larger(most, BigInt(row.lastOp)) : most), before);
      return rows.map((row) => ({
        row,
        isNew: before > 0n && row.isApplied && BigInt(row.lastOp) > before,
        look: JSON.stringify([row.lastOp, row.isApplied, row.data, row.holders]),
      }));
    },
  };
}

const larger = (one: bigint, other: bigint): bigint => (one > other ? one : other);
