import type { Clock } from '../clock.ts';
import type { ClientAuthConfig } from '../config/service-config.ts';
import { codedError } from '../errors/coded-error.ts';
import { TOKEN_CLOCK_TOLERANCE_SECONDS } from '../limits.ts';
import type { Log } from '../log.ts';
import { parseAddressRanges } from '../network/address-ranges.ts';
import { checkClaims } from './claims-check.ts';
import { createKeyEndpoint } from './key-endpoint.ts';
import { fetchKeySet, type FetchKeySet } from './key-set-request.ts';
import { readClaims, readToken, refused, tokenOf, type UnverifiedToken } from './token-format.ts';
import { importKey, type VerificationKey } from './verification-key.ts';
import { createVerifiedTokens } from './verified-tokens.ts';

/** Signatures tried for one token without `kid`; more keys than this are not asked. */
const MAX_ATTEMPTS = 20;
const REMEMBERED = { maxTokens: 20_000, maxBytes: 16 * 1024 * 1024 };

/** A token whose signature and claims are good. */
export interface VerifiedToken {
  /** `sub` as text (O-89). */
  readonly userId: string;
  /** The whole payload; whole numbers beyond 2^53 are bigints. Shared between sessions: do not change it. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** The payload as it was signed (S-75). */
  readonly claimsText: string;
  /** When it expires by its own account, in milliseconds since 1970. May lie up to the tolerance in the past. */
  readonly expiresAtMs: number;
}

export interface TokenVerifier {
  /**
   * Verifies the value of an `Authorization` header, or of `token` in an RSocket SETUP frame.
   *
   * Rejects with a coded error: `PSYNC_S2101` … `S2106` (401) when the token is at fault; `S2202` … `S2204` when its key
   * may exist but an endpoint cannot be asked, so that the client keeps its token and comes back (S-600, S-604).
   */
  verify(authorization: string | undefined): Promise<VerifiedToken>;
  /** Stops refreshing keys. */
  close(): void;
}

export interface TokenVerifierOptions {
  readonly clientAuth: ClientAuthConfig;
  readonly clock: Clock;
  readonly log: Log;
  /** Default: `fetchKeySet`. */
  readonly fetch?: FetchKeySet;
}

/**
 * Verification of client tokens against the configured keys (O-83 … O-103). Endpoints are asked at once and then every
 * few minutes, in the background.
 *
 * Rejects with `PSYNC_S3120` when a static key cannot be used.
 */
export async function createTokenVerifier(options: TokenVerifierOptions): Promise<TokenVerifier> {
  const { clientAuth, clock, log } = options;
  const staticKeys = await Promise.all(clientAuth.keys.map((jwk) => importKey(jwk, { allowShared: true })));
  const ranges = parseAddressRanges(clientAuth.rejectIpRanges);
  const endpoints = clientAuth.jwksUris.map((uri) =>
    createKeyEndpoint({ uri, ranges, fetchKeySet: options.fetch ?? fetchKeySet, clock, log }),
  );
  const remembered = createVerifiedTokens<{ readonly token: VerifiedToken; readonly key: VerificationKey }>(REMEMBERED);
  const allKeys = (): VerificationKey[] => [...staticKeys, ...endpoints.flatMap(({ keys }) => keys)];

  const recall = (text: string): VerifiedToken | undefined => {
    const entry = remembered.get(text);
    if (entry === undefined) return undefined;
    const isCurrent = clock.now() < entry.token.expiresAtMs + TOKEN_CLOCK_TOLERANCE_SECONDS * 1000;
    // A key that was withdrawn must not live on here (O-99).
    if (isCurrent && (staticKeys.includes(entry.key) || endpoints.some(({ keys }) => keys.includes(entry.key)))) {
      return entry.token;
    }
    remembered.delete(text);
    return undefined;
  };

  /** The key that signed the token, asking the endpoints for new keys when none does (O-84, O-95). */
  const findKey = async (token: UnverifiedToken): Promise<VerificationKey> => {
    const known = await signingKey(token, allKeys());
    if (known !== undefined) return known;
    await Promise.all(endpoints.map((endpoint) => endpoint.ready()));
    const afterFirstAnswer = await signingKey(token, allKeys());
    if (afterFirstAnswer !== undefined) return afterFirstAnswer;

    const isMissing = token.kid !== undefined && !allKeys().some(({ kid }) => kid === token.kid);
    if (isMissing) {
      const asked = await Promise.all(endpoints.map((endpoint) => endpoint.refresh()));
      const added = asked.includes(true) ? await signingKey(token, allKeys()) : undefined;
      if (added !== undefined) return added;
    }
    throw unknownKey(
      token,
      allKeys(),
      endpoints.map(({ failure }) => failure).find((failure) => failure !== undefined),
    );
  };

  return {
    async verify(authorization) {
      const text = tokenOf(authorization);
      const recalled = recall(text);
      if (recalled !== undefined) return recalled;

      const key = await findKey(readToken(text));
      const claims = readClaims(text);
      const { userId, expiresAtMs } = checkClaims(claims.value, clientAuth.audience, clock.now());
      const token = { userId, claims: claims.value, claimsText: claims.text, expiresAtMs };
      remembered.set(text, { token, key });
      return token;
    },
    close() {
      for (const endpoint of endpoints) endpoint.close();
    },
  };
}

/**
 * Which of `keys` signed the token. Keys with the token's `kid` come first, then keys without one; a token without `kid`
 * is tried with all (O-85). Only keys for the token's algorithm are asked (O-94).
 */
async function signingKey(
  token: UnverifiedToken,
  keys: readonly VerificationKey[],
): Promise<VerificationKey | undefined> {
  const fitting = keys.filter(({ algorithms }) => algorithms.includes(token.algorithm));
  const named = fitting.filter(({ kid }) => kid !== undefined && (token.kid === undefined || token.kid === kid));
  const unnamed = fitting.filter(({ kid }) => kid === undefined);
  for (const key of [...named, ...unnamed].slice(0, MAX_ATTEMPTS)) {
    if (await key.verifies(token.text, token.algorithm)) return key;
  }
  return undefined;
}

/** What to tell a client whose token no key signed. */
function unknownKey(token: UnverifiedToken, keys: readonly VerificationKey[], failure: Error | undefined): Error {
  const named = keys.filter(({ kid }) => token.kid !== undefined && kid === token.kid);
  if (named.length === 0 && failure !== undefined) return failure;
  if (named.length > 0 && !named.some(({ algorithms }) => algorithms.includes(token.algorithm))) {
    return codedError(
      'PSYNC_S2102',
      'The signature cannot be verified: the key with this kid is for another algorithm',
    );
  }
  const unnamed = keys.some(({ kid, algorithms }) => kid === undefined && algorithms.includes(token.algorithm));
  if (named.length > 0 || unnamed) return refused('The signature of the token does not fit the configured key');
  if (token.kid === undefined && keys.length > 0)
    return refused('The signature of the token fits none of the configured keys');
  return refused('No configured key has the kid of the token: check kid, jwks and jwks_uri');
}
