import { readdirSync, readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';

const FOLDER = new URL('certificates/', import.meta.url);
let cached: readonly string[] | undefined;

/**
 * The certificate authorities that are trusted without configuration, as PEM texts: those of Node.js, those of
 * `NODE_EXTRA_CA_CERTS`, and those in the `certificates` folder beside this file. Read once per process.
 */
export function trustedAuthorities(): readonly string[] {
  cached ??= [...getCACertificates('default'), ...readAuthorities(FOLDER)];
  return cached;
}

/** All certificates in the `.pem` files of a folder. Throws when a file cannot be read. */
export function readAuthorities(folder: URL): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.pem'))
    .toSorted()
    .flatMap((name) => {
      const text = readFileSync(new URL(name, folder), 'utf8');
      return text.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
    });
}
