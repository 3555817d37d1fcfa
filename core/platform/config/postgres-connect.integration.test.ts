import { createServer, type AddressInfo } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PrivatePostgres } from '#test/services/contract.ts';
import { startPostgres } from '#test/services/postgres.ts';
import { poolOptions } from './pool-options.ts';
import { explainConnectionError, findPrimary, presentedCertificates } from './postgres-connect.ts';
import type { PostgresEndpoint } from './service-config.ts';
import { createTestCertificates } from './test-certificates.ts';

const SERVER_NAME = 'db.example';
const certificates = createTestCertificates(SERVER_NAME, 'postgres');
const NONE = { authority: '', server: { certificate: '', key: '' }, client: { certificate: '', key: '' } };

describe.skipIf(certificates === null)('connections to Postgres with TLS (needs openssl)', () => {
  // A skipped block is still read.
  const { authority, server, client } = certificates ?? NONE;
  let postgres: PrivatePostgres;
  let address: { host: string; port: number };

  beforeAll(async () => {
    postgres = await startPostgres({
      durable: false,
      settings: { ssl: 'on', ssl_cert_file: 'tls.pem', ssl_key_file: 'tls.key', ssl_ca_file: 'ca.pem' },
      files: { 'tls.pem': server.certificate, 'tls.key': server.key, 'ca.pem': authority },
    });
    const url = new URL(postgres.url);
    address = { host: url.hostname, port: Number(url.port) };
  });
  afterAll(() => postgres?.close());

  function endpoint(options: Partial<PostgresEndpoint> = {}): PostgresEndpoint {
    const url = new URL(postgres.url);
    return {
      hosts: [{ hostname: address.host, port: address.port }],
      database: 'postgres',
      username: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      sslmode: 'verify-full',
      cacert: authority,
      clientCertificate: undefined,
      clientPrivateKey: undefined,
      tlsServername: undefined,
      rejectIpRanges: [],
      maxPoolSize: 2,
      connectTimeoutMs: 10_000,
      ...options,
    };
  }

  interface Session {
    readonly ssl: boolean;
    readonly version: string | null;
    readonly client_dn: string | null;
    readonly application_name: string;
  }

  async function connect(options: Partial<PostgresEndpoint>): Promise<Session> {
    const pool = new pg.Pool(poolOptions(endpoint(options)));
    pool.on('error', () => undefined);
    try {
      const { rows } = await pool.query<Session>(
        `SELECT s.ssl, s.version, s.client_dn, a.application_name
         FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE pid = pg_backend_pid()`,
      );
      return rows[0]!;
    } finally {
      await pool.end();
    }
  }

  test('verify-full checks the name: the host, or tls_servername (R-14, R-19, R-26)', async () => {
    expect(await connect({ tlsServername: SERVER_NAME })).toMatchObject({
      ssl: true,
      version: expect.stringMatching(/^TLSv1\.[23]$/) as string,
      application_name: 'millrace',
    });
    await expect(connect({})).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    await expect(connect({ tlsServername: 'other.example' })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
  });

  test('verify-ca checks the authority only; disable uses no TLS (R-14, R-15)', async () => {
    expect(await connect({ sslmode: 'verify-ca' })).toMatchObject({ ssl: true });
    expect(await connect({ sslmode: 'disable', cacert: undefined })).toMatchObject({ ssl: false, version: null });
    const stranger = createTestCertificates(SERVER_NAME, 'x')!.authority;
    await expect(connect({ sslmode: 'verify-ca', cacert: stranger })).rejects.toThrow();
  });

  test('an untrusted chain is reported as such (R-20)', async () => {
    const error = await connect({ cacert: undefined, tlsServername: SERVER_NAME }).catch(explainConnectionError);
    expect(error).toMatchObject({
      code: 'PSYNC_S1163',
      description: expect.stringMatching(
        /server certificate not trusted: \w+; give the certificate authority/,
      ) as string,
    });
  });

  test('the presented chain can be read, and its certificate pinned (R-20)', async () => {
    const [leaf] = await presentedCertificates(endpoint());
    expect(leaf).toMatchObject({ subject: `CN=${SERVER_NAME}`, issuer: 'CN=Test authority', pem: server.certificate });
  });

  test('a client certificate is sent (R-18)', async () => {
    const session = await connect({
      sslmode: 'verify-ca',
      clientCertificate: client.certificate,
      clientPrivateKey: client.key,
    });
    expect(session.client_dn).toBe('/CN=postgres');
  });

  test('refused ranges apply to the address behind a name and to literal addresses (R-8)', async () => {
    const options = { sslmode: 'verify-ca' as const, rejectIpRanges: ['local'] };
    await expect(connect(options)).rejects.toMatchObject({ code: 'PSYNC_S1162' });
    const hosts = [{ hostname: 'localhost', port: address.port }];
    await expect(connect({ ...options, hosts })).rejects.toMatchObject({ code: 'PSYNC_S1162' });
    expect(await connect({ ...options, rejectIpRanges: ['10.0.0.0/8'] })).toMatchObject({ ssl: true });
  });

  test('the first available primary of several hosts is found (R-70)', async () => {
    const silent = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await new Promise((resolve) => void silent.once('listening', resolve));
    const dead = { hostname: '127.0.0.1', port: (silent.address() as AddressInfo).port };
    const alive = { hostname: address.host, port: address.port };
    try {
      expect(await findPrimary(endpoint({ sslmode: 'verify-ca', hosts: [dead, alive] }))).toEqual(alive);
      await expect(findPrimary(endpoint({ hosts: [dead, dead] }))).rejects.toMatchObject({ code: 'PSYNC_S1120' });
      await expect(findPrimary(endpoint({ sslmode: 'verify-full' }))).rejects.toMatchObject({ code: 'PSYNC_S1163' });
      await expect(presentedCertificates(endpoint({ hosts: [dead] }))).rejects.toMatchObject({ code: 'PSYNC_S1120' });
    } finally {
      silent.close();
    }
  });
});
