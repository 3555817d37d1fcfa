import { generateKeyPairSync, sign as signRaw, type JsonWebKey, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { CompactSign, exportJWK, generateKeyPair, type JWK } from 'jose';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../clock.ts';
import type { ClientAuthConfig, ConfiguredKey } from '../config/service-config.ts';
import { codedError } from '../errors/coded-error.ts';
import type { Log } from '../log.ts';
import { verifyAdminToken } from './admin-token.ts';
import type { FetchKeySet } from './key-set-request.ts';
import { createTokenVerifier, type TokenExaminer, type VerifiedToken } from './token-verifier.ts';

const SECRET = Buffer.from('a shared secret that is long enough').toString('base64url');
const SHARED = { kty: 'oct', alg: 'HS256', kid: 'bench', k: SECRET } as const;
const AUDIENCE = ['my-app', 'https://api.example/'];

let clock: FakeClock;
const open: TokenExaminer[] = [];
afterEach(() => open.splice(0).forEach((verifier) => verifier.close()));

interface Logged {
  readonly level: string;
  readonly message: string;
}
const logged: Logged[] = [];
const log: Log = Object.fromEntries(
  ['debug', 'info', 'warn', 'error'].map((level) => [
    level,
    (_fields: object, message: string) => logged.push({ level, message }),
  ]),
) as unknown as Log;

async function verifier(auth: Partial<ClientAuthConfig>, fetch?: FetchKeySet): Promise<TokenExaminer> {
  clock = createFakeClock();
  const clientAuth = { jwksUris: [], keys: [], audience: AUDIENCE, issuers: [], rejectIpRanges: [], ...auth };
  const created = await createTokenVerifier({ clientAuth, clock, log, ...(fetch === undefined ? {} : { fetch }) });
  open.push(created);
  return created;
}

const now = (): number => Math.floor((clock ?? createFakeClock()).now() / 1000);
const claims = (more: object = {}): object => ({ sub: 'u1', aud: 'my-app', iat: now(), exp: now() + 3600, ...more });

/** `payload` as text stays as it is. */
async function token(payload: object | string, header: { alg: string; kid?: string }, key: unknown): Promise<string> {
  const bytes = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  return new CompactSign(bytes).setProtectedHeader(header).sign(key as Uint8Array);
}
const shared = (payload: object | string = claims(), header: object = {}): Promise<string> =>
  token(payload, { alg: 'HS256', kid: 'bench', ...header }, Buffer.from(SECRET, 'base64url'));

/** The code of the refusal, or null. */
async function codeOf(verify: Promise<VerifiedToken>): Promise<string | null> {
  return verify.then(
    () => null,
    (error: { code: string }) => error.code,
  );
}

describe('the cases of wire/08-auth.txt', () => {
  const cases: [string, () => Promise<string | undefined>, string | null][] = [
    ['no authorization header', async () => undefined, 'PSYNC_S2106'],
    ['Token', async () => `Token ${await shared()}`, null],
    ['Bearer', async () => `Bearer ${await shared()}`, null],
    ['bearer in lower case', async () => `bearer ${await shared()}`, null],
    ['the bare token', () => shared(), 'PSYNC_S2106'],
    ['Basic', async () => `Basic ${await shared()}`, 'PSYNC_S2106'],
    ['not a JWT', async () => 'Token abc', 'PSYNC_S2101'],
    ['wrong signature', async () => `Token ${(await shared()).slice(0, -4)}AAAA`, 'PSYNC_S2101'],
    ['unknown kid', async () => `Token ${await shared(claims(), { kid: 'other' })}`, 'PSYNC_S2101'],
    ['no kid', async () => `Token ${await token(claims(), { alg: 'HS256' }, Buffer.from(SECRET, 'base64url'))}`, null],
    ['wrong audience', async () => `Token ${await shared(claims({ aud: 'other' }))}`, 'PSYNC_S2105'],
    ['no audience', async () => `Token ${await shared(claims({ aud: undefined }))}`, 'PSYNC_S2105'],
    ['audience list', async () => `Token ${await shared(claims({ aud: ['other', 'my-app'] }))}`, null],
    [
      'audience without its slash',
      async () => `Token ${await shared(claims({ aud: 'https://api.example' }))}`,
      'PSYNC_S2105',
    ],
    ['expired', async () => `Token ${await shared(claims({ iat: now() - 100, exp: now() - 31 }))}`, 'PSYNC_S2103'],
    [
      'expired within the tolerance',
      async () => `Token ${await shared(claims({ iat: now() - 99, exp: now() - 29 }))}`,
      null,
    ],
    ['no exp', async () => `Token ${await shared(claims({ exp: undefined }))}`, 'PSYNC_S2101'],
    ['no iat', async () => `Token ${await shared(claims({ iat: undefined }))}`, 'PSYNC_S2101'],
    ['exp as text', async () => `Token ${await shared(claims({ exp: `${now() + 60}` }))}`, 'PSYNC_S2101'],
    ['no sub', async () => `Token ${await shared(claims({ sub: undefined }))}`, 'PSYNC_S2101'],
    ['sub is a number', async () => `Token ${await shared(claims({ sub: 5 }))}`, null],
    ['sub is an object', async () => `Token ${await shared(claims({ sub: {} }))}`, 'PSYNC_S2101'],
    ['lifetime of 2 days', async () => `Token ${await shared(claims({ exp: now() + 172_800 }))}`, 'PSYNC_S2104'],
    ['lifetime of 24 hours', async () => `Token ${await shared(claims({ exp: now() + 86_400 }))}`, null],
    [
      'lifetime of 24 hours and 1 s',
      async () => `Token ${await shared(claims({ exp: now() + 86_401 }))}`,
      'PSYNC_S2104',
    ],
    ['iat in the future', async () => `Token ${await shared(claims({ iat: now() + 1800 }))}`, null],
    [
      'iat in the future to live longer',
      async () => `Token ${await shared(claims({ iat: now() + 86_400, exp: now() + 172_800 }))}`,
      'PSYNC_S2104',
    ],
    ['nbf in the future', async () => `Token ${await shared(claims({ nbf: now() + 600 }))}`, 'PSYNC_S2101'],
    ['nbf in the past', async () => `Token ${await shared(claims({ nbf: now() - 1 }))}`, null],
    [
      'alg none',
      async () =>
        `Token ${Buffer.from('{"alg":"none","kid":"bench"}').toString('base64url')}.${(await shared()).split('.')[1]}.`,
      'PSYNC_S2101',
    ],
    ['API token', async () => 'Token some-random-admin-token', 'PSYNC_S2101'],
    ['payload is no object', async () => `Token ${await shared('[1]')}`, 'PSYNC_S2101'],
    ['unsupported extensions', async () => `Token ${await withCritical()}`, 'PSYNC_S2101'],
    ['larger than 16 KB', async () => `Token ${await shared(claims({ x: 'x'.repeat(16_384) }))}`, 'PSYNC_S2101'],
  ];
  const withCritical = (): Promise<string> =>
    new CompactSign(Buffer.from(JSON.stringify(claims())))
      .setProtectedHeader({ alg: 'HS256', kid: 'bench', crit: ['x-new'], 'x-new': 1 })
      .sign(Buffer.from(SECRET, 'base64url'), { crit: { 'x-new': true } });

  test.each(cases)('%s → %3$s (O-83 … O-91)', async (_name, header, expected) => {
    const { verify } = await verifier({ keys: [SHARED] });
    expect(await codeOf(verify(await header()))).toBe(expected);
  });

  test('what a good token gives (O-89)', async () => {
    const { verify } = await verifier({ keys: [SHARED] });
    const text = `{"sub":77,"aud":"my-app","iat":${now()},"exp":${now() + 60},"big":12345678901234567890,"f":1.5,"in":{"n":-9007199254740993}}`;
    const verified = await verify(`Token ${await shared(text)}`);
    expect(verified).toMatchObject({ userId: '77', claimsText: text, expiresAtMs: (now() + 60) * 1000 });
    expect(verified.claims).toMatchObject({
      sub: 77,
      big: 12345678901234567890n,
      f: 1.5,
      in: { n: -9007199254740993n },
    });
  });

  test('messages never hold the token', async () => {
    const { verify } = await verifier({ keys: [SHARED] });
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 12 }), async (text) => {
        const error = await verify(`Token ${text}`).catch((each: Error) => each);
        expect((error as Error).message).not.toContain(text);
      }),
    );
  });
});

describe('keys', () => {
  interface Pair {
    readonly publicJwk: JWK;
    sign(payload: object, alg: string, kid?: string): Promise<string>;
  }
  const pairs = new Map<string, Pair>();

  const joined = (header: object, payload: object): string =>
    [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const edwards = (privateKey: KeyObject, publicKey: KeyObject): Pair => ({
    publicJwk: publicKey.export({ format: 'jwk' }),
    sign: async (payload, alg, kid) => {
      const input = joined({ alg, kid }, payload);
      return `${input}.${signRaw(null, Buffer.from(input), privateKey).toString('base64url')}`;
    },
  });
  const asymmetric = async (alg: string): Promise<Pair> => {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    return {
      publicJwk: await exportJWK(publicKey),
      sign: (payload, as, kid) => token(payload, { alg: as, ...(kid === undefined ? {} : { kid }) }, privateKey),
    };
  };
  beforeAll(async () => {
    for (const alg of ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512']) pairs.set(alg, await asymmetric(alg));
    for (const type of ['ed25519', 'ed448'] as const) {
      const { privateKey, publicKey } = generateKeyPairSync(type as 'ed25519');
      pairs.set(type, edwards(privateKey, publicKey));
    }
  });
  const keyOf = (name: string, more: object = {}): ConfiguredKey =>
    ({ ...pairs.get(name)!.publicJwk, ...more }) as unknown as ConfiguredKey;

  test.each([
    ['RS256', 'RS256'],
    ['RS384', 'RS384'],
    ['RS512', 'RS512'],
    ['ES256', 'ES256'],
    ['ES384', 'ES384'],
    ['ES512', 'ES512'],
    ['ed25519', 'EdDSA'],
    ['ed448', 'EdDSA'],
    ['ed448', 'Ed448'],
  ])('%s keys verify %s, and refuse a changed payload (O-92)', async (name, alg) => {
    const { verify } = await verifier({ keys: [keyOf(name, { kid: 'k' })] });
    const good = await pairs.get(name)!.sign(claims(), alg, 'k');
    expect(await codeOf(verify(`Token ${good}`))).toBe(null);
    const other = await pairs.get(name)!.sign(claims({ sub: 'u2' }), alg, 'k');
    const forged = [good.split('.')[0], other.split('.')[1], good.split('.')[2]].join('.');
    expect(await codeOf(verify(`Token ${forged}`))).toBe('PSYNC_S2101');
  });

  test('P-512 is read as P-521, and HMAC works with all its hashes (O-92, O-93)', async () => {
    const { verify } = await verifier({ keys: [keyOf('ES512', { crv: 'P-512', kid: 'k' })] });
    expect(await codeOf(verify(`Token ${await pairs.get('ES512')!.sign(claims(), 'ES512', 'k')}`))).toBe(null);
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      const hmac = await verifier({ keys: [{ ...SHARED, alg }] });
      expect(await codeOf(hmac.verify(`Token ${await shared(claims(), { alg })}`))).toBe(null);
    }
  });

  test('the algorithm comes from the key (O-94)', async () => {
    const rsa = keyOf('RS256', { kid: 'rsa', alg: 'RS256' });
    const { verify } = await verifier({ keys: [rsa, SHARED] });
    // The classic attack: the public key, in any of its forms, as HMAC secret.
    for (const secret of [JSON.stringify(rsa), String(rsa['n'])]) {
      const forged = await token(claims(), { alg: 'HS256', kid: 'rsa' }, Buffer.from(secret.padEnd(32, 'x')));
      expect(await codeOf(verify(`Token ${forged}`))).toBe('PSYNC_S2102');
    }
    const asRsa512 = await token(claims(), { alg: 'HS512', kid: 'bench' }, Buffer.from(SECRET, 'base64url'));
    expect(await codeOf(verify(`Token ${asRsa512}`))).toBe('PSYNC_S2102');
  });

  test('a key without kid matches any token, with or without one (O-85)', async () => {
    const { verify } = await verifier({ keys: [{ kty: 'oct', alg: 'HS256', k: SECRET }, keyOf('ES256')] });
    expect(await codeOf(verify(`Token ${await shared(claims(), { kid: 'whatever' })}`))).toBe(null);
    expect(await codeOf(verify(`Token ${await pairs.get('ES256')!.sign(claims(), 'ES256')}`))).toBe(null);
    expect(await codeOf(verify(`Token ${await pairs.get('ES384')!.sign(claims(), 'ES384')}`))).toBe('PSYNC_S2101');
  });

  test.each([
    [{ kty: 'RSA', kid: 'k', n: 'AQAB', e: 'AQAB' }],
    [{ kty: 'EC', crv: 'P-256', x: 'AQAB', y: 'AQAB' }],
    [{ kty: 'OKP', crv: 'Ed448', x: 'AQAB' }],
    [{ kty: 'OKP', crv: 'X25519', x: 'AQAB' }],
    [{ kty: 'oct', alg: 'HS256', k: '' }],
    [{ kty: 'oct', alg: 'RS256', k: SECRET }],
    [{ kty: 'oct', alg: 'HS256', k: SECRET, use: 'enc' }],
  ])('an unusable static key is refused at start: %j', async (key) => {
    await expect(verifier({ keys: [key as ConfiguredKey] })).rejects.toMatchObject({ code: 'PSYNC_S3120' });
  });

  describe('from an endpoint', () => {
    /** An endpoint whose answer the test decides. */
    function endpoint(first: unknown) {
      const state = { answer: first, requests: 0 };
      const fetch: FetchKeySet = async () => {
        state.requests++;
        if (state.answer instanceof Error) throw state.answer;
        return state.answer;
      };
      return { state, fetch };
    }
    const down = (): Error => codedError('PSYNC_S2204', 'down');
    const set = (...keys: ConfiguredKey[]): { keys: JsonWebKey[] } => ({ keys });
    const uris = { jwksUris: ['https://id.example/keys'] };
    const signed = async (kid: string, name = 'ES256', more: object = {}): Promise<string> =>
      `Token ${await pairs.get(name)!.sign(claims(more), name, kid)}`;

    test('keys are asked for at start and refreshed within 5 minutes (O-95, O-98)', async () => {
      const { state, fetch } = endpoint(set(keyOf('ES256', { kid: 'a' })));
      const { verify } = await verifier(uris, fetch);
      expect(await codeOf(verify(await signed('a')))).toBe(null);
      expect(state.requests).toBe(1);
      await clock.advance(5 * 60_000);
      expect(state.requests).toBe(2);
    });

    test('an unknown kid makes it ask again, at most once in 10 seconds (O-95, O-96)', async () => {
      const { state, fetch } = endpoint(set(keyOf('ES256', { kid: 'a' })));
      const { verify } = await verifier(uris, fetch);
      expect(await codeOf(verify(await signed('a')))).toBe(null);
      await clock.advance(10_000);
      state.answer = set(keyOf('ES256', { kid: 'a' }), keyOf('ES384', { kid: 'b' }));
      expect(await codeOf(verify(await signed('b', 'ES384')))).toBe(null);
      expect(state.requests).toBe(2);
      const strangers = Array.from({ length: 50 }, async (_, i) => codeOf(verify(await signed(`x${i}`))));
      expect(new Set(await Promise.all(strangers))).toEqual(new Set(['PSYNC_S2101']));
      expect(state.requests).toBe(2);
      await clock.advance(10_000);
      await Promise.all(Array.from({ length: 50 }, async (_, i) => codeOf(verify(await signed(`y${i}`)))));
      expect(state.requests).toBe(3);
    });

    test('an outage keeps the keys; unknown keys are then no fault of the client (O-96)', async () => {
      const { state, fetch } = endpoint(set(keyOf('ES256', { kid: 'a' })));
      const { verify } = await verifier(uris, fetch);
      expect(await codeOf(verify(await signed('a')))).toBe(null);
      state.answer = down();
      await clock.advance(3_600_000);
      expect(state.requests).toBeGreaterThan(10);
      expect(await codeOf(verify(await signed('a', 'ES256', { fresh: true })))).toBe(null);
      expect(await codeOf(verify(await signed('b')))).toBe('PSYNC_S2204');
      expect(logged).toContainEqual({ level: 'warn', message: 'Key set endpoint failed' });
    });

    test('without any keys yet: 503, asked again every 10 seconds, also for tokens of static keys none', async () => {
      const { state, fetch } = endpoint(down());
      const { verify } = await verifier({ ...uris, keys: [SHARED] }, fetch);
      expect(await codeOf(verify(`Token ${await shared()}`))).toBe(null);
      expect(await codeOf(verify(await signed('a')))).toBe('PSYNC_S2204');
      expect(state.requests).toBe(1);
      state.answer = set(keyOf('ES256', { kid: 'a' }));
      await clock.advance(10_000);
      expect(await codeOf(verify(await signed('a')))).toBe(null);
    });

    test('tokens of a withdrawn key fail, although they were verified before (O-99)', async () => {
      const { state, fetch } = endpoint(set(keyOf('ES256', { kid: 'a' }), keyOf('ES384', { kid: 'b' })));
      const { verify } = await verifier(uris, fetch);
      const [a, b] = [await signed('a'), await signed('b', 'ES384')];
      const first = await verify(a);
      expect(await verify(a)).toBe(first);
      await verify(b);
      state.answer = set(keyOf('ES384', { kid: 'b' }));
      await clock.advance(5 * 60_000);
      expect(await codeOf(verify(a))).toBe('PSYNC_S2101');
      expect(await codeOf(verify(b))).toBe(null);
    });

    test('keys that cannot be used and shared secrets are passed over; other documents are an error', async () => {
      const odd = [{ kty: 'RSA', use: 'enc' }, { kty: 'AKP' }, SHARED, null, 5] as unknown as ConfiguredKey[];
      const { fetch } = endpoint(set(...odd, keyOf('ES256', { kid: 'a' })));
      const { verify } = await verifier(uris, fetch);
      expect(await codeOf(verify(await signed('a')))).toBe(null);
      expect(await codeOf(verify(`Token ${await shared()}`))).toBe('PSYNC_S2101');
      const wrong = await verifier(uris, endpoint({ error: 'x' }).fetch);
      expect(await codeOf(wrong.verify(await signed('a')))).toBe('PSYNC_S2204');
    });
  });

  test('a remembered token is refused once it has expired (O-87)', async () => {
    const { verify } = await verifier({ keys: [SHARED] });
    const header = `Token ${await shared(claims({ exp: now() + 60 }))}`;
    expect(await verify(header)).toBe(await verify(header));
    await clock.advance(60_000 + 29_000);
    expect(await codeOf(verify(header))).toBe(null);
    await clock.advance(1000);
    expect(await codeOf(verify(header))).toBe('PSYNC_S2103');
  });
});

describe('admin token (O-109, O-110)', () => {
  const allowed = (header: string | undefined, tokens: string[]): boolean => {
    try {
      verifyAdminToken(header, tokens);
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: 'PSYNC_S2101', status: 401 });
      return false;
    }
  };

  test('passes with exactly one of the tokens, never without any', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[!-~]{1,20}$/), { maxLength: 4 }),
        fc.stringMatching(/^[!-~]{1,20}$/),
        fc.constantFrom('Bearer', 'Token', 'bearer'),
        (tokens, other, scheme) => {
          for (const token of tokens) expect(allowed(`${scheme} ${token}`, tokens)).toBe(true);
          expect(allowed(`${scheme} ${other}`, tokens)).toBe(tokens.includes(other));
          expect(allowed(other, tokens)).toBe(false);
        },
      ),
    );
    expect(allowed(undefined, ['x'])).toBe(false);
    expect(allowed('Bearer ', [''])).toBe(false);
    expect(allowed('Bearer', [''])).toBe(false);
    expect(allowed('Bearer x', [])).toBe(false);
  });
});
