/** Tokens of clients against running services: revocation, expiry, key sets that rotate and fail, and the commands (O chapter 5). */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProtocolClient, type ProtocolClient } from '../client/protocol-client.ts';
import { startSdkClient, type SdkClient } from '../client/sdk-client.ts';
import { ADMIN_TOKEN, AUDIENCE, until, type Service } from '../instance/instance.ts';
import { createFixture, SHARED_LISTS, type Fixture } from './fixture.ts';

const { schema, syncConfig, tables } = SHARED_LISTS;
/** What "within seconds" means for a revocation, with and without Redis. */
const REVOKED_WITHIN_MS = 5000;

interface Refusal {
  readonly status: number;
  readonly code: string;
}

/** What a service says to a request with this token; null when it accepts it. */
async function refusal(service: Service, token: string): Promise<Refusal | null> {
  const response = await fetch(`${service.endpoint}/write-checkpoint2.json?client_id=c`, {
    headers: { authorization: `Token ${token}` },
  });
  const body = (await response.json()) as { error?: { code: string } };
  return response.ok ? null : { status: response.status, code: body.error?.code ?? '' };
}

async function revokeByApi(service: Service, request: object): Promise<void> {
  const response = await fetch(`${service.endpoint}/api/admin/v1/revoke`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  expect(response.status, await response.text()).toBe(200);
}

/** Serves what `answer` gives, as an app's backend or an identity provider would. */
async function serve(answer: () => Promise<string> | string | null): Promise<{ url: string; server: Server }> {
  const server = createServer((_request, response) => {
    void (async () => {
      const text = await answer();
      if (text === null) response.writeHead(500).end();
      else response.end(text);
    })();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => void server.once('listening', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

describe.each([
  { storage: 'mongodb' as const, redis: true },
  { storage: 'postgresql' as const, redis: false },
])('two API processes on $storage, Redis: $redis', ({ storage, redis }) => {
  let fixture: Fixture;
  let one: Service;
  let two: Service;
  const clients: ProtocolClient[] = [];
  let sdk: SdkClient | null = null;

  beforeAll(async () => {
    fixture = await createFixture({ storage, redis, schema, syncConfig });
    await fixture.instance.start('sync');
    [one, two] = [await fixture.instance.start('api'), await fixture.instance.start('api')];
    await fixture.instance.untilActive(one);
  });
  afterAll(async () => {
    for (const client of clients) client.disconnect();
    await sdk?.close();
    await fixture?.close();
  });

  const connect = async (
    service: Service,
    token: string,
    transport: 'http' | 'websocket' = 'http',
  ): Promise<ProtocolClient> => {
    const client = createProtocolClient({ endpoint: service.endpoint, token, transport, clientId: randomUUID() });
    clients.push(client);
    await client.connect();
    await client.until(() => client.completedOp !== null);
    return client;
  };
  /** How the session of a client ended, and when. */
  const endOf = async (client: ProtocolClient): Promise<{ how: string; at: number }> => {
    const how = await client.ended.then(
      () => JSON.stringify(client.lines.at(-1)),
      (error: Error) => error.message,
    );
    return { how, at: performance.now() };
  };

  test('what `millrace token` and `generate token` print is accepted (O-107, O-264)', async () => {
    for (const words of [['token'], ['generate', 'token']]) {
      const { code, output } = await fixture.instance.run(...words, '--subject', 'alice', '--claim', 'team="a"');
      expect(code, output).toBe(0);
      expect(await refusal(one, output.trim())).toBeNull();
      const [, payload = ''] = output.trim().split('.');
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, number>;
      expect(claims).toMatchObject({ sub: 'alice', team: 'a' });
      expect(claims['exp']! - claims['iat']!).toBe(43_200);
    }
  });

  test('the service itself issues none (O-108)', async () => {
    for (const path of ['/demo/token?user=alice', '/api/auth/token', '/api/admin/v1/token']) {
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
      for (const method of ['GET', 'POST']) {
        expect((await fetch(`${one.endpoint}${path}`, { method, headers })).status).toBe(404);
      }
    }
  });

  test('all tokens of a user: streams on both processes end within seconds, new tokens work, others go on', async () => {
    const old = await fixture.instance.token('alice');
    const cut = [await connect(one, old), await connect(two, old), await connect(two, old, 'websocket')];
    const bob = await connect(two, await fixture.instance.token('bob'));
    const asked = performance.now();
    await revokeByApi(one, { subject: 'alice' });
    const ends = await Promise.all(cut.map(endOf));
    expect(ends.map(({ how }) => how)).toEqual([
      '{"token_expires_in":0}',
      '{"token_expires_in":0}',
      expect.stringContaining('PSYNC_S2120'),
    ]);
    expect(Math.max(...ends.map(({ at }) => at)) - asked).toBeLessThan(REVOKED_WITHIN_MS);
    for (const service of [one, two]) expect(await refusal(service, old)).toEqual({ status: 401, code: 'PSYNC_S2120' });

    // A token that was issued within the second of the call is refused too.
    const accepted = async (): Promise<boolean> => (await refusal(two, await fixture.instance.token('alice'))) === null;
    await until('a new token to be accepted', accepted, 3000);
    await fixture.sql(`INSERT INTO items VALUES ($1, 'l', 'bob', 't', 1)`, [randomUUID()]);
    await bob.until(() => bob.visible.size > 0, 'a row of bob');
  });

  test('a single token, by the command: its streams end within seconds, another token of the user is fine', async () => {
    const [first, second] = [
      await fixture.instance.token('carol', { jti: 'first' }),
      await fixture.instance.token('carol', { jti: 'second' }),
    ];
    const [cut, stays] = [await connect(one, first), await connect(two, second)];
    const { code, output } = await fixture.instance.run('revoke', '--jti', 'first');
    const asked = performance.now();
    expect(code, output).toBe(0);
    expect((await endOf(cut)).at - asked).toBeLessThan(REVOKED_WITHIN_MS);
    const refused = async (): Promise<boolean> => (await refusal(two, first))?.code === 'PSYNC_S2120';
    await until('the other process to refuse it', refused, REVOKED_WITHIN_MS);
    await fixture.sql(`INSERT INTO items VALUES ($1, 'l', 'carol', 't', 1)`, [randomUUID()]);
    await stays.until(() => stays.visible.size > 0, 'a row of carol');

    const explained = await fixture.instance.run('explain', 'token', first);
    expect(explained.code).toBe(1);
    expect(explained.output).toMatch(/revocation +refused +jti is "first"/);
    expect(explained.output).toContain('clients get PSYNC_S2120 (HTTP 401)');
    const fine = await fixture.instance.run('explain', 'token', second, '--output', 'json');
    expect(fine.code, fine.output).toBe(0);
    expect(JSON.parse(fine.output)).toMatchObject({ accepted: true });
  });

  test('an unmodified SDK fetches a new token and goes on, without losing anything', async () => {
    let issued = 0;
    const backend = await serve(() => {
      issued++;
      return fixture.instance.token('dora');
    });
    sdk = await startSdkClient(tables);
    await sdk.connect({ endpoint: two.endpoint, token: backend.url });
    await sdk.untilSynced();
    const before = issued;
    await revokeByApi(one, { subject: 'dora' });
    await until('another token to be fetched', () => issued > before, REVOKED_WITHIN_MS);
    const id = randomUUID();
    await fixture.sql(`INSERT INTO items VALUES ($1, 'l', 'dora', 't', 1)`, [id]);
    await sdk.untilQuery('SELECT id FROM items', (rows) => rows.some((row) => row['id'] === id));
    backend.server.close();
  });

  test.each(['http', 'websocket'] as const)(
    'a stream over %s ends when its token expires (O-90)',
    async (transport) => {
      const seconds = 4;
      const started = Date.now();
      const client = await connect(one, await fixture.instance.token('erin', {}, seconds), transport);
      await client.ended;
      const told = client.lines.flatMap((line) =>
        'token_expires_in' in line ? [Number(line['token_expires_in'])] : [],
      );
      // Told in time for the client to fetch another one, and once more at the end (S-583).
      expect(told.length).toBeGreaterThanOrEqual(2);
      expect(told.at(-1)).toBe(0);
      expect(told[0]).toBeGreaterThan(0);
      const lasted = (Date.now() - started) / 1000;
      expect(lasted).toBeGreaterThan(seconds - 1.5);
      expect(lasted).toBeLessThan(seconds + 2);
    },
  );
});

describe('a key set that rotates and fails', () => {
  /** The least time between two requests that clients cause (O-96). */
  const ASKED_AGAIN_MS = 10_000;
  const keys = Object.fromEntries(
    ['a', 'b'].map((kid) => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      return [kid, { privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid } }];
    }),
  );
  let published: string[] | null = ['a'];
  let requests = 0;
  let provider: { url: string; server: Server };
  let fixture: Fixture;
  let service: Service;

  const sign = (kid: 'a' | 'b', as: string = kid): Promise<string> =>
    new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: as })
      .setSubject('alice')
      .setAudience(AUDIENCE)
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(keys[kid]!.privateKey);
  const answerTo = async (kid: 'a' | 'b', as?: string): Promise<string | null> =>
    (await refusal(service, await sign(kid, as)))?.code ?? null;

  beforeAll(async () => {
    provider = await serve(() => {
      requests++;
      return published === null ? null : JSON.stringify({ keys: published.map((kid) => keys[kid]!.jwk) });
    });
    fixture = await createFixture({
      ...{ storage: 'postgresql', schema, syncConfig },
      clientAuth: [`jwks_uri: ${provider.url}keys?client=secret-of-the-address`],
    });
    service = await fixture.instance.start('unified');
    await fixture.instance.untilActive(service);
  });
  afterAll(async () => {
    provider?.server.close();
    await fixture?.close();
  });
  /** As long as clients may have to wait until a new key is asked for. */
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, ASKED_AGAIN_MS));

  test('rotation: no token of a published key is ever refused; those of a withdrawn key are (O-95, O-98, O-99)', async () => {
    const refused: (string | null)[] = [];
    let over = false;
    let wanted: readonly ('a' | 'b')[] = ['a'];
    const traffic = (async () => {
      for (let at = 0; !over; at++) {
        refused.push(await answerTo(wanted[at % wanted.length]!));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    try {
      await pause();
      published = ['a', 'b'];
      wanted = ['a', 'b'];
      await pause();
      // The last tokens of the old key have expired.
      wanted = ['b'];
      published = ['b'];
      const isWithdrawn = async (): Promise<boolean> => {
        // A key that nobody has makes the service ask again, as the passing of some minutes does.
        expect(await answerTo('b', 'nobody')).toBe('PSYNC_S2101');
        return (await answerTo('a')) === 'PSYNC_S2101';
      };
      await until('tokens of the withdrawn key to fail', isWithdrawn);
    } finally {
      over = true;
      await traffic;
    }
    expect(refused.length).toBeGreaterThan(100);
    expect(refused.filter((code) => code !== null)).toEqual([]);
    // However many requests there were, the provider was hardly asked.
    expect(requests).toBeLessThanOrEqual(5);
  });

  test('outage: known keys go on, unknown ones are nobody´s fault; a service that starts meanwhile recovers by itself (O-96)', async () => {
    published = null;
    await pause();
    expect(await answerTo('b')).toBeNull();
    expect(await refusal(service, await sign('a'))).toEqual({ status: 503, code: 'PSYNC_S2204' });
    expect(await answerTo('b')).toBeNull();
    // Keys of the configuration never depended on it.
    expect(await refusal(service, await fixture.instance.token('alice'))).toBeNull();

    await service.stop();
    service = await fixture.instance.start('unified');
    expect(await refusal(service, await sign('b'))).toEqual({ status: 503, code: 'PSYNC_S2204' });
    expect(service.output()).toContain('Key set endpoint failed');
    expect(service.output()).not.toContain('secret-of-the-address');
    const explained = await fixture.instance.run('explain', 'token', await sign('b'));
    expect(explained.code).toBe(1);
    expect(explained.output).toMatch(/PSYNC_S2204.*it answered with status 500/);
    published = ['b'];
    await until('keys to be there', async () => (await answerTo('b')) === null, ASKED_AGAIN_MS + 5000);
  });
});
