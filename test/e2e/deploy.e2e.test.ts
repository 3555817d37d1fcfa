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

  test('an unaffected client downloads 0 bytes of bucket data, an affected one ends with the new columns', async () => {
    fixture = await createFixture({ storage, schema: SHARED_LISTS.schema, syncConfig: null });
    await fixture.sql(`INSERT INTO lists SELECT 'l' || i, 'list' FROM generate_series(1, 2000) i`);
    await fixture.sql(`INSERT INTO items SELECT 'i' || i, 'l1', 'alice', 't' || i, i FROM generate_series(1, 3000) i`);
    const service = await fixture.instance.start('unified');
    expect((await deploy(service, BEFORE)).status).toBe(200);
    await fixture.instance.untilActive(service);
    const unaffected = await connect(service, 'bob', { include_defaults: true, subscriptions: [] });
    const affected = await connect(service, 'alice', {
      include_defaults: false,
      subscriptions: [{ stream: 'mine', parameters: null, override_priority: null }],
    });
    const operationsBefore = unaffected.counts.operations;
    expect(operationsBefore).toBe(2000);

    // Many small transactions, so that neither the former stream nor the new one is idle for a moment.
    let writing = true;
    const writer = async (row: number): Promise<void> => {
      for (let turn = 0; writing; turn++)
        await fixture.sql(`UPDATE items SET title = $1 WHERE id = $2`, [`turn ${turn}`, `i${row}`]);
    };
    const load = Promise.all([1, 2].map(writer));
    try {
      expect((await deploy(service, 'streams: 5')).status).toBe(422);
      expect((await deploy(service, AFTER)).status).toBe(200);
      const isNew = async (): Promise<boolean> => {
        const diagnostics = await fixture.instance.diagnostics(service);
        return diagnostics !== null && diagnostics.deploying_sync_rules === undefined;
      };
      await until('the new version to be active', isNew, 60_000, () => service.output());
      const operations = affected.counts.operations;
      await affected.until(() => affected.counts.operations > operations, 'changes through the new version', 30_000);
    } finally {
      writing = false;
      await load;
    }

    const expected = await fixture.sql<{ id: string; title: string }>(
      `SELECT id, title, owner_id FROM items ORDER BY id COLLATE "C"`,
    );
    const rowsOf = (client: ProtocolClient): string[] => [...client.visible.values()].toSorted();
    const wanted = expected.map((row) => JSON.stringify(row)).toSorted();
    await affected.until(() => JSON.stringify(rowsOf(affected)) === JSON.stringify(wanted), 'the new columns', 30_000);
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
