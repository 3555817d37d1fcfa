import type { Clock } from '../clock.ts';
import type { ClientAuthConfig } from '../config/service-config.ts';
import { isCodedError, type CodedError } from '../errors/coded-error.ts';
import { TOKEN_CLOCK_TOLERANCE_SECONDS } from '../limits.ts';
import type { Log } from '../log.ts';
import { parseAddressRanges } from '../network/address-ranges.ts';
import { passed, shown, type Check } from './check.ts';
import { checkClaims, subjectOf, timeOf } from './claims-check.ts';
import { checkKeys } from './key-checks.ts';
import { createKeyEndpoint } from './key-endpoint.ts';
import { createKeyRing } from './key-ring.ts';
import { fetchKeySet, type FetchKeySet } from './key-set-request.ts';
import type { RevocationList } from './revocations.ts';
import { headerRefusal, readToken, tokenOf, type UnverifiedToken } from './token-format.ts';
import type { VerificationKey } from './verification-key.ts';
import { createVerifiedTokens } from './verified-tokens.ts';

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
   * Rejects with a coded error: `PSYNC_S2101` … `S2121` (401) when the token is at fault; `S2202` … `S2204` when its key
   * may exist but an endpoint cannot be asked, so that the client keeps its token and comes back (S-600, S-604). Waits for endpoints 10 seconds
   * at most.
   */
  verify(authorization: string | undefined): Promise<VerifiedToken>;
  /** Stops refreshing keys. */
  close(): void;
}

/** A verifier that also says what it looks at. */
export interface TokenExaminer extends TokenVerifier {
  /**
   * The checks that `verify` makes, one after the other, with what they find; `verify` rejects with the first refusal. Goes on after a
   * refusal where there is more to look at, so that all mistakes of a token are seen at once. Accepts nothing itself.
   */
  examine(authorization: string | undefined): AsyncGenerator<Check, void>;
}

/** An accepted token with the key that signed it. */
interface Remembered {
  readonly token: VerifiedToken;
  readonly key: VerificationKey;
}

export interface TokenVerifierOptions {
  readonly clientAuth: ClientAuthConfig;
  readonly clock: Clock;
  readonly log: Log;
  /** Tokens that are refused before they expire. Absent: none is. */
  readonly revocations?: Pick<RevocationList, 'refusal'>;
  /** Default: `fetchKeySet`. */
  readonly fetch?: FetchKeySet;
}

/**
 * Verification of client tokens against the configured keys (O-83 … O-103). Endpoints are asked at once and then every
 * few minutes, in the background.
 *
 * Rejects with `PSYNC_S3120` when a static key cannot be used.
 */
export async function createTokenVerifier(options: TokenVerifierOptions): Promise<TokenExaminer> {
  const { clientAuth, clock, log, revocations } = options;
  const ranges = parseAddressRanges(clientAuth.rejectIpRanges);
  const endpoints = clientAuth.jwksUris.map((uri) =>
    createKeyEndpoint({ uri, ranges, fetchKeySet: options.fetch ?? fetchKeySet, clock, log }),
  );
  const ring = await createKeyRing(clientAuth.keys, endpoints, clock).catch((error: unknown) => {
    for (const endpoint of endpoints) endpoint.close();
    throw error;
  });
  const remembered = createVerifiedTokens<Remembered>(REMEMBERED);

  const recall = (text: string): VerifiedToken | undefined => {
    const entry = remembered.get(text);
    if (entry === undefined) return undefined;
    const isCurrent = clock.now() < entry.token.expiresAtMs + TOKEN_CLOCK_TOLERANCE_SECONDS * 1000;
    // A key that was withdrawn must not live on here (O-99).
    if (isCurrent && ring.holds(entry.key)) return entry.token;
    remembered.delete(text);
    return undefined;
  };

  /** Every check of a token, in order. Whoever asks may go on after a refusal as far as there is something to look at. */
  async function* examineText(text: string): AsyncGenerator<Check, Remembered | null> {
    const token = yield* readForm(text);
    if (token === null) return null;
    const { claims } = token;
    yield checkHeader(token);
    const search = await ring.search(token);
    yield* checkKeys(token, search);
    const nowMs = clock.now();
    yield* checkClaims(claims.value, { audience: clientAuth.audience, issuers: clientAuth.issuers, nowMs });
    if (revocations !== undefined) {
      const refusal = revocations.refusal(claims.value);
      const result = refusal === null ? 'not revoked' : 'refused by the deny list';
      yield { name: 'revocation', finding: `jti is ${shown(claims.value['jti'])}; ${result}`, refusal };
    }
    const { sub, exp } = claims.value;
    const [userId, expiresAt] = [subjectOf(sub), timeOf(exp)];
    if (search.signer === undefined || userId === undefined || expiresAt === undefined) return null;
    const verified = { userId, claims: claims.value, claimsText: claims.text, expiresAtMs: expiresAt * 1000 };
    return { token: verified, key: search.signer.key };
  }

  return {
    async verify(authorization) {
      const text = tokenOf(authorization);
      const recalled = recall(text);
      if (recalled !== undefined) {
        const refusal = revocations?.refusal(recalled.claims);
        if (refusal) throw refusal;
        return recalled;
      }
      const checks = examineText(text);
      for (;;) {
        const { value, done } = await checks.next();
        if (done) {
          remembered.set(text, value!);
          return value!.token;
        }
        if (value.refusal !== null) throw value.refusal;
      }
    },
    async *examine(authorization) {
      let text: string;
      try {
        text = tokenOf(authorization);
      } catch (error) {
        return yield { name: 'token', finding: 'there is none', refusal: error as CodedError };
      }
      yield passed('token', 'there is one');
      yield* examineText(text);
    },
    close: ring.close,
  };
}

function* readForm(text: string): Generator<Check, UnverifiedToken | null> {
  try {
    const token = readToken(text);
    yield passed('form', `a JWT of ${text.length} characters`);
    return token;
  } catch (error) {
    if (!isCodedError(error)) throw error;
    yield { name: 'form', finding: `${text.length} characters`, refusal: error };
    return null;
  }
}

function checkHeader(token: UnverifiedToken): Check {
  return { name: 'algorithm', finding: `alg is ${shown(token.algorithm)}`, refusal: headerRefusal(token) };
}
