/** A sync config change under load: the old version serves until the new one has caught up; who is not concerned downloads nothing (S-431, O-126). */
import { afterEach, describe, expect, test } from 'vitest';
import { createProtocolClient, type ProtocolClient } from '../client/protocol-client.ts';
import { ADMIN_TOKEN, until, type Service } from '../instance/instance.ts';
import { createFixture, SHARED_LISTS, type Fixture } from './fixture.ts';

const config = (shared: string, extra = ''): string => `config:
  edition: 3
streams:
  lists:
    auto_subscribe: true
    query: SELECT * FROM lists
  mine:
    query: ${shared}
${extra}`;
const BEFORE = config('SELECT * FROM items WHERE owner_id = auth.user_id()');
const AFTER = config('SELECT id, title, owner_id FROM items WHERE owner_id = auth.user_id()');

const MINE = {
  include_defaults: false,
  subscriptions: [{ stream: 'mine', parameters: null, override_priority: null }],
};

async function deploy(service: Service, text: string): Promise<Response> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/yaml' };
  return fetch(`${service.endpoint}/api/sync-rules/v1/deploy`, { method: 'POST', headers, body: text });
}

describe.each([{ storage: 'mongodb' as const }, { storage: 'postgresql' as const }])('$storage', ({ storage }) => {
  let fixture: Fixture;
  const clients: ProtocolClient[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) client.disconnect();
    await fixture.close();
  });
  const connect = async (service: Service, user: string, streams: object): Promise<ProtocolClient> => {
    const client = createProtocolClient({
      endpoint: service.endpoint,
      token: await fixture.instance.token(user),
      clientId: user,
      streams,
    });
    clients.push(client);
    await client.connect();
    await client.until(() => client.completedOp !== null, 'the first checkpoint', 30_000);
    return client;
  };

  /** Many small transactions, so that neither the former stream nor the new one is idle for a moment. */
  const underWrites = async (work: () => Promise<void>): Promise<void> => {
    let writing = true;
    const writer = async (row: number): Promise<void> => {
      for (let turn = 0; writing; turn++)
        await fixture.sql(`UPDATE items SET title = $1 WHERE id = $2`, [`turn ${turn}`, `i${row}`]);
    };
    const load = Promise.all([1, 2].map(writer));
    try {
      await work();
    } finally {
      writing = false;
      await load;
    }
  };
  const untilNothingDeploys = async (service: Service, replicator: Service): Promise<void> => {
    const isActive = async (): Promise<boolean> => {
      const diagnostics = await fixture.instance.diagnostics(service);
      return diagnostics !== null && diagnostics.deploying_sync_rules === undefined;
    };
    await until('the new version to be active', isActive, 60_000, () => replicator.output());
  };
  /** All items are there as the source has them, with these columns. */
  const hasColumns = async (client: ProtocolClient, columns: string): Promise<void> => {
    const expected = await fixture.sql(`SELECT ${columns} FROM items`);
    const wanted = JSON.stringify(expected.map((row) => JSON.stringify(row)).toSorted());
    const isThere = (): boolean => JSON.stringify([...client.visible.values()].toSorted()) === wanted;
    await client.until(isThere, columns, 30_000);
  };

  test('an unaffected client downloads 0 bytes of bucket data, an affected one ends with the new columns', async () => {
    fixture = await createFixture({ storage, schema: SHARED_LISTS.schema, syncConfig: null });
    await fixture.sql(`INSERT INTO lists SELECT 'l' || i, 'list' FROM generate_series(1, 2000) i`);
    await fixture.sql(`INSERT INTO items SELECT 'i' || i, 'l1', 'alice', 't' || i, i FROM generate_series(1, 3000) i`);
    const service = await fixture.instance.start('unified');
    expect((await deploy(service, BEFORE)).status).toBe(200);
    await fixture.instance.untilActive(service);
    const unaffected = await connect(service, 'bob', { include_defaults: true, subscriptions: [] });
    const affected = await connect(service, 'alice', MINE);
    const operationsBefore = unaffected.counts.operations;
    expect(operationsBefore).toBe(2000);

    await underWrites(async () => {
      expect((await deploy(service, 'streams: 5')).status).toBe(422);
      expect((await deploy(service, AFTER)).status).toBe(200);
      await untilNothingDeploys(service, service);
      const operations = affected.counts.operations;
      await affected.until(() => affected.counts.operations > operations, 'changes through the new version', 30_000);
    });
    await hasColumns(affected, 'id, title, owner_id');
    expect(unaffected.counts.operations).toBe(operationsBefore);
    expect(unaffected.visible.size).toBe(2000);
    // It goes on receiving what concerns it, in the buckets it had.
    await fixture.sql(`UPDATE lists SET name = 'changed' WHERE id = 'l7'`);
    await unaffected.until(
      () => unaffected.counts.operations === operationsBefore + 1,
      'a change after the deployment',
      15_000,
    );
  });

  test('the replicator is killed around the moment at which a new version takes over, under writes (G3)', async () => {
    fixture = await createFixture({ storage, schema: SHARED_LISTS.schema, syncConfig: null });
    await fixture.sql(`INSERT INTO items SELECT 'i' || i, 'l1', 'alice', 't' || i, i FROM generate_series(1, 500) i`);
    const api = await fixture.instance.start('api');
    let replicator = await fixture.instance.start('sync');
    expect((await deploy(api, BEFORE)).status).toBe(200);
    await fixture.instance.untilActive(api);
    const client = await connect(api, 'alice', MINE);
    const isCopied = async (): Promise<boolean> => {
      const deploying = (await fixture.instance.diagnostics(api))?.deploying_sync_rules;
      return deploying === undefined || deploying.connections[0]?.initial_replication_done === true;
    };
    const before = `id, list_id, owner_id, title, n::int AS n, done::int AS done`;
    for (const [round, ms] of [0, 40, 80, 120, 160, 240].entries()) {
      await underWrites(async () => {
        expect((await deploy(api, round % 2 === 0 ? AFTER : BEFORE)).status).toBe(200);
        await until('the copy', isCopied, 60_000, () => replicator.output());
        await new Promise((resolve) => setTimeout(resolve, ms));
        await replicator.kill();
        replicator = await fixture.instance.start('sync');
        await untilNothingDeploys(api, replicator);
      });
      const columns = round % 2 === 0 ? 'id, title, owner_id' : before;
      await hasColumns(client, columns);
      // from storage, what the other one was sent commit by commit
      await hasColumns(await connect(api, 'alice', MINE), columns);
    }
    const slots = await fixture.sql(`SELECT slot_name FROM pg_replication_slots WHERE database = current_database()`);
    expect(slots).toHaveLength(1);
  });

  test('a lost replication slot: everything is copied again while clients are served (R-103)', async () => {
    fixture = await createFixture({ storage, schema: SHARED_LISTS.schema, syncConfig: BEFORE });
    await fixture.sql(`INSERT INTO lists SELECT 'l' || i, 'list' FROM generate_series(1, 50) i`);
    const api = await fixture.instance.start('api');
    const replicator = await fixture.instance.start('sync');
    await fixture.instance.untilActive(api);
    const client = await connect(api, 'bob', { include_defaults: true, subscriptions: [] });
    await replicator.stop();
    await fixture.sql(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`,
    );
    await fixture.sql(`UPDATE lists SET name = 'while away' WHERE id = 'l1'`);
    await fixture.sql(`DELETE FROM lists WHERE id = 'l2'`);
    await fixture.instance.start('sync');
    const names = (): string =>
      [...client.visible.values()].map((row) => (JSON.parse(row) as { name: string }).name).join();
    await client.until(() => client.visible.size === 49 && names().includes('while away'), 'the new copy', 60_000);
    const slots = await fixture.sql(`SELECT slot_name FROM pg_replication_slots WHERE database = current_database()`);
    expect(slots).toHaveLength(1);
  });
});
