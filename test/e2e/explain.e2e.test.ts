/** `millrace explain row` and its route: why a user has a row, or has it not, on both storages, with connected clients (O-109, S-384). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Explanation } from '../../cli/explain/contract.ts';
import { createProtocolClient, type ProtocolClient } from '../client/protocol-client.ts';
import { runMillrace, runMillraceWith } from '../instance/command.ts';
import { ADMIN_TOKEN, type Service } from '../instance/instance.ts';
import { startPostgres } from '../services/postgres.ts';
import { createFixture, type Fixture } from './fixture.ts';

const SCHEMA = `
CREATE TABLE boats (id text PRIMARY KEY, name text, owner_id text, archived int NOT NULL DEFAULT 0, nick text);
CREATE TABLE crew (boat_id text, sailor_id text, PRIMARY KEY (boat_id, sailor_id));
CREATE TABLE unread (id text PRIMARY KEY);
INSERT INTO boats VALUES ('b1', 'Heron', 'alice', 0, 'the grey'), ('b2', 'Tern', 'bob', 0, 'tiny'),
  ('b3', 'Egret', 'alice', 1, 'whitey'), ('b4', 'Ruff', 'alice', 0, NULL), ('b5', 'Knot', 'alice', 0, 'k');
INSERT INTO boats SELECT 'fleet-' || n, 'Number ' || n, 'navy', 0, NULL FROM generate_series(1, 40) n;
INSERT INTO crew VALUES ('b2', 'dora');
INSERT INTO crew SELECT 'fleet-' || n, 'carol' FROM generate_series(1, 40) n;
CREATE PUBLICATION powersync FOR TABLE boats, crew;`;
const CONFIG = `config: { edition: 3 }
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM boats WHERE owner_id = auth.user_id() AND archived = 0
  sailed:
    auto_subscribe: true
    query: SELECT * FROM boats WHERE id IN (SELECT boat_id FROM crew WHERE sailor_id = auth.user_id())
  nicknames:
    auto_subscribe: true
    query: SELECT nick AS id, name FROM boats AS nicknames WHERE owner_id = auth.user_id()
  named:
    query: SELECT owner_id || '.' || name AS id, archived FROM boats AS titles WHERE name = subscription.parameter('name')
`;

interface Asked {
  readonly status: number;
  readonly text: string;
  readonly data: Explanation;
}

async function post(service: Service, body: object, token: string | null = ADMIN_TOKEN): Promise<Asked> {
  const headers = {
    'content-type': 'application/json',
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
  };
  const response = await fetch(`${service.endpoint}/api/admin/v1/explain`, {
    ...{ method: 'POST', headers, body: JSON.stringify(body) },
  });
  const text = await response.text();
  return { status: response.status, text, data: (JSON.parse(text) as { data: Explanation }).data };
}

async function connected(fixture: Fixture, service: Service, user: string, clientId: string): Promise<ProtocolClient> {
  const token = await fixture.instance.token(user);
  const streams = { include_defaults: true, subscriptions: [] };
  const client = createProtocolClient({ endpoint: service.endpoint, token, clientId, streams });
  await client.connect();
  await client.until(() => client.counts.completes > 0, 'the first checkpoint', 15_000);
  return client;
}

describe.each(['mongodb', 'postgresql'] as const)('explain row, storage in %s', (storage) => {
  let fixture: Fixture;
  let service: Service;
  let alice: ProtocolClient;
  const ask = async (table: string, id: string, user: string, more: object = {}): Promise<Explanation> => {
    const { status, data, text } = await post(service, { table, id, user, ...more });
    expect(status, text).toBe(200);
    return data;
  };
  beforeAll(async () => {
    const apiParameters = { max_buckets_per_connection: 20 };
    fixture = await createFixture({ storage, schema: SCHEMA, syncConfig: CONFIG, apiParameters });
    service = await fixture.instance.start('unified');
    await fixture.instance.untilActive(service);
    alice = await connected(fixture, service, 'alice', 'phone');
  }, 90_000);
  afterAll(async () => {
    alice?.disconnect();
    await fixture?.close();
  });

  test('a row that the user has: stream, bucket, operation, and what the client was sent', async () => {
    const first = await ask('boats', 'b1', 'alice');
    expect(first.verdict.gets).toBe('yes');
    expect(first.verdict.text).toMatch(
      /^alice gets boats\/b1 through stream mine \(bucket \d+#mine\|0\["alice"\], op \d+\)\.$/,
    );
    expect(first.source).toMatchObject({ state: 'found', key: 'b1', reason: null });
    expect(first.source.columns).toContainEqual({ name: 'name', value: "'Heron'" });
    const [stored] = first.stored;
    expect(stored).toMatchObject({ held: true, state: 'put', current: true, objectType: 'boats', objectId: 'b1' });
    expect(first.clients.clients).toMatchObject([{ clientId: 'phone', buckets: 2 }]);

    await fixture.sql(`UPDATE boats SET name = 'Great heron' WHERE id = 'b1'`);
    await alice.until(() => alice.visible.get('boats/b1')?.includes('Great') === true, 'the update', 15_000);
    const second = await ask('boats', 'b1', 'alice');
    const op = Number(second.stored[0]?.op);
    expect(op).toBeGreaterThan(Number(stored?.op));
    expect(Number(second.checkpoint)).toBeGreaterThanOrEqual(op);
    expect(second.stored[0]).toMatchObject({ current: true, state: 'put' });
    expect(second.verdict.text).toContain(`op ${op}`);
    const completed = Number(second.clients.clients[0]?.completed);
    expect(completed).toBeGreaterThanOrEqual(op);
    expect(second.verdict.because).toContain(
      `Client "phone" is connected, and was sent checkpoint ${completed}, which has it.`,
    );
  });

  test('write checkpoints of a client, connected or not', async () => {
    const number = await alice.requestWriteCheckpoint();
    await alice.until(() => (alice.writeCheckpoint ?? -1n) >= number, 'its write checkpoint', 15_000);
    const { clients } = await ask('boats', 'b1', 'alice', { client_id: 'tablet' });
    expect(clients.clients).toMatchObject([
      { clientId: 'phone', writeCheckpoint: number.toString(), waitingFor: null },
      { clientId: 'tablet', connectedSince: null, writeCheckpoint: null },
    ]);
    expect(clients.unknown).toHaveLength(2);
  });

  test('a row of another user: in which bucket it is, and which ones the user has', async () => {
    const { verdict, queries, stored } = await ask('boats', 'b2', 'alice');
    expect(verdict.gets).toBe('no');
    const told = [verdict.text, ...verdict.because].join('\n');
    expect(told).toMatch(
      /stream mine selects it for bucket \d+#mine\|0\["bob"\]; alice has \d+#mine\|0\["alice"\], because owner_id is 'bob', and auth\.user_id\(\) is 'alice'\./,
    );
    expect(told).toMatch(/crew has no row where sailor_id = 'alice' with a value in boat_id/);
    expect(queries?.places).toEqual([]);
    expect(stored.every(({ held, state, current }) => !held && state === 'put' && current === true)).toBe(true);
    const dora = await ask('boats', 'b2', 'dora');
    expect(dora.verdict.text).toMatch(
      /^dora gets boats\/b2 through stream sailed \(bucket \d+#sailed\|0\["b2"\], op \d+\)\.$/,
    );
  });

  test('a row that a filter takes away, and that comes under another name', async () => {
    const { verdict } = await ask('boats', 'b3', 'alice');
    expect(verdict.gets).toBe('no');
    expect(verdict.text).toBe(
      'alice does not get boats/b3: stream mine would give it, but archived = 0 is false (archived is 1).',
    );
    expect(verdict.because.at(-1)).toMatch(/^As nicknames\/whitey, alice gets it through stream nicknames \(bucket/);
    // by its id there
    const nick = await ask('nicknames', 'whitey', 'alice');
    expect(nick.verdict).toMatchObject({ gets: 'yes', text: expect.stringMatching(/^alice gets nicknames\/whitey/) });
    expect(nick.source).toMatchObject({ key: 'b3', state: 'found' });
  });

  test('a row whose id on the client is null (S-265)', async () => {
    const { verdict, stored } = await ask('nicknames', 'b4', 'alice');
    expect(verdict.gets).toBe('no');
    expect(verdict.text).toBe(
      'alice does not get nicknames/b4: stream nicknames would give it, but it has no id on the client: nick is NULL.',
    );
    expect(verdict.because[0]).toMatch(/^As boats\/b4, alice gets it through stream mine/);
    expect(stored.map(({ objectType }) => objectType)).not.toContain('nicknames');
  });

  test('a row that was deleted: the operation that removed it', async () => {
    const before = await ask('boats', 'b5', 'alice');
    expect(before.verdict.gets).toBe('yes');
    await fixture.sql(`DELETE FROM boats WHERE id = 'b5'`);
    await alice.until(() => !alice.visible.has('boats/b5'), 'the removal', 15_000);
    const { verdict, source, stored } = await ask('boats', 'b5', 'alice');
    expect(verdict).toMatchObject({ gets: 'no', text: 'alice does not get boats/b5: the source has no such row.' });
    expect(source).toMatchObject({
      state: 'missing',
      columns: [],
      searched: expect.arrayContaining([expect.stringContaining('(id)')]),
    });
    const removed = stored.find(({ bucket }) => bucket.includes('mine'));
    expect(removed).toMatchObject({ held: true, state: 'removed' });
    expect(Number(removed?.op)).toBeGreaterThan(Number(before.stored[0]?.op));
    expect(verdict.because).toContain(`It was removed from bucket ${removed?.bucket} with op ${removed?.op}.`);
  });

  test('a user beyond the limit of buckets: what is refused, and what it would be without (S-384, S-386)', async () => {
    const { verdict, session } = await ask('boats', 'fleet-7', 'carol');
    expect(verdict).toMatchObject({
      gets: 'no',
      text: 'carol does not get boats/fleet-7: the session is refused, [PSYNC_S2305] Too many buckets: 42 (limit of 20).',
    });
    expect(verdict.because.slice(0, 2)).toEqual([
      'Most of them: sailed: 40, mine: 1, nicknames: 1.',
      'Without the limit:',
    ]);
    expect(verdict.because[2]).toMatch(
      /^carol gets boats\/fleet-7 through stream sailed \(bucket \d+#sailed\|0\["fleet-7"\], op \d+\)\.$/,
    );
    expect(session.buckets).toBeNull();
    const other = await ask('boats', 'b2', 'carol');
    expect(other.verdict.because.join('\n')).toMatch(
      /crew has no row where sailor_id = 'carol' AND boat_id = 'b2'; there carol has .* and 37 more\./,
    );
  });

  test('an id that is computed: found through the buckets of the user, and a stream that is not subscribed', async () => {
    const without = await ask('titles', 'b2', 'alice');
    expect(without.verdict.text).toMatch(
      /^alice does not get titles\/bob\.Tern: stream named selects it for bucket \d+#named\|0\["Tern"\], but alice does not subscribe to the stream, which is not auto_subscribe\.$/,
    );
    const subscriptions = [{ stream: 'named', parameters: { name: 'Tern' } }];
    const subscribed = await ask('titles', 'bob.Tern', 'alice', { subscriptions });
    expect(subscribed.verdict.text).toMatch(/^alice gets titles\/bob\.Tern through stream named/);
    expect(subscribed.source).toMatchObject({ state: 'found', key: 'b2' });
    const unknown = await ask('titles', 'bob.Tern', 'alice');
    expect(unknown.verdict.gets).toBe('no');
    expect(unknown.source.searched).toContain(`not by an id that is computed (owner_id || '.' || name)`);
  });

  test('tables that are not there, that nobody reads, or that decide about others', async () => {
    const nothing = await ask('nothing', '1', 'alice');
    expect(nothing.verdict).toEqual({
      gets: 'no',
      text: 'alice does not get it: no query of the sync config reads table default.public.nothing.',
      because: ['The source has no table public.nothing.'],
    });
    expect(await ask('unread', '1', 'alice')).toMatchObject({
      verdict: { gets: 'no' },
      source: { state: 'unusable', reason: expect.stringContaining('PSYNC_S1151') },
      queries: null,
    });
    const crew = await ask('crew', '["b2","dora"]', 'dora');
    expect(crew.verdict.text).toBe(
      'dora does not get it: table default.public.crew only decides who gets other rows (in sailed).',
    );
    expect(crew.queries?.lookups).toMatchObject([
      { streams: ['sailed'], entries: [{ key: '["dora"]', values: '[["b2"]]' }] },
    ]);
  });

  test('needs an admin token, says what is wrong with a request, and shows no secrets (O-109, O-195)', async () => {
    const body = { table: 'boats', id: 'b1', user: 'alice' };
    expect((await post(service, body, null)).status).toBe(401);
    expect((await post(service, body, 'wrong')).status).toBe(401);
    const token = await fixture.instance.token('alice');
    expect(await post(service, body, token)).toMatchObject({
      status: 401,
      text: expect.stringContaining('PSYNC_S2101'),
    });
    expect(await post(service, { ...body, user: undefined })).toMatchObject({
      status: 400,
      text: expect.stringContaining('give the user'),
    });
    expect((await post(service, { ...body, table: 'a.b.c.d' })).status).toBe(400);
    const { text } = await post(service, body);
    const { username, password } = new URL(fixture.sourceUrl);
    for (const secret of [ADMIN_TOKEN, fixture.sourceUrl, fixture.storageUrl, `${username}:${password}`])
      expect(text).not.toContain(secret);
    // and nothing of the row is in the log
    expect(service.output()).not.toContain('heron');
    expect(service.output()).not.toContain('Heron');
  });

  test('as a command: with the service configuration, and through a running service', async () => {
    const direct = await fixture.instance.run('explain', 'row', 'boats', 'b2', '--user', 'alice');
    expect(direct.code).toBe(0);
    expect(direct.output).toMatch(/^alice does not get boats\/b2: stream /);
    expect(direct.output).toContain('this command serves none');
    const words = ['explain', 'row', 'boats', 'b1', '--user', 'alice', '--url', service.endpoint];
    const asked = await runMillraceWith({ PS_ADMIN_TOKEN: ADMIN_TOKEN }, ...words);
    expect(asked).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^alice gets boats\/b1 through stream mine/),
    });
    expect(asked.output).toContain('"phone": connected since ');
    const more = ['--output', 'json', '--subscribe', 'named={"name":"Tern"}', '--claim', 'role=captain'];
    const json = await runMillraceWith({ PS_ADMIN_TOKEN: ADMIN_TOKEN }, ...words, ...more);
    expect(JSON.parse(json.output)).toMatchObject({ verdict: { gets: 'yes' }, session: { buckets: 3 } });
    // the token of the configuration serves too
    expect((await fixture.instance.run(...words)).code).toBe(0);
    expect(await runMillrace(...words)).toMatchObject({ code: 1, output: expect.stringContaining('PS_ADMIN_TOKEN') });
    expect(await runMillraceWith({ PS_ADMIN_TOKEN: 'wrong' }, ...words)).toMatchObject({
      ...{ code: 1, output: expect.stringContaining('PSYNC_S2101') },
    });
    const away = [...words.slice(0, -1), 'http://127.0.0.1:1025'];
    expect(await runMillraceWith({ PS_ADMIN_TOKEN: 'x' }, ...away)).toMatchObject({
      code: 1,
      output: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

describe.each(['mongodb', 'postgresql'] as const)('the source is away, storage in %s', (storage) => {
  test('storage says what it knows: operations of the user, and where the row is', async () => {
    await using server = await startPostgres();
    const fixture = await createFixture({ storage, schema: SCHEMA, syncConfig: CONFIG, server });
    try {
      const service = await fixture.instance.start('unified');
      await fixture.instance.untilActive(service);
      const ask = async (id: string, user: string): Promise<Explanation> =>
        (await post(service, { table: 'boats', id, user })).data;
      const known = await ask('b1', 'alice');
      expect(known.verdict.gets).toBe('yes');
      await server.stop();

      const mine = await ask('b1', 'alice');
      expect(mine.verdict).toMatchObject({ gets: 'yes', text: known.verdict.text });
      expect(mine.verdict.because.join('\n')).toMatch(
        /As storage has it; the source could not be asked: \[PSYNC_S1170\]/,
      );
      expect(mine.source).toMatchObject({ state: 'unavailable', columns: [] });
      // where its row state says it is
      const theirs = await ask('b2', 'alice');
      expect(theirs.verdict.gets).toBe('no');
      expect(theirs.verdict.text).toMatch(
        /^alice does not get boats\/b2: stream mine selects it for bucket \d+#mine\|0\["bob"\]; alice has \d+#mine\|0\["alice"\], because owner_id is 'bob', and auth\.user_id\(\) is 'alice'\.$/,
      );
      const nowhere = await ask('nope', 'alice');
      expect(nowhere.verdict.text).toMatch(
        /^alice does not get boats\/nope: no bucket that alice has holds it at checkpoint \d+\.$/,
      );
      expect(nowhere.verdict.because.at(-1)).toMatch(/^Why is not known\. The source could not be asked/);
      const { password } = new URL(fixture.sourceUrl);
      if (password !== '') expect(JSON.stringify([mine, theirs, nowhere])).not.toContain(password);
    } finally {
      await server.start();
      await fixture.close();
    }
  });
});
