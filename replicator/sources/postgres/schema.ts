import type { SourceTable } from '#core/sync-config/values.ts';
import type { SideQueries } from './side-queries.ts';

/** Tables that the role may read, with their columns. `columnTypes` are as `format_type` writes them, `timestamp with time zone`. */
export type SourceSchema = readonly (SourceTable & { readonly columnTypes: readonly string[] })[];

export async function readSchema(queries: SideQueries, source: string): Promise<SourceSchema> {
  const rows = await queries.run<{ schema: string; name: string; columns: string[]; types: string[] }>(
    'Reading the schema of the source',
    `SELECT n.nspname AS schema, c.relname AS name,
            array_agg(a.attname::text ORDER BY a.attnum) AS columns,
            array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS types
       FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
        AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
        AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')
      GROUP BY n.nspname, c.relname
      ORDER BY n.nspname, c.relname`,
  );
  return rows.map(({ schema, name, columns, types }) => ({ source, schema, name, columns, columnTypes: types }));
}
