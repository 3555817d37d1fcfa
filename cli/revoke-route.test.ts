/** `POST /api/admin/v1/revoke`. */
import Fastify from 'fastify';
import { describe, expect, test } from 'vitest';
import { createErrorHandler } from '#api-worker/http/errors.ts';
import type { Revocation, RevocationStore } from '#core/bucket-storage/revocation-store.ts';
import { createRevocationList } from '#core/platform/auth/revocations.ts';
import { createFakeClock } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { MAX_REVOCATIONS } from '#core/platform/limits.ts';
import { addRevokeRoute } from './revoke-route.ts';

const START = Date.UTC(2026, 0, 1, 12, 0, 0, 700);
const SECOND = START / 1000 - 0.7;

function open(revoke?: RevocationStore['revoke']) {
  const clock = createFakeClock(START);
  const recorded: Revocation[] = [];
  const nudges: string[] = [];
  const logged: object[] = [];
  const write = (fields: object): void => void logged.push(fields);
  const log = { debug: write, info: write, warn: write, error: write };
  const server = Fastify();
  server.setErrorHandler(createErrorHandler(log, () => {}));
  addRevokeRoute(server, {
    tokens: ['secret'],
    store: {
      revoke:
        revoke ??
        (async (revocation, most) => {
          expect(most).toBe(MAX_REVOCATIONS);
          recorded.push(revocation);
        }),
      after: async () => [],
    },
    coordination: { nudge: (topic) => void nudges.push(topic) },
    now: () => clock.now(),
    log,
  });
  const ask = async (payload: object, authorization = 'Bearer secret') => {
    const headers = { authorization };
    const response = await server.inject({ method: 'POST', url: '/api/admin/v1/revoke', headers, payload });
    return { status: response.statusCode, body: response.json<{ data?: object; error?: { code: string } }>() };
  };
  const list = createRevocationList(clock);
  const isRevoked = (claims: object): boolean => {
    list.add(recorded);
    return list.isRevoked({ ...claims });
  };
  return { ask, isRevoked, recorded, nudges, logged };
}

describe('revoking by the admin API', () => {
  test('a user: tokens issued until now, also within this second; later ones are fine', async () => {
    const { ask, isRevoked, nudges, logged } = open();
    expect(await ask({ subject: 'alice' })).toEqual({
      status: 200,
      body: {
        data: { subject: 'alice', issued_before: SECOND + 1, expires_at: '2026-01-02T12:02:01.000Z' },
      },
    });
    expect(isRevoked({ sub: 'alice', iat: SECOND })).toBe(true);
    expect(isRevoked({ sub: 'alice', iat: SECOND + 1 })).toBe(false);
    expect(isRevoked({ sub: 'bob', iat: SECOND - 100 })).toBe(false);
    expect(nudges).toEqual(['revocations']);
    expect(logged).toEqual([expect.objectContaining({ subject: 'alice', issued_before: SECOND + 1 })]);
  });

  test('a single token', async () => {
    const { ask, isRevoked } = open();
    expect(await ask({ jti: 't-1' })).toMatchObject({ status: 200, body: { data: { jti: 't-1' } } });
    expect(isRevoked({ sub: 'alice', jti: 't-1', iat: SECOND + 10 })).toBe(true);
    expect(isRevoked({ sub: 'alice', jti: 't-2', iat: SECOND - 10 })).toBe(false);
  });

  test.each<[unknown, number]>([
    [SECOND - 3600, SECOND - 3600],
    [0, 0],
    ['2026-01-01T11:00:00Z', SECOND - 3600],
    [SECOND + 300, SECOND + 300],
  ])('issued_before %j', async (given, expected) => {
    const { ask, recorded } = open();
    expect((await ask({ subject: 5, issued_before: given })).body.data).toMatchObject({
      subject: '5',
      issued_before: expected,
    });
    expect(recorded).toMatchObject([{ issuedBeforeMs: expected * 1000 }]);
  });

  test.each([
    [{}],
    [{ subject: 'a', jti: 'b' }],
    [{ subject: '' }],
    [{ subject: {} }],
    [{ jti: null }],
    [{ jti: '' }],
    [{ jti: 'a', issued_before: SECOND }],
    [{ subject: 'a', issued_before: SECOND + 302 }],
    [{ subject: 'a', issued_before: START }],
    [{ subject: 'a', issued_before: -1 }],
    [{ subject: 'a', issued_before: 'yesterday' }],
    [{ subject: 'a', issued_before: null }],
    [{ subjects: ['a'] }],
  ])('%j is not valid, and nothing is recorded', async (payload) => {
    const { ask, recorded, nudges } = open();
    expect(await ask(payload)).toMatchObject({ status: 400, body: { error: { code: 'PSYNC_S2001' } } });
    expect([recorded, nudges]).toEqual([[], []]);
  });

  test.each(['Bearer wrong', 'Bearer ', ''])('needs an admin token (O-109): %j', async (authorization) => {
    const { ask, recorded } = open();
    expect(await ask({ subject: 'alice' }, authorization)).toMatchObject({ status: 401 });
    expect(recorded).toEqual([]);
  });

  test('too many are refused with their code', async () => {
    const { ask, nudges } = open(() => Promise.reject(codedError('PSYNC_S4108', 'too many')));
    expect(await ask({ subject: 'alice' })).toMatchObject({ status: 409, body: { error: { code: 'PSYNC_S4108' } } });
    expect(nudges).toEqual([]);
  });
});
