import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { PostgresConnection } from '#core/platform/config/service-config.ts';
import type {
  Position,
  ReplicatedTable,
  Snapshot,
  Source,
  SourceDependencies,
  StreamEvent,
  ValueOptions,
} from '../contract.ts';
import { postgresSource } from './source.ts';

/** For tests only: sources of a test's own database, and recordings of what they deliver. */
export function connectionOf(url: string, changes: Partial<PostgresConnection> = {}): PostgresConnection {
  const { hostname, port, pathname, username, password } = new URL(url);
  return {
    type: 'postgresql',
    id: 'default',
    tag: 'default',
    debugApi: false,
    hosts: [{ hostname, port: Number(port) }],
    database: pathname.slice(1),
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
    sslmode: 'disable',
    cacert: undefined,
    clientCertificate: undefined,
    clientPrivateKey: undefined,
    tlsServername: undefined,
    rejectIpRanges: [],
    maxPoolSize: 8,
    connectTimeoutMs: 10_000,
    heartbeatIntervalMs: 60_000,
    snapshotSocketTimeoutMs: undefined,
    slotNamePrefix: 'powersync_',
    ...changes,
  };
}

export const edition2: ValueOptions = {
  timestampsIso8601: true,
  timestampMaxPrecision: null,
  customPostgresTypes: true,
};
export const legacy: ValueOptions = {
  timestampsIso8601: false,
  timestampMaxPrecision: null,
  customPostgresTypes: false,
};

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

export function openTestSource(
  url: string,
  options: { connection?: Partial<PostgresConnection>; values?: ValueOptions; lines?: LogLine[] } = {},
): Source {
  const line = (level: LogLine['level']) => (fields: object, message: string) =>
    void options.lines?.push({ level, fields, message });
  const dependencies: SourceDependencies = {
    log: { info: line('info'), warn: line('warn'), error: line('error') },
    snapshotConnections: 2,
    valueOptions: () => options.values ?? edition2,
  };
  return postgresSource.open(connectionOf(url, options.connection), dependencies);
}

/** A name that no other test uses: slots belong to the server. */
export function newCursor(source: Source): string {
  return source.cursorName(1, randomBytes(6).toString('hex'));
}

/** A session of an application, for the changes of a test. */
export async function session(url: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end().catch(() => undefined) });
}

/** Rows of a snapshot by table name, as objects. */
export async function copyAll(
  snapshot: Snapshot,
  signal = new AbortController().signal,
): Promise<Map<string, Record<string, unknown>[]>> {
  const found = new Map<string, Record<string, unknown>[]>();
  for (const { table } of snapshot.tables) found.set(table.name, []);
  const parts = snapshot.tables.flatMap(({ table, ranges }) => ranges.map((range) => ({ table, range })));
  await snapshot.copy(
    parts,
    {
      rows(part, rows) {
        for (const { row } of rows) found.get(part.table.name)!.push(asObject(part.table, row));
      },
      done: () => undefined,
    },
    signal,
  );
  return found;
}

export function asObject(table: ReplicatedTable, row: readonly unknown[]): Record<string, unknown> {
  return Object.fromEntries(table.columns.map((column, index) => [column, row[index]]));
}

/** A running stream whose events are kept. */
export interface Recording {
  readonly events: StreamEvent[];
  /** Resolves when the position is passed by a commit or a keepalive; rejects when the stream ends before. */
  passed(position: Position): Promise<void>;
  /** Resolves when the test holds. */
  until(holds: (events: readonly StreamEvent[]) => boolean): Promise<void>;
  /** How the stream ended. */
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}

export function record(
  source: Source,
  cursor: string,
  position: Position,
  options: {
    onEvent?: (event: StreamEvent) => void | Promise<void>;
    acknowledge?: boolean;
    known?: readonly ReplicatedTable[];
  } = {},
): Recording {
  const events: StreamEvent[] = [];
  const abort = new AbortController();
  const waiting = new Set<() => void>();
  let reached: Position | null = null;
  let outcome: { error: unknown } | null = null;
  const check = (): void => {
    for (const each of [...waiting]) each();
  };
  const ended = source
    .stream({
      cursor,
      position,
      signal: abort.signal,
      ...(options.known === undefined ? {} : { known: options.known }),
      handler: {
        event(event) {
          events.push(event);
          if (event.kind === 'commit' || event.kind === 'keepalive') {
            reached = event.position;
            if (options.acknowledge === true) source.acknowledge(cursor, event.position);
          }
          check();
          return options.onEvent?.(event);
        },
        idle: () => undefined,
      },
    })
    .then(
      () => undefined,
      (error: unknown) => error,
    );
  void ended.then((error) => {
    outcome = { error };
    check();
  });
  const until = (holds: (events: readonly StreamEvent[]) => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (holds(events)) resolve();
        else if (outcome !== null) reject(outcome.error ?? new Error('the stream ended'));
        else return;
        waiting.delete(look);
      };
      waiting.add(look);
      look();
    });
  return {
    events,
    until,
    passed: (at) => until(() => reached !== null && source.comparePositions(reached, at) >= 0),
    ended,
    async stop() {
      abort.abort();
      await ended;
    },
  };
}
