import * as limits from '../limits.ts';
import { isHostname, parseConnectionUri, type ConnectionUri } from './connection-uri.ts';
import { certificatesOf, isSourcePort, normalizePostgresConnection, PORT_RANGE } from './postgres-connection.ts';
import type { ConfigPath, ConfigReport } from './problems.ts';
import type {
  ConvexConnection,
  HostAddress,
  MongodbConnection,
  MssqlConnection,
  MysqlConnection,
  SourceConnection,
  SqlServerLogin,
} from './service-config.ts';
import type {
  ConvexConnectionKeys,
  MongodbConnectionKeys,
  MssqlConnectionKeys,
  MysqlConnectionKeys,
  SourceConnectionKeys,
} from './source-schemas.ts';

export const MONGODB_SCHEMES = ['mongodb', 'mongodb+srv'];
const MYSQL_SCHEMES = ['mysql', 'mariadb'];
const MSSQL_SCHEMES = ['mssql', 'sqlserver'];

/** A source connection of any kind with all defaults; null after reporting what is missing or wrong. */
export function normalizeSourceConnection(
  keys: SourceConnectionKeys,
  path: ConfigPath,
  report: ConfigReport,
): SourceConnection | null {
  if (keys.type === 'postgresql') return normalizePostgresConnection(keys, path, report);
  if (keys.type === 'mongodb') return mongodbConnection(keys, path, report);
  if (keys.type === 'mysql') return mysqlConnection(keys, path, report);
  if (keys.type === 'mssql') return mssqlConnection(keys, path, report);
  return convexConnection(keys, path, report);
}

function identityOf(keys: { id?: string; tag?: string; debug_api?: boolean }) {
  const tag = keys.tag ?? 'default';
  return { id: keys.id ?? tag, tag, debugApi: keys.debug_api ?? false };
}

function heartbeatMs(keys: { heartbeat_interval_seconds?: number }): number {
  return (keys.heartbeat_interval_seconds ?? limits.DEFAULT_HEARTBEAT_SECONDS) * 1000;
}

function mongodbConnection(
  keys: MongodbConnectionKeys,
  path: ConfigPath,
  report: ConfigReport,
): MongodbConnection | null {
  const location = mongodbLocation(keys, path, report);
  if (location === null) return null;
  return {
    type: 'mongodb',
    ...identityOf(keys),
    ...location,
    username: keys.username,
    password: keys.password,
    postImages: keys.post_images ?? 'off',
    heartbeatIntervalMs: heartbeatMs(keys),
    rejectIpRanges: keys.reject_ip_ranges ?? [],
  };
}

/** URI and database of a MongoDB source or storage (R-144, O-38, O-39). Credentials are the driver's to demand. */
export function mongodbLocation(
  keys: { uri?: string; database?: string },
  path: ConfigPath,
  report: ConfigReport,
): { uri: string; database: string } | null {
  if (keys.uri === undefined) {
    report.problem([...path, 'uri'], 'PSYNC_S1109', 'is missing: give a mongodb:// or mongodb+srv:// URI');
    return null;
  }
  const uri = parseConnectionUri(keys.uri, MONGODB_SCHEMES);
  if (uri === null || uri.hosts.length === 0) {
    report.problem([...path, 'uri'], 'PSYNC_S1109', 'must look like mongodb://user:password@host:27017/database');
    return null;
  }
  if (!uri.hosts.every(({ port }) => port === undefined || isSourcePort(Number(port)))) {
    report.problem([...path, 'uri'], 'PSYNC_S1110', PORT_RANGE);
    return null;
  }
  const database = keys.database ?? uri.database;
  if (database === undefined) {
    report.problem([...path, 'database'], 'PSYNC_S1105', 'is missing: give "database" or put it into the uri');
    return null;
  }
  return { uri: keys.uri, database };
}

function mysqlConnection(keys: MysqlConnectionKeys, path: ConfigPath, report: ConfigReport): MysqlConnection | null {
  const form = { schemes: MYSQL_SCHEMES, port: limits.DEFAULT_MYSQL_PORT, needsLogin: true };
  const server = serverOf(keys, form, path, report);
  const certificates = certificatesOf(keys, path, report);
  if (server === null || certificates === null) return null;
  return {
    type: 'mysql',
    ...identityOf(keys),
    ...server,
    ...certificates,
    rejectIpRanges: keys.reject_ip_ranges ?? [],
    serverId: keys.server_id,
    binlogQueueMemoryLimitBytes: (keys.binlog_queue_memory_limit ?? 50) * 1024 * 1024,
  };
}

function mssqlConnection(keys: MssqlConnectionKeys, path: ConfigPath, report: ConfigReport): MssqlConnection | null {
  const login = { ...keys.authentication, ...keys.authentication?.options };
  const isPrincipal = keys.authentication?.type === 'azure-active-directory-service-principal-secret';
  const merged = { ...keys };
  const username = keys.username ?? login.userName;
  const password = keys.password ?? login.password;
  if (username !== undefined) merged.username = username;
  if (password !== undefined) merged.password = password;
  const form = { schemes: MSSQL_SCHEMES, port: limits.DEFAULT_SQL_SERVER_PORT, needsLogin: !isPrincipal };
  const server = serverOf(merged, form, path, report);
  const certificates = certificatesOf(keys.cacert === undefined ? {} : { cacert: keys.cacert }, path, report);
  const sqlLogin = isPrincipal ? principalOf(login, path, report) : server && defaultLogin(server);
  if (server === null || certificates === null || sqlLogin === null) return null;
  return {
    type: 'mssql',
    ...identityOf(keys),
    hostname: server.hostname,
    port: server.port,
    database: server.database,
    login: sqlLogin,
    cacert: certificates.cacert,
    tlsServername: keys.tls_servername,
    rejectIpRanges: keys.reject_ip_ranges ?? [],
    schema: keys.schema ?? 'dbo',
    heartbeatIntervalMs: heartbeatMs(keys),
    pollingIntervalMs: keys.additionalConfig?.pollingIntervalMs ?? 1000,
    pollingBatchSize: keys.additionalConfig?.pollingBatchSize ?? 10,
    trustServerCertificate: keys.additionalConfig?.trustServerCertificate ?? false,
  };
}

function defaultLogin({ username, password }: { username: string; password: string }): SqlServerLogin {
  return { type: 'default', username, password };
}

function principalOf(
  login: { clientId?: string; clientSecret?: string; tenantId?: string },
  path: ConfigPath,
  report: ConfigReport,
): SqlServerLogin | null {
  const missing = (['clientId', 'clientSecret', 'tenantId'] as const).filter((name) => login[name] === undefined);
  for (const name of missing) report.problem([...path, 'authentication', name], 'PSYNC_S3224', 'is required');
  if (missing.length > 0) return null;
  const { clientId = '', clientSecret = '', tenantId = '' } = login;
  return { type: 'azure-active-directory-service-principal-secret', clientId, clientSecret, tenantId };
}

function convexConnection(keys: ConvexConnectionKeys, path: ConfigPath, report: ConfigReport): ConvexConnection | null {
  const protocol = URL.parse(keys.deployment_url)?.protocol;
  if (protocol !== 'https:' && protocol !== 'http:') {
    report.problem([...path, 'deployment_url'], 'PSYNC_S1109', 'must be an absolute http or https address');
    return null;
  }
  return {
    type: 'convex',
    ...identityOf(keys),
    deploymentUrl: keys.deployment_url,
    deployKey: keys.deploy_key,
    rejectIpRanges: keys.reject_ip_ranges ?? [],
    pollingIntervalMs: keys.polling_interval_ms ?? 1000,
    requestTimeoutMs: keys.request_timeout_ms ?? 60_000,
  };
}

interface ServerKeys {
  readonly uri?: string;
  readonly hostname?: string;
  readonly port?: number | string;
  readonly database?: string;
  readonly username?: string;
  readonly password?: string;
}

interface ServerForm {
  readonly schemes: readonly string[];
  readonly port: number;
  readonly needsLogin: boolean;
}

/** Address and login of a database with one host, from the URI and the keys that win over it (R-4 … R-7). */
function serverOf(keys: ServerKeys, form: ServerForm, path: ConfigPath, report: ConfigReport) {
  const uri = keys.uri === undefined ? undefined : parseConnectionUri(keys.uri, form.schemes);
  if (uri === null || (uri !== undefined && uri.hosts.length > 1)) {
    const message = `must look like ${form.schemes[0]}://user:password@host:${form.port}/database`;
    report.problem([...path, 'uri'], 'PSYNC_S1109', message);
    return null;
  }
  const database = keys.database ?? uri?.database;
  const username = keys.username ?? uri?.username;
  const password = keys.password ?? uri?.password;
  const missing = (key: string, code: 'PSYNC_S1105' | 'PSYNC_S1107' | 'PSYNC_S1108'): void =>
    report.problem([...path, key], code, `is missing: give "${key}" or put it into the uri`);
  if (database === undefined) missing('database', 'PSYNC_S1105');
  const host = hostOf(keys, uri, form, path, report);
  if (form.needsLogin && username === undefined) missing('username', 'PSYNC_S1107');
  if (form.needsLogin && password === undefined) missing('password', 'PSYNC_S1108');
  if (database === undefined || host === null) return null;
  if (form.needsLogin && (username === undefined || password === undefined)) return null;
  return { ...host, database, username: username ?? '', password: password ?? '' };
}

function hostOf(
  keys: ServerKeys,
  uri: ConnectionUri | undefined,
  form: ServerForm,
  path: ConfigPath,
  report: ConfigReport,
): HostAddress | null {
  const hostname = keys.hostname ?? uri?.hosts[0]?.hostname;
  if (hostname === undefined || !isHostname(hostname)) {
    report.problem([...path, 'hostname'], 'PSYNC_S1106', 'is missing: give "hostname" or put it into the uri');
    return null;
  }
  const port = Number(keys.port ?? uri?.hosts[0]?.port ?? form.port);
  if (!isSourcePort(port)) {
    report.problem([...path, keys.port === undefined ? 'uri' : 'port'], 'PSYNC_S1110', PORT_RANGE);
    return null;
  }
  return { hostname, port };
}
