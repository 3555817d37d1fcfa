/**
 * Connections to bucket storage: a pool for reads and short transactions, and single pipelined connections for writers. Settings that
 * correctness depends on are set on every connection, whatever the role's defaults are.
 */
import pg, { type ClientConfig, type PoolConfig } from 'pg';
import { copyOut } from './copy-out.ts';
import { failureKind, storageError } from './failure.ts';
import { resultTypes } from './result-types.ts';

/** Where logs go; `pino` fits. */
export interface StorageLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** A statement with a name is prepared once per connection. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
}

/** Runs statements: on any connection, or on the one of a transaction. */
export interface Queryable {
  rows<Row extends object>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
  /** How many rows a statement changed. */
  change(statement: Statement, values?: readonly unknown[]): Promise<number>;
}

export interface Database extends Queryable {
  /**
   * `READ COMMITTED`, committed when `work` resolves. Repeated when the server ended it because of a conflict.
   * Errors are coded; whether a transaction whose commit lost its connection took place is unknown.
   */
  transaction<T>(work: (transaction: Queryable) => Promise<T>): Promise<T>;
  /** Like `rows`, repeated once when the connection was lost: for statements that change nothing. */
  read<Row extends object>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
  /** Like `read`, each row as a list of its columns: for many small rows. */
  readTuples<Tuple extends readonly unknown[]>(statement: Statement, values?: readonly unknown[]): Promise<Tuple[]>;
  /** Bytes of a query in binary COPY (copy-out.ts), repeated like `read`. The query holds literals only. */
  copy(query: string): Promise<Buffer>;
  /** A connection of its own that takes statements without waiting for the answers of those before. */
  connectPipelined(applicationName: string): Promise<pg.Client>;
  readonly closed: boolean;
  close(): Promise<void>;
}

/** Statements of readers end after this; S2403. */
const STATEMENT_TIMEOUT_MS = 60_000;
/** No answer for longer than the server may take: the connection is dead. */
const ANSWER_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 5000;
/** A stopped process inside a transaction is cut off by the server after this. */
const IDLE_IN_TRANSACTION_MS = 3000;
const CONNECT_TIMEOUT_MS = 10_000;
const MAX_CONFLICTS = 5;
/** Largest pool by default (O-41). */
const DEFAULT_POOL_SIZE = 8;

/**
 * `synchronous_commit` may be made stricter by the operator, but never off: what is acknowledged to the source must survive (G5).
 * Keep-alives let the server notice within half a minute that a client vanished without a word.
 */
const SESSION_SETTINGS = [
  `SET idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS}`,
  `SET statement_timeout = ${STATEMENT_TIMEOUT_MS}`,
  'SET lock_timeout = 30000',
  `SET default_transaction_isolation = 'read committed'`,
  'SET default_transaction_read_only = off',
  'SET tcp_keepalives_idle = 10',
  'SET tcp_keepalives_interval = 5',
  'SET tcp_keepalives_count = 4',
  'SET client_min_messages = warning',
  'SET jit = off',
  `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`,
].join(';');

export function openDatabase(config: PoolConfig, log: StorageLog): Database {
  const settings: PoolConfig = {
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    max: DEFAULT_POOL_SIZE,
    keepAlive: true,
    query_timeout: ANSWER_TIMEOUT_MS,
    application_name: 'millrace',
    ...config,
    types: resultTypes,
  };
  // oxlint-disable-next-line typescript/no-misused-promises -- the pool awaits it, whatever its types say
  const pool = new pg.Pool({ ...settings, onConnect: prepareSession });
  let closing: Promise<void> | null = null;
  // An idle connection that ends is replaced by the pool; unheard, the event would end the process. `end` of a pool does not wait
  // until its sockets are closed, so that a server which stops at the same time still answers.
  pool.on('error', (error) => {
    if (!closing) log.warn({ reason: storageError(error).message }, 'An idle connection to bucket storage was lost');
  });

  const query = async (statement: Statement, values: readonly unknown[], rowMode?: 'array'): Promise<pg.QueryResult> =>
    pool.query({ ...statement, values: values as unknown[], ...(rowMode && { rowMode }) } as pg.QueryConfig);

  /** Once more on another connection when the first one was lost: for what changes nothing. */
  const again = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (failureKind(error) !== 'connection' || closing) throw storageError(error);
    }
    return coded(work);
  };
  const read = <Row>(statement: Statement, values: readonly unknown[] = [], rowMode?: 'array'): Promise<Row[]> =>
    again(async () => (await query(statement, values, rowMode)).rows as Row[]);

  return {
    rows: <Row extends object>(statement: Statement, values: readonly unknown[] = []) =>
      coded(async () => (await query(statement, values)).rows as Row[]),
    change: (statement, values = []) => coded(async () => (await query(statement, values)).rowCount ?? 0),
    read: (statement, values) => read(statement, values),
    readTuples: (statement, values) => read(statement, values, 'array'),
    copy: (text) => again(() => copyWith(pool, text)),
    transaction: async (work) => {
      for (let conflicts = 0; ; conflicts++) {
        try {
          return await runTransaction(pool, work);
        } catch (error) {
          if (failureKind(error) !== 'conflict' || conflicts >= MAX_CONFLICTS) throw storageError(error);
        }
      }
    },
    connectPipelined: async (applicationName) => connectPipelined({ ...settings, application_name: applicationName }),
    get closed() {
      return closing !== null;
    },
    close: () => (closing ??= pool.end()),
  };
}

async function prepareSession(client: pg.ClientBase): Promise<void> {
  await client.query(SESSION_SETTINGS);
}

async function connectPipelined(settings: ClientConfig): Promise<pg.Client> {
  const client = new pg.Client({ ...settings, pipeline: true });
  // Whoever waits for an answer gets the error; an idle connection finds out at its next use.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await prepareSession(client);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

async function copyWith(pool: pg.Pool, text: string): Promise<Buffer> {
  const client = await pool.connect();
  try {
    const bytes = await copyOut(client, text);
    client.release();
    return bytes;
  } catch (error) {
    client.release(error as Error);
    throw error;
  }
}

async function runTransaction<T>(pool: pg.Pool, work: (transaction: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
    const result = await work(queryableOf(client));
    await client.query('COMMIT');
    return result;
  } catch (error) {
    if (failureKind(error) === 'connection') broken = error as Error;
    else await client.query('ROLLBACK').catch((failure: unknown) => (broken = failure as Error));
    throw error;
  } finally {
    client.release(broken);
  }
}

/** Statements on one connection; errors as the driver gives them. */
function queryableOf(client: pg.PoolClient): Queryable {
  return {
    rows: async <Row extends object>(statement: Statement, values: readonly unknown[] = []) =>
      (await client.query({ ...statement, values: values as unknown[] })).rows as Row[],
    change: async (statement, values = []) =>
      (await client.query({ ...statement, values: values as unknown[] })).rowCount ?? 0,
  };
}

async function coded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storageError(error);
  }
}
