/** `millrace explain token` against key sets that are really fetched. The deny list, which needs a database: test/e2e/auth.e2e.test.ts. */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHECK_NAMES } from '#core/platform/auth/check.ts';
import { freePort } from '#test/services/free-port.ts';
import { explainToken } from './explain-token.ts';

const SECRET = Buffer.from('a secret that stands in no answer');
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const KEY_SET = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'published' }] });

let endpoint: string;
let server: Server;
let nobody: number;
beforeAll(async () => {
  nobody = await freePort();
  server = createServer((request, response) => {
    if (request.url === '/keys') response.end(KEY_SET);
    else if (request.url === '/moved') response.writeHead(302, { location: 'ftp://x/keys' }).end();
    else response.writeHead(500).end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => void server.once('listening', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

/** Nothing listens at its storage: the deny list cannot be read. */
const config = (auth: string): string =>
  Buffer.from(`
replication: {connections: [{type: postgresql, uri: "postgresql://u:p@127.0.0.1:${nobody}/x", sslmode: disable}]}
storage: {type: postgresql, uri: "postgresql://u:p@127.0.0.1:${nobody}/s", sslmode: disable}
client_auth: ${auth}
`).toString('base64');
const STATIC = `{jwks: {keys: [{kty: oct, alg: HS256, kid: dev, k: ${SECRET.toString('base64url')}}]}, audience: [my-app]}`;

async function explain(token: string, auth: string, output: 'human' | 'json' = 'json') {
  const printed: string[] = [];
  const ok = await explainToken({
    token,
    flags: { base64: config(auth) },
    output,
    print: (text) => printed.push(text),
  });
  return { ok, text: printed.join('\n') };
}
interface Answer {
  readonly accepted: boolean;
  readonly code?: string;
  readonly status?: number;
  readonly checks: readonly {
    readonly check: string;
    readonly result: string;
    readonly finding: string;
    readonly code?: string;
    readonly remedy?: string;
  }[];
  readonly notices: readonly object[];
}
async function answerOf(token: string, auth = STATIC): Promise<Answer & { readonly ok: boolean }> {
  const { ok, text } = await explain(token, auth);
  return { ok, ...(JSON.parse(text) as Answer) };
}

const now = (): number => Math.floor(Date.now() / 1000);
const claims = (more: object = {}): object => ({ sub: 'alice', aud: 'my-app', iat: now(), exp: now() + 60, ...more });
const inputOf = (header: object, payload: object): string =>
  [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
function shared(payload = claims(), header: object = { alg: 'HS256', kid: 'dev' }, secret = SECRET): string {
  const input = inputOf(header, payload);
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}
function published(kid = 'published'): string {
  const input = inputOf({ alg: 'EdDSA', kid }, claims());
  return `${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`;
}
const from = (path: string, more = ''): string => `{jwks_uri: "${endpoint}${path}", audience: [my-app]${more}}`;

describe('an accepted token', () => {
  test('every check is listed, in order; what could not be looked at is said', async () => {
    const { ok, accepted, checks } = await answerOf(shared());
    expect([ok, accepted]).toEqual([true, true]);
    expect(checks.map(({ check }) => check)).toEqual(CHECK_NAMES);
    expect(checks.filter(({ result }) => result !== 'ok')).toMatchObject([
      { check: 'revocation', result: 'not checked', finding: expect.stringContaining('PSYNC_S2402') as string },
    ]);
  });

  test('its key is fetched from the endpoint', async () => {
    const { ok, checks } = await answerOf(published(), from('/keys'));
    expect(ok).toBe(true);
    expect(checks.find(({ check }) => check === 'key')?.finding).toBe(`kid "published" is a key of ${endpoint}/keys`);
  });

  test.each(['%s\n', 'Token %s', 'bearer  %s \r\n'])('is understood as %j', async (form) => {
    expect((await answerOf(form.replace('%s', shared()))).ok).toBe(true);
  });

  test('for people: a line a check, and the verdict', async () => {
    const { text } = await explain(shared(), STATIC, 'human');
    const lines = text.split('\n');
    expect(lines).toHaveLength(CHECK_NAMES.length + 1);
    expect(lines[1]).toMatch(/^form +ok +a JWT of \d+ characters$/);
    expect(lines.at(-1)).toBe('Accepted, unless it is revoked.');
  });
});

/** Every refusal that needs no database. */
const REFUSALS: readonly [code: string, status: number, check: string, token: () => string, auth: () => string][] = [
  ['PSYNC_S2101', 401, 'form', () => 'abc', () => STATIC],
  ['PSYNC_S2101', 401, 'algorithm', () => shared(claims(), { alg: 'none' }), () => STATIC],
  ['PSYNC_S2101', 401, 'key', () => shared(claims(), { alg: 'HS256', kid: 'x' }), () => STATIC],
  ['PSYNC_S2101', 401, 'key', () => published('x'), () => from('/keys')],
  ['PSYNC_S2101', 401, 'signature', () => shared(claims(), undefined, Buffer.from('x')), () => STATIC],
  ['PSYNC_S2101', 401, 'subject', () => shared(claims({ sub: undefined })), () => STATIC],
  ['PSYNC_S2101', 401, 'issued at', () => shared(claims({ iat: undefined })), () => STATIC],
  ['PSYNC_S2101', 401, 'not before', () => shared(claims({ nbf: now() + 999 })), () => STATIC],
  ['PSYNC_S2102', 401, 'key type', () => shared(claims(), { alg: 'HS512', kid: 'dev' }), () => STATIC],
  ['PSYNC_S2103', 401, 'expires', () => shared(claims({ iat: now() - 99, exp: now() - 60 })), () => STATIC],
  ['PSYNC_S2104', 401, 'lifetime', () => shared(claims({ exp: now() + 90_000 })), () => STATIC],
  ['PSYNC_S2105', 401, 'audience', () => shared(claims({ aud: 'my-app/' })), () => STATIC],
  ['PSYNC_S2106', 401, 'token', () => ' ', () => STATIC],
  ['PSYNC_S2121', 401, 'issuer', () => shared(claims({ iss: 'x' })), () => STATIC.replace('{', '{issuer: me, ')],
  ['PSYNC_S2203', 500, 'key', () => published(), () => from('/keys', ', jwks_reject_ip_ranges: [local]')],
  ['PSYNC_S2203', 500, 'key', () => published(), () => from('/keys', ', block_local_jwks: true')],
  ['PSYNC_S2204', 503, 'key', () => published(), () => from('/broken')],
  ['PSYNC_S3103', 500, 'key', () => published(), () => from('/moved')],
];

describe('a refused token', () => {
  const cases = REFUSALS.map(([code, status, check, token, auth]) => ({ code, status, check, token, auth }));
  test.each(cases)(
    '$code at "$check": what is wrong and what to change',
    async ({ code, status, check, token, auth }) => {
      const answer = await answerOf(token(), auth());
      expect(answer).toMatchObject({ ok: false, accepted: false, code, status });
      const at = answer.checks.find(({ result }) => result === 'refused')!;
      expect(at).toMatchObject({ check, code, finding: expect.any(String) as string });
      expect(at.remedy?.length).toBeGreaterThan(10);
      const { ok, text } = await explain(token(), auth(), 'human');
      expect(ok).toBe(false);
      expect(text).toContain(`[${code}]`);
      expect(text.split('\n').at(-1)).toBe(`Refused: clients get ${code} (HTTP ${status}).`);
      for (const secret of [
        SECRET.toString('base64url'),
        ...token()
          .split('.')
          .filter((part) => part.length > 10),
      ])
        expect(text + JSON.stringify(answer)).not.toContain(secret);
    },
  );

  test('what the configuration itself says about it is told', async () => {
    const { notices, ok } = await answerOf(shared(), '{supabase: true}');
    expect(ok).toBe(false);
    expect(notices).toEqual([
      expect.objectContaining({ level: 'warn', key: 'client_auth.supabase' }),
      expect.objectContaining({ level: 'warn', key: 'client_auth' }),
    ]);
  });
});
