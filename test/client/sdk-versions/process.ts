/** An app on an older release of the Node SDK, in a process of its own. Arguments: one JSON text. Prints a JSON line per change of what it holds. */
import { readFile } from 'node:fs/promises';
import { Worker, type WorkerOptions } from 'node:worker_threads';

interface Arguments {
  readonly module: string;
  readonly folder: string;
  readonly endpoint: string;
  readonly token: string;
  readonly connectionMethod: 'http' | 'web-socket';
  readonly clientImplementation: 'js' | 'rust';
  /** Table and its text columns. */
  readonly table: string;
  readonly columns: readonly string[];
}
/** What is used of the SDK; the same in all releases. */
interface Sdk {
  PowerSyncDatabase: new (options: object) => {
    init(): Promise<void>;
    connect(connector: object, options: object): Promise<void>;
    getAll(sql: string): Promise<Record<string, unknown>[]>;
    execute(sql: string, values: unknown[]): Promise<void>;
    getNextCrudTransaction(): Promise<{ complete(): Promise<void> } | null>;
    onChange(handler: { onChange(): void }, options: { tables: string[] }): void;
    readonly currentStatus: { readonly hasSynced?: boolean };
  };
  Schema: new (tables: object) => object;
  Table: new (columns: object) => object;
  column: { readonly text: object };
}

const { module, folder, endpoint, token, table, columns, ...how } = JSON.parse(
  await readFile(process.argv[2]!, 'utf8'),
) as Arguments;
const { PowerSyncDatabase, Schema, Table, column } = (await import(module)) as Sdk;

const database = new PowerSyncDatabase({
  schema: new Schema({ [table]: new Table(Object.fromEntries(columns.map((name) => [name, column.text]))) }),
  database: {
    dbFilename: 'app.db',
    dbLocation: folder,
    openWorker: (_file: unknown, options: WorkerOptions) =>
      new Worker(new URL('sqlite-worker.ts', import.meta.url), { ...options, workerData: { module } }),
  },
});
await database.init();
const show = async (): Promise<void> => {
  const rows = await database.getAll(`SELECT * FROM ${table} ORDER BY id`);
  process.send!({ synced: database.currentStatus.hasSynced === true, rows });
};
database.onChange({ onChange: () => void show() }, { tables: [table] });
await database.connect(
  {
    fetchCredentials: async () => ({ endpoint, token }),
    // the backend has taken it; the test writes it to the source
    uploadData: async () => (await database.getNextCrudTransaction())?.complete(),
  },
  { ...how, retryDelayMs: 300 },
);
process.on('message', ({ id, values }: { id: string; values: Record<string, string> }) => {
  const names = Object.keys(values);
  void database.execute(`INSERT INTO ${table} (id, ${names.join(', ')}) VALUES (?${', ?'.repeat(names.length)})`, [
    id,
    ...Object.values(values),
  ]);
});
process.on('disconnect', () => process.exit(0));
setInterval(() => void show(), 500);
