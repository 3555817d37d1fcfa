import { connect as connectSocket, isIP, type Socket } from 'node:net';
import { connect as connectTls, type DetailedPeerCertificate } from 'node:tls';
import { Client, type ClientConfig } from 'pg';
import { codedError, isCodedError } from '../errors/coded-error.ts';
import { parseAddressRanges } from '../network/address-ranges.ts';
import { allowedAddresses } from '../network/guarded-lookup.ts';
import { poolOptions } from './pool-options.ts';
import type { HostAddress, PostgresEndpoint } from './service-config.ts';

/** What Node.js calls a certificate that does not pass verification. */
const TRUST_FAILURES = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/**
 * Gives an error of a Postgres connection attempt its code: `PSYNC_S1163` for an untrusted server certificate, naming
 * the reason; `PSYNC_S1162` for a refused address stays as it is; others are returned unchanged.
 */
export function explainConnectionError(error: unknown): unknown {
  if (isCodedError(error)) return error;
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === undefined || !TRUST_FAILURES.has(code)) return error;
  const advice =
    code === 'ERR_TLS_CERT_ALTNAME_INVALID'
      ? 'the certificate is for another name: set tls_servername, or use verify-ca with cacert'
      : 'give the certificate authority of the server as cacert';
  return codedError('PSYNC_S1163', `server certificate not trusted: ${code}; ${advice}`, { cause: error });
}

/**
 * The first host, in order, that accepts connections and is a primary.
 *
 * Throws the failure of the only host, or a `PSYNC_S1120` with the reason for each host.
 */
export async function findPrimary(
  endpoint: PostgresEndpoint,
  createOptions: (host: HostAddress) => ClientConfig = (host) => poolOptions(endpoint, host),
): Promise<HostAddress> {
  const failures: { readonly host: HostAddress; readonly error: unknown }[] = [];
  for (const host of endpoint.hosts) {
    try {
      if (await isPrimary(createOptions(host))) return host;
      failures.push({ host, error: new Error('is a standby') });
    } catch (error) {
      failures.push({ host, error: explainConnectionError(error) });
    }
  }
  if (failures.length === 1 && isCodedError(failures[0]!.error)) throw failures[0]!.error;
  const details = failures.map(({ host, error }) => `${host.hostname}:${host.port}: ${reason(error)}`);
  throw codedError('PSYNC_S1120', `No primary is available: ${details.join('; ')}`, {
    details,
    cause: failures.at(-1)?.error,
  });
}

async function isPrimary(options: ClientConfig): Promise<boolean> {
  const client = new Client(options);
  // An idle client reports the end of its connection as an event; nobody else listens here.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
    return rows[0]?.standby === false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function reason(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reason).join(', ');
  return error instanceof Error ? error.message : String(error);
}

/** What a Postgres server presents when TLS begins. */
export interface PresentedCertificate {
  readonly subject: string;
  readonly issuer: string;
  readonly validTo: string;
  /** Put the last one of the chain into `cacert` to pin it. */
  readonly pem: string;
}

/** The request that begins TLS on a Postgres connection: length 8, code 80877103. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/**
 * The certificate chain that the server presents, leaf first, without trusting it and without logging in, so that an
 * operator can look at it and pin it. Rejects when there is no TLS, and after `connectTimeoutMs`.
 */
export async function presentedCertificates(
  endpoint: PostgresEndpoint,
  host: HostAddress = endpoint.hosts[0]!,
): Promise<PresentedCertificate[]> {
  const { rejectIpRanges, connectTimeoutMs, tlsServername } = endpoint;
  const refusal = (name: string): Error =>
    codedError('PSYNC_S1162', `every address of ${name} lies in reject_ip_ranges`);
  const [address] = await allowedAddresses(host.hostname, { ranges: parseAddressRanges(rejectIpRanges), refusal });
  const socket = connectSocket({ host: address!.address, port: host.port });
  const deadline = AbortSignal.timeout(connectTimeoutMs);
  const onTimeout = (): void => void socket.destroy(new Error(`no answer within ${connectTimeoutMs} ms`));
  deadline.addEventListener('abort', onTimeout, { once: true });
  try {
    return await readChain(socket, tlsServername ?? (isIP(host.hostname) === 0 ? host.hostname : undefined));
  } catch (cause) {
    const message = `Cannot read the certificates of ${host.hostname}:${host.port}: ${reason(cause)}`;
    throw codedError('PSYNC_S1120', message, { cause });
  } finally {
    deadline.removeEventListener('abort', onTimeout);
    socket.destroy();
  }
}

function readChain(socket: Socket, servername: string | undefined): Promise<PresentedCertificate[]> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the server closed the connection')));
    socket.once('connect', () => socket.write(SSL_REQUEST));
    socket.once('data', (answer) => {
      if (answer.toString('latin1') !== 'S') return reject(new Error('the server does not offer TLS'));
      // Looking at a certificate that is not trusted is the purpose here; nothing is sent over this connection.
      const options = { socket, rejectUnauthorized: false, ...(servername === undefined ? {} : { servername }) };
      const secure = connectTls(options, () => resolve(describe(secure.getPeerCertificate(true))));
      return secure.once('error', reject);
    });
  });
}

function describe(leaf: DetailedPeerCertificate): PresentedCertificate[] {
  const chain: PresentedCertificate[] = [];
  const seen = new Set<string>();
  let each: DetailedPeerCertificate | undefined = leaf;
  // A self-signed certificate is its own issuer.
  while (each?.raw !== undefined && !seen.has(each.fingerprint256)) {
    seen.add(each.fingerprint256);
    const body = each.raw.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n');
    chain.push({
      subject: nameOf(each.subject),
      issuer: nameOf(each.issuer),
      validTo: each.valid_to,
      pem: `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`,
    });
    each = each.issuerCertificate;
  }
  return chain;
}

function nameOf(subject: object): string {
  return Object.entries(subject)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(', ');
}
