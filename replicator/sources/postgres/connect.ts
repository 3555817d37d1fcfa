import type { Socket } from 'node:net';
import pg from 'pg';
import { poolOptions } from '#core/platform/config/pool-options.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { PostgresConnection } from './config.ts';
import { sourceError } from './errors.ts';

/** Idle time after which the system probes whether the peer is still there. */
const keepAliveDelayMs = 10_000;

export interface ConnectOptions {
  /** A walsender of this database: takes replication commands and plain statements. */
  readonly replication?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a connection to the first of the hosts that is a primary; names are resolved anew. The session gives every
 * value in one canonical text form, in copy and stream alike.
 *
 * Rejects with a coded error that names each host's reason, or with the signal's reason. The caller ends the client.
 */
export async function connectPrimary(connection: PostgresConnection, options: ConnectOptions = {}): Promise<pg.Client> {
  const failures: unknown[] = [];
  for (const { hostname, port } of connection.hosts) {
    options.signal?.throwIfAborted();
    const client = newClient(connection, hostname, port, options);
    try {
      await connectOne(client, options.signal);
      return client;
    } catch (error) {
      endQuietly(client);
      options.signal?.throwIfAborted();
      failures.push(
        error === standby
          ? codedError(
              'PSYNC_S1176',
              `${hostname}:${port} is a standby. Add the host of the primary, or wait for the fail-over to end.`,
            )
          : sourceError(error, `Connecting to ${hostname}:${port}`),
      );
    }
  }
  throw failures.length === 1 ? failures[0] : allFailed(failures as Error[]);
}

const standby = Symbol('standby');

function allFailed(failures: readonly Error[]): Error {
  const standbyOnly = failures.every((error) => 'code' in error && error.code === 'PSYNC_S1176');
  const reasons = failures.map((error) => error.message.replace(/^\[\w+\] /, '')).join(' ');
  const code = standbyOnly ? 'PSYNC_S1176' : 'PSYNC_S1170';
  return codedError(code, `No host of the source accepted the connection. ${reasons}`, { cause: failures[0] });
}

function newClient(connection: PostgresConnection, hostname: string, port: number, options: ConnectOptions): pg.Client {
  const config: pg.ClientConfig & { replication?: string } = {
    ...poolOptions(connection, { hostname, port }),
    keepAliveInitialDelayMillis: keepAliveDelayMs,
  };
  if (options.replication === true) config.replication = 'database';
  const client = new pg.Client(config);
  // A connection that is lost while nobody waits for it shows at its next use.
  client.on('error', () => undefined);
  return client;
}

async function connectOne(client: pg.Client, signal: AbortSignal | undefined): Promise<void> {
  await abortable(client, signal, async () => {
    await client.connect();
    const { rows } = await client.query<{ standby: boolean }>('SELECT pg_catalog.pg_is_in_recovery() AS standby');
    if (rows[0]!.standby) throw standby;
    await client.query(sessionSettings);
  });
}

/**
 * Text forms that both paths rely on, and no limits that were made for the sessions of applications. `search_path` is empty so that
 * names come out qualified.
 */
const sessionSettings = [
  `SET TimeZone = 'UTC'`,
  `SET DateStyle = 'ISO, YMD'`,
  `SET IntervalStyle = 'postgres'`,
  'SET extra_float_digits = 3',
  `SET bytea_output = 'hex'`,
  `SET search_path = ''`,
  'SET statement_timeout = 0',
  'SET lock_timeout = 0',
  'SET idle_in_transaction_session_timeout = 0',
  'SET default_transaction_read_only = off',
  `SET default_transaction_isolation = 'read committed'`,
  // Our only writes are markers, and no standby has to have them.
  'SET synchronous_commit = local',
  // These exist from versions 14 and 17 on.
  `SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')`,
].join('; ');

/** Runs `work`; when `signal` aborts, cuts the client's connection and rejects with the signal's reason at once. */
export async function abortable<T>(
  client: pg.Client,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (signal === undefined) return work();
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => {
    cut(client);
    aborted.reject(signal.reason);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work(), aborted.promise]);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** `pg` does not show its socket in its types. */
export function socketOf(client: pg.Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

/** Ends the connection without waiting for the server. */
export function cut(client: pg.Client): void {
  socketOf(client).destroy();
}

/** Ends the connection in order; never rejects. */
export function endQuietly(client: pg.Client): void {
  client.end().catch(() => undefined);
}
