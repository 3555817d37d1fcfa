import { createPrivateKey, X509Certificate } from 'node:crypto';
import * as limits from '../limits.ts';
import { isHostname, parseConnectionUri, type ConnectionUri } from './connection-uri.ts';
import type { ConfigPath, ConfigReport } from './problems.ts';
import type { HostAddress, PostgresConnection, PostgresEndpoint } from './service-config.ts';
import type { PostgresConnectionKeys, PostgresEndpointKeys } from './source-schemas.ts';

type SslMode = PostgresEndpoint['sslmode'];

const SCHEMES = ['postgresql', 'postgres'];
/** Parameters of a URI that are read; others are named in a warning. */
const KNOWN_PARAMETERS = new Set(['sslmode', 'connect_timeout']);

/**
 * A Postgres source connection with all defaults. Returns null after reporting what is missing or wrong.
 *
 * @param path where it stands in the configuration
 */
export function normalizePostgresConnection(
  keys: PostgresConnectionKeys,
  path: ConfigPath,
  report: ConfigReport,
): PostgresConnection | null {
  const endpoint = normalizePostgresEndpoint(keys, path, report);
  if (endpoint === null) return null;
  const tag = keys.tag ?? 'default';
  return {
    type: 'postgresql',
    id: keys.id ?? tag,
    tag,
    debugApi: keys.debug_api ?? false,
    ...endpoint,
    heartbeatIntervalMs: (keys.heartbeat_interval_seconds ?? limits.DEFAULT_HEARTBEAT_SECONDS) * 1000,
    snapshotSocketTimeoutMs:
      keys.snapshot_socket_timeout === undefined ? undefined : keys.snapshot_socket_timeout * 1000,
    slotNamePrefix: keys.slot_name_prefix ?? 'powersync_',
  };
}

/**
 * What sources and storage have in common. Separate keys win over the parts of the URI. Missing parts are
 * `PSYNC_S1105` … `S1108`, a bad URI `S1109`, a bad port `S1110`; TLS settings that do not fit `S1104`,
 * `S1160`, `S1161` (R-14 … R-18).
 */
export function normalizePostgresEndpoint(
  keys: PostgresEndpointKeys,
  path: ConfigPath,
  report: ConfigReport,
): PostgresEndpoint | null {
  const uri = keys.uri === undefined ? undefined : parseConnectionUri(keys.uri, SCHEMES);
  if (uri === null) {
    const form =
      'must look like postgresql://user:password@host:5432/database, with special characters percent-encoded';
    report.problem([...path, 'uri'], 'PSYNC_S1109', form);
    return null;
  }
  let complete = true;
  const require = <T>(value: T | undefined, code: 'PSYNC_S1105' | 'PSYNC_S1107' | 'PSYNC_S1108', key: string): T => {
    if (value === undefined) {
      complete = false;
      report.problem([...path, key], code, `is missing: give "${key}" or put it into the uri`);
    }
    return value as T;
  };
  const database = require(keys.database ?? uri?.database, 'PSYNC_S1105', 'database');
  const hosts = hostsOf(keys, uri, path, report);
  const username = require(keys.username ?? uri?.username, 'PSYNC_S1107', 'username');
  const password = require(keys.password ?? uri?.password, 'PSYNC_S1108', 'password');
  const tls = tlsSettings(keys, uri, path, report);
  const connectTimeoutMs = connectTimeout(keys, uri, path, report);
  warnOfIgnored(uri, path, report);
  if (!complete || hosts === null || tls === null || connectTimeoutMs === null) return null;
  return {
    hosts,
    database,
    username,
    password,
    ...tls,
    rejectIpRanges: keys.reject_ip_ranges ?? [],
    maxPoolSize: keys.max_pool_size ?? limits.DEFAULT_POOL_SIZE,
    connectTimeoutMs,
  };
}

function hostsOf(
  keys: PostgresEndpointKeys,
  uri: ConnectionUri | undefined,
  path: ConfigPath,
  report: ConfigReport,
): HostAddress[] | null {
  const given =
    keys.hostname === undefined
      ? (uri?.hosts ?? [])
      : keys.hostname.split(',').map((name) => ({ hostname: name.trim(), port: uri?.hosts[0]?.port }));
  if (given.length === 0) {
    report.problem([...path, 'hostname'], 'PSYNC_S1106', 'is missing: give "hostname" or put it into the uri');
    return null;
  }
  const at = keys.hostname === undefined ? 'uri' : 'hostname';
  if (!given.every(({ hostname }) => isHostname(hostname))) {
    report.problem([...path, at], 'PSYNC_S1106', 'must name a host: a name or an IP address, without port');
    return null;
  }
  const hosts = given.map(({ hostname, port }) => ({
    hostname,
    port: Number(keys.port ?? port ?? limits.DEFAULT_POSTGRES_PORT),
  }));
  if (!hosts.every(({ port }) => isSourcePort(port))) {
    report.problem([...path, keys.port === undefined ? 'uri' : 'port'], 'PSYNC_S1110', PORT_RANGE);
    return null;
  }
  return hosts;
}

export const PORT_RANGE = `the port must be between ${limits.MIN_SOURCE_PORT} and ${limits.MAX_SOURCE_PORT}`;

/** True for ports that databases may have. */
export function isSourcePort(port: number): boolean {
  return Number.isInteger(port) && port >= limits.MIN_SOURCE_PORT && port <= limits.MAX_SOURCE_PORT;
}

type TlsSettings = Pick<
  PostgresEndpoint,
  'sslmode' | 'cacert' | 'clientCertificate' | 'clientPrivateKey' | 'tlsServername'
>;

function tlsSettings(
  keys: PostgresEndpointKeys,
  uri: ConnectionUri | undefined,
  path: ConfigPath,
  report: ConfigReport,
): TlsSettings | null {
  const sslmode = sslModeOf(keys, uri, path, report);
  const certificates = certificatesOf(keys, path, report);
  if (sslmode === null || certificates === null) return null;
  if (sslmode === 'verify-ca' && certificates.cacert === undefined) {
    const message = 'verify-ca needs "cacert" with the certificate authority as PEM text; or use verify-full';
    report.problem([...path, keys.sslmode === undefined ? 'uri' : 'sslmode'], 'PSYNC_S1104', message);
    return null;
  }
  if (sslmode === 'disable' && (certificates.cacert ?? certificates.clientCertificate ?? keys.tls_servername)) {
    report.notice('warn', [...path, 'sslmode'], 'is disable, so the certificates and names given here are not used');
  }
  return { sslmode, ...certificates, tlsServername: keys.tls_servername };
}

function sslModeOf(
  keys: PostgresEndpointKeys,
  uri: ConnectionUri | undefined,
  path: ConfigPath,
  report: ConfigReport,
): SslMode | null {
  if (keys.sslmode !== undefined) return keys.sslmode;
  const given = uri?.query.get('sslmode');
  switch (given) {
    case undefined:
      return 'verify-full';
    case 'verify-full':
    case 'verify-ca':
    case 'disable':
      return given;
    case 'require':
    case 'prefer':
    case 'allow':
      // Providers put these into the URIs they hand out. Mapped upward, never downward.
      report.notice(
        'warn',
        [...path, 'uri'],
        `sslmode=${given} does not verify the server; verify-full is used instead`,
      );
      return 'verify-full';
    default:
      report.problem([...path, 'uri'], 'PSYNC_S1160', 'sslmode must be verify-full, verify-ca or disable');
      return null;
  }
}

/** PEM settings of a connection, checked. Null after reporting what is wrong. */
export function certificatesOf(
  keys: { cacert?: string; client_certificate?: string; client_private_key?: string },
  path: ConfigPath,
  report: ConfigReport,
): Pick<TlsSettings, 'cacert' | 'clientCertificate' | 'clientPrivateKey'> | null {
  const invalid = (key: string, what: string): null => {
    const message = `must be ${what} as PEM text, not a path, with its BEGIN and END lines`;
    report.problem([...path, key], 'PSYNC_S1161', message);
    return null;
  };
  const cacert = pem(keys.cacert);
  const clientCertificate = pem(keys.client_certificate);
  const clientPrivateKey = pem(keys.client_private_key);
  if (cacert !== undefined && !areCertificates(cacert)) return invalid('cacert', 'one or more certificates');
  if (clientCertificate !== undefined && !areCertificates(clientCertificate)) {
    return invalid('client_certificate', 'a certificate');
  }
  if (clientPrivateKey !== undefined && !isPrivateKey(clientPrivateKey)) {
    return invalid('client_private_key', 'an unencrypted private key');
  }
  if ((clientCertificate === undefined) !== (clientPrivateKey === undefined)) {
    const missing = clientCertificate === undefined ? 'client_certificate' : 'client_private_key';
    report.problem([...path, missing], 'PSYNC_S1161', 'client_certificate and client_private_key belong together');
    return null;
  }
  return { cacert, clientCertificate, clientPrivateKey };
}

/** Environment variables often carry line breaks as `\n`. */
function pem(text: string | undefined): string | undefined {
  return text?.includes('\n') === false ? text.replaceAll('\\n', '\n') : text;
}

function areCertificates(text: string): boolean {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block)).length > 0;
  } catch {
    return false;
  }
}

function isPrivateKey(text: string): boolean {
  try {
    return createPrivateKey(text).type === 'private';
  } catch {
    return false;
  }
}

/** Milliseconds; the key wins over the parameter of the URI. */
function connectTimeout(
  keys: PostgresEndpointKeys,
  uri: ConnectionUri | undefined,
  path: ConfigPath,
  report: ConfigReport,
): number | null {
  const inUri = uri?.query.get('connect_timeout');
  const seconds =
    keys.connect_timeout ?? (inUri === undefined ? limits.DEFAULT_CONNECT_TIMEOUT_SECONDS : Number(inUri));
  if (seconds > 0 && seconds <= 3600) return seconds * 1000;
  report.problem([...path, 'uri'], 'PSYNC_S1109', 'connect_timeout must be a number of seconds from 1 to 3600');
  return null;
}

function warnOfIgnored(uri: ConnectionUri | undefined, path: ConfigPath, report: ConfigReport): void {
  const ignored = [...(uri?.query.keys() ?? [])].filter((name) => !KNOWN_PARAMETERS.has(name));
  if (ignored.length === 0) return;
  report.notice('warn', [...path, 'uri'], `parameters of the uri that are not used: ${ignored.join(', ')}`);
}
