/** From what somebody calls a table to the source table that is meant. */
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { matchesTable } from '#core/sync-config/evaluate/matches-table.ts';
import type { SyncPlan, TablePattern } from '#core/sync-config/plan.ts';
import { defaultSchemaOf } from '#replicator/sources/registry.ts';

export interface TableName {
  readonly source: string;
  readonly schema: string;
  readonly name: string;
}

/** A connection, as far as names of tables depend on it. */
export interface NamedSource {
  readonly tag: string;
  readonly defaultSchema: string;
}

export function namedSources(connections: readonly SourceConnection[]): NamedSource[] {
  return connections.map((connection) => ({ tag: connection.tag, defaultSchema: defaultSchemaOf(connection) }));
}

export interface ChosenTable {
  readonly table: TableName;
  /** A query reads it. */
  readonly read: boolean;
  /** The last part of what it was called: its own name, or that of a table of clients. */
  readonly called: string;
}

/**
 * The one table that is meant: `boats` in the default schema, `schema.boats`, `tag.schema.boats`, each part in double quotes where it has a
 * dot; else a table of clients by its name there. Throws PSYNC_S2001 (400) when several are meant.
 */
export function chooseTable(text: string, plan: SyncPlan, sources: readonly NamedSource[]): ChosenTable {
  const parts = partsOf(text);
  const named = candidates(parts, plan, sources);
  const read = named.filter((table) => plan.tables.some((pattern) => matchesTable(pattern, table)));
  const chosen = read.length > 0 ? read : parts.length === 1 ? behindClientTable(parts[0] ?? '', plan) : [];
  const [only] = chosen;
  if (chosen.length > 1) {
    throw codedError(
      'PSYNC_S2001',
      `Several tables are called ${text}. Give one of: ${chosen.map(nameOf).join(', ')}`,
      {
        status: 400,
      },
    );
  }
  const called = parts.at(-1) ?? '';
  if (only !== undefined) return { table: only, read: true, called };
  const [table] = named;
  if (table === undefined) {
    const known = sources.map(({ tag }) => tag).join(', ');
    throw codedError('PSYNC_S2001', `No source has the tag of ${text}; there are: ${known}`, { status: 400 });
  }
  return { table, read: false, called };
}

/** As it can be given again. */
export function nameOf({ source, schema, name }: TableName): string {
  return [source, schema, name].map((part) => (/[."]/.test(part) ? `"${part.replaceAll('"', '""')}"` : part)).join('.');
}

function partsOf(text: string): string[] {
  const parts = [...text.matchAll(/"((?:[^"]|"")*)"|[^."]+/g)].map(([part, quoted]) =>
    quoted === undefined ? part : quoted.replaceAll('""', '"'),
  );
  if (parts.length >= 1 && parts.length <= 3) return parts;
  throw codedError('PSYNC_S2001', 'Give a table as name, schema.name or source.schema.name', { status: 400 });
}

function candidates(parts: readonly string[], plan: SyncPlan, sources: readonly NamedSource[]): TableName[] {
  const [first = '', second = '', third = ''] = parts;
  if (parts.length === 3)
    return sources.some(({ tag }) => tag === first) ? [{ source: first, schema: second, name: third }] : [];
  // a process without connections still knows the tags of the plan
  const tags = new Set([...sources.map(({ tag }) => tag), ...plan.tables.map(({ source }) => source)]);
  if (parts.length === 2) return [...tags].map((source) => ({ source, schema: first, name: second }));
  return [...tags].flatMap((source) =>
    schemasOf(source, plan, sources).map((schema) => ({ source, schema, name: first })),
  );
}

/** The schema of unprefixed tables first, then those that queries name. */
function schemasOf(source: string, plan: SyncPlan, sources: readonly NamedSource[]): string[] {
  const own = sources.filter(({ tag }) => tag === source).map(({ defaultSchema }) => defaultSchema);
  const read = plan.tables.filter((table) => table.source === source && table.anySchema !== true);
  return [...new Set([...own, ...read.map(({ schema }) => schema)])];
}

/** Source tables whose rows clients have under this name (S-212). */
function behindClientTable(name: string, plan: SyncPlan): TableName[] {
  const rules = plan.buckets.flatMap(({ rules: of }) => of.filter(({ objectType }) => objectType === name));
  const exact = rules
    .map(({ table }) => table)
    .filter((table: TablePattern) => !table.wildcard && table.anySchema !== true);
  const byName = new Map(
    exact.map(({ source, schema, name: of }) => [nameOf({ source, schema, name: of }), { source, schema, name: of }]),
  );
  return [...byName.values()];
}
