/**
 * The database worker of an older SDK. Those expect the package better-sqlite3, a native module that cannot be built everywhere; the SQLite of
 * Node.js has the same abilities under other names. (Their own driver for it does not tell changed rows, which the sync client needs.)
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { workerData } from 'node:worker_threads';

/** better-sqlite3 rounds large integers, which is good enough for "the largest there is"; Node.js refuses to. */
const asNumber = (value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

function mapValues(row: unknown, map: (value: unknown) => unknown): unknown {
  if (Array.isArray(row)) return row.map(map);
  return Object.fromEntries(Object.entries(row as object).map(([name, value]) => [name, map(value)]));
}

class Statement {
  readonly reader: boolean;
  readonly #statement: StatementSync;
  constructor(statement: StatementSync) {
    this.#statement = statement;
    this.reader = statement.columns().length > 0;
    statement.setReadBigInts(true);
  }
  all(values: SQLInputValue[] = []): unknown[] {
    return this.#statement.all(...values).map((row) => mapValues(row, asNumber));
  }
  run(values: SQLInputValue[] = []): object {
    return mapValues(this.#statement.run(...values), asNumber) as object;
  }
  raw(): this {
    this.#statement.setReturnArrays(true);
    return this;
  }
}

class Database {
  readonly #database: DatabaseSync;
  constructor(path: string) {
    this.#database = new DatabaseSync(path, { allowExtension: true });
  }
  loadExtension(path: string, entryPoint: string): void {
    this.#database.loadExtension(path, entryPoint);
  }
  function(name: string, compute: () => number): void {
    this.#database.function(name, compute);
  }
  prepare(sql: string): Statement {
    return new Statement(this.#database.prepare(sql));
  }
  close(): void {
    this.#database.close();
  }
}

const { module } = workerData as { readonly module: string };
const { startPowerSyncWorker } = (await import(new URL('worker.js', module).href)) as {
  startPowerSyncWorker(options: object): void;
};
startPowerSyncWorker({ loadBetterSqlite3: () => Promise.resolve(Database) });
