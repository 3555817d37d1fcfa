/** What the tables of the source show of a sync config: said by validation, deployment and diagnostics, never in the way (S-33…S-35, O-131). */
import { afterEach, expect, test } from 'vitest';
import { createProtocolClient } from '../client/protocol-client.ts';
import { ADMIN_TOKEN, until, type Service } from '../instance/instance.ts';
import { createFixture, type Fixture } from './fixture.ts';

const SCHEMA = `CREATE TABLE boats (id text PRIMARY KEY, "ownerId" text);
INSERT INTO boats VALUES ('b1', 'alice');
CREATE PUBLICATION powersync FOR ALL TABLES;`;
const CONFIG = `config: { edition: 3 }
streams:
  boats:
    auto_subscribe: true
    query: SELECT id, ownerId FROM boats
  later:
    auto_subscribe: true
    query: SELECT * FROM harbours WHERE id IN (SELECT harbour FROM berths)
`;
const FOUND = [
  ['PSYNC_R2303', 5],
  ['PSYNC_R2301', 8],
  ['PSYNC_R2301', 8],
];

interface Body {
  readonly valid?: boolean;
  readonly errors: readonly { code: string; level: string; location: { line: number } }[];
  readonly connections: readonly { tag: string; tables: readonly object[] }[];
}

let fixture: Fixture;
afterEach(() => fixture.close());

function post(service: Service, path: string, body: string, type: string): Promise<Response> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': type };
  return fetch(`${service.endpoint}${path}`, { method: 'POST', headers, body });
}
async function validate(service: Service, text: string): Promise<Body> {
  const body = JSON.stringify({ sync_rules: text });
  const response = await post(service, '/api/admin/v1/validate', body, 'application/json');
  expect(response.status).toBe(200);
  return ((await response.json()) as { data: Body }).data;
}
const places = ({ errors }: Pick<Body, 'errors'>): unknown[] =>
  errors.flatMap(({ code, location }) => (location === undefined ? [] : [[code, location.line]]));

test('names that the source lacks are warnings everywhere, and sync once they exist', async () => {
  fixture = await createFixture({ storage: 'mongodb', schema: SCHEMA, syncConfig: null });
  const service = await fixture.instance.start('unified');

  const checked = await validate(service, CONFIG);
  expect(places(checked)).toEqual(FOUND);
  expect(checked).toMatchObject({
    valid: true,
    connections: [
      {
        tag: 'default',
        tables: [
          { schema: 'public', name: 'boats', data_queries: true, parameter_queries: false, errors: [] },
          { name: 'harbours', data_queries: true, parameter_queries: false, errors: [{ level: 'warning' }] },
          { name: 'berths', data_queries: false, parameter_queries: true, errors: [{ level: 'warning' }] },
        ],
      },
    ],
  });
  const refused = await validate(service, CONFIG.replace('SELECT id', 'SELEC id'));
  expect(refused).toMatchObject({ valid: false, connections: [] });
  expect(refused.errors[0]).toMatchObject({ level: 'fatal', code: 'PSYNC_R2101', location: { line: 5, column: 12 } });
  const short = await post(service, '/api/sync-rules/v1/validate', CONFIG, 'application/yaml');
  expect(await short.json()).toMatchObject({
    valid: true,
    warnings: [expect.stringContaining('[PSYNC_R2303] line 5'), expect.anything(), expect.anything()],
    bucket_definitions: ['stream boats', 'stream later'],
  });

  const deployed = await post(service, '/api/sync-rules/v1/deploy', CONFIG, 'application/yaml');
  expect(deployed.status).toBe(200);
  expect(((await deployed.json()) as { data: { warnings: string[] } }).data.warnings).toHaveLength(3);
  await fixture.instance.untilActive(service);
  const errors = (await fixture.instance.diagnostics(service))!.active_sync_rules!.errors;
  expect(errors.map(({ code, level }) => [code, level])).toEqual(FOUND.map(([code]) => [code, 'warning']));

  const client = createProtocolClient({
    endpoint: service.endpoint,
    token: await fixture.instance.token('alice'),
    clientId: 'c',
    streams: { include_defaults: true, subscriptions: [] },
  });
  await client.connect();
  await client.until(() => client.visible.size === 1, 'the boat', 15_000);
  await fixture.sql('CREATE TABLE harbours (id text PRIMARY KEY, name text)');
  await fixture.sql('CREATE TABLE berths (id text PRIMARY KEY, harbour text)');
  await fixture.sql(`INSERT INTO harbours VALUES ('h1', 'Old Quay')`);
  await fixture.sql(`INSERT INTO berths VALUES ('s1', 'h1')`);
  await client.until(() => client.visible.size === 2, 'the harbour', 30_000);
  client.disconnect();
  // the tables are asked again after a while
  await until('the warnings to go', async () => places(await validate(service, CONFIG)).length === 1, 30_000);
});

test('a sync config from a file: the warnings are in the log', async () => {
  fixture = await createFixture({ storage: 'mongodb', schema: SCHEMA, syncConfig: CONFIG });
  const service = await fixture.instance.start('unified');
  await until('the warnings', async () => service.output().split('PSYNC_R2301').length > 2, 15_000);
  expect(service.output()).toContain('PSYNC_R2303');
});
