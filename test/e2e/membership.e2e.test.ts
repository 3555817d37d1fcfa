/**
 * Membership revoked means gone (G4, S-11, S-12, S-565): with the checkpoint of the revocation the rows leave the client, and nothing of the
 * bucket is served to that user any more, while others hold it and its pages are in every cache.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createProtocolClient, type ProtocolClient } from '../client/protocol-client.ts';
import { startSdkClient, type SdkClient } from '../client/sdk-client.ts';
import type { Service } from '../instance/instance.ts';
import { createFixture, SHARED_LISTS, type Fixture } from './fixture.ts';

const ITEMS = 2000;
/** More than sockets and kernels hold for a client that does not read. */
const LARGE_ITEMS = 20_000;
const ITEM_CHARACTERS = 1024;

interface Line {
  readonly checkpoint?: { readonly buckets: readonly { readonly bucket: string }[] };
  readonly checkpoint_diff?: { readonly removed_buckets: readonly string[] };
  readonly data?: { readonly bucket: string; readonly data: readonly unknown[] };
}

describe.each([
  { storage: 'mongodb' as const, redis: true },
  { storage: 'postgresql' as const, redis: false },
])('two API processes on $storage, Redis: $redis', ({ storage, redis }) => {
  let fixture: Fixture;
  let apis: readonly Service[];
  const open: { disconnect(): void }[] = [];
  const apps: SdkClient[] = [];
  beforeAll(async () => {
    fixture = await createFixture({ ...SHARED_LISTS, storage, redis });
    await fixture.sql(
      `INSERT INTO items SELECT list || '-' || i, list, 'nobody', repeat(md5(list || i), $1), i
       FROM (VALUES ('small', $2::int), ('large', $3::int)) AS lists (list, most), generate_series(1, most) i`,
      [ITEM_CHARACTERS / 32, ITEMS, LARGE_ITEMS],
    );
    await fixture.sql(`INSERT INTO members VALUES ('b1', 'small', 'carol'), ('b2', 'large', 'bob')`);
    await fixture.instance.start('sync');
    apis = [await fixture.instance.start('api'), await fixture.instance.start('api')];
    await fixture.instance.untilActive(apis[0]!);
  });
  afterEach(async () => {
    for (const client of open.splice(0)) client.disconnect();
    await Promise.all(apps.splice(0).map((app) => app.close()));
  });
  afterAll(() => fixture?.close());

  type Transport = 'http' | 'websocket';
  const clientOf = async (user: string, service: Service, transport: Transport = 'http'): Promise<ProtocolClient> => {
    const token = await fixture.instance.token(user);
    const client = createProtocolClient({ endpoint: service.endpoint, token, transport, clientId: randomUUID() });
    open.push(client);
    return client;
  };
  const synced = async (client: ProtocolClient): Promise<ProtocolClient> => {
    await client.connect();
    await client.until(() => client.completedOp === client.tracked?.lastOpId, 'a first sync', 60_000);
    return client;
  };
  const join = (user: string, list: string): Promise<unknown> =>
    fixture.sql('INSERT INTO members VALUES ($1, $2, $3)', [`${user}-${list}`, list, user]);
  /** The list changes in the transaction that ends the membership, and after it: none of that is for the user. */
  const leave = async (user: string, list: string): Promise<string> => {
    const secret = `secret-${randomUUID()}`;
    await fixture.sql(
      `WITH gone AS (DELETE FROM members WHERE user_id = '${user}' RETURNING list_id)
       INSERT INTO items SELECT '${secret}', list_id, 'nobody', 'for members only', 0 FROM gone`,
    );
    await fixture.sql(`UPDATE items SET n = n + 1 WHERE id = $1`, [`${list}-1`]);
    return secret;
  };
  const rowsOf = (client: ProtocolClient, list: string): string[] =>
    [...client.visible.keys()].filter((key) => key.startsWith(`items/${list}-`) || key.startsWith('items/secret-'));
  const bucketOf = (client: ProtocolClient, list: string): string =>
    [...client.tracked!.buckets.keys()].find((name) => name.includes(`"${list}"`)) ?? '';
  const linesOf = (client: ProtocolClient): readonly Line[] => client.lines;

  test.each(['http', 'websocket'] as const)('with the next checkpoint, over %s', async (transport) => {
    const user = `alice-${transport}`;
    await join(user, 'small');
    const app = await startSdkClient(SHARED_LISTS.tables);
    apps.push(app);
    await app.connect({ endpoint: apis[0]!.endpoint, token: await fixture.instance.token(user), method: transport });
    await app.untilQuery('SELECT count(*) AS count FROM items', ([row]) => Number(row!['count']) >= ITEMS);
    const [here, there] = [
      await synced(await clientOf(user, apis[0]!, transport)),
      await synced(await clientOf(user, apis[1]!, transport)),
    ];
    const devices = [
      await synced(await clientOf(user, apis[0]!, transport)),
      await synced(await clientOf(user, apis[1]!, transport)),
    ];
    for (const device of devices) {
      device.disconnect();
      expect(device.store.positions().some(({ name }) => name.includes('"small"'))).toBe(true);
    }
    // Somebody else has it as well, on the same processes: its pages are in their caches, and stay there.
    const others = [await synced(await clientOf('carol', apis[0]!)), await synced(await clientOf('carol', apis[1]!))];
    const bucket = bucketOf(here, 'small');
    expect(bucket).not.toBe('');
    const before = [here, there].map((client) => linesOf(client).length);

    const secret = await leave(user, 'small');
    for (const [index, client] of [here, there].entries()) {
      await client.until(() => rowsOf(client, 'small').length === 0, 'the rows to be gone', 20_000);
      const news = linesOf(client).slice(before[index]);
      const announced = news.filter((line) => line.checkpoint !== undefined || line.checkpoint_diff !== undefined);
      expect(announced[0]?.checkpoint_diff?.removed_buckets).toEqual([bucket]);
      expect(news.filter(({ data }) => data?.bucket === bucket)).toEqual([]);
      expect(JSON.stringify(news)).not.toContain(secret);
    }
    await app.untilQuery('SELECT count(*) AS count FROM items', ([row]) => row!['count'] === 0);
    // Where nothing is shown, nothing is kept either.
    expect(await app.query(`SELECT name FROM ps_buckets WHERE name LIKE '%"small"%'`)).toEqual([]);

    // Devices that come back, with old positions and with none, to a process that serves the bucket to somebody else.
    for (const [index, other] of others.entries()) {
      await other.until(() => other.visible.has(`items/${secret}`), 'the row that is for members', 20_000);
      for (const device of [devices[index]!, await clientOf(user, apis[index]!, transport)]) {
        await synced(device);
        expect(bucketOf(device, 'small')).toBe('');
        expect(linesOf(device).filter(({ data }) => data?.bucket === bucket)).toEqual([]);
        expect(rowsOf(device, 'small')).toEqual([]);
        device.disconnect();
      }
    }
  });

  test.each(['http', 'websocket'] as const)('during the first sync of the bucket, over %s', async (transport) => {
    const user = `slow-${transport}`;
    const bob = await synced(await clientOf('bob', apis[0]!));
    expect(rowsOf(bob, 'large').length).toBeGreaterThanOrEqual(LARGE_ITEMS);
    await join(user, 'large');
    const slow = await clientOf(user, apis[0]!, transport);
    await slow.connect();
    const isIts = (line: Line): boolean => line.data?.bucket.includes('"large"') === true;
    await slow.until(() => linesOf(slow).some(isIts), 'the first rows', 30_000);
    slow.pause();
    const secret = await leave(user, 'large');
    await bob.until(() => bob.visible.has(`items/${secret}`), 'the row that is for members', 30_000);

    slow.resume();
    const removes = (line: Line): boolean =>
      line.checkpoint_diff?.removed_buckets.some((name) => name.includes('"large"')) === true;
    await slow.until(() => linesOf(slow).some(removes), 'the removal', 30_000);
    await slow.until(() => slow.completedOp === slow.tracked?.lastOpId, 'a complete checkpoint', 30_000);
    // What was under way arrives; the rest of the bucket does not, nor anything after the news.
    const lines = linesOf(slow);
    const sent = lines.reduce((sum, line) => sum + (isIts(line) ? line.data!.data.length : 0), 0);
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(LARGE_ITEMS);
    expect(lines.slice(lines.findIndex(removes)).filter(isIts)).toEqual([]);
    expect(JSON.stringify(lines)).not.toContain(secret);
    expect(rowsOf(slow, 'large')).toEqual([]);
  });
});
