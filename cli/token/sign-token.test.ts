import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createTokenVerifier } from '#core/platform/auth/token-verifier.ts';
import { realClock } from '#core/platform/clock.ts';
import type { ClientAuthConfig, ConfiguredKey } from '#core/platform/config/service-config.ts';
import type { Log } from '#core/platform/log.ts';
import { readClaim } from './read-claim.ts';
import { signToken, type TokenRequest } from './token-command.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const SECRET = Buffer.from('a secret that stands in no answer').toString('base64url');
const shared = (kid: string | undefined, alg = 'HS256'): ConfiguredKey => ({
  kty: 'oct',
  alg,
  k: SECRET,
  ...(kid === undefined ? {} : { kid }),
});
const jwkOf = (key: KeyObject, kid: string, more: object = {}): ConfiguredKey =>
  ({ ...key.export({ format: 'jwk' }), kid, ...more }) as unknown as ConfiguredKey;

const authOf = (keys: readonly ConfiguredKey[], more: Partial<ClientAuthConfig> = {}): ClientAuthConfig => ({
  ...{ jwksUris: [], keys, audience: ['my-app', 'other'], issuers: [], rejectIpRanges: [] },
  ...more,
});
const request = (more: Partial<TokenRequest> = {}): TokenRequest => ({
  ...{ subject: 'alice', expiresInSeconds: 43_200, kid: null, audience: null, claims: {} },
  ...more,
});
const now = Math.floor(Date.now() / 1000);
const partOf = (token: string, part: 0 | 1): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[part]!, 'base64url').toString()) as Record<string, unknown>;

async function verify(auth: ClientAuthConfig, token: string) {
  const verifier = await createTokenVerifier({ clientAuth: auth, clock: realClock, log: silent });
  return verifier.verify(`Token ${token}`).finally(() => verifier.close());
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pairs = {
  RS256: rsa,
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  Ed25519: generateKeyPairSync('ed25519'),
  Ed448: generateKeyPairSync('ed448'),
};

describe('a development token (O-107, O-264)', () => {
  test('has the subject, the first audience, and 12 hours to live', async () => {
    const auth = authOf([shared('dev')]);
    const token = await signToken(auth, request(), now);
    expect(partOf(token, 0)).toEqual({ typ: 'JWT', alg: 'HS256', kid: 'dev' });
    const { jti, ...claims } = partOf(token, 1);
    expect(claims).toEqual({ sub: 'alice', aud: 'my-app', iat: now, exp: now + 43_200 });
    expect(jti).toMatch(/^[\w-]{36}$/);
    expect(await verify(auth, token)).toMatchObject({ userId: 'alice', expiresAtMs: (now + 43_200) * 1000 });
  });

  test('has what was asked for', async () => {
    const auth = authOf([shared('dev'), shared('b', 'HS512')], { issuers: ['me', 'you'] });
    const claims = { roles: ['a'], jti: 'mine', iss: 'you' };
    const token = await signToken(auth, request({ kid: 'b', audience: 'other', expiresInSeconds: 60, claims }), now);
    expect(partOf(token, 0)).toMatchObject({ alg: 'HS512', kid: 'b' });
    expect(partOf(token, 1)).toEqual({ ...claims, sub: 'alice', aud: 'other', iat: now, exp: now + 60 });
    expect(partOf(await signToken(auth, request(), now), 1)['iss']).toBe('me');
  });

  test.each(Object.entries(pairs))('is signed with a private key: %s', async (name, { privateKey, publicKey }) => {
    const auth = authOf([jwkOf(publicKey, 'public'), jwkOf(privateKey, 'private')]);
    const token = await signToken(auth, request(), now);
    expect(partOf(token, 0)).toMatchObject({ kid: 'private', alg: name.startsWith('Ed') ? 'EdDSA' : name });
    expect(await verify(authOf([jwkOf(publicKey, 'private')]), token)).toMatchObject({ userId: 'alice' });
  });

  test.each(['RS384', 'RS512', 'HS256', 'HS384', 'HS512', 'P-512'])('is signed as the key says: %s', async (alg) => {
    const misspelled = jwkOf(pairs.ES512.privateKey, 'k', { crv: 'P-512' });
    const key = alg.startsWith('H')
      ? shared('k', alg)
      : alg === 'P-512'
        ? misspelled
        : jwkOf(rsa.privateKey, 'k', { alg });
    const auth = authOf([key]);
    const token = await signToken(auth, request(), now);
    expect(partOf(token, 0)['alg']).toBe(alg === 'P-512' ? 'ES512' : alg);
    expect(await verify(auth, token)).toMatchObject({ userId: 'alice' });
  });

  test('a key without kid gives a token without one', async () => {
    const auth = authOf([shared(undefined)]);
    const token = await signToken(auth, request(), now);
    expect(partOf(token, 0)).toEqual({ typ: 'JWT', alg: 'HS256' });
    expect(await verify(auth, token)).toMatchObject({ userId: 'alice' });
  });

  const { n, ...withoutModulus } = jwkOf(rsa.privateKey, 'k') as ConfiguredKey & { n: string };
  const other = generateKeyPairSync('ed25519');
  const mixed = { ...jwkOf(pairs.Ed25519.privateKey, 'k'), x: jwkOf(other.publicKey, 'k')['x'] } as ConfiguredKey;
  test.each<[string, Partial<ClientAuthConfig>, Partial<TokenRequest>, string, RegExp]>([
    ['no keys', { keys: [] }, {}, 'PSYNC_S2201', /has no keys: none can sign.*kty: oct/],
    ['public keys only', { keys: [jwkOf(rsa.publicKey, 'a')] }, {}, 'PSYNC_S2201', /only public keys \("a"\)/],
    [
      'a public key by its kid',
      { keys: [jwkOf(rsa.publicKey, 'a')] },
      { kid: 'a' },
      'PSYNC_S2201',
      /"a".* is a public one/,
    ],
    ['an unknown kid', {}, { kid: 'z' }, 'PSYNC_S2201', /no key with kid "z"; it has "dev"/],
    ['a damaged private part', { keys: [{ ...withoutModulus, n: 'AQAB' }] }, {}, 'PSYNC_S3120', /"k"/],
    ['a private part of another key', { keys: [mixed] }, {}, 'PSYNC_S2101', /signature/],
    ['no audience', { audience: [] }, {}, 'PSYNC_S2201', /client_auth\.audience is empty/],
    ['another audience', {}, { audience: 'x' }, 'PSYNC_S2105', /audience/],
    ['another issuer', { issuers: ['me'] }, { claims: { iss: 'x' } }, 'PSYNC_S2121', /issuer/],
    ['too long a life', {}, { expiresInSeconds: 86_401 }, 'PSYNC_S2201', /86400 seconds at most, not 86401/],
    ['not valid yet', {}, { claims: { nbf: now + 600 } }, 'PSYNC_S2101', /nbf/],
    ['sub as a claim', {}, { claims: { sub: 'x' } }, 'PSYNC_S2201', /--subject/],
    ['exp as a claim', {}, { claims: { exp: 1 } }, 'PSYNC_S2201', /--expires-in-seconds/],
  ])('is not given out: %s', async (_name, auth, asked, code, message) => {
    const attempt = signToken(authOf([shared('dev')], auth), request(asked), now);
    await expect(attempt).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    const { message: said } = (await attempt.catch((error: unknown) => error)) as Error;
    for (const secret of [SECRET, n]) expect(said).not.toContain(secret);
  });
});

describe('claims of the command line', () => {
  test('JSON is taken as JSON, other text as text', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[^=]+$/), fc.jsonValue(), (name, value) => {
        const text = JSON.stringify(value);
        expect(readClaim(`${name}=${text}`)).toEqual({ name, value: JSON.parse(text) as unknown });
      }),
    );
    expect(readClaim('role=admin')).toEqual({ name: 'role', value: 'admin' });
    expect(readClaim('url=a=b')).toEqual({ name: 'url', value: 'a=b' });
    expect(readClaim('empty=')).toEqual({ name: 'empty', value: '' });
  });
  test.each(['x', '=x', '', 'a={', 'a=["b"', 'a="b'])('%j is refused', (text) => {
    expect(readClaim(text)).toEqual(expect.any(String));
  });
});
