/**
 * Which tokens are refused although they have not expired: a copy in memory of the deny list in bucket storage. Whoever serves clients
 * keeps it up to date; it says itself when nobody did for too long.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { codedError, type CodedError } from '../errors/coded-error.ts';
import {
  MAX_REVOCATIONS,
  MAX_TOKEN_LIFETIME_SECONDS,
  REVOCATIONS_STALE_MS,
  TOKEN_CLOCK_TOLERANCE_SECONDS,
} from '../limits.ts';

/** An entry of the deny list (core/bucket-storage/revocation-store.ts). */
interface Entry {
  readonly key: string;
  readonly issuedBeforeMs: number | null;
  readonly expiresMs: number;
}

/** What to revoke. */
export type RevocationTarget =
  /** All tokens of a user that were issued before this time, in seconds since 1970. */
  | { readonly subject: string; readonly issuedBefore: number }
  /** The tokens with this `jti`. */
  | { readonly jti: string };

type Claims = Readonly<Record<string, unknown>>;

export interface RevocationList {
  /**
   * The refusal of a token that is revoked (`PSYNC_S2120`), or of every token while the list could not be read for too long
   * (`PSYNC_S2402`, 503: the client keeps its token and comes back); null for one that may pass.
   */
  refusal(claims: Claims): CodedError | null;
  /** Whether a token that is in use has been revoked; whatever the age of the list. */
  isRevoked(claims: Claims): boolean;
  /** What was read from storage just now, possibly nothing. */
  add(entries: readonly Entry[]): void;
  /** Revocations that it holds; at most those that storage takes. */
  readonly size: number;
}

/** Tokens differ from their keys by less than this; the difference of clocks counts on both sides. */
const EXPIRY_MARGIN_MS = 4 * TOKEN_CLOCK_TOLERANCE_SECONDS * 1000;
/** The longest key that stays readable, in UTF-16 units: below 256 bytes in UTF-8. Longer ones become a hash. */
const LONGEST_KEY = 80;

/** The entry that revokes `target`. It expires when every token that it is about has (O-87). */
export function revocationOf(target: RevocationTarget, nowMs: number): Entry {
  const fromMs = 'subject' in target ? target.issuedBefore * 1000 : nowMs;
  return {
    key: 'subject' in target ? subjectKey(target.subject) : tokenKey(target.jti),
    issuedBeforeMs: 'subject' in target ? fromMs : null,
    expiresMs: Math.max(fromMs, nowMs) + MAX_TOKEN_LIFETIME_SECONDS * 1000 + EXPIRY_MARGIN_MS,
  };
}

/** Holds nothing, and knows of nothing, before the first `add`. */
export function createRevocationList(clock: Clock): RevocationList {
  const entries = new Map<string, Entry>();
  let readAtMs = Number.NEGATIVE_INFINITY;
  let nextExpiryMs = Number.POSITIVE_INFINITY;

  const forgetExpired = (): void => {
    const now = clock.now();
    if (now < nextExpiryMs) return;
    nextExpiryMs = Number.POSITIVE_INFINITY;
    for (const [key, { expiresMs }] of entries) {
      if (expiresMs <= now) entries.delete(key);
      else nextExpiryMs = Math.min(nextExpiryMs, expiresMs);
    }
  };

  const isRevoked = (claims: Claims): boolean => {
    if (entries.size === 0) return false;
    const { sub, jti, iat } = claims;
    if (isName(jti) && isLive(entries.get(tokenKey(String(jti))))) return true;
    const entry = isName(sub) ? entries.get(subjectKey(String(sub))) : undefined;
    if (!isLive(entry)) return false;
    // A token from the future cannot be told from one that was there before.
    const latestMs = clock.now() + TOKEN_CLOCK_TOLERANCE_SECONDS * 1000;
    const issuedMs = typeof iat === 'number' ? iat * 1000 : Number.NEGATIVE_INFINITY;
    return issuedMs < entry.issuedBeforeMs! || issuedMs > latestMs;
  };
  const isLive = (entry: Entry | undefined): entry is Entry => entry !== undefined && entry.expiresMs > clock.now();

  return {
    isRevoked,
    refusal(claims) {
      if (isRevoked(claims)) return revoked();
      return clock.monotonic() - readAtMs <= REVOCATIONS_STALE_MS ? null : unreadable();
    },
    add(read) {
      readAtMs = clock.monotonic();
      for (const entry of read) {
        // Storage takes no more; this is for a storage of another release.
        if (entries.size >= MAX_REVOCATIONS && !entries.has(entry.key)) continue;
        entries.set(entry.key, entry);
        nextExpiryMs = Math.min(nextExpiryMs, entry.expiresMs);
      }
      forgetExpired();
    },
    get size() {
      return entries.size;
    },
  };
}

/** What the client of a revoked token is told. */
export function revoked(): CodedError {
  return codedError('PSYNC_S2120', 'The token has been revoked: fetch a new one');
}

function unreadable(): CodedError {
  return codedError('PSYNC_S2402', 'The list of revoked tokens cannot be read from bucket storage: try again', {
    status: 503,
  });
}

function isName(value: unknown): value is string | number | bigint {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint';
}

/** `subject` as the service knows the user: `sub` as text. */
function subjectKey(subject: string): string {
  return keyOf('sub', subject);
}
function tokenKey(jti: string): string {
  return keyOf('jti', jti);
}

/** JSON, because what is between the quotes may be any text. */
function keyOf(kind: 'sub' | 'jti', value: string): string {
  if (value.length <= LONGEST_KEY) {
    const readable = `${kind}:${JSON.stringify(value)}`;
    if (readable.length <= LONGEST_KEY) return readable;
  }
  return `${kind}#${createHash('sha256').update(JSON.stringify(value)).digest('base64url')}`;
}
