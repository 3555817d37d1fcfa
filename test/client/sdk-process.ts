/**
 * The public Node SDK in a process of its own: what an app is. Commands come over the IPC channel, answers go back with their number.
 * Started by `sdk-client.ts`.
 */
import { subscribe } from 'node:diagnostics_channel';
import {
  PowerSyncDatabase,
  Schema,
  SyncStreamConnectionMethod,
  Table,
  column,
  createConsoleLogger,
  LogLevels,
  type PowerSyncBackendConnector,
  type SyncStreamSubscription,
} from '@powersync/node';

export interface SdkTable {
  readonly [columnName: string]: 'text' | 'integer' | 'real';
}
export type SdkCommand =
  | { readonly kind: 'open'; readonly folder: string; readonly tables: Readonly<Record<string, SdkTable>> }
  | {
      readonly kind: 'connect';
      readonly endpoint: string;
      readonly token: string;
      readonly upload: string | null;
      readonly retryMs: number;
      readonly parameters: Record<string, string>;
      readonly method: 'http' | 'websocket';
    }
  | { readonly kind: 'disconnect' }
  | { readonly kind: 'subscribe'; readonly stream: string; readonly parameters: unknown }
  | { readonly kind: 'query'; readonly sql: string; readonly values: unknown[] }
  | { readonly kind: 'execute'; readonly sql: string; readonly values: unknown[] }
  | { readonly kind: 'status' }
  | { readonly kind: 'close' };

export interface SdkStatus {
  readonly connected: boolean;
  readonly hasSynced: boolean;
  readonly lastSyncedAt: number | null;
  readonly uploading: boolean;
  readonly downloadError: string | null;
  readonly uploadError: string | null;
  readonly waitingUploads: number;
  /** WebSockets that were opened so far. */
  readonly webSockets: number;
  readonly streams: readonly SdkStream[];
  /** What it wrote to its log as a warning. */
  readonly warnings: readonly string[];
}

export interface SdkStream {
  readonly name: string;
  readonly parameters: unknown;
  readonly active: boolean;
  readonly hasSynced: boolean;
}

let database: PowerSyncDatabase;
const subscriptions: SyncStreamSubscription[] = [];
let webSockets = 0;
const warnings: string[] = [];
subscribe('undici:websocket:open', () => webSockets++);

async function run(command: SdkCommand): Promise<unknown> {
  switch (command.kind) {
    case 'open':
      return open(command.folder, command.tables);
    case 'connect':
      // Resolves when the connection attempt has begun; `status` tells what became of it.
      return database.connect(connectorFor(command), {
        retryDelayMs: command.retryMs,
        params: command.parameters,
        connectionMethod:
          command.method === 'http' ? SyncStreamConnectionMethod.HTTP : SyncStreamConnectionMethod.WEB_SOCKET,
      });
    case 'disconnect':
      return database.disconnect();
    case 'subscribe':
      subscriptions.push(
        await database
          .syncStream(command.stream, (command.parameters ?? undefined) as Record<string, unknown>)
          .subscribe(),
      );
      return undefined;
    case 'query':
      return database.getAll(command.sql, command.values);
    case 'execute':
      await database.execute(command.sql, command.values);
      return undefined;
    case 'status':
      return status();
    case 'close':
      return database.close();
  }
}

async function open(folder: string, tables: Readonly<Record<string, SdkTable>>): Promise<void> {
  const schema = Object.fromEntries(
    Object.entries(tables).map(([name, columns]) => [
      name,
      new Table(Object.fromEntries(Object.entries(columns).map(([key, type]) => [key, column[type]]))),
    ]),
  );
  const console_ = createConsoleLogger();
  database = new PowerSyncDatabase({
    logger: {
      log(record) {
        if (record.level >= LogLevels.warn) warnings.push(record.message);
        console_.log(record);
      },
    },
    schema: new Schema(schema),
    database: { dbFilename: 'app.db', dbLocation: folder, implementation: { type: 'node:sqlite' } },
  });
  await database.init();
}

function connectorFor(command: Extract<SdkCommand, { kind: 'connect' }>): PowerSyncBackendConnector {
  return {
    fetchCredentials: async () => ({ endpoint: command.endpoint, token: await tokenOf(command.token) }),
    async uploadData(local) {
      const transaction = await local.getNextCrudTransaction();
      if (!transaction || command.upload === null) return;
      const operations = transaction.crud.map(({ op, table, id, opData }) => ({ op, table, id, data: opData ?? null }));
      const response = await fetch(command.upload, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Token ${await tokenOf(command.token)}` },
        body: JSON.stringify({ operations }),
      });
      if (!response.ok) throw new Error(`upload: ${response.status}`);
      await transaction.complete();
    },
  };
}

/** An app's backend issues one each time. */
async function tokenOf(source: string): Promise<string> {
  return source.startsWith('http') ? (await fetch(source)).text() : source;
}

async function status(): Promise<SdkStatus> {
  const now = database.currentStatus;
  const { count } = await database.get<{ count: number }>('SELECT count(*) AS count FROM ps_crud');
  return {
    connected: now.connected,
    hasSynced: now.hasSynced ?? false,
    lastSyncedAt: now.lastSyncedAt?.getTime() ?? null,
    uploading: now.dataFlowStatus.uploading ?? false,
    downloadError: now.dataFlowStatus.downloadError?.message ?? null,
    uploadError: now.dataFlowStatus.uploadError?.message ?? null,
    waitingUploads: count,
    webSockets,
    streams: (now.syncStreams ?? []).map(({ subscription: { name, parameters, active, hasSynced } }) => ({
      ...{ name, parameters, active, hasSynced },
    })),
    warnings,
  };
}

process.on('message', ({ id, command }: { id: number; command: SdkCommand }) => {
  run(command).then(
    (result) => process.send!({ id, result }),
    (error: unknown) =>
      process.send!({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
