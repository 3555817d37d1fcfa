/** A write made through a backend is visible at once after its write checkpoint (S-459…S-469, G8): on both storages, in one process and in several. */
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { applyUpload } from '../../demo/backend.ts';
import { createProtocolClient, type ProtocolClient } from '../client/protocol-client.ts';
import type { Service } from '../instance/instance.ts';
import { createFixture, type Fixture } from './fixture.ts';

const demo = (name: string): Promise<string> => readFile(new URL(`../../demo/${name}`, import.meta.url), 'utf8');

describe.each([
  { storage: 'mongodb', roles: ['unified'], redis: false },
  { storage: 'postgresql', roles: ['unified'], redis: false },
  { storage: 'mongodb', roles: ['sync', 'api'], redis: true },
  { storage: 'postgresql', roles: ['sync', 'api'], redis: false },
] as const)('$storage, $roles, redis: $redis', ({ storage, roles, redis }) => {
  let fixture: Fixture;
  let api: Service;
  let backend: pg.Pool;
  beforeAll(async () => {
    fixture = await createFixture({
      storage,
      redis,
      schema: await demo('schema.sql'),
      syncConfig: await demo('sync-config.yaml'),
    });
    backend = new pg.Pool({ connectionString: fixture.sourceUrl, max: 4 });
    for (const role of roles) api = await fixture.instance.start(role);
    await fixture.instance.untilActive(api);
  });
  afterAll(async () => {
    await backend.end();
    await fixture.close();
  });

  async function open(user: string, clientId = `${user}-device`): Promise<ProtocolClient> {
    const token = await fixture.instance.token(user);
    const client = createProtocolClient({ endpoint: api.endpoint, token, clientId });
    await client.connect();
    await client.until(() => client.counts.completes > 0, 'the first checkpoint');
    return client;
  }

  const add = (user: string, id: string): Promise<void> =>
    applyUpload(backend, user, [
      { op: 'PUT', table: 'todos', id, data: { list_id: 'groceries', description: id, completed: 0 } },
    ]);

  /** Rows that were visible in the first completion that carried the number. */
  const completed = async (client: ProtocolClient, number: bigint): Promise<ReadonlyMap<string, string>> => {
    await client.until(() => (client.writeCheckpoint ?? -1n) >= number, `write checkpoint ${number}`);
    return client.visible;
  };

  test('the first checkpoint that carries it has the write, every time', async () => {
    const client = await open('alice');
    for (let turn = 0; turn < 30; turn++) {
      await add('alice', `turn-${turn}`);
      const visible = await completed(client, await client.requestWriteCheckpoint());
      expect([...visible.keys()]).toContain(`todos/turn-${turn}`);
    }
    client.disconnect();
  });

  test('nothing else happens in the source: it still completes', async () => {
    const client = await open('alice');
    const first = await client.requestWriteCheckpoint();
    await completed(client, first);
    const second = await client.requestWriteCheckpoint();
    expect(second).toBeGreaterThan(first);
    await completed(client, second);
    client.disconnect();
  });

  test('many devices at once: each has its own number and its own write', async () => {
    const clients = await Promise.all(
      Array.from({ length: 20 }, (_, index) => open(index % 2 === 0 ? 'alice' : 'bob', `device-${index}`)),
    );
    await Promise.all(
      clients.map(async (client, index) => {
        await add(index % 2 === 0 ? 'alice' : 'bob', `of-${index}`);
        const visible = await completed(client, await client.requestWriteCheckpoint());
        expect([...visible.keys()]).toContain(`todos/of-${index}`);
      }),
    );
    for (const client of clients) client.disconnect();
  });

  test('a write that the backend refuses changes nothing; its checkpoint completes', async () => {
    const client = await open('carol');
    await expect(add('carol', 'not-hers')).rejects.toThrow(/members/);
    const visible = await completed(client, await client.requestWriteCheckpoint());
    expect([...visible.keys()]).toEqual([]);
    client.disconnect();
  });

  test('asked for while disconnected: carried by the first checkpoint of the next session', async () => {
    const client = await open('bob', 'away');
    client.disconnect();
    await add('bob', 'while-away');
    const number = await client.requestWriteCheckpoint();
    await client.connect();
    const visible = await completed(client, number);
    expect([...visible.keys()]).toContain('todos/while-away');
    client.disconnect();
  });
});
