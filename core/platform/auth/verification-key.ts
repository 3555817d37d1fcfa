import { createPublicKey, verify as verifyRaw } from 'node:crypto';
import { compactVerify, errors, importJWK, type CryptoKey, type JWK } from 'jose';
import { codedError } from '../errors/coded-error.ts';

/** A key that can check signatures, together with the algorithms it may be used for (O-94). */
export interface VerificationKey {
  /** Undefined: the key may be tried for any token (O-85). */
  readonly kid: string | undefined;
  /** Names as they appear in the header of tokens. */
  readonly algorithms: readonly string[];
  /** Whether `token` (compact form) is signed with this key by `algorithm`, one of `algorithms`. */
  verifies(token: string, algorithm: string): Promise<boolean>;
}

type JsonWebKey = Readonly<Record<string, unknown>>;

const RSA_ALGORITHMS = ['RS256', 'RS384', 'RS512'];
const HMAC_ALGORITHMS = ['HS256', 'HS384', 'HS512'];
/** `P-512` is how the documentation once spelled `P-521` (O-92). */
const EC_ALGORITHMS: Readonly<Record<string, string>> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
  'P-512': 'ES512',
};

/**
 * Makes a key of a JSON Web Key: RSA, EC, OKP (Ed25519, Ed448) or, for static keys only, oct (O-92). The algorithms come
 * from the key: an asymmetric key can never check an HMAC, and nothing checks `none` (O-94). Private parts are dropped.
 *
 * Rejects with `PSYNC_S3120` when the key cannot be used; the message holds nothing of the key but its `kid`.
 */
export async function importKey(jwk: JsonWebKey, options: { readonly allowShared: boolean }): Promise<VerificationKey> {
  const kid = typeof jwk['kid'] === 'string' && jwk['kid'] !== '' ? jwk['kid'] : undefined;
  const unusable = (why: string, cause?: unknown): Error =>
    codedError('PSYNC_S3120', `The key ${kid === undefined ? 'without kid' : `"${kid}"`} cannot be used: ${why}`, {
      cause,
    });

  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') throw unusable('its use is not "sig"');
  const algorithms = algorithmsOf(jwk, options.allowShared);
  if (typeof algorithms === 'string') throw unusable(algorithms);
  try {
    const verifies = jwk['crv'] === 'Ed448' ? ed448(jwk) : withJose(jwk);
    // A first attempt finds damaged keys now rather than with the first client.
    await verifies(EMPTY_TOKEN, algorithms[0]!);
    return { kid, algorithms, verifies };
  } catch (cause) {
    throw unusable(cause instanceof Error ? cause.message : 'it is damaged', cause);
  }
}

const EMPTY_TOKEN = '..';

/** The algorithms of a key, or why it has none. */
function algorithmsOf(jwk: JsonWebKey, allowShared: boolean): readonly string[] | string {
  const possible = possibleAlgorithms(jwk, allowShared);
  if (typeof possible === 'string') return possible;
  const stated = jwk['alg'];
  if (stated === undefined) return possible;
  if (typeof stated !== 'string' || !possible.includes(stated)) return 'its alg does not fit its type';
  // EdDSA and the name of the curve mean the same.
  return jwk['kty'] === 'OKP' ? possible : [stated];
}

function possibleAlgorithms(jwk: JsonWebKey, allowShared: boolean): readonly string[] | string {
  const curve = String(jwk['crv']);
  switch (jwk['kty']) {
    case 'RSA':
      return RSA_ALGORITHMS;
    case 'EC':
      return EC_ALGORITHMS[curve] === undefined ? 'its curve is not P-256, P-384 or P-521' : [EC_ALGORITHMS[curve]];
    case 'OKP':
      return curve === 'Ed25519' || curve === 'Ed448' ? ['EdDSA', curve] : 'its curve is not Ed25519 or Ed448';
    case 'oct':
      if (!allowShared) return 'a key set endpoint must not publish shared secrets';
      return jwk['alg'] === undefined ? 'a shared secret needs an alg' : HMAC_ALGORITHMS;
    default:
      return 'its kty is not RSA, EC, OKP or oct';
  }
}

function withJose(jwk: JsonWebKey): VerificationKey['verifies'] {
  const { kty, n, e, x, y, k } = jwk;
  const crv = jwk['crv'] === 'P-512' ? 'P-521' : jwk['crv'];
  const members = Object.entries({ kty, n, e, crv, x, y, k }).filter(([, value]) => value !== undefined);
  const plain = Object.fromEntries(members) as unknown as JWK;
  // An RSA key object belongs to one algorithm, so a key without `alg` becomes several.
  const imported = new Map<string, CryptoKey | Uint8Array>();

  return async (token, algorithm) => {
    let key = imported.get(algorithm);
    if (key === undefined) {
      key = await importJWK(plain, algorithm);
      if ('algorithm' in key && Number((key.algorithm as { modulusLength?: number }).modulusLength) < 2048) {
        throw new TypeError('RSA keys need at least 2048 bits');
      }
      if (key instanceof Uint8Array && key.length === 0) throw new TypeError('the secret is empty');
      imported.set(algorithm, key);
    }
    try {
      await compactVerify(token, key, { algorithms: [algorithm] });
      return true;
    } catch (error) {
      if (error instanceof errors.JOSEError) return false;
      throw error;
    }
  };
}

/** jose knows only Ed25519 of the Edwards curves. */
function ed448(jwk: JsonWebKey): VerificationKey['verifies'] {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed448', x: String(jwk['x']) }, format: 'jwk' });
  return async (token) => {
    const dot = token.lastIndexOf('.');
    const signature = Buffer.from(token.slice(dot + 1), 'base64url');
    return verifyRaw(null, Buffer.from(token.slice(0, dot)), key, signature);
  };
}
