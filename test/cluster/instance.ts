/**
 * What a SyncInstance on a cluster needs around it: databases on this machine that pods reach by the machine's address, a namespace with the Secrets,
 * tokens, and ways to wait for what the operator says.
 */
import { randomBytes } from 'node:crypto';
import { SignJWT } from 'jose';
import pg from 'pg';
import { stringify } from 'yaml';
import { startTcpProxy, type TcpProxy } from '../client/tcp-proxy.ts';
import { until } from '../instance/instance.ts';
import { mongodb } from '../services/mongodb.ts';
import { postgres } from '../services/postgres.ts';
import { redis } from '../services/redis.ts';
import type { Cluster } from './kubernetes.ts';

export const AUDIENCE = 'cluster-test';

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}
export interface InstanceObject {
  readonly metadata: { readonly generation: number; readonly resourceVersion: string; readonly uid: string };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly observedGeneration?: number;
    readonly sources?: readonly { readonly name: string; readonly state: string; readonly leader?: string }[];
    readonly syncConfig?: {
      readonly pending?: { readonly revision: string };
      readonly active?: { readonly revision: string; readonly version: number };
      readonly error?: {
        readonly code: string;
        readonly line: number;
        readonly column: number;
        readonly message: string;
      };
      readonly plan?: {
        readonly rowsToCopy: number;
        readonly streams: readonly { readonly name: string; readonly action: string; readonly rows?: number }[];
      };
    };
    readonly api?: { readonly readyReplicas?: number; readonly connections?: number };
    readonly image?: string;
  };
}

export interface Surroundings {
  readonly namespace: string;
  /** A query on the source as its owner, not as the role that Millrace uses. */
  sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Another password for the role that Millrace uses, in the database only; ends its connections. */
  changePassword(): Promise<void>;
  /** Puts the present addresses and passwords into the Secrets. */
  writeSecrets(): Promise<void>;
  token(userId: string): Promise<string>;
  instance(): Promise<InstanceObject | null>;
  apply(object: object): Promise<void>;
  /** Waits for a condition; on timeout says what the instance and its pods look like. */
  untilCondition(type: string, status: string, timeoutMs?: number): Promise<Condition>;
  untilInstance(
    what: string,
    matches: (object: InstanceObject) => boolean,
    timeoutMs?: number,
  ): Promise<InstanceObject>;
  /** `http://…` of the API Service, from this machine. */
  endpoint(): Promise<string>;
  /** Slots that Millrace has in the source. */
  slots(): Promise<string[]>;
  close(): Promise<void>;
}

export async function createSurroundings(cluster: Cluster, name: string): Promise<Surroundings> {
  const proxies: TcpProxy[] = [];
  const closers: (() => Promise<unknown>)[] = [];
  const reachable = async (url: string): Promise<URL> => {
    const address = new URL(url);
    const port = Number(address.port);
    const proxy = await startTcpProxy({ target: () => port, host: cluster.hostAddress });
    proxies.push(proxy);
    address.hostname = cluster.hostAddress;
    address.port = String(proxy.port);
    return address;
  };

  const source = await (await postgres()).createDatabase();
  const store = await (await mongodb()).createDatabase();
  const bus = (await redis()).createPrefix();
  closers.push(
    () => source.drop(),
    () => store.drop(),
    () => bus.drop(),
  );
  const pool = new pg.Pool({ connectionString: source.url, max: 2 });
  closers.unshift(() => pool.end());
  const role = `sync_${randomBytes(4).toString('hex')}`;
  let password = randomBytes(12).toString('hex');
  const sql: Surroundings['sql'] = async (text, values = []) =>
    (await pool.query<Record<string, unknown>>(text, values)).rows;
  await sql(`CREATE ROLE ${role} LOGIN SUPERUSER REPLICATION PASSWORD '${password}'`);
  closers.unshift(() => sql(`DROP OWNED BY ${role}`).then(() => sql(`DROP ROLE ${role}`)));

  const namespace = `${name}-${randomBytes(3).toString('hex')}`;
  await cluster.kubectl(['create', 'namespace', namespace]);
  await cluster.kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);
  const key = randomBytes(32);
  const jwks = { keys: [{ kty: 'oct', alg: 'HS256', kid: 'test', k: key.toString('base64url') }] };
  const [sourceAddress, storeAddress, busAddress] = [
    await reachable(source.url),
    await reachable(store.url),
    await reachable((await redis()).url),
  ];

  const apply: Surroundings['apply'] = async (object) =>
    void (await cluster.kubectl(['apply', '-n', namespace, '-f', '-'], stringify(object)));
  const writeSecrets: Surroundings['writeSecrets'] = async () => {
    sourceAddress.username = role;
    sourceAddress.password = password;
    sourceAddress.searchParams.set('sslmode', 'disable');
    const data = {
      source: { uri: String(sourceAddress) },
      storage: { uri: String(storeAddress) },
      redis: { uri: String(busAddress), prefix: bus.prefix },
      keys: { 'jwks.json': JSON.stringify(jwks) },
    };
    for (const [part, stringData] of Object.entries(data))
      await apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: `demo-${part}` }, stringData });
  };
  const instance = (): Promise<InstanceObject | null> =>
    cluster.get<InstanceObject>(['syncinstance', 'demo', '-n', namespace]);
  const describeAll = async (): Promise<string> => {
    const words = ['get', 'syncinstances,deployments,jobs,pods', '-n', namespace, '-o', 'wide'];
    const [all, events, object] = await Promise.all([
      cluster.kubectl(words).catch(String),
      cluster.kubectl(['get', 'events', '-n', namespace, '--sort-by=.lastTimestamp']).catch(String),
      instance().catch(String),
    ]);
    const logs = await cluster
      .kubectl(['logs', '-n', namespace, '-l', 'app.kubernetes.io/name=millrace', '--tail=15', '--prefix'])
      .catch(String);
    const status = typeof object === 'string' ? object : JSON.stringify(object?.status, null, 1);
    return `${status}\n${all}\n${events.split('\n').slice(-30).join('\n')}\n${logs}`;
  };
  const untilInstance: Surroundings['untilInstance'] = async (what, matches, timeoutMs = 120_000) => {
    let last: InstanceObject | null = null;
    let details = '';
    const met = async (): Promise<boolean> => {
      last = await instance();
      return last !== null && matches(last);
    };
    try {
      await until(what, met, timeoutMs);
    } catch (error) {
      details = await describeAll();
      throw new Error(`${String(error)}\n${details}`, { cause: error });
    }
    return last!;
  };
  const conditionOf = (object: InstanceObject, type: string): Condition | undefined =>
    object.status?.conditions?.find((condition) => condition.type === type);

  return {
    namespace,
    sql,
    async changePassword() {
      password = randomBytes(12).toString('hex');
      await sql(`ALTER ROLE ${role} PASSWORD '${password}'`);
      await sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${role}'`);
    },
    writeSecrets,
    token: (userId) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'HS256', kid: 'test' })
        .setSubject(userId)
        .setAudience(AUDIENCE)
        .setIssuedAt()
        .setExpirationTime('6h')
        .sign(key),
    instance,
    apply,
    async untilCondition(type, status, timeoutMs) {
      const object = await untilInstance(
        `${type}=${status}`,
        (candidate) => {
          const condition = conditionOf(candidate, type);
          return condition?.status === status && condition.observedGeneration === candidate.metadata.generation;
        },
        timeoutMs,
      );
      return conditionOf(object, type)!;
    },
    untilInstance,
    async endpoint() {
      const service = await cluster.get<{ spec: { clusterIP: string; ports: { port: number; name: string }[] } }>([
        ...['service', 'demo-api', '-n', namespace],
      ]);
      return `http://${service!.spec.clusterIP}:${service!.spec.ports.find((port) => port.name === 'http')!.port}`;
    },
    slots: async () =>
      (await sql(`SELECT slot_name FROM pg_replication_slots WHERE database = current_database()`)).map(
        (row) => row['slot_name'] as string,
      ),
    async close() {
      await cluster
        .kubectl(['delete', 'syncinstance', '--all', '-n', namespace, '--timeout=90s'])
        .catch(() => undefined);
      await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']).catch(() => undefined);
      for (const closer of closers) await closer().catch(() => undefined);
      for (const proxy of proxies) await proxy.close();
    },
  };
}
