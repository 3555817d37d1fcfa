import type { MatchesTable } from '../contract.ts';

/** Does the pattern (S-254, S-689) mean this table? */
export const matchesTable: MatchesTable = (pattern, table) =>
  pattern.source === table.source &&
  (pattern.anySchema === true
    ? table.schema.startsWith(pattern.schema) && !isSystemSchema(table.schema)
    : table.schema === pattern.schema) &&
  (pattern.wildcard ? table.name.startsWith(pattern.name) : table.name === pattern.name);

/** Postgres reserves the prefix. */
const isSystemSchema = (schema: string): boolean => schema.startsWith('pg_') || schema === 'information_schema';
