import { hash, timingSafeEqual } from 'node:crypto';
import { codedError } from '../errors/coded-error.ts';

/**
 * Lets a request to the admin API pass (O-109): the header must be `Bearer` or `Token` with one of `api.tokens`. All are
 * compared, in constant time.
 *
 * Throws `PSYNC_S2101` (401) otherwise, and always when no token is configured (O-110).
 */
export function verifyAdminToken(authorization: string | undefined, tokens: readonly string[]): void {
  const given = /^(?:token|bearer) +(.+?) *$/i.exec(authorization ?? '')?.[1] ?? '';
  const digest = hash('sha256', given, 'buffer');
  let matches = 0;
  for (const token of tokens) {
    matches += timingSafeEqual(hash('sha256', token, 'buffer'), digest) && token !== '' ? 1 : 0;
  }
  if (matches > 0) return;
  throw codedError('PSYNC_S2101', 'The admin API needs the header "Authorization: Bearer <one of api.tokens>"');
}
