/** One connection to the service: the web SDK, unmodified, on a database in memory that ends with it. */
import {
  LogLevels,
  PowerSyncDatabase,
  Schema,
  WASQLiteVFS,
  type AbstractPowerSyncDatabase,
  type PowerSyncLogger,
  type SyncStatus,
} from '@powersync/web';
import type { Checkpoint } from './checkpoint.ts';
import { watchStreams, type StreamEvents, type Traffic } from './watched-stream.ts';

export interface SessionOptions {
  readonly token: string;
  /** Who the token is for, and when it ends in ms since 1970, as it says itself; the service has the last word. */
  readonly user: string;
  readonly tokenEndsAt: number | null;
  readonly parameters: Readonly<Record<string, string | number | boolean | null>>;
  readonly subscriptions: readonly { readonly name: string; readonly parameters: Record<string, unknown> | null }[];
  readonly includeDefaults: boolean;
}

export interface Session {
  readonly database: AbstractPowerSyncDatabase;
  readonly status: SyncStatus;
  readonly checkpoint: Checkpoint | null;
  readonly traffic: Traffic;
  close(): Promise<void>;
}

const RETRY_MS = 2000;
/** Warnings of the SDK about what is wanted here: a database of one tab. */
const NOT_OURS = /multiple tab/i;

/** The service that this page came from, also behind a prefix. */
const endpoint = `${location.origin}${location.pathname.replace(/\/inspector\/?$/, '')}`;

/** Connects and goes on trying until `close`. Rejects when the browser cannot open the database. */
export async function openSession(options: SessionOptions, events: StreamEvents): Promise<Session> {
  const database = new PowerSyncDatabase({
    schema: new Schema({}),
    database: {
      // A name of its own: other tabs share neither its data nor its lock.
      dbFilename: `${crypto.randomUUID()}.db`,
      vfs: WASQLiteVFS.InMemoryVfs,
      enableMultiTabs: false,
      worker: new URL('worker/worker.js', import.meta.url).href,
    },
    logger: loggerTo(events),
  });
  await database.init();
  // As the log of the service has it.
  events.happened(`client ${await database.getClientId()}`);
  tellConnection(database, events);
  // Held until the end: the SDK drops subscriptions that nobody refers to.
  const subscriptions = await Promise.all(
    options.subscriptions.map(({ name, parameters }) => database.syncStream(name, parameters ?? undefined).subscribe()),
  );
  const stream = watchStreams(events, options.tokenEndsAt);
  // Resolves once connected or given up; what happens meanwhile is in the status.
  void database
    .connect(
      { fetchCredentials: async () => ({ endpoint, token: options.token }), uploadData: async () => undefined },
      { params: { ...options.parameters }, includeDefaultStreams: options.includeDefaults, retryDelayMs: RETRY_MS },
    )
    .catch((error: unknown) => events.happened(messageOf(error) ?? 'The connection failed', true));

  return {
    database,
    get status() {
      return database.currentStatus;
    },
    get checkpoint() {
      return stream.checkpoint;
    },
    get traffic() {
      return stream.traffic;
    },
    async close() {
      for (const subscription of subscriptions) subscription.unsubscribe();
      await database.disconnect();
      await database.close();
      stream.stop();
    },
  };
}

function loggerTo(events: StreamEvents): PowerSyncLogger {
  return {
    // Less severe records may hold rows.
    log({ level, message, error }) {
      if (level < LogLevels.warn || NOT_OURS.test(message)) return;
      events.happened([message, messageOf(error)].filter(Boolean).join(': '), true);
    },
  };
}

function tellConnection(database: AbstractPowerSyncDatabase, events: StreamEvents): void {
  let state = 'disconnected';
  database.registerListener({
    statusChanged({ connected, connecting }) {
      const before = state;
      state = connected ? 'connected' : connecting ? 'connecting' : 'disconnected';
      if (state !== before) events.happened(state);
      events.changed();
    },
  });
}

function messageOf(error: unknown): string | undefined {
  return error instanceof Error ? error.message : undefined;
}
