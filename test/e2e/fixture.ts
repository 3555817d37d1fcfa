/** A source database and an instance on it, for one end-to-end test file. */
import pg from 'pg';
import type { TcpProxy } from '../client/tcp-proxy.ts';
import { createInstance, type Instance, type InstanceOptions } from '../instance/instance.ts';
import type { Postgres, TestDatabase } from '../services/contract.ts';
import { mongodb } from '../services/mongodb.ts';
import { postgres } from '../services/postgres.ts';
import { redis } from '../services/redis.ts';

export interface Fixture {
  readonly instance: Instance;
  readonly sourceUrl: string;
  readonly storageUrl: string;
  /** Runs SQL on the source. */
  sql<T = Record<string, unknown>>(text: string, values?: unknown[]): Promise<T[]>;
  close(): Promise<void>;
}

export interface FixtureOptions extends Partial<
  Pick<
    InstanceOptions,
    'api' | 'apiParameters' | 'clientAuth' | 'extraYaml' | 'metrics' | 'sourceKeys' | 'otherSources'
  >
> {
  readonly storage: 'mongodb' | 'postgresql';
  readonly redis?: boolean;
  readonly schema: string;
  readonly syncConfig: string | null;
  /** Absent: the Postgres of the test run. */
  readonly server?: Pick<Postgres, 'createDatabase'>;
  /** How the service logs in to the source, from the address of the superuser. */
  readonly loginUrl?: (url: string) => string;
}

export async function createFixture(options: FixtureOptions): Promise<Fixture> {
  const source = await (options.server ?? (await postgres())).createDatabase();
  const pool = new pg.Pool({ connectionString: source.url, max: 8 });
  // a server that a test stops cuts idle connections
  pool.on('error', () => undefined);
  await pool.query(options.schema);
  const storage: TestDatabase =
    options.storage === 'mongodb'
      ? await (await mongodb()).createDatabase()
      : await (await postgres()).createDatabase();
  const prefix = options.redis ? (await redis()).createPrefix() : null;
  const { api, apiParameters, clientAuth, extraYaml, metrics, sourceKeys, otherSources } = options;
  const instance = await createInstance({
    sourceUrl: options.loginUrl?.(source.url) ?? source.url,
    storage: { type: options.storage, url: storage.url },
    redis: prefix === null ? undefined : { url: prefix.url, prefix: prefix.prefix },
    syncConfig: options.syncConfig,
    ...(api ? { api } : {}),
    ...(apiParameters ? { apiParameters } : {}),
    ...(clientAuth ? { clientAuth } : {}),
    ...(extraYaml ? { extraYaml } : {}),
    ...(metrics ? { metrics } : {}),
    ...(sourceKeys ? { sourceKeys } : {}),
    ...(otherSources ? { otherSources } : {}),
  });
  return {
    instance,
    sourceUrl: source.url,
    storageUrl: storage.url,
    sql: async <T>(text: string, values: unknown[] = []) => (await pool.query(text, values)).rows as T[],
    async close() {
      await instance.close();
      await pool.end();
      await source.drop();
      await storage.drop();
      await prefix?.drop();
    },
  };
}

/** The address of a server as those have it who reach it through a proxy. */
export function addressThrough(proxy: Pick<TcpProxy, 'url'>, server: string): string {
  const address = new URL(server);
  address.hostname = '127.0.0.1';
  address.port = new URL(proxy.url).port;
  return address.href;
}

/** Schema of most tests: lists with members, and items with an owner. */
export const SHARED_LISTS = {
  schema: `
CREATE TABLE lists (id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE members (id text PRIMARY KEY, list_id text NOT NULL, user_id text NOT NULL);
CREATE TABLE items (id text PRIMARY KEY, list_id text NOT NULL, owner_id text NOT NULL, title text, n bigint, done boolean NOT NULL DEFAULT false);
CREATE PUBLICATION powersync FOR TABLE lists, members, items;`,
  syncConfig: `config:
  edition: 3
streams:
  lists:
    auto_subscribe: true
    priority: 1
    query: SELECT * FROM lists
  mine:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner_id = auth.user_id()
  shared:
    auto_subscribe: true
    query: SELECT * FROM items WHERE list_id IN (SELECT list_id FROM members WHERE user_id = auth.user_id())
`,
  tables: {
    lists: { name: 'text' },
    items: { list_id: 'text', owner_id: 'text', title: 'text', n: 'integer', done: 'integer' },
  } as const,
  /** What plain SQL says a user must see of items. */
  itemsOf: `SELECT id, list_id, owner_id, title, n::text AS n, done::int AS done FROM items
    WHERE owner_id = $1 OR list_id IN (SELECT list_id FROM members WHERE user_id = $1) ORDER BY id COLLATE "C"`,
  localItems: 'SELECT id, list_id, owner_id, title, CAST(n AS text) AS n, done FROM items ORDER BY id',
};

/** True when both lists of rows hold the same values in the same order. */
export function sameRows(a: readonly object[], b: readonly object[]): boolean {
  return a.length === b.length && JSON.stringify(a) === JSON.stringify(b);
}
