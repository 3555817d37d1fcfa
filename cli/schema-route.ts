/** `POST /api/admin/v1/schema`: what the sources' tables look like, in the form the field's tools read (R-77, O-122, O-270, wire/10). */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { verifyAdminToken } from '#core/platform/auth/admin-token.ts';
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { ValueType } from '#core/sync-config/result-types.ts';
import { catalogName } from '#core/sync-config/source-types/postgresql.ts';
import { valueTypeOf } from '#core/sync-config/source-types/value-type-of.ts';
import type { ReadSourceTables, ReadTable } from './source-tables.ts';

export interface SchemaRouteOptions {
  readonly tokens: readonly string[];
  readonly connections: readonly SourceConnection[];
  /** Bounded in time, and in how often it asks. */
  readonly sourceTables: ReadSourceTables;
}

/** About 15 MB of an answer. */
const MAX_COLUMNS = 100_000;
/** Flags of `sqlite_type`; 0 where nothing is known. */
const SQLITE_TYPES: Readonly<Record<ValueType, number>> = { blob: 1, text: 2, integer: 4, real: 8 };

export function schemaRoute(server: FastifyInstance, { tokens, connections, sourceTables }: SchemaRouteOptions): void {
  const admin = async (request: FastifyRequest): Promise<void> =>
    verifyAdminToken(request.headers.authorization, tokens);
  server.post('/api/admin/v1/schema', { preHandler: admin }, async () => {
    const { tables, unread } = await sourceTables();
    // With a part of the tables a tool would generate a part of a schema.
    if (tables === null) throw codedError('PSYNC_S4107', unread.join('; '));
    const columns = tables.reduce((sum, table) => sum + table.columns.length, 0);
    if (columns > MAX_COLUMNS) {
      throw codedError(
        'PSYNC_S4107',
        `The sources show ${columns} columns, more than the ${MAX_COLUMNS} of one answer: take SELECT on tables that are not synced from the role`,
        { status: 422 },
      );
    }
    return { data: { connections: connections.map((connection) => connectionBody(connection, tables)) } };
  });
}

function connectionBody({ id, tag, type }: SourceConnection, all: readonly ReadTable[]): object {
  const schemas = Map.groupBy(
    all.filter(({ source }) => source === tag),
    ({ schema }) => schema,
  );
  return {
    id,
    tag,
    schemas: [...schemas].map(([name, tables]) => ({
      name,
      tables: tables.map((table) => ({ name: table.name, columns: columnBodies(table, type) })),
    })),
  };
}

function columnBodies({ columns, columnTypes }: ReadTable, kind: SourceConnection['type']): object[] {
  return columns.map((name, at) => {
    const type = columnTypes[at] ?? '';
    const value = valueTypeOf(kind, type);
    return {
      name,
      sqlite_type: value === null ? 0 : SQLITE_TYPES[value],
      internal_type: type,
      type,
      pg_type: kind === 'postgresql' ? catalogName(type) : type,
    };
  });
}
