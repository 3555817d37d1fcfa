import type pg from 'pg';
import type { IsWanted, TableReport } from '../contract.ts';
import { publicationName } from './config.ts';
import type { ServerFacts } from './server.ts';
import {
  type PublishedColumn,
  type PublishedTable,
  qualifiedName,
  type ReplicaIdentity,
  replicaIdentityName,
  replicatedTable,
} from './tables.ts';

/** A wanted table of the source as its catalogs describe it. */
export interface FoundTable {
  readonly published: PublishedTable;
  /** Condition of the publication on its rows, or null. */
  readonly rowFilter: string | null;
  /** Its file; another one after a rewrite. */
  readonly fileNode: string;
  readonly bytes: number;
  /** Estimate of the server; negative when it has none. */
  readonly rows: number;
}

export interface FoundTables {
  /** Those that can be replicated. */
  readonly tables: readonly FoundTable[];
  /** One per wanted table, those that cannot be replicated too. */
  readonly reports: readonly TableReport[];
}

interface TableRow {
  oid: string;
  schema: string;
  name: string;
  kind: string;
  replica_identity: ReplicaIdentity;
  bytes: string | null;
  file_node: string | null;
  rows: number;
  readable: boolean | null;
  row_security: boolean;
  published: boolean;
  row_filter: string | null;
  columns: readonly { name: string; type: number; number: number; published: boolean; generated: boolean }[] | null;
  identity: readonly number[] | null;
}

/**
 * The wanted tables, as the client's transaction sees them. Partitioned tables themselves are left out: their partitions are tables of
 * their own.
 */
export async function findTables(
  client: pg.Client,
  facts: ServerFacts,
  source: string,
  isWanted: IsWanted,
): Promise<FoundTables> {
  const { rows: all } = await client.query<{ oid: string; schema: string; name: string }>(
    `SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'v', 'm', 'f') AND c.relpersistence <> 't'
        AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
      ORDER BY n.nspname, c.relname`,
  );
  const wanted = all.filter((table) => isWanted(table) !== false).map(({ oid }) => oid);
  if (wanted.length === 0) return { tables: [], reports: [] };
  const { rows } = await client.query<TableRow>(detailsSql(facts), [wanted, publicationName]);

  const tables: FoundTable[] = [];
  const reports: TableReport[] = [];
  for (const row of rows) {
    if (!row.published && isWanted(row) === 'if published') continue;
    const published = publishedTable(row);
    const errors = problemsOf(row, published, source);
    reports.push({
      schema: row.schema,
      name: row.name,
      identityColumns: published.columns.filter(({ inIdentity }) => inIdentity).map(({ name }) => name),
      errors,
      ...(row.published ? { rows: row.row_filter ?? '' } : {}),
    });
    // Dropped since: without a file.
    if (row.file_node === null || errors.some(({ level }) => level === 'fatal')) continue;
    tables.push({
      published,
      rowFilter: row.row_filter,
      fileNode: row.file_node,
      bytes: Number(row.bytes),
      rows: row.rows,
    });
  }
  return { tables, reports };
}

/**
 * Generated columns exist from 12 on, and are published from 18 on only, although the view names them before. Column lists and row
 * filters of publications exist from 15 on.
 */
function detailsSql({ versionNumber }: ServerFacts): string {
  const generated = versionNumber >= 120_000 ? `a.attgenerated <> ''` : 'false';
  const lists = versionNumber >= 150_000;
  const conditions = [
    ...(lists ? ['a.attname = ANY (p.attnames)'] : []),
    ...(versionNumber < 180_000 ? [`NOT (${generated})`] : []),
  ];
  const publishedColumn = conditions.join(' AND ');
  return `
    SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
           c.relreplident::text AS replica_identity, c.reltuples::float8 AS rows,
           pg_catalog.pg_relation_size(c.oid)::int8 AS bytes, pg_catalog.pg_relation_filenode(c.oid)::int8 AS file_node,
           pg_catalog.row_security_active(c.oid) AS row_security,
           p.tablename IS NOT NULL AS published, ${lists ? 'p.rowfilter' : 'NULL'} AS row_filter,
           pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND
             (pg_catalog.has_table_privilege(c.oid, 'SELECT') OR
              (SELECT bool_and(pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'))
                 FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND ${publishedColumn})) AS readable,
           (SELECT json_agg(json_build_object('name', a.attname, 'type', a.atttypid::int8, 'number', a.attnum,
                                              'published', ${publishedColumn}, 'generated', ${generated}) ORDER BY a.attnum)
              FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
           (SELECT i.indkey::int2[]
              FROM pg_catalog.pg_index i
             WHERE i.indrelid = c.oid AND i.indisvalid AND i.indislive
               AND CASE c.relreplident WHEN 'd' THEN i.indisprimary AND i.indimmediate WHEN 'i' THEN i.indisreplident ELSE false END
             LIMIT 1) AS identity
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_publication_tables p
        ON p.pubname = $2 AND p.schemaname = n.nspname AND p.tablename = c.relname
     WHERE c.oid = ANY ($1::oid[])
     ORDER BY n.nspname, c.relname`;
}

function publishedTable(row: TableRow): PublishedTable {
  const identity = new Set(row.identity ?? []);
  const columns = (row.columns ?? [])
    .filter(({ published }) => published)
    .map(({ name, type, number }): PublishedColumn => ({
      name,
      type,
      inIdentity: row.replica_identity === 'f' || identity.has(number),
    }));
  return { oid: Number(row.oid), schema: row.schema, name: row.name, replicaIdentity: row.replica_identity, columns };
}

type Problem = TableReport['errors'][number];

function problemsOf(row: TableRow, published: PublishedTable, source: string): Problem[] {
  const name = qualifiedName(row);
  const fatal = (code: string, message: string): Problem => ({ level: 'fatal', code, message });
  const warning = (code: string, message: string): Problem => ({ level: 'warning', code, message });
  if (row.kind !== 'r') {
    const what = row.kind === 'f' ? 'a foreign table' : row.kind === 'm' ? 'a materialized view' : 'a view';
    return [fatal('PSYNC_S1153', `${name} is ${what} and cannot be replicated. Sync the tables behind it.`)];
  }
  if (!row.published) {
    const add = `ALTER PUBLICATION ${publicationName} ADD TABLE ${name};`;
    return [fatal('PSYNC_S1151', `Table ${name} is not in publication ${publicationName}. Run: ${add}`)];
  }
  if (row.readable !== true) {
    return [
      fatal(
        'PSYNC_S1152',
        `Table ${name} cannot be read. Grant USAGE on its schema and SELECT on it to the role of the connection.`,
      ),
    ];
  }
  if (replicatedTable(source, published).identity === 'none') return [fatal('PSYNC_S1150', withoutIdentity(published))];
  const problems: Problem[] = [];
  if (row.row_security) {
    problems.push(
      warning(
        'PSYNC_S1145',
        `Table ${name} has row-level security and the role lacks BYPASSRLS: only rows that its policies show are copied.`,
      ),
    );
  }
  const hidden = (row.columns ?? [])
    .filter((column) => !column.published && !column.generated)
    .map((column) => column.name);
  if (hidden.length > 0) {
    problems.push(
      warning(
        'PSYNC_S1154',
        `Publication ${publicationName} leaves out columns of ${name}: ${hidden.join(', ')}. They are absent.`,
      ),
    );
  }
  if (row.row_filter !== null) {
    problems.push(
      warning(
        'PSYNC_S1154',
        `Publication ${publicationName} filters rows of ${name}. Redeploy the sync config after changing the filter (R-98).`,
      ),
    );
  }
  return problems;
}

/** Postgres rejects updates and deletes on such a table while it is published. */
export function withoutIdentity(published: PublishedTable): string {
  const kind = replicaIdentityName(published.replicaIdentity);
  const name = qualifiedName(published);
  return `Table ${name} has no usable replica identity (it is ${kind}) and is not replicated. Add a primary key, or run ALTER TABLE ${name} REPLICA IDENTITY FULL.`;
}
