/** kill -9 of the leader, of the standby, of an API worker while transactions stream in: afterwards every client equals the source (G3). */
import { afterEach, describe, expect, test } from 'vitest';
import { startSdkClient, type SdkClient } from '../client/sdk-client.ts';
import { createFixture, sameRows, SHARED_LISTS, type Fixture } from '../e2e/fixture.ts';
import { until, type Service } from '../instance/instance.ts';

const USERS = ['alice', 'bob'];

/** Time between two rounds of the writer: the service and the clients of a small machine follow it, so that what is measured is a fault. */
const ROUND_MS = 20;

interface Writer extends AsyncDisposable {
  /** Rounds written so far. */
  readonly rounds: number;
  until(rounds: number): Promise<void>;
  stop(): Promise<void>;
}

/** Writes transactions of several kinds until told to stop: inserts, rows that move between users, deletes, changed keys. */
function writeContinuously(fixture: Fixture): Writer {
  let stopped = false;
  let rounds = 0;
  const work = (async () => {
    while (!stopped) {
      const started = performance.now();
      const id = 10_000 + rounds;
      await fixture.sql(`INSERT INTO items VALUES ($1, 'l1', $2, 'new', $3)`, [`n${id}`, USERS[id % 2], id]);
      await fixture.sql(
        `UPDATE items SET owner_id = CASE owner_id WHEN 'alice' THEN 'bob' ELSE 'alice' END WHERE n % 97 = $1`,
        [id % 97],
      );
      if (id % 5 === 4) await fixture.sql(`DELETE FROM items WHERE n = $1`, [id - 4]);
      if (id % 11 === 10) await fixture.sql(`UPDATE items SET id = id || 'k' WHERE n = $1`, [id - 1]);
      rounds++;
      await new Promise((resolve) => setTimeout(resolve, ROUND_MS - (performance.now() - started)));
    }
  })();
  // Told by `stop`, which every test ends with.
  work.catch(() => undefined);
  const stop = async (): Promise<void> => {
    stopped = true;
    await work;
  };
  return {
    get rounds() {
      return rounds;
    },
    until: (wanted) => until(`${wanted} rounds of the writer`, () => rounds >= wanted),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

describe.each([{ storage: 'mongodb' as const }, { storage: 'postgresql' as const }])('$storage', ({ storage }) => {
  let fixture: Fixture;
  const clients: SdkClient[] = [];
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await fixture.close();
  });

  const begin = async (): Promise<{ leader: Service; standby: Service; workers: [Service, Service] }> => {
    fixture = await createFixture({
      storage,
      redis: true,
      schema: SHARED_LISTS.schema,
      syncConfig: SHARED_LISTS.syncConfig,
    });
    await fixture.sql(
      `INSERT INTO items SELECT 'i' || i, 'l1', CASE i % 2 WHEN 0 THEN 'alice' ELSE 'bob' END, 't', i FROM generate_series(1, 2000) i`,
    );
    const leader = await fixture.instance.start('sync');
    const workers: [Service, Service] = [await fixture.instance.start('api'), await fixture.instance.start('api')];
    await fixture.instance.untilActive(workers[0]);
    const standby = await fixture.instance.start('sync');
    for (const [index, user] of USERS.entries()) {
      const client = await startSdkClient(SHARED_LISTS.tables);
      clients.push(client);
      await client.connect({ endpoint: workers[index]!.endpoint, token: await fixture.instance.token(user) });
      await client.untilSynced();
    }
    return { leader, standby, workers };
  };
  const allEqual = async (timeoutMs = 30_000): Promise<void> => {
    for (const [index, user] of USERS.entries()) {
      const expected = await fixture.sql(SHARED_LISTS.itemsOf, [user]);
      await clients[index]!.untilQuery(SHARED_LISTS.localItems, (rows) => sameRows(rows, expected), timeoutMs);
    }
  };

  test('the leader: a standby takes over within 5 s, nothing is lost or doubled', async () => {
    const { leader } = await begin();
    await using writer = writeContinuously(fixture);
    await writer.until(30);
    await leader.kill();
    const killed = performance.now();
    await fixture.sql(`INSERT INTO lists VALUES ('after', 'the kill')`);
    await clients[0]!.untilQuery('SELECT id FROM lists', (rows) => rows.length === 1, 15_000);
    expect(performance.now() - killed).toBeLessThan(5000);
    await writer.stop();
    await allEqual();
  });

  test('the leader by SIGTERM: handed over at once', async () => {
    const { leader } = await begin();
    await using writer = writeContinuously(fixture);
    await leader.stop();
    const gone = performance.now();
    await fixture.sql(`INSERT INTO lists VALUES ('after', 'the hand-over')`);
    await clients[0]!.untilQuery('SELECT id FROM lists', (rows) => rows.length === 1, 15_000);
    expect(performance.now() - gone).toBeLessThan(2500);
    await writer.stop();
    await allEqual();
  });

  test('the standby: nobody notices', async () => {
    const { standby } = await begin();
    await using writer = writeContinuously(fixture);
    await standby.kill();
    await fixture.sql(`INSERT INTO lists VALUES ('after', 'the kill')`);
    await clients[0]!.untilQuery('SELECT id FROM lists', (rows) => rows.length === 1, 2000);
    await writer.stop();
    await allEqual();
  });

  test('an API worker: its clients go on at another one from where they were', async () => {
    const { workers } = await begin();
    await using writer = writeContinuously(fixture);
    await workers[0].kill();
    await clients[0]!.disconnect();
    await clients[0]!.connect({ endpoint: workers[1].endpoint, token: await fixture.instance.token('alice') });
    await writer.until(writer.rounds + 10);
    await writer.stop();
    await allEqual();
  });

  test('a leader that was stopped and wakes up writes nothing (G6)', async () => {
    const { leader } = await begin();
    await using writer = writeContinuously(fixture);
    await writer.until(10);
    leader.pause();
    await fixture.sql(`INSERT INTO lists VALUES ('after', 'the pause')`);
    await clients[0]!.untilQuery('SELECT id FROM lists', (rows) => rows.length === 1, 20_000);
    leader.resume();
    await until(
      'the former leader to notice',
      () => /fenced|Lost the lease|PSYNC_S1003|starts again/.test(leader.output()),
      15_000,
    );
    await writer.stop();
    await allEqual();
  });
});
