import { Socket } from 'node:net';
import { checkServerIdentity, type ConnectionOptions } from 'node:tls';
import type { PoolConfig } from 'pg';
import { codedError, type CodedError } from '../errors/coded-error.ts';
import { parseAddressRanges } from '../network/address-ranges.ts';
import { allowedAddresses, guardedLookup, type ResolveHost } from '../network/guarded-lookup.ts';
import type { HostAddress, PostgresEndpoint } from './service-config.ts';
import { trustedAuthorities } from './trusted-authorities.ts';

/** How connections appear in `pg_stat_activity` and `pg_stat_ssl`. */
export const APPLICATION_NAME = 'millrace';

export interface PoolOptionsDependencies {
  /** Default: the resolver of the system, asked at every connection. */
  readonly resolve?: ResolveHost;
  /** PEM texts of the authorities trusted without configuration. */
  readonly authorities?: () => readonly string[];
}

/**
 * Options for a `Pool` or `Client` of `pg`: address, login, TLS as configured (R-13 … R-19), application name, and
 * refused address ranges, checked on the address that is connected to.
 *
 * @param host one of `endpoint.hosts`; by default the first. Choose with `findPrimary` when there are several.
 */
export function poolOptions(
  endpoint: PostgresEndpoint,
  host: HostAddress = endpoint.hosts[0]!,
  dependencies: PoolOptionsDependencies = {},
): PoolConfig {
  const { tlsServername } = endpoint;
  const needsOwnSocket = endpoint.rejectIpRanges.length > 0 || tlsServername !== undefined;
  return {
    host: tlsServername === undefined ? host.hostname : HIDDEN_HOST,
    port: host.port,
    database: endpoint.database,
    user: endpoint.username,
    password: endpoint.password,
    application_name: APPLICATION_NAME,
    max: endpoint.maxPoolSize,
    connectionTimeoutMillis: endpoint.connectTimeoutMs,
    keepAlive: true,
    ssl: endpoint.sslmode === 'disable' ? false : tlsOptions(endpoint, dependencies),
    ...(needsOwnSocket ? { stream: () => socketTo(host, endpoint.rejectIpRanges, dependencies.resolve) } : {}),
  };
}

/**
 * `pg` announces and verifies the name it connects to, over whatever `ssl.servername` says, unless it connects to an IP
 * address. With `tls_servername` it is given this one; our own socket connects to the configured host all the same.
 */
const HIDDEN_HOST = '0.0.0.0';

/** TLS as the `sslmode` asks for it. */
export function tlsOptions(endpoint: PostgresEndpoint, dependencies: PoolOptionsDependencies = {}): ConnectionOptions {
  const { sslmode, cacert, clientCertificate, clientPrivateKey, tlsServername } = endpoint;
  const authorities = dependencies.authorities ?? trustedAuthorities;
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    ca: cacert ?? [...authorities()],
    checkServerIdentity: sslmode === 'verify-ca' ? () => undefined : checkServerIdentity,
    ...(clientCertificate === undefined ? {} : { cert: clientCertificate }),
    ...(clientPrivateKey === undefined ? {} : { key: clientPrivateKey }),
    ...(tlsServername === undefined ? {} : { servername: tlsServername }),
  };
}

/** A socket that goes to `host`, whatever it is asked to connect to, and only to addresses that are not refused. */
function socketTo(host: HostAddress, rejectIpRanges: readonly string[], resolve: ResolveHost | undefined): Socket {
  const socket = new Socket();
  const guard = {
    ranges: parseAddressRanges(rejectIpRanges),
    refusal: addressRefused,
    ...(resolve === undefined ? {} : { resolve }),
  };
  const connect = socket.connect.bind(socket);
  socket.connect = (): Socket => {
    // A literal address is never looked up, so the check comes first.
    allowedAddresses(host.hostname, guard).then(
      () => {
        if (!socket.destroyed) connect({ host: host.hostname, port: host.port, lookup: guardedLookup(guard) });
      },
      (error: unknown) => socket.destroy(error as Error),
    );
    return socket;
  };
  return socket;
}

/** The error of R-8. */
function addressRefused(hostname: string): CodedError {
  return codedError(
    'PSYNC_S1162',
    `IPs in this range are not supported: every address of ${hostname} lies in reject_ip_ranges`,
  );
}
