/** `millrace compact` beside a running service and real clients (O-5, O-151…O-159, S-417…S-427). */
import { afterEach, describe, expect, test } from 'vitest';
import { createProtocolClient, type ProtocolClient } from '../client/protocol-client.ts';
import { startSdkClient, type SdkClient } from '../client/sdk-client.ts';
import { until, type Service } from '../instance/instance.ts';
import { createFixture, sameRows, type Fixture } from './fixture.ts';

const ROWS = 100;
const UPDATES = 20_000;
const TABLES = { items: { n: 'integer', note: 'text' } } as const;
const QUERY = 'SELECT id, n, note FROM items ORDER BY id';

describe.each([{ storage: 'mongodb' as const }, { storage: 'postgresql' as const }])('$storage', ({ storage }) => {
  let fixture: Fixture;
  const clients: SdkClient[] = [];
  const readers: ProtocolClient[] = [];
  afterEach(async () => {
    for (const reader of readers.splice(0)) reader.disconnect();
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await fixture.close();
  });

  const connected = async (service: Service): Promise<SdkClient> => {
    const client = await startSdkClient(TABLES);
    clients.push(client);
    await client.connect({ endpoint: service.endpoint, token: await fixture.instance.token('alice') });
    return client;
  };
  const reader = async (service: Service): Promise<ProtocolClient> => {
    const token = await fixture.instance.token('bob');
    const client = createProtocolClient({ endpoint: service.endpoint, token });
    readers.push(client);
    return client;
  };
  /** Transactions of different sizes; each updates some of the rows. */
  const updates = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += 400) {
      await fixture.sql(`DO $$ BEGIN FOR i IN 1..4 LOOP
        UPDATE items SET n = n + 1, note = repeat(md5(random()::text), 8); COMMIT; END LOOP; END $$`);
    }
  };
  const equal = async (client: SdkClient): Promise<void> => {
    const expected = await fixture.sql('SELECT id, n, note FROM items ORDER BY id COLLATE "C"');
    await client.untilQuery(QUERY, (rows) => sameRows(rows, expected), 60_000);
  };
  /** Operations that a client which begins now is sent. */
  const received = async (service: Service): Promise<number> => {
    const client = await reader(service);
    await client.connect();
    const { n } = (await fixture.sql<{ n: number }>('SELECT max(n)::int AS n FROM items'))[0]!;
    const isThere = (): boolean => [...client.store.rows().values()].some((row) => JSON.parse(row).n === n);
    await client.until(() => isThere() && client.counts.completes > 0, 'everything', 60_000);
    client.disconnect();
    return client.counts.operations;
  };

  test(`${UPDATES} updates of ${ROWS} rows: as many operations as rows, clients equal SELECT, whenever the compactor is killed`, async () => {
    fixture = await createFixture({
      storage,
      schema: `CREATE TABLE items (id text PRIMARY KEY, n int NOT NULL, note text);
        CREATE PUBLICATION powersync FOR TABLE items;
        INSERT INTO items SELECT 'i' || i, 0, 'first' FROM generate_series(1, ${ROWS}) i`,
      syncConfig: `config: { edition: 3 }
streams:
  all:
    auto_subscribe: true
    query: SELECT * FROM items
`,
    });
    const service = await fixture.instance.start('unified');
    await fixture.instance.untilActive(service);
    const old = await connected(service);
    await updates(UPDATES / 2);
    await equal(old);
    // In mid-stream while everything is compacted: it reads no further for now.
    const slow = await reader(service);
    await updates(UPDATES / 2);
    await equal(old);
    const before = await received(service);
    expect(before).toBeGreaterThanOrEqual(UPDATES);
    await slow.connect();
    slow.pause();

    const killed = await fixture.instance.command('compact');
    await until('the compactor to begin', () => killed.output().length > 0 || killed.child.exitCode !== null, 30_000);
    await killed.kill();
    await equal(await connected(service));
    const run = await fixture.instance.run('compact');
    expect(run.code, run.output).toBe(0);
    slow.resume();
    await slow.until(() => slow.counts.completes > 0, 'a completion', 60_000);
    // Workers look every ten seconds whether what they keep of storage could be shorter.
    const isShort = async (): Promise<boolean> => (await received(service)) <= 2 * ROWS;
    await until('a short history', isShort, 30_000);

    await fixture.sql(`UPDATE items SET n = n + 1 WHERE id IN ('i1', 'i2'); DELETE FROM items WHERE id = 'i3'`);
    for (const client of [old, await connected(service)]) await equal(client);
    expect([...slow.store.rows()].length).toBeGreaterThan(0);
  });
});
