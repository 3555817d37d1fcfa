/** What an app sees of subscriptions that lead nowhere: the status and the log of the unmodified SDK (S-65, S-535, S-557, S-558). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSdkClient, type SdkClient } from '../client/sdk-client.ts';
import type { SdkStream } from '../client/sdk-process.ts';
import { until, type Service } from '../instance/instance.ts';
import { createFixture, SHARED_LISTS, type Fixture } from './fixture.ts';

const SYNC_CONFIG = `config:
  edition: 3
streams:
  lists:
    auto_subscribe: true
    query: SELECT * FROM lists
  items_of:
    query: SELECT * FROM items WHERE list_id = subscription.parameter('list')
`;

let fixture: Fixture;
let service: Service;
const clients: SdkClient[] = [];
beforeAll(async () => {
  fixture = await createFixture({ storage: 'postgresql', schema: SHARED_LISTS.schema, syncConfig: SYNC_CONFIG });
  await fixture.sql(`INSERT INTO lists VALUES ('l1', 'one')`);
  await fixture.sql(`INSERT INTO items VALUES ('i1', 'l1', 'bob', 'first', 1)`);
  service = await fixture.instance.start('unified');
  await fixture.instance.untilActive(service);
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await fixture?.close();
});

test.each(['http', 'websocket'] as const)('over %s', async (method) => {
  const client = await startSdkClient(SHARED_LISTS.tables);
  clients.push(client);
  await client.subscribe('no_such_stream', { list: 'l1' });
  await client.subscribe('items_of', 'l1');
  await client.subscribe('items_of', { list: 'l1' });
  const token = await fixture.instance.token(`alice-${method}`);
  await client.connect({ endpoint: service.endpoint, token, method });
  await client.untilSynced();

  const { streams, warnings, downloadError } = await client.status();
  expect(downloadError).toBeNull();
  const status = (name: string, parameters: unknown): SdkStream | undefined =>
    streams.find((stream) => stream.name === name && JSON.stringify(stream.parameters) === JSON.stringify(parameters));
  // nothing comes of a stream that nobody knows, and the app can see why
  expect(status('no_such_stream', { list: 'l1' })).toMatchObject({ active: false });
  expect(status('lists', null)).toMatchObject({ active: true });
  expect(status('items_of', { list: 'l1' })).toMatchObject({ active: true, hasSynced: true });
  expect(warnings).toEqual([
    expect.stringMatching(/items_of.*"l1".*The parameters of a subscription must be an object or null\./),
  ]);
  // the others are served, and go on
  expect(await client.query('SELECT id FROM items')).toEqual([{ id: 'i1' }]);
  await fixture.sql(`INSERT INTO items VALUES ($1, 'l1', 'bob', 'another', 2)`, [`i2-${method}`]);
  await client.untilQuery('SELECT id FROM items', (rows) => rows.some(({ id }) => id === `i2-${method}`));
  await fixture.sql('DELETE FROM items WHERE id = $1', [`i2-${method}`]);

  // whoever runs the service finds the name
  await until('the log', () => service.output().includes('"unknown_streams":["no_such_stream"]'));
});

test('a stream that is deployed later becomes active by itself (S-65)', async () => {
  const [client] = clients as [SdkClient];
  const later = `${SYNC_CONFIG}  no_such_stream:\n    query: SELECT * FROM items WHERE list_id = subscription.parameter('list')\n`;
  await service.stop();
  await fixture.instance.writeSyncConfig(later);
  service = await fixture.instance.start('unified');
  const token = await fixture.instance.token('alice-http');
  await client.connect({ endpoint: service.endpoint, token, method: 'http' });
  const isActive = async (): Promise<boolean> =>
    (await client.status()).streams.some(({ name, active }) => name === 'no_such_stream' && active);
  await until('the stream to be active', isActive, 60_000);
});
