/** For tests: the same rows in SQLite, and what the queries of a scenario mean there. */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { SqliteValue } from '../values.ts';
import type { Meaning } from './random-scenarios.ts';
import { COLUMNS, TABLES, tablesOf, type Cells, type Schema } from './random-schemas.ts';
import { quoted } from './sql-text.ts';

export interface PlainRow {
  /** Index in the schema's tables, and the row's key there. */
  readonly table: number;
  readonly key: number;
  /** By position in the outputs of the query; a star has none. */
  readonly values: readonly SqliteValue[];
}
export interface PlainDatabase {
  put(table: number, key: number, cells: Cells): void;
  delete(table: number, key: number): void;
  rows(meaning: Meaning, bindings: Record<string, SqliteValue>): PlainRow[];
  /** Members of a JSON object as the client reads them (S-274…S-277). */
  members(json: string): [string, SqliteValue][];
  close(): void;
}

const NAMES = [...COLUMNS, 'extra'] as const;

/** A view per name that queries use, over the source tables that it means. No column has a type: values compare as they are. */
function viewText(name: (typeof TABLES)[number], { tables, patterns }: Schema): string {
  const pattern = patterns[name];
  const parts = tablesOf(pattern, tables).map((table) => {
    const suffix = pattern.wildcard ? quoted(table.name.slice(pattern.name.length)) : null;
    const columns = COLUMNS.map((column) => (table.holds.includes(column) ? column : `NULL AS ${column}`));
    return `SELECT ${tables.indexOf(table)} AS _t, _k, ${columns.join(', ')}, ${quoted(table.schema)} AS _schema, ${quoted(table.name)} AS _name, ${suffix ?? "''"} AS _suffix, ${suffix ?? 'NULL'} AS _table_suffix FROM table${tables.indexOf(table)}`;
  });
  return `CREATE VIEW ${name} AS ${parts.join(' UNION ALL ')}`;
}

export function createPlainDatabase(schema: Schema): PlainDatabase {
  const database = new DatabaseSync(':memory:');
  for (const at of schema.tables.keys())
    database.exec(`CREATE TABLE table${at} (_k INTEGER PRIMARY KEY, ${NAMES.join(', ')})`);
  for (const name of TABLES) database.exec(viewText(name, schema));
  const prepared = new Map<string, StatementSync>();
  const statement = (text: string): StatementSync => {
    let found = prepared.get(text);
    if (found === undefined) {
      found = database.prepare(text);
      found.setReadBigInts(true);
      found.setAllowUnknownNamedParameters(true);
      prepared.set(text, found);
    }
    return found;
  };
  return {
    put: (table, key, cells) => {
      const places = NAMES.map(() => '?').join(', ');
      statement(`INSERT OR REPLACE INTO table${table} VALUES (?, ${places})`).run(
        key,
        ...NAMES.map((name) => cells[name]),
      );
    },
    delete: (table, key) => {
      statement(`DELETE FROM table${table} WHERE _k = ?`).run(key);
    },
    rows: ({ sql, outputs }, bindings) =>
      statement(sql)
        .all(bindings)
        .map((row) => ({
          table: Number(row['_t']),
          key: Number(row['_k']),
          values: outputs.map((_, at) => row[`o${at}`] ?? null),
        })),
    members: (json) =>
      statement('SELECT key, value FROM json_each(?)')
        .all(json)
        .map(({ key, value }) => [String(key), value ?? null]),
    close: () => database.close(),
  };
}
