import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** For tests: PEM texts of an authority of our own, and of what it signed. */
export interface TestCertificates {
  readonly authority: string;
  readonly server: { readonly certificate: string; readonly key: string };
  readonly client: { readonly certificate: string; readonly key: string };
}

/**
 * Made with the program `openssl`, new each time, so that no key lies in the repository. Returns null when there is no
 * `openssl`; a test that skips for it says so.
 *
 * @param serverName the name in the certificate of the server
 * @param clientName the common name in the certificate of the client
 */
export function createTestCertificates(serverName: string, clientName: string): TestCertificates | null {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-certificates-'));
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'ignore'] });
  };
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const key = (name: string): string[] => ['-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`];
  const sign = (name: string, commonName: string, extensions: string): void => {
    openssl('req', '-new', ...key(name), '-out', `${name}.csr`, '-subj', `/CN=${commonName}`);
    writeFileSync(join(folder, `${name}.ext`), extensions);
    const authority = ['-CA', 'authority.pem', '-CAkey', 'authority.key', '-CAcreateserial'];
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...authority,
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.pem`,
    );
  };
  try {
    openssl('req', '-x509', ...key('authority'), '-out', 'authority.pem', '-days', '2', '-subj', '/CN=Test authority');
    sign('server', serverName, `subjectAltName=DNS:${serverName}`);
    sign('client', clientName, 'extendedKeyUsage=clientAuth');
    return {
      authority: read('authority.pem'),
      server: { certificate: read('server.pem'), key: read('server.key') },
      client: { certificate: read('client.pem'), key: read('client.key') },
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
