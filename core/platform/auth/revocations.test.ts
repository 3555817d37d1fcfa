import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../clock.ts';
import { MAX_TOKEN_LIFETIME_SECONDS, REVOCATIONS_STALE_MS, TOKEN_CLOCK_TOLERANCE_SECONDS } from '../limits.ts';
import { createRevocationList, revocationOf, type RevocationTarget } from './revocations.ts';

const subjects = fc.oneof(
  fc.constantFrom('alice', 'bob', '5', '', '"', 'x'.repeat(80), 'x'.repeat(20_000), 'y'.repeat(20_000)),
  fc.string({ unit: 'binary', maxLength: 100 }),
);

function start() {
  const clock = createFakeClock();
  const list = createRevocationList(clock);
  const now = (): number => clock.now() / 1000;
  const revoke = (target: RevocationTarget): void => list.add([revocationOf(target, clock.now())]);
  return { clock, list, now, revoke };
}

describe('the list of revoked tokens', () => {
  test('a user: exactly the tokens issued before the time are refused, whatever the name', () => {
    fc.assert(
      fc.property(
        fc.array(subjects, { maxLength: 5 }),
        subjects,
        fc.integer({ min: -100, max: 100 }),
        (revoked, sub, age) => {
          const { list, now, revoke } = start();
          for (const subject of revoked) revoke({ subject, issuedBefore: now() - 10 });
          const isOld = -age < -10;
          expect(list.isRevoked({ sub, iat: now() - age })).toBe(
            revoked.includes(sub) && (isOld || -age > TOKEN_CLOCK_TOLERANCE_SECONDS),
          );
        },
      ),
    );
  });

  test('a single token: by its jti alone, whoever it is of', () => {
    fc.assert(
      fc.property(fc.array(subjects, { maxLength: 5 }), subjects, (revoked, jti) => {
        const { list, now, revoke } = start();
        for (const each of revoked) revoke({ jti: each });
        expect(list.isRevoked({ sub: 'alice', jti, iat: now() })).toBe(revoked.includes(jti));
        expect(list.isRevoked({ sub: jti, iat: now() })).toBe(false);
      }),
    );
  });

  test('sub and jti as numbers are what they are as text; other values name nothing', () => {
    const { list, now, revoke } = start();
    revoke({ subject: '77', issuedBefore: now() });
    revoke({ jti: '12345678901234567890' });
    expect(list.isRevoked({ sub: 77, iat: now() - 1 })).toBe(true);
    expect(list.isRevoked({ sub: 'a', iat: now(), jti: 12345678901234567890n })).toBe(true);
    for (const odd of [null, {}, [], true, undefined])
      expect(list.isRevoked({ sub: odd, jti: odd, iat: 0 })).toBe(false);
    expect(list.isRevoked({ sub: '77' })).toBe(true);
    expect(list.isRevoked({ sub: '77', iat: 'soon' })).toBe(true);
  });

  test('an entry lasts until its last token has expired by itself, and then goes', async () => {
    const { clock, list, now, revoke } = start();
    const issuedBefore = now() + 1;
    revoke({ subject: 'alice', issuedBefore });
    revoke({ jti: 'x' });
    // The last one that it is about, with the longest life, and a worker whose clock is late (O-87, O-91).
    const lastUseMs = (issuedBefore + MAX_TOKEN_LIFETIME_SECONDS + 2 * TOKEN_CLOCK_TOLERANCE_SECONDS) * 1000;
    await clock.advance(lastUseMs - clock.now());
    list.add([]);
    expect(list.isRevoked({ sub: 'alice', iat: issuedBefore - 0.001 })).toBe(true);
    expect(list.isRevoked({ sub: 'bob', jti: 'x' })).toBe(true);
    await clock.advance(5 * 60_000);
    expect(list.isRevoked({ sub: 'alice', iat: issuedBefore - 0.001 })).toBe(false);
    list.add([]);
    expect(list.size).toBe(0);
  });

  test('a later entry of the same user replaces the earlier one', () => {
    const { list, now, revoke } = start();
    revoke({ subject: 'alice', issuedBefore: now() - 100 });
    expect(list.isRevoked({ sub: 'alice', iat: now() - 50 })).toBe(false);
    revoke({ subject: 'alice', issuedBefore: now() });
    expect(list.isRevoked({ sub: 'alice', iat: now() - 50 })).toBe(true);
    expect(list.size).toBe(1);
  });

  test('without being read it refuses everybody for now (503), and says so of nobody who is in', async () => {
    const { clock, list } = start();
    expect(list.refusal({ sub: 'a' })).toMatchObject({ code: 'PSYNC_S2402', status: 503 });
    list.add([]);
    expect(list.refusal({ sub: 'a' })).toBeNull();
    await clock.advance(REVOCATIONS_STALE_MS + 1);
    expect(list.refusal({ sub: 'a' })).toMatchObject({ code: 'PSYNC_S2402', status: 503 });
    expect(list.isRevoked({ sub: 'a' })).toBe(false);
  });

  test('keys are short, and hold no text that a database could not keep', () => {
    fc.assert(
      fc.property(subjects, (subject) => {
        for (const target of [{ subject, issuedBefore: 0 }, { jti: subject }]) {
          const { key } = revocationOf(target, 0);
          expect(Buffer.byteLength(key)).toBeLessThanOrEqual(256);
          expect(key).toBe(key.toWellFormed());
          expect(key).not.toContain('\0');
        }
      }),
    );
  });
});
