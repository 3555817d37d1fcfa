import { codedError } from '#core/platform/errors/coded-error.ts';
import type { SourceRow } from '#core/sync-config/values.ts';
import type { RowFault } from '../values/row-fault.ts';
import { sqlState } from './errors.ts';
import { faultOfTexts } from './row-limits.ts';
import { keyTexts, type RowLayout } from './rows.ts';
import type { SideQueries } from './side-queries.ts';
import { type PublishedTable, qualifiedName, quoteIdentifier } from './tables.ts';

/** Values as the server sends them, whatever their type. */
export const asText = { getTypeParser: () => (value: string) => value };

/**
 * The row as it is now, by its identity; null if it is gone, does not fit, or for a table identified by all its columns (whose changes are complete).
 * Rejects with PSYNC_S1152 when the role may not read the table, which must not stop the others.
 */
export async function fetchRow(
  queries: SideQueries,
  layout: RowLayout,
  key: string,
  unfit: (table: PublishedTable, fault: RowFault) => void,
): Promise<SourceRow | null> {
  const { published, table, decoders, forms } = layout;
  if (table.identity !== 'key') return null;
  const columns = published.columns.map(({ name }) => quoteIdentifier(name)).join(', ');
  const conditions = table.identityColumns.map(
    (index, number) => `${quoteIdentifier(table.columns[index]!)} = $${number + 1}`,
  );
  const query = {
    text: `SELECT ${columns} FROM ONLY ${qualifiedName(published)} WHERE ${conditions.join(' AND ')} LIMIT 1`,
    values: [...keyTexts(table, key)],
    rowMode: 'array' as const,
    types: asText,
  };
  const values = await queries
    .using(
      'Reading one row of the source',
      async (client) => (await client.query<(string | null)[]>(query)).rows[0] ?? null,
    )
    .catch((error: unknown) => {
      if (sqlState((error as Error).cause) !== '42501') throw error;
      const name = qualifiedName(published);
      throw codedError('PSYNC_S1152', `Table ${name} cannot be read. Grant SELECT on it.`, { cause: error });
    });
  if (values === null) return null;
  const fault = faultOfTexts(layout, values);
  if (fault !== null) {
    unfit(published, fault);
    return null;
  }
  return values.map((text, index) => (text === null || forms[index] === 0 ? null : decoders[index]!.fromText(text)));
}
