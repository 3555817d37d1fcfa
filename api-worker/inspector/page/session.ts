/** One connection to the service: the web SDK, unmodified, on a database in memory that ends with it, and what passes on its stream. */
import {
  LogLevels,
  PowerSyncDatabase,
  Schema,
  WASQLiteVFS,
  type AbstractPowerSyncDatabase,
  type SyncStatus,
} from '@powersync/web';
import { afterLine, type Checkpoint } from './checkpoint.ts';
import { createFrameReader, type WireLine } from './stream-frames.ts';

export interface SessionOptions {
  readonly token: string;
  /** Who the token is for, and when it ends in ms since 1970, as it says itself; the service has the last word. */
  readonly user: string;
  readonly tokenEndsAt: number | null;
  readonly parameters: Readonly<Record<string, string | number | boolean | null>>;
  readonly subscriptions: readonly { readonly name: string; readonly parameters: Record<string, unknown> | null }[];
  readonly includeDefaults: boolean;
}

export interface SessionEvents {
  /** Status, checkpoint or data may have changed. */
  changed(): void;
  happened(text: string, isProblem?: boolean): void;
  /** The service will not take this token or request: trying again is of no use. */
  refused(code: string, text: string): void;
}

export interface Traffic {
  readonly bytes: number;
  readonly lines: number;
  /** When the service says that the token ends, in ms since 1970. */
  readonly tokenEndsAt: number | null;
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
/** Nobody else may use the fetch of this page: it watches one session. */
const plainFetch = globalThis.fetch.bind(globalThis);

/** The service that this page came from, also behind a prefix. */
export const endpoint = `${location.origin}${location.pathname.replace(/\/inspector\/?$/, '')}`;

export async function openSession(options: SessionOptions, events: SessionEvents): Promise<Session> {
  let checkpoint: Checkpoint | null = null;
  let traffic: Traffic = { bytes: 0, lines: 0, tokenEndsAt: options.tokenEndsAt };
  const worker = new URL('worker/worker.js', import.meta.url).href;
  const database = new PowerSyncDatabase({
    schema: new Schema({}),
    // A name of its own: other tabs share neither its data nor its lock.
    database: { dbFilename: `${crypto.randomUUID()}.db`, vfs: WASQLiteVFS.InMemoryVfs, enableMultiTabs: false, worker },
    logger: {
      // Less severe records may hold rows.
      log({ level, message, error }) {
        if (level >= LogLevels.warn && !NOT_OURS.test(message))
          events.happened([message, messageOf(error)].filter(Boolean).join(': '), true);
      },
    },
  });

  const watch = (response: Response): Response => {
    if (!response.ok || !response.body) return response;
    checkpoint = null;
    const reader = createFrameReader(response.headers.get('content-type') ?? '');
    let isReadable = true;
    const linesOf = (chunk: Uint8Array): WireLine[] => {
      try {
        return isReadable ? reader.push(chunk) : [];
      } catch (error) {
        // Only this page is at a loss; the SDK judges the stream for itself.
        isReadable = false;
        events.happened(messageOf(error) ?? 'The stream cannot be read along', true);
        return [];
      }
    };
    const seen = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        const lines = linesOf(chunk);
        let { tokenEndsAt } = traffic;
        for (const line of lines) {
          const after = afterLine(checkpoint, line);
          checkpoint = after.checkpoint;
          if (after.event !== undefined) events.happened(after.event);
          const seconds = line['token_expires_in'];
          if (typeof seconds === 'number') tokenEndsAt = Date.now() + seconds * 1000;
        }
        traffic = { bytes: traffic.bytes + chunk.length, lines: traffic.lines + lines.length, tokenEndsAt };
        controller.enqueue(chunk);
        events.changed();
      },
    });
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(seen), { status, statusText, headers });
  };
  globalThis.fetch = async (resource, request) => {
    const response = await plainFetch(resource, request);
    if (!urlOf(resource).endsWith('/sync/stream')) return response;
    if (response.status >= 400 && response.status < 500 && response.status !== 429) {
      const { code, description } = await refusalOf(response.clone());
      events.refused(code, description);
    }
    return watch(response);
  };

  await database.init();
  let state = 'disconnected';
  database.registerListener({
    statusChanged({ connected, connecting }) {
      const before = state;
      state = connected ? 'connected' : connecting ? 'connecting' : 'disconnected';
      if (state !== before) events.happened(state);
      events.changed();
    },
  });
  // Held until the end: the SDK drops subscriptions that nobody refers to.
  const subscriptions = await Promise.all(
    options.subscriptions.map(({ name, parameters }) => database.syncStream(name, parameters ?? undefined).subscribe()),
  );
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
      return checkpoint;
    },
    get traffic() {
      return traffic;
    },
    async close() {
      for (const subscription of subscriptions) subscription.unsubscribe();
      await database.disconnect();
      await database.close();
      globalThis.fetch = plainFetch;
    },
  };
}

function urlOf(resource: RequestInfo | URL): string {
  const url = resource instanceof Request ? resource.url : String(resource);
  return new URL(url, location.href).pathname;
}

/** Error answers of the service have a code and a description. */
async function refusalOf(response: Response): Promise<{ code: string; description: string }> {
  const body = (await response.json().catch(() => null)) as {
    error?: { code?: string; description?: string; details?: string };
  } | null;
  const { code = `HTTP ${response.status}`, description = response.statusText, details } = body?.error ?? {};
  return { code, description: details === undefined ? description : `${description} (${details})` };
}

function messageOf(error: unknown): string | undefined {
  return error instanceof Error ? error.message : undefined;
}
