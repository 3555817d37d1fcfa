/** The databases of one instance, on this machine and at addresses that pods can connect to. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { startTcpProxy, type TcpProxy } from '../client/tcp-proxy.ts';
import { mongodb } from '../services/mongodb.ts';
import { postgres } from '../services/postgres.ts';
import { redis } from '../services/redis.ts';

export interface Databases {
  /** A query on the source as its owner, not as the role that Millrace uses. */
  sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Another password for the role that Millrace uses, in the database only; ends its connections. */
  changePassword(): Promise<void>;
  /** Slots that Millrace has in the source. */
  slots(): Promise<string[]>;
  /** What Secrets hold of them, with the present addresses and passwords. */
  secrets(): Readonly<Record<'source' | 'storage' | 'redis', Readonly<Record<string, string>>>>;
  close(): Promise<void>;
}

/** @param hostAddress of this machine, as pods see it */
export async function startDatabases(hostAddress: string): Promise<Databases> {
  const proxies: TcpProxy[] = [];
  const reachable = async (url: string): Promise<URL> => {
    const address = new URL(url);
    const port = Number(address.port);
    const proxy = await startTcpProxy({ target: () => port, host: hostAddress });
    proxies.push(proxy);
    address.hostname = hostAddress;
    address.port = String(proxy.port);
    return address;
  };
  const source = await (await postgres()).createDatabase();
  const store = await (await mongodb()).createDatabase();
  const bus = (await redis()).createPrefix();
  const sourceAddress = await reachable(source.url);
  const storeAddress = await reachable(store.url);
  const busAddress = await reachable((await redis()).url);

  const pool = new pg.Pool({ connectionString: source.url, max: 2 });
  const role = `sync_${randomBytes(4).toString('hex')}`;
  let password = randomBytes(12).toString('hex');
  const sql: Databases['sql'] = async (text, values = []) =>
    (await pool.query<Record<string, unknown>>(text, values)).rows;
  await sql(`CREATE ROLE ${role} LOGIN SUPERUSER REPLICATION PASSWORD '${password}'`);
  const closers: (() => Promise<unknown>)[] = [
    () => sql(`DROP OWNED BY ${role}`).then(() => sql(`DROP ROLE ${role}`)),
    () => pool.end(),
    () => source.drop(),
    () => store.drop(),
    () => bus.drop(),
  ];

  return {
    sql,
    async changePassword() {
      password = randomBytes(12).toString('hex');
      await sql(`ALTER ROLE ${role} PASSWORD '${password}'`);
      await sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`);
    },
    slots: async () =>
      (await sql(`SELECT slot_name FROM pg_replication_slots WHERE database = current_database()`)).map(
        (row) => row['slot_name'] as string,
      ),
    secrets() {
      sourceAddress.username = role;
      sourceAddress.password = password;
      sourceAddress.searchParams.set('sslmode', 'disable');
      return {
        source: { uri: String(sourceAddress) },
        storage: { uri: String(storeAddress) },
        redis: { uri: String(busAddress), prefix: bus.prefix },
      };
    },
    async close() {
      for (const closer of closers) await closer().catch(() => undefined);
      for (const proxy of proxies) await proxy.close();
    },
  };
}
