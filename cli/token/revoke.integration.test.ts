/** `millrace revoke` reaches the workers of an instance: through Redis at once, without it through storage (ADR 0007, G10). */
import { afterEach, describe, expect, test } from 'vitest';
import { createCoordination } from '#core/coordination/create-coordination.ts';
import { createRevocationList } from '#core/platform/auth/revocations.ts';
import { createFakeClock, realClock } from '#core/platform/clock.ts';
import { parseServiceConfig } from '#core/platform/config/load.ts';
import { SILENT_LOG } from '#core/platform/log.ts';
import { followRevocations } from '#api-worker/revocation/follow-revocations.ts';
import { freePort, until } from '#test/instance/instance.ts';
import { postgres } from '#test/services/postgres.ts';
import { redis } from '#test/services/redis.ts';
import { openStorage } from '../instance.ts';
import { revokeByCommand } from './revoke.ts';

const release: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of release.splice(0).toReversed()) await each();
});

/** A service configuration, and its storage, migrated. */
async function instance(redisLines: string) {
  const database = await (await postgres()).createDatabase();
  release.push(() => database.drop());
  const text = `storage: { type: postgresql, uri: "${database.url}", sslmode: disable }
${redisLines}client_auth: { jwks: { keys: [ { kty: oct, alg: HS256, kid: k, k: c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ } ] } }
`;
  const parsed = parseServiceConfig(text, { environment: {}, folder: '/', syncConfigContent: '', needsSource: false });
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  const storage = await openStorage(parsed.config, SILENT_LOG, realClock);
  release.push(() => storage.close());
  await storage.migrate();
  return { storage, config: parsed.config, flags: { base64: Buffer.from(text).toString('base64') } };
}

describe('millrace revoke', () => {
  test('tells the workers through Redis: they read the list at once', async () => {
    const prefix = (await redis()).createPrefix();
    release.push(() => prefix.drop());
    const { storage, config, flags } = await instance(
      `redis: { uri: "${prefix.url}", key_prefix: "${prefix.prefix}" }\n`,
    );
    const coordination = createCoordination(config.redis!, { log: SILENT_LOG, clock: realClock, random: Math.random });
    release.push(() => coordination.close());
    const stopped = new AbortController();
    release.push(() => stopped.abort());
    let reads = 0;
    let revoked = 0;
    await followRevocations({
      store: {
        async after(...position) {
          const entries = await storage.revocations.after(...position);
          reads++;
          return entries;
        },
      },
      coordination,
      list: createRevocationList(realClock),
      // No time passes: it never looks by itself.
      clock: createFakeClock(),
      signal: stopped.signal,
      onRevoked: () => revoked++,
      onFailure: (error) => expect.fail(String(error)),
    });
    // The first read, and another one when Redis has confirmed that it is heard from now on.
    await until('the subscription', () => reads >= 2);
    for (let round = 1; round <= 3; round++) {
      expect(await revokeByCommand(flags, { subject: `user-${round}` })).toContain(`user-${round}`);
      await until('the worker to know', () => revoked === round, 1000);
    }
  });

  test('does without a Redis that is away: it is in the list, for the next look', async () => {
    const { storage, flags } = await instance(`redis: { uri: "redis://127.0.0.1:${await freePort()}" }\n`);
    const started = performance.now();
    await revokeByCommand(flags, { jti: 'one' });
    expect(performance.now() - started).toBeLessThan(6000);
    expect(await storage.revocations.after(0, 10)).toHaveLength(1);
  });
});
