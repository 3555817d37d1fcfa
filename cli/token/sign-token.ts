/** Signing development tokens with a key of the service configuration (O-107, O-264). The service itself never does (O-108). */
import { constants, createHmac, createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { importKey } from '#core/platform/auth/verification-key.ts';
import type { ConfiguredKey } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';

export interface TokenSigner {
  readonly kid: string | undefined;
  readonly algorithm: string;
  /** A JWT in compact form. */
  sign(claims: Readonly<Record<string, unknown>>): string;
}

/**
 * Signs with the key `kid`, or with the first one that can sign when `kid` is null.
 *
 * Rejects with `PSYNC_S2201` when there is no such key, saying what to configure; with `S3120` when the key is damaged.
 */
export async function createTokenSigner(keys: readonly ConfiguredKey[], kid: string | null): Promise<TokenSigner> {
  const jwk = kid === null ? keys.find(canSign) : keys.find((key) => key['kid'] === kid);
  if (jwk === undefined) throw kid === null ? noSigningKey(keys) : unknownKid(kid, keys);
  if (!canSign(jwk)) throw publicOnly(kid!);
  const [algorithm] = (await importKey(jwk, { allowShared: true })).algorithms;
  const signBytes = signerFor(jwk, algorithm!);
  const name = typeof jwk['kid'] === 'string' ? jwk['kid'] : undefined;
  return {
    kid: name,
    algorithm: algorithm!,
    sign(claims) {
      const header = { typ: 'JWT', alg: algorithm, ...(name === undefined ? {} : { kid: name }) };
      const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
      return `${input}.${signBytes(Buffer.from(input)).toString('base64url')}`;
    },
  };
}

function canSign(key: ConfiguredKey): boolean {
  return key.kty === 'oct' || typeof key['d'] === 'string';
}

function signerFor(jwk: ConfiguredKey, algorithm: string): (input: Buffer) => Buffer {
  const digest = `sha${algorithm.slice(2)}`;
  if (jwk.kty === 'oct') {
    const secret = Buffer.from(String(jwk['k']), 'base64url');
    return (input) => createHmac(digest, secret).update(input).digest();
  }
  const key = privateKeyOf(jwk);
  switch (jwk.kty) {
    case 'RSA':
      return (input) => sign(digest, input, { key, padding: constants.RSA_PKCS1_PADDING });
    case 'EC':
      return (input) => sign(digest, input, { key, dsaEncoding: 'ieee-p1363' });
    case 'OKP':
      return (input) => sign(null, input, key);
  }
}

function privateKeyOf(jwk: ConfiguredKey): KeyObject {
  // An old misspelling (O-92).
  const key = { ...jwk, ...(jwk['crv'] === 'P-512' ? { crv: 'P-521' } : {}) };
  try {
    return createPrivateKey({ key, format: 'jwk' });
  } catch (cause) {
    const message = `The private part of the key ${name(jwk)} cannot be used: the members of a private JSON Web Key are missing or damaged`;
    throw codedError('PSYNC_S3120', message, { cause });
  }
}

const name = (key: ConfiguredKey): string =>
  typeof key['kid'] === 'string' ? JSON.stringify(key['kid']) : 'without kid';

const ADVICE =
  'A development token is signed with a shared secret ({kty: oct, alg: HS256, kid: dev, k: !env PS_JWK_SECRET}) or with a key that has its private part (d).';

function noSigningKey(keys: readonly ConfiguredKey[]): Error {
  const there = keys.length === 0 ? 'has no keys' : `has only public keys (${keys.map(name).join(', ')})`;
  return codedError('PSYNC_S2201', `client_auth.jwks ${there}: none can sign. ${ADVICE}`);
}

function unknownKid(kid: string, keys: readonly ConfiguredKey[]): Error {
  const there = keys.length === 0 ? 'it has no keys' : `it has ${keys.map(name).join(', ')}`;
  return codedError('PSYNC_S2201', `client_auth.jwks has no key with kid ${JSON.stringify(kid)}; ${there}. ${ADVICE}`);
}

function publicOnly(kid: string): Error {
  const message = `The key ${JSON.stringify(kid)} of client_auth.jwks is a public one: it cannot sign. ${ADVICE}`;
  return codedError('PSYNC_S2201', message);
}
