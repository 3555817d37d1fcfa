import { codedError, type CodedError } from '../errors/coded-error.ts';
import { MAX_TOKEN_LIFETIME_SECONDS, TOKEN_CLOCK_TOLERANCE_SECONDS } from '../limits.ts';
import { passed, shown, type Check } from './check.ts';
import { refused } from './token-format.ts';

export type TokenClaims = Readonly<Record<string, unknown>>;

/** What the claims are held against. */
export interface ClaimsContext {
  /** Accepted audiences, compared exactly (O-86). */
  readonly audience: readonly string[];
  /** Accepted issuers, compared exactly; empty: any. */
  readonly issuers: readonly string[];
  readonly nowMs: number;
}

/**
 * Checks the claims of a token whose signature is good (O-86 … O-91), one after the other:
 *
 * - `sub` is text or a number (`PSYNC_S2101` otherwise, as for other missing claims);
 * - `aud` holds one of `audience` (`S2105`), `iss` is one of `issuers`, if there are any (`S2121`);
 * - `exp` is not past (`S2103`) and at most 24 hours after `iat`, and after now (`S2104`), so that an `iat` in the future
 *   cannot lengthen a token's life. `iat` in the future is accepted otherwise, as by the existing service (wire/08);
 * - `nbf` is past, when given.
 *
 * Differences of clocks up to `TOKEN_CLOCK_TOLERANCE_SECONDS` are forgiven for `exp` and `nbf`.
 */
export function* checkClaims(claims: TokenClaims, context: ClaimsContext): Generator<Check> {
  const now = context.nowMs / 1000;
  yield checkSubject(claims['sub']);
  yield checkAudience(claims['aud'], context.audience);
  yield checkIssuer(claims['iss'], context.issuers);
  const [issuedAt, expiresAt] = [timeOf(claims['iat']), timeOf(claims['exp'])];
  yield {
    name: 'issued at',
    finding: `iat is ${when(claims['iat'], now)}`,
    refusal: issuedAt === undefined ? missing('iat') : null,
  };
  yield {
    name: 'expires',
    finding: `exp is ${when(claims['exp'], now)}; ${FORGIVEN}`,
    refusal: expiryRefusal(expiresAt, now),
  };
  yield checkLifetime(issuedAt, expiresAt, now);
  yield checkNotBefore(claims['nbf'], now);
}

/** `sub` as text (O-89); undefined when it names nobody. */
export function subjectOf(sub: unknown): string | undefined {
  if (typeof sub === 'string') return sub === '' ? undefined : sub;
  return typeof sub === 'number' || typeof sub === 'bigint' ? String(sub) : undefined;
}

/** Seconds since 1970; undefined for what is no such time. */
export function timeOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

function checkSubject(sub: unknown): Check {
  const refusal = subjectOf(sub) === undefined ? refused('The token has no "sub" claim, which names the user') : null;
  return { name: 'subject', finding: `sub is ${shown(sub)}`, refusal };
}

function checkAudience(aud: unknown, accepted: readonly string[]): Check {
  const given = Array.isArray(aud) ? (aud as unknown[]) : [aud];
  const names = accepted.length === 0 ? 'none: client_auth.audience is empty' : accepted.map(shown).join(', ');
  const finding = `aud is ${shown(aud)}; accepted: ${names}`;
  if (given.some((each) => typeof each === 'string' && accepted.includes(each))) return passed('audience', finding);
  const what = aud === undefined ? 'has no "aud" claim' : 'has an "aud" claim that is not accepted here';
  const message = `The token ${what}; it must name one of client_auth.audience exactly`;
  return {
    name: 'audience',
    finding: finding + nearMiss(given, accepted),
    refusal: codedError('PSYNC_S2105', message),
  };
}

function checkIssuer(iss: unknown, accepted: readonly string[]): Check {
  if (accepted.length === 0) return passed('issuer', `iss is ${shown(iss)}; any is accepted`);
  const finding = `iss is ${shown(iss)}; accepted: ${accepted.map(shown).join(', ')}`;
  if (typeof iss === 'string' && accepted.includes(iss)) return passed('issuer', finding);
  const what = iss === undefined ? 'has no "iss" claim' : 'has an "iss" claim that is not accepted here';
  const refusal = codedError('PSYNC_S2121', `The token ${what}; it must be one of client_auth.issuer exactly`);
  return { name: 'issuer', finding: finding + nearMiss([iss], accepted), refusal };
}

/** The usual mistakes in an exact comparison. */
function nearMiss(given: readonly unknown[], accepted: readonly string[]): string {
  const plain = (text: string): string => text.trim().replace(/\/+$/, '').toLowerCase();
  const near = given.some((each) => typeof each === 'string' && accepted.some((one) => plain(one) === plain(each)));
  return near ? ' (they differ only in a slash at the end, in upper and lower case, or in spaces)' : '';
}

function expiryRefusal(expiresAt: number | undefined, now: number): CodedError | null {
  if (expiresAt === undefined) return missing('exp');
  if (expiresAt > now - TOKEN_CLOCK_TOLERANCE_SECONDS) return null;
  return codedError('PSYNC_S2103', 'The token has expired: fetch a new one');
}

function checkLifetime(issuedAt: number | undefined, expiresAt: number | undefined, now: number): Check {
  if (issuedAt === undefined || expiresAt === undefined) {
    return {
      name: 'lifetime',
      finding: 'iat and exp are needed',
      refusal: missing(issuedAt === undefined ? 'iat' : 'exp'),
    };
  }
  const lifetime = Math.max(expiresAt - issuedAt, expiresAt - now - TOKEN_CLOCK_TOLERANCE_SECONDS);
  const finding = `${Math.ceil(lifetime)} s of at most ${MAX_TOKEN_LIFETIME_SECONDS} s`;
  if (lifetime <= MAX_TOKEN_LIFETIME_SECONDS) return passed('lifetime', finding);
  const message = `The token must expire within ${MAX_TOKEN_LIFETIME_SECONDS} seconds, not ${Math.ceil(lifetime)}`;
  return { name: 'lifetime', finding, refusal: codedError('PSYNC_S2104', message) };
}

function checkNotBefore(nbf: unknown, now: number): Check {
  if (nbf === undefined) return passed('not before', 'no nbf');
  const notBefore = timeOf(nbf);
  const isPast = notBefore !== undefined && notBefore <= now + TOKEN_CLOCK_TOLERANCE_SECONDS;
  const refusal = isPast ? null : refused('The token is not valid yet ("nbf")');
  return { name: 'not before', finding: `nbf is ${when(nbf, now)}; ${FORGIVEN}`, refusal };
}

function missing(name: 'iat' | 'exp'): CodedError {
  return refused(`The token has no valid "${name}" claim`);
}

const FORGIVEN = `${TOKEN_CLOCK_TOLERANCE_SECONDS} s of difference between clocks are forgiven`;

/** A time of a token beside the present one. */
function when(value: unknown, now: number): string {
  const seconds = timeOf(value);
  if (seconds === undefined) return `${shown(value)}: a number of seconds since 1970 is expected`;
  const date = new Date(seconds * 1000);
  const text = Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString();
  const distance = Math.round(Math.abs(seconds - now));
  return `${text}, ${distance} s ${seconds > now ? 'from now' : 'ago'}`;
}
