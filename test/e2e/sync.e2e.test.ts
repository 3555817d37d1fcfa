/** A row travels from Postgres to the SQLite of an unmodified client, on both storages, in one process and in several. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSdkClient, type SdkClient } from '../client/sdk-client.ts';
import type { Service } from '../instance/instance.ts';
import { createFixture, sameRows, SHARED_LISTS, type Fixture } from './fixture.ts';

const ROWS = 50_000;

describe.each([
  { storage: 'mongodb', roles: ['unified'], redis: false, method: 'http' },
  { storage: 'postgresql', roles: ['unified'], redis: false, method: 'http' },
  { storage: 'mongodb', roles: ['sync', 'api'], redis: true, method: 'http' },
  { storage: 'postgresql', roles: ['sync', 'api'], redis: false, method: 'http' },
  { storage: 'mongodb', roles: ['unified'], redis: false, method: 'websocket' },
  { storage: 'postgresql', roles: ['unified'], redis: false, method: 'websocket' },
] as const)('$storage, $roles, redis: $redis, $method', ({ storage, roles, redis, method }) => {
  let fixture: Fixture;
  let api: Service;
  const clients: SdkClient[] = [];

  const connect = async (userId: string): Promise<SdkClient> => {
    const client = await startSdkClient(SHARED_LISTS.tables);
    clients.push(client);
    await client.connect({ endpoint: api.endpoint, token: await fixture.instance.token(userId), method });
    return client;
  };
  const untilEqual = async (client: SdkClient, userId: string): Promise<void> => {
    const expected = await fixture.sql(SHARED_LISTS.itemsOf, [userId]);
    await client.untilQuery(SHARED_LISTS.localItems, (rows) => sameRows(rows, expected));
  };

  beforeAll(async () => {
    fixture = await createFixture({ storage, redis, schema: SHARED_LISTS.schema, syncConfig: SHARED_LISTS.syncConfig });
    await fixture.sql(`INSERT INTO lists SELECT 'l' || i, 'list ' || i FROM generate_series(1, 100) i`);
    await fixture.sql(
      `INSERT INTO items SELECT 'i' || i, 'l' || i % 100, CASE WHEN i <= ${ROWS} THEN 'alice' ELSE 'bob' END, 'title ☃ "' || i || '"', 9007199254740992 + i, i % 2 = 0 FROM generate_series(1, ${ROWS + 500}) i`,
    );
    const services = [];
    for (const role of roles) services.push(await fixture.instance.start(role));
    api = services.at(-1)!;
    await fixture.instance.untilActive(api);
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await fixture?.close();
  });

  test(`first sync of ${ROWS} rows equals SELECT (S-17, S-275)`, async () => {
    const alice = await connect('alice');
    await alice.untilSynced(60_000);
    await untilEqual(alice, 'alice');
    const [{ count }] = (await alice.query<{ count: number }>('SELECT count(*) AS count FROM items')) as [
      { count: number },
    ];
    expect(count).toBe(ROWS);
    expect((await alice.status()).webSockets).toBe(method === 'websocket' ? 1 : 0);
  });

  test('updates move rows between users, in one checkpoint each (S-14, R-36)', async () => {
    const [alice] = clients as [SdkClient];
    const bob = await connect('bob');
    await bob.untilSynced();
    await untilEqual(bob, 'bob');
    await fixture.sql(`UPDATE items SET owner_id = 'bob' WHERE n % 10 = 0 AND owner_id = 'alice'`);
    await fixture.sql(`UPDATE items SET id = id || 'x' WHERE id IN ('i7', 'i50001')`);
    await fixture.sql(`DELETE FROM items WHERE id IN ('i9', 'i50003')`);
    await untilEqual(alice, 'alice');
    await untilEqual(bob, 'bob');
  });

  test('membership granted and revoked (S-11, S-12)', async () => {
    const carol = await connect('carol');
    await carol.untilSynced();
    expect(await carol.query('SELECT id FROM items')).toEqual([]);
    await fixture.sql(`INSERT INTO members VALUES ('m1', 'l3', 'carol'), ('m2', 'l4', 'carol')`);
    await untilEqual(carol, 'carol');
    expect((await carol.query('SELECT id FROM items')).length).toBeGreaterThan(900);
    await fixture.sql(`UPDATE members SET list_id = 'l5' WHERE id = 'm1'`);
    await untilEqual(carol, 'carol');
    await fixture.sql(`DELETE FROM members WHERE user_id = 'carol'`);
    await carol.untilQuery('SELECT id FROM items', (rows) => rows.length === 0);
  });

  test('a transaction is applied whole: no moment shows half of it (G1, S-15)', async () => {
    const dora = await connect('dora');
    await dora.untilSynced();
    for (let round = 1; round <= 5; round++) {
      await fixture.sql(
        `INSERT INTO items SELECT 'd' || ${round} || '-' || i, 'none', 'dora', 't', i FROM generate_series(1, 500) i`,
      );
    }
    const seen = new Set<number>();
    await dora.untilQuery('SELECT count(*) AS count FROM items', ([row]) => {
      seen.add(Number(row!['count']));
      return Number(row!['count']) === 2500;
    });
    expect([...seen].filter((count) => count % 500 !== 0)).toEqual([]);
  });

  test('TRUNCATE empties the table at the client (R-112)', async () => {
    const [alice] = clients as [SdkClient];
    await fixture.sql('TRUNCATE lists');
    await alice.untilQuery('SELECT id FROM lists', (rows) => rows.length === 0);
    await fixture.sql(`INSERT INTO lists VALUES ('l1', 'again')`);
    await alice.untilQuery('SELECT id, name FROM lists', (rows) => sameRows(rows, [{ id: 'l1', name: 'again' }]));
  });
});
