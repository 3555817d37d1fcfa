/** Tokens and key sets in the shapes of the named providers (O-100 … O-106), with the configuration that the documentation gives. */
import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { createFakeClock } from '../clock.ts';
import { parseServiceConfig } from '../config/load.ts';
import type { Log } from '../log.ts';
import { createTokenVerifier, type TokenExaminer } from './token-verifier.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const clock = createFakeClock();
const now = clock.now() / 1000;
const open: TokenExaminer[] = [];
afterEach(() => open.splice(0).forEach((verifier) => verifier.close()));

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const jwk = (key: KeyObject, more: object): object => ({ ...key.export({ format: 'jwk' }), ...more });

type Sign = (input: Buffer) => Buffer;
const RS256: Sign = (input) => sign('sha256', input, rsa.privateKey);
const ES256: Sign = (input) => sign('sha256', input, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
const EdDSA: Sign = (input) => sign(null, input, ed.privateKey);
const LEGACY_SECRET = 'super-secret-jwt-token-with-at-least-32-characters';
const HS256: Sign = (input) => createHmac('sha256', LEGACY_SECRET).update(input).digest();

interface Provider {
  readonly name: string;
  readonly clientAuth: string;
  /** Where the keys come from, and what stands there. */
  readonly sets: Readonly<Record<string, readonly object[]>>;
  readonly header: object;
  readonly claims: object;
  readonly sign: Sign;
}

const SUPABASE = 'https://abcdefgh.supabase.co/auth/v1/.well-known/jwks.json';
const FIREBASE = 'https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com';
const PROVIDERS: readonly Provider[] = [
  {
    name: 'Supabase, signing keys (O-101)',
    clientAuth: '{supabase: true}',
    sets: { [SUPABASE]: [jwk(ec.publicKey, { kid: 's-1', alg: 'ES256', use: 'sig', key_ops: ['verify'], ext: true })] },
    header: { alg: 'ES256', kid: 's-1', typ: 'JWT' },
    claims: { iss: 'https://abcdefgh.supabase.co/auth/v1', aud: 'authenticated', role: 'authenticated' },
    sign: ES256,
  },
  {
    name: 'Supabase, the old secret beside them (O-102)',
    clientAuth: `{supabase: true, supabase_jwt_secret: ${LEGACY_SECRET}}`,
    sets: { [SUPABASE]: [] },
    header: { alg: 'HS256', typ: 'JWT' },
    claims: { aud: 'authenticated' },
    sign: HS256,
  },
  {
    name: 'Supabase, own (O-103)',
    clientAuth: '{jwks_uri: "http://localhost:54321/auth/v1/.well-known/jwks.json", audience: [authenticated]}',
    sets: { 'http://localhost:54321/auth/v1/.well-known/jwks.json': [jwk(ec.publicKey, { kid: 'own' })] },
    header: { alg: 'ES256', kid: 'own' },
    claims: { aud: 'authenticated' },
    sign: ES256,
  },
  {
    name: 'Stytch with the Supabase secret and kid (O-106)',
    clientAuth: `{supabase_jwt_secret: ${LEGACY_SECRET}}`,
    sets: {},
    header: { alg: 'HS256', kid: 'of-the-project' },
    claims: { aud: 'authenticated' },
    sign: HS256,
  },
  {
    name: 'Firebase (O-104)',
    clientAuth: `{jwks_uri: "${FIREBASE}", audience: [my-project], issuer: "https://securetoken.google.com/my-project"}`,
    sets: {
      [FIREBASE]: [
        jwk(other.publicKey, { kid: 'f0', alg: 'RS256', use: 'sig' }),
        jwk(rsa.publicKey, { kid: 'f1', alg: 'RS256', use: 'sig' }),
      ],
    },
    header: { alg: 'RS256', kid: 'f1', typ: 'JWT' },
    claims: {
      iss: 'https://securetoken.google.com/my-project',
      aud: 'my-project',
      auth_time: now - 5000,
      user_id: 'u',
    },
    sign: RS256,
  },
  {
    name: 'Auth0 (O-105)',
    clientAuth: '{jwks_uri: "https://t.auth0.com/.well-known/jwks.json", audience: ["https://sync.example.org"]}',
    sets: {
      'https://t.auth0.com/.well-known/jwks.json': [
        jwk(rsa.publicKey, { kid: 'a0', alg: 'RS256', use: 'sig', x5t: 'a0', x5c: ['MIID'] }),
      ],
    },
    header: { alg: 'RS256', kid: 'a0', typ: 'JWT' },
    claims: { aud: ['https://sync.example.org', 'https://t.auth0.com/userinfo'], sub: 'auth0|507f', azp: 'x' },
    sign: RS256,
  },
  {
    name: 'Azure AD, whose keys name no algorithm',
    clientAuth: '{jwks_uri: "https://login.microsoftonline.com/t/discovery/v2.0/keys", audience: [api://app]}',
    sets: {
      'https://login.microsoftonline.com/t/discovery/v2.0/keys': [
        jwk(rsa.publicKey, { kid: 'az', use: 'sig', x5t: 'az', x5c: ['MIID'], issuer: 'x', cloud_instance_name: 'y' }),
      ],
    },
    header: { alg: 'RS256', kid: 'az', x5t: 'az', typ: 'JWT' },
    claims: { aud: 'api://app', nbf: now },
    sign: RS256,
  },
  {
    name: 'Keycloak, whose set holds keys for encryption too',
    clientAuth: '{jwks_uri: "https://k.example/realms/r/protocol/openid-connect/certs", audience: [account]}',
    sets: {
      'https://k.example/realms/r/protocol/openid-connect/certs': [
        jwk(other.publicKey, { kid: 'enc', alg: 'RSA-OAEP', use: 'enc' }),
        jwk(ed.publicKey, { kid: 'sig', alg: 'EdDSA', use: 'sig' }),
      ],
    },
    header: { alg: 'EdDSA', kid: 'sig', typ: 'JWT' },
    claims: { aud: 'account', jti: 'onrtac:1', typ: 'Bearer' },
    sign: EdDSA,
  },
];

async function verifierFor({ clientAuth, sets }: Provider): Promise<TokenExaminer> {
  const yaml = `
replication: {connections: [{type: postgresql, uri: "postgresql://u:p@db.abcdefgh.supabase.co:5432/postgres"}]}
storage: {type: mongodb, uri: "mongodb://h/s"}
client_auth: ${clientAuth}
`;
  const parsed = parseServiceConfig(yaml, { environment: {}, folder: '.' });
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  const fetch = async (uri: string): Promise<unknown> => {
    expect(sets).toHaveProperty([uri]);
    return { keys: sets[uri] };
  };
  const verifier = await createTokenVerifier({ clientAuth: parsed.config.clientAuth, clock, log: silent, fetch });
  open.push(verifier);
  return verifier;
}
function tokenOf({ header, claims, sign: signBytes }: Provider, more: object = {}): string {
  const payload = { sub: 'u', iat: now, exp: now + 3600, ...claims, ...more };
  const input = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `Bearer ${input}.${signBytes(Buffer.from(input)).toString('base64url')}`;
}

describe.each(PROVIDERS)('$name', (provider) => {
  test('a token of it is accepted; one for another app is not', async () => {
    const verifier = await verifierFor(provider);
    expect(await verifier.verify(tokenOf(provider))).toMatchObject({ claims: { iat: now } });
    await expect(verifier.verify(tokenOf(provider, { aud: 'another-app' }))).rejects.toMatchObject({
      code: 'PSYNC_S2105',
    });
  });
});
