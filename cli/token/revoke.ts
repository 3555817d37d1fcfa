/** Revoking tokens before they expire: what `millrace revoke` and the admin API have in common. */
import type { RevocationStore } from '#core/bucket-storage/revocation-store.ts';
import { revocationOf, type RevocationTarget } from '#core/platform/auth/revocations.ts';
import { realClock } from '#core/platform/clock.ts';
import { type ConfigFlags, loadServiceConfig } from '#core/platform/config/load.ts';
import type { ServiceConfig } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { MAX_REVOCATIONS } from '#core/platform/limits.ts';
import { SILENT_LOG } from '#core/platform/log.ts';
import { openStorage } from '../instance.ts';

/** What an operator gives, not checked yet. */
export interface RevocationRequest {
  readonly subject?: unknown;
  readonly jti?: unknown;
  /** Seconds since 1970, or a date and time in ISO 8601. */
  readonly issuedBefore?: unknown;
}

export interface RecordedTarget {
  readonly target: RevocationTarget;
  /** When the last token that it is about has expired by itself, and it is forgotten. */
  readonly expiresMs: number;
}

/** For issuers whose clock is ahead: so far may `issued_before` lie in the future. */
const MOST_AHEAD_SECONDS = 300;

/**
 * Records a revocation. Workers refuse the tokens from their next look at the list on: at once when they are told, else within two
 * seconds. They end the streams that use them.
 *
 * Rejects with `PSYNC_S2001` (400) when the request is not valid, with `S4108` when too many are recorded.
 */
export async function revokeTokens(
  store: RevocationStore,
  request: RevocationRequest,
  nowMs: number,
): Promise<RecordedTarget> {
  const target = targetOf(request, nowMs / 1000);
  const revocation = revocationOf(target, nowMs);
  await store.revoke(revocation, MAX_REVOCATIONS);
  return { target, expiresMs: revocation.expiresMs };
}

function targetOf({ subject, jti, issuedBefore }: RevocationRequest, now: number): RevocationTarget {
  if ((subject === undefined) === (jti === undefined)) {
    throw invalid('give either subject (all tokens of a user issued until now) or jti (a single token)');
  }
  if (jti !== undefined) {
    if (issuedBefore !== undefined) throw invalid('issued_before goes with subject only');
    return { jti: textOf(jti, 'jti') };
  }
  // A token that was issued within this very second may be older than the call: it is refused too.
  const before = issuedBefore === undefined ? Math.floor(now) + 1 : secondsOf(issuedBefore);
  if (before > now + MOST_AHEAD_SECONDS) {
    throw invalid(
      `issued_before may lie ${MOST_AHEAD_SECONDS} seconds in the future at most; it is in seconds since 1970`,
    );
  }
  return { subject: textOf(subject, 'subject'), issuedBefore: before };
}

/** Users and tokens may be named by numbers in a token too; there they count as their text. */
function textOf(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  throw invalid(`${what} must be a text that is not empty`);
}

function secondsOf(value: unknown): number {
  const seconds = typeof value === 'string' ? Date.parse(value) / 1000 : value;
  if (typeof seconds === 'number' && Number.isFinite(seconds) && seconds >= 0) return seconds;
  throw invalid('issued_before must be seconds since 1970, or a time like 2026-01-31T12:00:00Z');
}

function invalid(message: string): Error {
  return codedError('PSYNC_S2001', `The revocation is not valid: ${message}`, { status: 400 });
}

/** Longest wait for Redis: by then the workers have found out by themselves. */
const TELL_MS = 2000;

/** Without Redis, or while it is away, workers read the list every other second. */
async function tellWorkers({ redis }: ServiceConfig): Promise<void> {
  if (redis === undefined) return;
  // Loaded when it is used, like the drivers of the storages.
  const { nudgeOnce } = await import('#core/coordination/redis/nudge-once.ts');
  await nudgeOnce(redis, 'revocations', TELL_MS, { log: SILENT_LOG, clock: realClock, random: Math.random });
}

/** `millrace revoke`: through bucket storage, whether or not the service runs; tells its workers through Redis. Answers what to print. */
export async function revokeByCommand(flags: ConfigFlags, request: RevocationRequest): Promise<string> {
  const { config } = await loadServiceConfig({ flags, environment: process.env, workingFolder: process.cwd() });
  const storage = await openStorage(config, SILENT_LOG, realClock);
  try {
    await storage.assertMigrated();
    const { target } = await revokeTokens(storage.revocations, request, realClock.now());
    await tellWorkers(config);
    if ('jti' in target) return `Revoked the token ${JSON.stringify(target.jti)}.`;
    const until = new Date(target.issuedBefore * 1000).toISOString();
    return `Revoked the tokens of ${JSON.stringify(target.subject)} that were issued before ${until}.`;
  } finally {
    await storage.close();
  }
}
