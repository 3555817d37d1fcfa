/** What is said of a token is what is done with it: `examine` beside `verify`, and both beside a plain account of the rules. */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '../clock.ts';
import type { ClientAuthConfig, ConfiguredKey } from '../config/service-config.ts';
import { codedError } from '../errors/coded-error.ts';
import type { Log } from '../log.ts';
import { CHECK_NAMES, type Check } from './check.ts';
import type { FetchKeySet } from './key-set-request.ts';
import { createRevocationList, revocationOf } from './revocations.ts';
import { createTokenVerifier, type TokenExaminer } from './token-verifier.ts';

const SECRET = Buffer.from('a shared secret that is long enough');
const SHARED = { kty: 'oct', alg: 'HS256', kid: 'a', k: SECRET.toString('base64url') } as const;
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const EDWARDS = { ...publicKey.export({ format: 'jwk' }), kid: 'ed' } as unknown as ConfiguredKey;
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

const open: TokenExaminer[] = [];
afterEach(() => open.splice(0).forEach((verifier) => verifier.close()));

const clock = createFakeClock();
const now = (): number => clock.now() / 1000;

async function start(auth: Partial<ClientAuthConfig> = {}, fetch?: FetchKeySet) {
  const revocations = createRevocationList(clock);
  revocations.add([
    revocationOf({ subject: 'revoked', issuedBefore: now() }, clock.now()),
    revocationOf({ jti: 'revoked' }, clock.now()),
  ]);
  const clientAuth: ClientAuthConfig = {
    ...{ jwksUris: [], keys: [SHARED, EDWARDS], audience: ['app', 'https://app/'], issuers: [], rejectIpRanges: [] },
    ...auth,
  };
  const verifier = await createTokenVerifier({
    ...{ clientAuth, clock, log: silent, revocations },
    ...(fetch === undefined ? {} : { fetch }),
  });
  open.push(verifier);
  return verifier;
}

const encode = (part: object | string): string =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
function hmac(payload: object | string, header: object = { alg: 'HS256', kid: 'a' }, secret = SECRET): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}
const claims = (more: object = {}): object => ({ sub: 'u', aud: 'app', iat: now(), exp: now() + 60, ...more });

async function look(verifier: TokenExaminer, header: string | undefined): Promise<Check[]> {
  const checks: Check[] = [];
  for await (const check of verifier.examine(header)) checks.push(check);
  return checks;
}
const firstRefusal = (checks: readonly Check[]): Check | undefined => checks.find(({ refusal }) => refusal !== null);
const refusalOf = (verifier: TokenExaminer, header: string | undefined): Promise<string | null> =>
  verifier.verify(header).then(
    () => null,
    (error: { code: string }) => error.code,
  );

/** Refused tokens: which check finds it, the code, and what an operator is told. */
const CASES: readonly [name: string, header: () => string | undefined, at: string, code: string, finding: RegExp][] = [
  ['no header', () => undefined, 'token', 'PSYNC_S2106', /there is none/],
  ['another scheme', () => `Basic ${hmac(claims())}`, 'token', 'PSYNC_S2106', /there is none/],
  ['no JWT', () => 'Token abc', 'form', 'PSYNC_S2101', /3 characters/],
  ['no object', () => `Token ${hmac('[1]')}`, 'form', 'PSYNC_S2101', /characters/],
  ['too long', () => `Token ${hmac(claims({ x: 'x'.repeat(16_384) }))}`, 'form', 'PSYNC_S2101', /characters/],
  ['alg none', () => `Token ${hmac(claims(), { alg: 'none', kid: 'a' })}`, 'algorithm', 'PSYNC_S2101', /"none"/],
  ['crit', () => `Token ${hmac(claims(), { alg: 'HS256', crit: ['b64'] })}`, 'algorithm', 'PSYNC_S2101', /"HS256"/],
  [
    'unknown kid',
    () => `Token ${hmac(claims(), { alg: 'HS256', kid: 'z' })}`,
    'key',
    'PSYNC_S2101',
    /no key has kid "z"; there are "a", "ed" of the service configuration/,
  ],
  [
    'algorithm of another key type',
    () => `Token ${hmac(claims(), { alg: 'HS256', kid: 'ed' })}`,
    'key type',
    'PSYNC_S2102',
    /alg is "HS256"; the key is for EdDSA, Ed25519/,
  ],
  [
    'no kid, and no key for it',
    () => `Token ${hmac(claims(), { alg: 'RS256' })}`,
    'key type',
    'PSYNC_S2101',
    /"RS256"/,
  ],
  [
    'wrong secret',
    () => `Token ${hmac(claims(), undefined, Buffer.from('x'))}`,
    'signature',
    'PSYNC_S2101',
    /another key/,
  ],
  ['no sub', () => `Token ${hmac(claims({ sub: undefined }))}`, 'subject', 'PSYNC_S2101', /sub is absent/],
  ['empty sub', () => `Token ${hmac(claims({ sub: '' }))}`, 'subject', 'PSYNC_S2101', /sub is ""/],
  [
    'audience without its slash',
    () => `Token ${hmac(claims({ aud: 'https://app' }))}`,
    'audience',
    'PSYNC_S2105',
    /aud is "https:\/\/app"; accepted: "app", "https:\/\/app\/" \(they differ only in a slash/,
  ],
  ['no iat', () => `Token ${hmac(claims({ iat: undefined }))}`, 'issued at', 'PSYNC_S2101', /absent/],
  ['exp is text', () => `Token ${hmac(claims({ exp: '5' }))}`, 'expires', 'PSYNC_S2101', /a number of seconds/],
  [
    'expired',
    () => `Token ${hmac(claims({ iat: now() - 70, exp: now() - 60 }))}`,
    'expires',
    'PSYNC_S2103',
    /60 s ago/,
  ],
  ['two days', () => `Token ${hmac(claims({ exp: now() + 172_800 }))}`, 'lifetime', 'PSYNC_S2104', /172800 s of/],
  ['not yet', () => `Token ${hmac(claims({ nbf: now() + 31 }))}`, 'not before', 'PSYNC_S2101', /31 s from now/],
  [
    'user revoked',
    () => `Token ${hmac(claims({ sub: 'revoked', iat: now() - 1 }))}`,
    'revocation',
    'PSYNC_S2120',
    /deny list/,
  ],
  ['token revoked', () => `Token ${hmac(claims({ jti: 'revoked' }))}`, 'revocation', 'PSYNC_S2120', /deny list/],
];

describe('a refused token', () => {
  const cases = CASES.map(([name, header, at, code, finding]) => ({ name, header, at, code, finding }));
  test.each(cases)('$name: $code, found by the check "$at"', async ({ header, at, code, finding }) => {
    const verifier = await start();
    const checks = await look(verifier, header());
    expect(firstRefusal(checks)).toMatchObject({ name: at, refusal: { code } });
    expect(firstRefusal(checks)!.finding).toMatch(finding);
    expect(await refusalOf(verifier, header())).toBe(code);
    const order = checks.map(({ name }) => CHECK_NAMES.indexOf(name));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  });

  test('another issuer, where issuers are configured', async () => {
    const verifier = await start({ issuers: ['https://id.example/'] });
    for (const [iss, code] of [
      ['https://id.example/', null],
      ['https://id.example', 'PSYNC_S2121'],
      [undefined, 'PSYNC_S2121'],
      [['https://id.example/'], 'PSYNC_S2121'],
    ] as const) {
      const header = `Token ${hmac(claims({ iss }))}`;
      expect(await refusalOf(verifier, header)).toBe(code);
      expect(firstRefusal(await look(verifier, header))?.refusal?.code ?? null).toBe(code);
    }
    const [check] = (await look(verifier, `Token ${hmac(claims({ iss: 'https://id.example' }))}`)).filter(
      ({ name }) => name === 'issuer',
    );
    expect(check?.finding).toMatch(/they differ only in a slash/);
  });

  test('shows all its mistakes at once, and is not accepted afterwards', async () => {
    const verifier = await start();
    const header = `Token ${hmac(claims({ aud: 'x', iat: now() - 200_000, exp: now() - 60, jti: 'revoked' }))}`;
    for (let round = 0; round < 2; round++) {
      const refused = (await look(verifier, header)).filter(({ refusal }) => refusal !== null);
      expect(refused.map(({ name }) => name)).toEqual(['audience', 'expires', 'lifetime', 'revocation']);
    }
    expect(await refusalOf(verifier, header)).toBe('PSYNC_S2105');
  });

  test('findings show neither token nor secret', async () => {
    const verifier = await start();
    const { k } = SHARED;
    for (const [, header] of CASES) {
      const said = JSON.stringify(await look(verifier, header()));
      for (const part of header()?.split(/[ .]/).slice(1) ?? []) {
        if (part.length > 10) expect(said).not.toContain(part);
      }
      expect(said).not.toContain(k);
    }
  });
});

test('a token that was accepted before, and is remembered, is refused as soon as it is revoked', async () => {
  const revocations = createRevocationList(clock);
  const clientAuth = { jwksUris: [], keys: [SHARED], audience: ['app'], issuers: [], rejectIpRanges: [] };
  const verifier = await createTokenVerifier({ clientAuth, clock, log: silent, revocations });
  open.push(verifier);
  const header = `Token ${hmac(claims({ iat: now() - 1 }))}`;
  expect(await refusalOf(verifier, header)).toBe('PSYNC_S2402');
  revocations.add([]);
  expect(await refusalOf(verifier, header)).toBeNull();
  revocations.add([revocationOf({ subject: 'u', issuedBefore: now() }, clock.now())]);
  expect(await refusalOf(verifier, header)).toBe('PSYNC_S2120');
});

describe('keys of endpoints', () => {
  const uris = { jwksUris: ['https://one.example/keys?secret=1', 'https://two.example/keys'], keys: [] };
  const edwards = (kid: string | undefined): string => {
    const input = `${encode({ alg: 'EdDSA', kid })}.${encode(claims())}`;
    return `Token ${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`;
  };
  const down = codedError('PSYNC_S2204', 'The key set at https://one.example/keys cannot be fetched: down');

  test('which endpoint has the key is said, and the parameters of its address are not', async () => {
    const verifier = await start(uris, async (uri) => ({ keys: uri.includes('two') ? [EDWARDS] : [] }));
    const checks = await look(verifier, edwards('ed'));
    expect(firstRefusal(checks)).toBeUndefined();
    expect(checks.find(({ name }) => name === 'key')?.finding).toBe('kid "ed" is a key of https://two.example/keys');
    expect(checks.find(({ name }) => name === 'signature')?.finding).toContain('https://two.example/keys');
    const unknown = await look(verifier, edwards('z'));
    expect(firstRefusal(unknown)).toMatchObject({ name: 'key', refusal: { code: 'PSYNC_S2101' } });
    expect(firstRefusal(unknown)!.finding).toMatch(/"ed" of https:\/\/two.example\/keys; endpoints were asked within/);
    expect(JSON.stringify(unknown)).not.toContain('secret');
  });

  test.each(['PSYNC_S2202', 'PSYNC_S2203', 'PSYNC_S2204'] as const)(
    'one that fails with %s is the reason for a key that is missing, not for one that is there',
    async (code) => {
      const verifier = await start(uris, async (uri) => {
        if (uri.includes('one')) throw codedError(code, 'why it failed');
        return { keys: [EDWARDS] };
      });
      expect(await refusalOf(verifier, edwards('ed'))).toBeNull();
      const missing = await look(verifier, edwards('z'));
      expect(firstRefusal(missing)).toMatchObject({ name: 'key', refusal: { code } });
      expect(firstRefusal(missing)!.finding).toContain('why it failed');
      expect(await refusalOf(verifier, edwards('z'))).toBe(code);
    },
  );

  test('a key of the set that cannot be used is named, with the reason', async () => {
    const odd = { ...EDWARDS, use: 'enc' };
    const verifier = await start(uris, async () => ({
      keys: [odd, { kty: 'RSA', kid: 'weak', n: 'AQAB', e: 'AQAB' }],
    }));
    const checks = await look(verifier, edwards('ed'));
    expect(firstRefusal(checks)!.finding).toMatch(/has it, but .*its use is not "sig"/);
    expect(firstRefusal(await look(verifier, edwards('weak')))!.finding).toMatch(/2048/);
  });

  test('an endpoint that does not answer does not hold up the keys of another one, at first and later', async () => {
    let keys: unknown[] = [EDWARDS];
    const never = new Promise<never>(() => undefined);
    const verifier = await start(uris, (uri) => (uri.includes('one') ? never : Promise.resolve({ keys })));
    expect(await refusalOf(verifier, edwards('ed'))).toBeNull();
    keys = [{ ...EDWARDS, kid: 'new' }];
    await clock.advance(10_000);
    expect(await refusalOf(verifier, edwards('new'))).toBeNull();
  });

  test('one that never answers is waited for 10 seconds at most, and then to blame', async () => {
    const verifier = await start(uris, (uri) =>
      uri.includes('one') ? new Promise<never>(() => undefined) : Promise.resolve({ keys: [EDWARDS] }),
    );
    for (const ask of [refusalOf, async (...of: Parameters<typeof look>) => firstRefusal(await look(...of))]) {
      let answer: unknown = 'none yet';
      void ask(verifier, edwards('z')).then((given) => (answer = given));
      await clock.advance(9900);
      expect(answer).toBe('none yet');
      await clock.advance(200);
      expect(JSON.stringify(answer)).toContain('PSYNC_S2204');
      expect(JSON.stringify(answer)).not.toContain('secret');
    }
    const timers = clock.waiting;
    // a key that is there needs no waiting, and leaves no timer
    expect(await refusalOf(verifier, edwards('ed'))).toBeNull();
    expect(clock.waiting).toBe(timers);
  });

  test('an RSA key without kid, from an endpoint, fits every token (O-85)', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const verifier = await start(uris, async () => ({ keys: [rsa.publicKey.export({ format: 'jwk' })] }));
    const input = `${encode({ alg: 'RS256', kid: 'any' })}.${encode(claims())}`;
    const signed = `${input}.${sign('sha256', Buffer.from(input), rsa.privateKey).toString('base64url')}`;
    expect(await refusalOf(verifier, `Token ${signed}`)).toBeNull();
    const finding = (await look(verifier, `Token ${signed}`)).find(({ name }) => name === 'key')?.finding;
    expect(finding).toBe('no key has kid "any"; it fits a key of https://one.example/keys');
  });

  test('without any answer yet nothing but the endpoint is to blame', async () => {
    const verifier = await start({ ...uris, jwksUris: uris.jwksUris.slice(0, 1) }, () => Promise.reject(down));
    expect(firstRefusal(await look(verifier, edwards('ed')))!.finding).toMatch(/there are no keys; The key set at/);
    expect(await refusalOf(verifier, edwards(undefined))).toBe('PSYNC_S2204');
  });
});

test('what examine says first is what verify does; both as the rules say (O-83 … O-91)', async () => {
  const verifier = await start({ issuers: ['i', 'j'] });
  const time = fc.oneof(
    fc.constantFrom(-86_400, -31, -30, -29.5, 0, 29, 30, 30.5, 31, 86_399, 86_400, 86_430, 86_431, 172_800),
    fc.integer({ min: -200_000, max: 200_000 }),
    fc.constantFrom(undefined, null, 'x'),
  );
  const payload = fc.record(
    {
      sub: fc.constantFrom('u', 'revoked', 5, '', null, {}),
      aud: fc.constantFrom('app', 'https://app/', 'https://app', ['x', 'app'], [], ['x'], 5),
      iss: fc.constantFrom('i', 'j', 'k', 5),
      iat: time,
      exp: time,
      nbf: time,
      jti: fc.constantFrom('fine', 'revoked'),
    },
    { requiredKeys: [] },
  );
  const at = (value: unknown): unknown => (typeof value === 'number' ? now() + value : value);
  await fc.assert(
    fc.asyncProperty(payload, fc.constantFrom('a', 'z', undefined), async (random, kid) => {
      const { iat, exp, nbf } = random;
      const header = `Token ${hmac({ ...random, iat: at(iat), exp: at(exp), nbf: at(nbf) }, { alg: 'HS256', kid })}`;
      const rules: readonly [code: string, isBroken: boolean][] = [
        ['PSYNC_S2101', kid === 'z'],
        ['PSYNC_S2101', !['u', 'revoked', 5].includes(random.sub as string)],
        ['PSYNC_S2105', ![random.aud].flat().some((each) => each === 'app' || each === 'https://app/')],
        ['PSYNC_S2121', random.iss !== 'i' && random.iss !== 'j'],
        ['PSYNC_S2101', typeof iat !== 'number' || typeof exp !== 'number'],
        ['PSYNC_S2103', Number(exp) <= -30],
        ['PSYNC_S2104', Number(exp) - Number(iat) > 86_400 || Number(exp) > 86_430],
        ['PSYNC_S2101', nbf !== undefined && (typeof nbf !== 'number' || nbf > 30)],
        ['PSYNC_S2120', random.jti === 'revoked'],
        ['PSYNC_S2120', random.sub === 'revoked' && (Number(iat) < 0 || Number(iat) > 30)],
      ];
      const expected = rules.find(([, isBroken]) => isBroken)?.[0] ?? null;
      expect(firstRefusal(await look(verifier, header))?.refusal?.code ?? null).toBe(expected);
      expect(await refusalOf(verifier, header)).toBe(expected);
      // Once more, from what it remembers.
      expect(await refusalOf(verifier, header)).toBe(expected);
    }),
    { numRuns: 500 },
  );
});
