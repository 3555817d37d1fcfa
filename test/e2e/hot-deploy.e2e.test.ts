/** The way of the operator: a sync config deployed at an API worker, replicated by another process; nothing restarts (docs/adr/0008-operator.md). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SyncConfigPartStatus } from '#core/platform/status/contract.ts';
import { readPartStatus } from '#core/platform/status/parse.ts';
import { syncConfigRevision } from '#core/platform/status/revision.ts';
import { ADMIN_TOKEN, until, type Service } from '../instance/instance.ts';
import { createProtocolClient } from '../client/protocol-client.ts';
import { createFixture, type Fixture } from './fixture.ts';

const config = (more: string): string => `config: { edition: 3 }
streams:
  items:
    auto_subscribe: true
    query: SELECT * FROM items
${more}`;
const FIRST = config('');
const REWORDED = config('# with a comment\n');
const ADDED = config('  notes:\n    auto_subscribe: true\n    query: SELECT * FROM notes\n');
const REMOVED = config('# notes are not wanted any more\n');

describe.each([true, false])('with Redis: %s', (redis) => {
  let fixture: Fixture;
  let replicator: Service;
  let api: Service;

  beforeAll(async () => {
    fixture = await createFixture({
      ...{ storage: 'mongodb', redis, syncConfig: null, metrics: true },
      schema: `CREATE TABLE items (id text PRIMARY KEY); CREATE TABLE notes (id text PRIMARY KEY);
        INSERT INTO items SELECT i::text FROM generate_series(1, 100) i; INSERT INTO notes SELECT i::text FROM generate_series(1, 100) i;
        CREATE PUBLICATION powersync FOR TABLE items, notes`,
    });
    [replicator, api] = [await fixture.instance.start('sync'), await fixture.instance.start('api')];
  });
  afterAll(() => fixture?.close());

  const call = (path: string, body?: string): Promise<Response> =>
    fetch(`${api.endpoint}/api/sync-rules/v1/${path}`, {
      ...(body === undefined ? {} : { method: 'POST', body }),
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/yaml' },
    });
  const active = async (service: Service): Promise<SyncConfigPartStatus | undefined> => {
    const { status } = readPartStatus(await (await fetch(`${service.metricsUrl}/status`)).text());
    return status?.syncConfig?.find(({ state }) => state === 'active');
  };
  /** Milliseconds from the request until both processes say that it is active. */
  const deploy = async (text: string): Promise<{ data: object; ms: number }> => {
    const startedMs = performance.now();
    const answer = await call('deploy', text);
    expect(answer.status).toBe(200);
    const revision = syncConfigRevision(text);
    const isActive = async (): Promise<boolean> =>
      (await active(api))?.revision === revision && (await active(replicator))?.revision === revision;
    await until('it is active', isActive, 30_000, () => replicator.output());
    return { ...((await answer.json()) as { data: object }), ms: Math.round(performance.now() - startedMs) };
  };

  test('the first one, other words for it, a new stream, one less: all take over by themselves', async () => {
    const first = await deploy(FIRST);
    expect(first.data).toMatchObject({ version: 1, state: 'processing', revision: syncConfigRevision(FIRST) });
    const client = createProtocolClient({
      endpoint: api.endpoint,
      token: await fixture.instance.token('ann'),
      clientId: 'ann-1',
    });
    await client.connect();
    await client.until(() => client.visible.size === 100, 'items');
    const { counts } = client;

    const reworded = await deploy(REWORDED);
    expect(reworded.data).toMatchObject({ version: 1, state: 'active' });
    const added = await deploy(ADDED);
    await client.until(() => client.visible.size === 200, 'items and notes');
    const removed = await deploy(REMOVED);
    expect(removed.data).toMatchObject({ version: 3, state: 'active' });
    await client.until(() => client.visible.size === 100, 'items');
    // what was there is not downloaded again
    expect(counts.operations).toBe(200);
    client.disconnect();
    const current = (await (await call('current')).json()) as { data: { current: object } };
    expect(current.data.current).toMatchObject({
      version: 3,
      state: 'active',
      revision: syncConfigRevision(REMOVED),
      content: REMOVED,
    });
    const took = { first: first.ms, reworded: reworded.ms, added: added.ms, removed: removed.ms };
    // nobody writes to the source: it is moved on, and not waited for
    expect(Math.max(...Object.values(took)), JSON.stringify(took)).toBeLessThan(15_000);
  });

  test('what is wrong changes nothing, and is refused with its position', async () => {
    const before = await active(api);
    const answer = await call('deploy', 'streams: 5');
    expect(answer.status).toBe(422);
    expect(JSON.stringify(await answer.json())).toMatch(/PSYNC_R\d{4}.*line 1/);
    expect(await active(api)).toEqual(before);
  });
});
