import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConnectionUri } from './connection-uri.ts';
import { parseServiceConfig } from './load.ts';
import type { SourceConnection } from './service-config.ts';
import { createTestCertificates } from './test-certificates.ts';

interface Result {
  readonly connections: readonly SourceConnection[];
  /** `code key` of each. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

function read(...connections: object[]): Result {
  const text = JSON.stringify({
    storage: { type: 'mongodb', uri: 'mongodb://h/b' },
    client_auth: { jwks_uri: 'https://x.example/keys', audience: ['x'] },
    replication: { connections },
  });
  const parsed = parseServiceConfig(text, { environment: {}, folder: '/' });
  return {
    connections: 'config' in parsed ? parsed.config.replication.connections : [],
    problems: 'problems' in parsed ? parsed.problems.map(({ code, key }) => `${code} ${lastPart(key)}`) : [],
    warnings: parsed.notices.map(({ message }) => message),
  };
}
const lastPart = (key: string): string => key.slice(key.lastIndexOf('.') + 1);
const postgres = (keys: object) => read({ type: 'postgresql', ...keys });
const FULL = { hostname: 'h', database: 'd', username: 'u', password: 'p' };

describe('connection URI', () => {
  const text = fc.string({ minLength: 1, unit: 'binary' }).filter((value) => value.isWellFormed());
  const host = fc.oneof(
    fc.domain(),
    fc.ipV4(),
    fc.ipV6().map((ip) => `[${ip}]`),
  );
  const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

  test('reads what was written, whatever the characters', () => {
    fc.assert(
      fc.property(
        optional(fc.tuple(text, optional(text))),
        fc.array(fc.tuple(host, optional(fc.nat(65_535))), { minLength: 1, maxLength: 3 }),
        optional(text),
        fc.dictionary(text, text, { maxKeys: 3 }),
        (user, hosts, database, query) => {
          const encode = encodeURIComponent;
          const login =
            user === undefined ? '' : `${encode(user[0])}${user[1] === undefined ? '' : `:${encode(user[1])}`}@`;
          const address = hosts.map(([name, port]) => (port === undefined ? name : `${name}:${port}`)).join(',');
          const path = database === undefined ? '' : `/${encode(database)}`;
          const parameters = Object.keys(query).length === 0 ? '' : `?${new URLSearchParams(query).toString()}`;
          expect(parseConnectionUri(`postgresql://${login}${address}${path}${parameters}`, ['postgresql'])).toEqual({
            scheme: 'postgresql',
            username: user?.[0],
            password: user?.[1],
            hosts: hosts.map(([name, port]) => ({ hostname: name.replace(/^\[|\]$/g, ''), port: port?.toString() })),
            database,
            query: new Map(Object.entries(query)),
          });
        },
      ),
    );
  });

  test('never throws', () => {
    const parse = (rest: string) => parseConnectionUri(`postgresql://${rest}`, ['postgresql']);
    fc.assert(
      fc.property(fc.string(), (rest) => {
        expect(() => parse(rest)).not.toThrow();
      }),
    );
  });

  test('an unencoded @ in the password is forgiven', () => {
    expect(parseConnectionUri('postgres://u:p@ss@h/d', ['postgres'])).toMatchObject({
      password: 'p@ss',
      database: 'd',
    });
  });
});

describe('postgresql', () => {
  test('separate keys win over the URI (R-4)', () => {
    const uri = 'postgresql://u1:p1@h1:5433/d1?connect_timeout=7';
    expect(postgres({ uri }).connections[0]).toMatchObject({
      hosts: [{ hostname: 'h1', port: 5433 }],
      database: 'd1',
      username: 'u1',
      password: 'p1',
      connectTimeoutMs: 7000,
    });
    const keys = { hostname: 'h2', port: '5434', database: 'd2', username: 'u2', password: 'p2', connect_timeout: 3 };
    expect(postgres({ uri, ...keys }).connections[0]).toMatchObject({
      hosts: [{ hostname: 'h2', port: 5434 }],
      database: 'd2',
      username: 'u2',
      password: 'p2',
      connectTimeoutMs: 3000,
    });
  });

  test('several hosts, in the URI or as a list (R-70)', () => {
    const hosts = [
      { hostname: 'a', port: 5432 },
      { hostname: '2001:db8::1', port: 5433 },
    ];
    expect(postgres({ uri: 'postgresql://u:p@a,[2001:db8::1]:5433/d' }).connections[0]).toMatchObject({ hosts });
    expect(postgres({ ...FULL, hostname: 'a, b', port: 5444 }).connections[0]).toMatchObject({
      hosts: [
        { hostname: 'a', port: 5444 },
        { hostname: 'b', port: 5444 },
      ],
    });
  });

  test('each missing part has its code, all at once (R-5)', () => {
    expect(postgres({}).problems).toEqual([
      'PSYNC_S1105 database',
      'PSYNC_S1106 hostname',
      'PSYNC_S1107 username',
      'PSYNC_S1108 password',
    ]);
    expect(postgres({ uri: 'postgresql:///' }).problems).toHaveLength(4);
    for (const [key, code] of Object.entries({ database: 5, hostname: 6, username: 7, password: 8 })) {
      const { [key as keyof typeof FULL]: _, ...rest } = FULL;
      expect(postgres(rest).problems).toEqual([`PSYNC_S110${code} ${key}`]);
    }
  });

  test.each([
    [{ uri: 'mysql://u:p@h/d' }, 'PSYNC_S1109 uri'],
    [{ uri: 'h:5432/d' }, 'PSYNC_S1109 uri'],
    [{ uri: 'postgresql://u:%zz@h/d' }, 'PSYNC_S1109 uri'],
    [{ uri: 'postgresql://u:p@h:port/d' }, 'PSYNC_S1109 uri'],
    [{ uri: 'postgresql://u:p@h/d?connect_timeout=soon' }, 'PSYNC_S1109 uri'],
    [{ uri: 'postgresql://u:p@h:80/d' }, 'PSYNC_S1110 uri'],
    [{ uri: 'postgresql://u:p@h,h2:70000/d' }, 'PSYNC_S1110 uri'],
    [{ ...FULL, port: 1023 }, 'PSYNC_S1110 port'],
    [{ ...FULL, port: '65536' }, 'PSYNC_S1110 port'],
    [{ ...FULL, hostname: 'h:5432' }, 'PSYNC_S1106 hostname'],
    [{ ...FULL, hostname: 'http://h' }, 'PSYNC_S1106 hostname'],
    [{ ...FULL, sslmode: 'require' }, 'PSYNC_S1160 sslmode'],
    [{ ...FULL, sslmode: 'prefer' }, 'PSYNC_S1160 sslmode'],
    [{ uri: 'postgresql://u:p@h/d?sslmode=no-verify' }, 'PSYNC_S1160 uri'],
    [{ ...FULL, sslmode: 'verify-ca' }, 'PSYNC_S1104 sslmode'],
    [{ uri: 'postgresql://u:p@h/d?sslmode=verify-ca' }, 'PSYNC_S1104 uri'],
    [{ ...FULL, cacert: '/etc/ca.pem' }, 'PSYNC_S1161 cacert'],
    [{ ...FULL, client_private_key: 'x' }, 'PSYNC_S1161 client_private_key'],
    [{ ...FULL, heartbeat_interval_seconds: 4 }, 'PSYNC_S3224 heartbeat_interval_seconds'],
    [{ ...FULL, heartbeat_interval_seconds: 61 }, 'PSYNC_S3224 heartbeat_interval_seconds'],
    [{ ...FULL, reject_ip_ranges: ['private'] }, 'PSYNC_S3224 reject_ip_ranges[0]'],
    [{ ...FULL, slot_name_prefix: 'Slot-' }, 'PSYNC_S3224 slot_name_prefix'],
    [{ ...FULL, tag: 'a.b' }, 'PSYNC_S3224 tag'],
  ])('%j: %s (R-5, R-6, R-8, R-10, R-14, R-15, R-16)', (keys, problem) => {
    expect(postgres(keys).problems).toEqual([problem]);
  });

  test('weaker modes in a URI are mapped upward with a warning, never downward (R-14)', () => {
    for (const mode of ['require', 'prefer', 'allow']) {
      const { connections, warnings } = postgres({
        uri: `postgresql://u:p@h/d?sslmode=${mode}&channel_binding=require`,
      });
      expect(connections[0]).toMatchObject({ sslmode: 'verify-full' });
      expect(warnings).toEqual([
        `sslmode=${mode} does not verify the server; verify-full is used instead`,
        'parameters of the uri that are not used: channel_binding',
      ]);
    }
    expect(postgres({ uri: 'postgresql://u:p@h/d?sslmode=disable' }).connections[0]).toMatchObject({
      sslmode: 'disable',
    });
    const both = postgres({ uri: 'postgresql://u:p@h/d?sslmode=disable', sslmode: 'verify-full' });
    expect(both.connections[0]).toMatchObject({ sslmode: 'verify-full' });
  });

  const certificates = createTestCertificates('db.example', 'app');
  test.skipIf(certificates === null)(
    'certificates are checked, and may have \\n for line breaks (needs openssl)',
    () => {
      const { authority, server, client } = certificates!;
      const two = authority + server.certificate;
      const keys = { ...FULL, client_certificate: client.certificate, client_private_key: client.key };
      expect(postgres({ ...keys, sslmode: 'verify-ca', cacert: two }).connections[0]).toMatchObject({
        sslmode: 'verify-ca',
        cacert: two,
        clientCertificate: client.certificate,
        clientPrivateKey: client.key,
      });
      const escaped = authority.trim().replaceAll('\n', '\\n');
      expect(postgres({ ...FULL, cacert: escaped }).connections[0]).toMatchObject({ cacert: authority.trim() });
      const damaged = authority.replace(/\n.{10}/, '\nAAAAAAAAAA');
      expect(postgres({ ...FULL, cacert: damaged }).problems).toEqual(['PSYNC_S1161 cacert']);
      expect(postgres({ ...FULL, client_certificate: client.certificate }).problems).toEqual([
        'PSYNC_S1161 client_private_key',
      ]);
    },
  );

  test('several connections need different tags; the id follows the tag (R-3)', () => {
    const a = { type: 'postgresql', ...FULL };
    expect(read(a, { ...a, tag: 'other' }).connections.map(({ id, tag }) => [id, tag])).toEqual([
      ['default', 'default'],
      ['other', 'other'],
    ]);
    expect(read(a, a).problems).toEqual(['PSYNC_S3226 tag']);
  });
});

describe('other kinds', () => {
  test('mongodb (R-144, R-152)', () => {
    const uri = 'mongodb+srv://u:p@cluster.example/app?maxPoolSize=5';
    expect(read({ type: 'mongodb', uri }).connections[0]).toMatchObject({ uri, database: 'app', postImages: 'off' });
    expect(read({ type: 'mongodb', uri: 'mongodb://h' }).problems).toEqual(['PSYNC_S1105 database']);
    expect(read({ type: 'mongodb', uri: 'mongodb://h:80/d' }).problems).toEqual(['PSYNC_S1110 uri']);
    expect(read({ type: 'mongodb', uri: 'http://h/d' }).problems).toEqual(['PSYNC_S1109 uri']);
    expect(read({ type: 'mongodb' }).problems).toEqual(['PSYNC_S1109 uri']);
  });

  test('mysql (R-7, R-189)', () => {
    expect(read({ type: 'mysql', uri: 'mysql://u:p@h/d' }).connections[0]).toMatchObject({
      hostname: 'h',
      port: 3306,
      serverId: undefined,
      binlogQueueMemoryLimitBytes: 50 * 1024 * 1024,
    });
    expect(read({ type: 'mysql', hostname: 'h' }).problems).toEqual([
      'PSYNC_S1105 database',
      'PSYNC_S1107 username',
      'PSYNC_S1108 password',
    ]);
  });

  test('mssql (R-213, R-214)', () => {
    expect(read({ type: 'mssql', uri: 'mssql://u:p@h/d' }).connections[0]).toMatchObject({
      port: 1433,
      schema: 'dbo',
      login: { type: 'default', username: 'u', password: 'p' },
      pollingIntervalMs: 1000,
      pollingBatchSize: 10,
      trustServerCertificate: false,
    });
    const place = { type: 'mssql', hostname: 'h', database: 'd' };
    const login = { userName: 'u', password: 'p' };
    for (const authentication of [
      { type: 'default', ...login },
      { type: 'default', options: login },
    ]) {
      expect(read({ ...place, authentication }).connections[0]).toMatchObject({
        login: { type: 'default', username: 'u', password: 'p' },
      });
    }
    const type = 'azure-active-directory-service-principal-secret';
    const principal = { type, clientId: 'c', clientSecret: 's', tenantId: 't' };
    expect(read({ ...place, authentication: principal }).connections[0]).toMatchObject({ login: principal });
    expect(read({ ...place, authentication: { type, clientId: 'c' } }).problems).toEqual([
      'PSYNC_S3224 clientSecret',
      'PSYNC_S3224 tenantId',
    ]);
  });

  test('convex (R-232)', () => {
    const keys = { type: 'convex', deployment_url: 'https://otter.convex.cloud', deploy_key: 'k' };
    expect(read(keys).connections[0]).toMatchObject({ pollingIntervalMs: 1000, requestTimeoutMs: 60_000 });
    expect(read({ ...keys, deployment_url: 'otter' }).problems).toEqual(['PSYNC_S1109 deployment_url']);
  });
});

describe('client_auth', () => {
  const auth = (client_auth: object, hostname = 'h') => {
    const text = JSON.stringify({
      storage: { type: 'mongodb', uri: 'mongodb://h/b' },
      replication: { connections: [{ type: 'postgresql', ...FULL, hostname }] },
      client_auth,
    });
    const parsed = parseServiceConfig(text, { environment: {}, folder: '/' });
    return {
      auth: 'config' in parsed ? parsed.config.clientAuth : null,
      problems: 'problems' in parsed ? parsed.problems.map(({ code, key }) => `${code} ${key}`) : [],
      notices: parsed.notices.map(({ level, key }) => `${level} ${key}`),
    };
  };

  test('Supabase is derived from the source connection (O-101, O-102)', () => {
    const derived = auth({ supabase: true, audience: ['mine'] }, 'db.abcdefgh.supabase.co');
    expect(derived.auth).toMatchObject({
      jwksUris: ['https://abcdefgh.supabase.co/auth/v1/.well-known/jwks.json'],
      audience: ['mine', 'authenticated'],
    });
    expect(derived.notices).toEqual(['info client_auth.supabase']);
    expect(auth({ supabase: true })).toMatchObject({
      auth: { jwksUris: [] },
      notices: ['warn client_auth.supabase', 'warn client_auth'],
    });
    expect(auth({ supabase_jwt_secret: 'legacy secret' }).auth).toMatchObject({
      keys: [{ kty: 'oct', alg: 'HS256', k: Buffer.from('legacy secret').toString('base64url') }],
      audience: ['authenticated'],
    });
  });

  test('addresses of key sets (O-48, O-97)', () => {
    const audience = ['x'];
    expect(
      auth({ audience, jwks_uri: ['https://a.example/keys', 'http://b.example/keys'] }).auth?.jwksUris,
    ).toHaveLength(2);
    expect(auth({ jwks_uri: 'nonsense' }).problems).toEqual(['PSYNC_S3102 client_auth.jwks_uri']);
    expect(auth({ jwks_uri: 'https://' }).problems).toEqual(['PSYNC_S3102 client_auth.jwks_uri']);
    expect(auth({ jwks_uri: ['https://a.example/keys', 'ftp://b.example/keys'] }).problems).toEqual([
      'PSYNC_S3103 client_auth.jwks_uri[1]',
    ]);
    expect(auth({ jwks_uri: 'file:///etc/keys' }).problems).toEqual(['PSYNC_S3103 client_auth.jwks_uri']);
  });

  test('refused ranges and their older forms (O-53, O-54)', () => {
    const ranges = (keys: object) =>
      auth({ jwks_uri: 'https://a.example', audience: ['x'], ...keys }).auth?.rejectIpRanges;
    expect(ranges({})).toEqual([]);
    expect(ranges({ jwks_reject_ip_ranges: ['10.0.0.0/8'], block_local_jwks: true })).toEqual(['10.0.0.0/8', 'local']);
    expect(ranges({ allow_local_jwks: false })).toEqual(['local']);
    expect(ranges({ allow_local_jwks: true })).toEqual([]);
  });

  test('static keys (O-49, O-85, O-92)', () => {
    const keys = (...list: object[]) => auth({ jwks: { keys: list }, audience: ['x'] }).problems;
    expect(
      keys({ kty: 'oct', alg: 'HS256', k: 'eA' }, { kty: 'RSA', kid: 'a', n: 'eA', e: 'AQAB', x5t: 'kept' }),
    ).toEqual([]);
    expect(keys({ kty: 'RSA', n: 'eA', e: 'AQAB' })).toEqual(['PSYNC_S3224 client_auth.jwks.keys[0].kid']);
    expect(keys({ kty: 'EC', crv: 'P-192', x: 'eA', y: 'eA' })).toEqual(['PSYNC_S3224 client_auth.jwks.keys[0].crv']);
    expect(keys({ kty: 'oct', k: 'eA' })).toEqual(['PSYNC_S3224 client_auth.jwks.keys[0].alg']);
    const withPrivate = { jwks: { keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'eA', d: 'private' }] }, audience: ['x'] };
    expect(auth(withPrivate).notices).toEqual(['warn client_auth.jwks.keys[0]']);
  });

  test('settings under which nobody can connect are warned of (O-86)', () => {
    expect(auth({}).notices).toEqual(['warn client_auth']);
    expect(auth({ jwks_uri: 'https://a.example' }).notices).toEqual(['warn client_auth.audience']);
  });
});
