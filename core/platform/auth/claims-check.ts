import { codedError } from '../errors/coded-error.ts';
import { MAX_TOKEN_LIFETIME_SECONDS, TOKEN_CLOCK_TOLERANCE_SECONDS } from '../limits.ts';
import { refused } from './token-format.ts';

/** What the claims of a valid token say about its use. */
export interface CheckedClaims {
  readonly userId: string;
  /** `exp` in milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/**
 * Checks the claims of a token whose signature is good (O-86 … O-91):
 *
 * - `sub` is text or a number (`PSYNC_S2101` otherwise, as for other missing claims);
 * - `aud` holds one of `audience`, compared exactly (`S2105`);
 * - `exp` is not past (`S2103`) and at most 24 hours after `iat`, and after now (`S2104`), so that an `iat` in the future
 *   cannot lengthen a token's life. `iat` in the future is accepted otherwise, as by the existing service (wire/08);
 * - `nbf` is past, when given.
 *
 * Differences of clocks up to `TOKEN_CLOCK_TOLERANCE_SECONDS` are forgiven for `exp` and `nbf`.
 */
export function checkClaims(
  claims: Readonly<Record<string, unknown>>,
  audience: readonly string[],
  nowMs: number,
): CheckedClaims {
  const now = nowMs / 1000;
  const userId = subjectOf(claims['sub']);
  checkAudience(claims['aud'], audience);

  const issuedAt = timeOf(claims, 'iat');
  const expiresAt = timeOf(claims, 'exp');
  if (issuedAt === undefined || expiresAt === undefined) {
    throw refused(`The token has no valid "${issuedAt === undefined ? 'iat' : 'exp'}" claim`);
  }
  if (expiresAt <= now - TOKEN_CLOCK_TOLERANCE_SECONDS) {
    throw codedError('PSYNC_S2103', 'The token has expired: fetch a new one');
  }
  const lifetime = Math.max(expiresAt - issuedAt, expiresAt - now - TOKEN_CLOCK_TOLERANCE_SECONDS);
  if (lifetime > MAX_TOKEN_LIFETIME_SECONDS) {
    const message = `The token must expire within ${MAX_TOKEN_LIFETIME_SECONDS} seconds, not ${Math.ceil(lifetime)}`;
    throw codedError('PSYNC_S2104', message);
  }
  if (claims['nbf'] !== undefined) {
    const notBefore = timeOf(claims, 'nbf');
    if (notBefore === undefined || notBefore > now + TOKEN_CLOCK_TOLERANCE_SECONDS) {
      throw refused('The token is not valid yet ("nbf")');
    }
  }
  return { userId, expiresAtMs: expiresAt * 1000 };
}

function subjectOf(sub: unknown): string {
  if (typeof sub === 'string' && sub !== '') return sub;
  if (typeof sub === 'number' || typeof sub === 'bigint') return String(sub);
  throw refused('The token has no "sub" claim, which names the user');
}

function checkAudience(aud: unknown, accepted: readonly string[]): void {
  const given = Array.isArray(aud) ? (aud as unknown[]) : [aud];
  if (given.some((each) => typeof each === 'string' && accepted.includes(each))) return;
  const what = aud === undefined ? 'has no "aud" claim' : 'has an "aud" claim that is not accepted here';
  throw codedError('PSYNC_S2105', `The token ${what}; it must name one of client_auth.audience exactly`);
}

/** Seconds since 1970. */
function timeOf(claims: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = claims[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
