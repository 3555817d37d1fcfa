/** An unmodified SDK whose token is refused, revoked or ends: when it asks the app's backend for another one (S-583, S-584, S-600, S-604). */
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startSdkClient, type SdkClient } from '../client/sdk-client.ts';
import { ADMIN_TOKEN, until, type Service } from '../instance/instance.ts';
import { createFixture, SHARED_LISTS, type Fixture } from './fixture.ts';

let fixture: Fixture;
let service: Service;
beforeAll(async () => {
  fixture = await createFixture({
    ...SHARED_LISTS,
    storage: 'postgresql',
    apiParameters: { max_concurrent_connections: 2 },
  });
  service = await fixture.instance.start('unified');
  await fixture.instance.untilActive(service);
});
afterAll(() => fixture?.close());

const running: { client: SdkClient; backend: Server }[] = [];
afterEach(async () => {
  for (const { client, backend } of running.splice(0)) {
    backend.close();
    await client.close();
  }
});

interface App {
  readonly client: SdkClient;
  readonly user: string;
  /** Tokens that its backend has issued. */
  issued(): number;
  /** Waits until a new row of the user is in the app. */
  untilServed(): Promise<void>;
}

/** An app that connects; `tokenOf` is its backend, told how many tokens there were before. */
async function startApp(
  method: 'http' | 'websocket',
  tokenOf: (user: string, before: number) => Promise<string>,
): Promise<App> {
  const user = randomUUID();
  let issued = 0;
  const backend = createServer((_request, response) => {
    void tokenOf(user, issued++).then((token) => response.end(token));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => void backend.once('listening', resolve));
  const client = await startSdkClient(SHARED_LISTS.tables);
  running.push({ client, backend });
  const token = `http://127.0.0.1:${(backend.address() as AddressInfo).port}/`;
  await client.connect({ endpoint: service.endpoint, token, method });
  return {
    ...{ client, user },
    issued: () => issued,
    async untilServed() {
      const id = randomUUID();
      await fixture.sql(`INSERT INTO items VALUES ($1, 'l', $2, 't', 1)`, [id, user]);
      await client.untilQuery('SELECT id FROM items', (rows) => rows.some((row) => row['id'] === id));
    },
  };
}

describe.each(['http', 'websocket'] as const)('over %s', (method) => {
  test('a token that is refused: the code makes the SDK fetch another one (S-600, S-602)', async () => {
    const app = await startApp(method, async (user, before) =>
      before === 0 ? `${(await fixture.instance.token(user)).slice(0, -6)}AAAAAA` : fixture.instance.token(user),
    );
    await app.client.untilSynced();
    expect(app.issued()).toBe(2);
    await app.untilServed();
    const { warnings, webSockets } = await app.client.status();
    expect(warnings.join('\n')).toContain(method === 'websocket' ? 'RSocket error' : 'PSYNC_S2101');
    expect(webSockets).toBe(method === 'websocket' ? 2 : 0);
  });

  test('a token that is revoked under a stream: another one, and nothing is lost (ADR 0007, S-600)', async () => {
    const app = await startApp(method, (user) => fixture.instance.token(user));
    await app.client.untilSynced();
    await app.untilServed();
    const response = await fetch(`${service.endpoint}/api/admin/v1/revoke`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ subject: app.user }),
    });
    expect(response.status).toBe(200);
    await until('another token to be fetched', async () => app.issued() > 1, 10_000);
    await app.untilServed();
    expect(await app.client.query('SELECT count(*) AS count FROM items')).toEqual([{ count: 2 }]);
    if (method === 'websocket') expect((await app.client.status()).webSockets).toBeGreaterThanOrEqual(2);
  });

  test('a token that ends: another one is fetched before, while the stream goes on (S-583)', async () => {
    const seconds = 9;
    const issuedAt: number[] = [];
    const app = await startApp(method, (user) => {
      issuedAt.push(Date.now());
      return fixture.instance.token(user, {}, seconds);
    });
    await app.client.untilSynced();
    await until('three tokens', async () => app.issued() >= 3, 3 * seconds * 1000);
    for (const [index, at] of issuedAt.slice(1, 3).entries()) {
      expect(at - issuedAt[index]!).toBeLessThan((seconds - 1) * 1000);
    }
    await app.untilServed();
    const { downloadError, warnings } = await app.client.status();
    expect([downloadError, warnings]).toEqual([null, []]);
  });

  test('errors that are not about the token do not cost one: the limit of connections, a restart (S-600, S-605)', async () => {
    const others = [
      await startApp('http', (user) => fixture.instance.token(user)),
      await startApp('websocket', (user) => fixture.instance.token(user)),
    ];
    for (const other of others) await other.client.untilSynced();
    const app = await startApp(method, (user) => fixture.instance.token(user));
    const isRefused = async (): Promise<boolean> =>
      (await app.client.status()).downloadError?.includes('PSYNC_S2304') === true;
    await until('the refusal', isRefused, 10_000);
    await others[0]!.client.disconnect();
    await app.client.untilSynced();

    const { port } = service;
    await service.stop();
    service = await fixture.instance.start('unified', port);
    await app.untilServed();
    expect(app.issued()).toBe(1);
  });
});
