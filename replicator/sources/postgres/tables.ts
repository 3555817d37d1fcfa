import type { ReplicatedTable } from '../contract.ts';

/** A column as published: in the order of the stream and of the copy. */
export interface PublishedColumn {
  readonly name: string;
  /** Object id of its type. */
  readonly type: number;
  readonly inIdentity: boolean;
}

/** `pg_class.relreplident`: default, index, full, nothing. */
export type ReplicaIdentity = 'd' | 'i' | 'f' | 'n';

/** What snapshot and stream both know of a table; `replicatedTable` makes the same object content from either. */
export interface PublishedTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly replicaIdentity: ReplicaIdentity;
  readonly columns: readonly PublishedColumn[];
}

const identityKinds: Readonly<Record<ReplicaIdentity, string>> = { d: 'default', i: 'index', f: 'full', n: 'nothing' };

/** The name operators know the setting by. */
export function replicaIdentityName(identity: ReplicaIdentity): string {
  return identityKinds[identity];
}

/** The table as the rest of the replicator sees it. */
export function replicatedTable(source: string, table: PublishedTable): ReplicatedTable {
  const full = table.replicaIdentity === 'f';
  const members = table.columns.flatMap((column, index) => (full || column.inIdentity ? [index] : []));
  const identity = full ? 'full' : members.length > 0 && table.replicaIdentity !== 'n' ? 'key' : 'none';
  const named = members.map((index) => [table.columns[index]!.name, table.columns[index]!.type]);
  return {
    source,
    schema: table.schema,
    name: table.name,
    relation: String(table.oid),
    columns: table.columns.map(({ name }) => name),
    identityColumns: identity === 'key' ? members : [],
    identity,
    identityText: JSON.stringify([identityKinds[table.replicaIdentity], ...(identity === 'none' ? [] : named)]),
  };
}

/** True when both describe the same columns in the same order; then rows of one fit the other. */
export function sameColumns(a: PublishedTable, b: PublishedTable): boolean {
  return (
    a.columns.length === b.columns.length &&
    a.columns.every((column, index) => column.name === b.columns[index]!.name && column.type === b.columns[index]!.type)
  );
}

/** `"schema"."table"` for messages and statements. */
export function qualifiedName(table: { schema: string; name: string }): string {
  return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`;
}

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteLiteral(text: string): string {
  return text.includes('\\')
    ? ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    : `'${text.replaceAll("'", "''")}'`;
}
