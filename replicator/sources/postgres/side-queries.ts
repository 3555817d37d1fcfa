import type pg from 'pg';
import { connectPrimary, cut, endQuietly } from './connect.ts';
import type { PostgresConnection } from './config.ts';
import { sourceError, sqlState } from './errors.ts';
import { readServerFacts, type ServerFacts } from './server.ts';

/** Statements beside copy and stream: catalogs, head, heartbeat, status. A few connections, opened when needed. */
export interface SideQueries {
  /** Runs one statement; rejects with a coded error. `doing` is for its message. */
  run<Row extends object>(doing: string, sql: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Lends a connection for several statements; it is not reused after an error. */
  using<T>(doing: string, work: (client: pg.Client) => Promise<T>): Promise<T>;
  facts(): Promise<ServerFacts>;
  close(): Promise<void>;
}

const idleMs = 60_000;

export function createSideQueries(connection: PostgresConnection): SideQueries {
  const most = Math.max(1, Math.min(4, connection.maxPoolSize));
  const idle: { client: pg.Client; timer: NodeJS.Timeout }[] = [];
  const lent = new Set<pg.Client>();
  const waiting: (() => void)[] = [];
  let open = 0;
  let closed = false;
  let known: ServerFacts | null = null;

  const take = async (): Promise<pg.Client> => {
    for (;;) {
      if (closed) throw sourceError(new Error('connection closed: the source was closed'), 'A query on the source');
      const found = idle.pop();
      if (found !== undefined) {
        clearTimeout(found.timer);
        return found.client;
      }
      if (open < most) break;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    open += 1;
    try {
      const client = await connectPrimary(connection);
      // Whoever loses the connection while it is idle must not get it again.
      client.once('end', () => forget(client));
      known = await readServerFacts(client);
      return client;
    } catch (error) {
      gone();
      throw error;
    }
  };
  const gone = (): void => {
    open -= 1;
    waiting.shift()?.();
  };
  const forget = (client: pg.Client): void => {
    const index = idle.findIndex((each) => each.client === client);
    if (index === -1) return;
    clearTimeout(idle[index]!.timer);
    idle.splice(index, 1);
    gone();
  };
  const giveBack = (client: pg.Client): void => {
    if (closed) {
      endQuietly(client);
      return gone();
    }
    const timer = setTimeout(() => {
      forget(client);
      endQuietly(client);
    }, idleMs);
    timer.unref();
    idle.push({ client, timer });
    waiting.shift()?.();
  };

  const using = async <T>(doing: string, work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const client = await take();
    lent.add(client);
    try {
      const result = await work(client);
      lent.delete(client);
      giveBack(client);
      return result;
    } catch (error) {
      lent.delete(client);
      // A refused statement leaves the session usable; after anything else, as after a fail-over, another one is safer.
      if (isHarmless(sqlState(error))) giveBack(client);
      else {
        cut(client);
        gone();
      }
      throw sourceError(error, doing);
    }
  };

  return {
    using,
    run: (doing, sql, values = []) => using(doing, async (client) => (await client.query(sql, [...values])).rows),
    async facts() {
      known ??= await using('Reading the version of the source', readServerFacts);
      return known;
    },
    async close() {
      closed = true;
      for (const { client, timer } of idle.splice(0)) {
        clearTimeout(timer);
        endQuietly(client);
      }
      for (const client of lent) cut(client);
      for (const wake of waiting.splice(0)) wake();
    },
  };
}

/** Wrong privileges or objects, as opposed to a server that goes away or has become a standby. */
function isHarmless(state: string | null): boolean {
  return state !== null && (state.startsWith('42') || state.startsWith('55') || state === '22023');
}
