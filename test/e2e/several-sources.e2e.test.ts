/** Two Postgres databases feed one instance, each with a replicator of its own (R-2, G7); a schema per tenant in one of them. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProtocolClient, type ProtocolClient } from '../client/protocol-client.ts';
import { startSdkClient, type SdkClient } from '../client/sdk-client.ts';
import type { Service } from '../instance/instance.ts';
import type { TestDatabase } from '../services/contract.ts';
import { postgres } from '../services/postgres.ts';
import { createFixture, sameRows, type Fixture } from './fixture.ts';

const MEMBERS = `
CREATE TABLE members (id text PRIMARY KEY, org_id text NOT NULL, user_id text NOT NULL);
CREATE PUBLICATION powersync FOR TABLE members;`;
const SALES = `
CREATE TABLE deals (id text PRIMARY KEY, org_id text NOT NULL, title text);
CREATE SCHEMA tenant_a; CREATE TABLE tenant_a.notes (id text PRIMARY KEY, text text);
CREATE SCHEMA tenant_b; CREATE TABLE tenant_b.notes (id text PRIMARY KEY, text text);
CREATE SCHEMA tenant_c; CREATE TABLE tenant_c.notes (id text PRIMARY KEY, text text);
CREATE PUBLICATION powersync FOR TABLE deals, tenant_a.notes, tenant_b.notes;`;
const SYNC_CONFIG = `config:
  edition: 3
streams:
  members:
    auto_subscribe: true
    query: SELECT * FROM members WHERE user_id = auth.user_id()
  deals:
    auto_subscribe: true
    query: SELECT * FROM "sales.public".deals WHERE org_id IN (SELECT org_id FROM members WHERE user_id = auth.user_id())
  notes:
    auto_subscribe: true
    query: SELECT * FROM "sales.tenant_%".notes AS notes WHERE notes.schema() = auth.parameter('tenant')
`;
const TABLES = {
  members: { org_id: 'text', user_id: 'text' },
  deals: { org_id: 'text', title: 'text' },
  notes: { text: 'text' },
} as const;

describe.each([
  { storage: 'mongodb', roles: ['unified'] },
  { storage: 'postgresql', roles: ['sync', 'api'] },
] as const)('$storage, $roles', ({ storage, roles }) => {
  let other: TestDatabase;
  let sales: pg.Pool;
  let fixture: Fixture;
  let api: Service;
  const clients: SdkClient[] = [];

  const connect = async (userId: string, tenant: string): Promise<SdkClient> => {
    const client = await startSdkClient(TABLES);
    clients.push(client);
    await client.connect({ endpoint: api.endpoint, token: await fixture.instance.token(userId, { tenant }) });
    await client.untilSynced();
    return client;
  };
  const until = (client: SdkClient, sql: string, expected: readonly Record<string, unknown>[]): Promise<unknown> =>
    client.untilQuery(sql, (rows) => sameRows(rows, [...expected]));

  beforeAll(async () => {
    other = await (await postgres()).createDatabase();
    sales = new pg.Pool({ connectionString: other.url, max: 4 });
    await sales.query(SALES);
    fixture = await createFixture({
      storage,
      schema: MEMBERS,
      syncConfig: SYNC_CONFIG,
      otherSources: { sales: other.url },
    });
    await fixture.sql(`INSERT INTO members VALUES ('m1', 'o1', 'ann')`);
    await sales.query(`INSERT INTO deals SELECT 'd' || i, 'o' || i % 3, 'deal ' || i FROM generate_series(1, 300) i`);
    await sales.query(
      `INSERT INTO tenant_a.notes VALUES ('n1', 'of a'); INSERT INTO tenant_b.notes VALUES ('n1', 'of b')`,
    );
    for (const role of roles) api = await fixture.instance.start(role);
    await fixture.instance.untilActive(api);
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await fixture?.close();
    await sales?.end();
    await other?.drop();
  });

  test('rows of one source are filtered by rows of the other, and follow both', async () => {
    const ann = await connect('ann', 'tenant_a');
    const count = 'SELECT count(*) AS count FROM deals';
    await until(ann, count, [{ count: 100 }]);
    await sales.query(`UPDATE deals SET org_id = 'o1' WHERE id IN ('d2', 'd3')`);
    await until(ann, count, [{ count: 102 }]);
    await fixture.sql(`INSERT INTO members VALUES ('m2', 'o2', 'ann')`);
    await until(ann, count, [{ count: 201 }]);
    await fixture.sql(`DELETE FROM members WHERE id = 'm1'`);
    await until(ann, count, [{ count: 99 }]);
  });

  test('a table in many schemas: each tenant has its own rows, in one client table (S-689)', async () => {
    const [bob, eve] = [await connect('bob', 'tenant_b'), await connect('eve', 'tenant_x')];
    const notes = 'SELECT id, text FROM notes ORDER BY id';
    await until(bob, notes, [{ id: 'n1', text: 'of b' }]);
    await sales.query(
      `INSERT INTO tenant_b.notes VALUES ('n2', 'new'); INSERT INTO tenant_a.notes VALUES ('n3', 'of a')`,
    );
    await until(bob, notes, [
      { id: 'n1', text: 'of b' },
      { id: 'n2', text: 'new' },
    ]);
    expect(await eve.query(notes)).toEqual([]);
    await sales.query('CREATE SCHEMA tenant_x; CREATE TABLE tenant_x.notes (id text PRIMARY KEY, text text)');
    await sales.query(
      `ALTER PUBLICATION powersync ADD TABLE tenant_x.notes; INSERT INTO tenant_x.notes VALUES ('x', 'x')`,
    );
    await until(eve, notes, [{ id: 'x', text: 'x' }]);
  });

  test('a write checkpoint is complete when all sources have passed it, not before (S-465)', async () => {
    const client: ProtocolClient = createProtocolClient({
      endpoint: api.endpoint,
      token: await fixture.instance.token('wendy', { tenant: 'none' }),
      clientId: 'wendy-1',
    });
    await fixture.sql(`INSERT INTO members VALUES ('m9', 'o9', 'wendy')`);
    await client.connect();
    await client.until(() => client.counts.completes > 0, 'the first checkpoint');
    for (let turn = 1; turn <= 8; turn++) {
      // Much for one source, nothing for the other, which is done at once.
      await sales.query(`INSERT INTO deals SELECT '${turn}-' || i, 'o8', 'x' FROM generate_series(1, 20000) i`);
      await sales.query(`INSERT INTO deals VALUES ('w${turn}', 'o9', 'of wendy')`);
      const number = await client.requestWriteCheckpoint();
      await client.until(() => (client.writeCheckpoint ?? -1n) >= number, `write checkpoint ${number}`);
      expect([...client.visible.keys()].filter((key) => key.includes(`w${turn}`))).toHaveLength(1);
    }
    client.disconnect();
  });
});
