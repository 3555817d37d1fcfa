/** API workers are replaced one after the other under 2,000 connected clients: no app sees an error, and they come back spread over time (S-616, S-617, O-11). */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { startLoadBalancer, type LoadBalancer } from '../client/load-balancer.ts';
import { createProtocolClient, type ProtocolClient } from '../client/protocol-client.ts';
import { createFixture, SHARED_LISTS, type Fixture } from '../e2e/fixture.ts';
import type { Service } from '../instance/instance.ts';

const CLIENTS = 2000;
const CONFIG = `config: { edition: 3 }
streams:
  lists:
    auto_subscribe: true
    query: SELECT * FROM lists
  mine:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner_id = auth.user_id()
`;
/** What an SDK waits before it comes back, ± 10 %; theirs is 5 s, which would only make the test longer. */
const RETRY_MS = 400;
const SLOT_MS = 250;

let fixture: Fixture;
let balancer: LoadBalancer;
const clients: ProtocolClient[] = [];
const stop = new AbortController();
afterEach(async () => {
  stop.abort();
  for (const client of clients) client.disconnect();
  await balancer.close();
  await fixture.close();
});

/** An app: stays connected, comes back when its session ends, and notes what it would have shown as an error. */
async function runApp(client: ProtocolClient, errors: string[], returns: number[]): Promise<void> {
  for (let first = true; !stop.signal.aborted; first = false) {
    try {
      await client.connect();
      if (!first) returns.push(performance.now());
      await client.ended;
    } catch (error) {
      if (!stop.signal.aborted) errors.push(String(error));
    }
    await sleep(RETRY_MS * (0.9 + Math.random() * 0.2), undefined, { signal: stop.signal }).catch(() => {});
  }
}

/** An app that is between two sessions is waited for too. */
async function all(some: readonly ProtocolClient[], condition: (client: ProtocolClient) => boolean): Promise<void> {
  const missing = (): number => some.filter((client) => !condition(client)).length;
  await expect.poll(missing, { timeout: 60_000, interval: 50 }).toBe(0);
}

test('a rolling restart of two workers', { timeout: 240_000 }, async () => {
  fixture = await createFixture({ storage: 'mongodb', redis: true, schema: SHARED_LISTS.schema, syncConfig: CONFIG });
  const { instance } = fixture;
  await instance.start('sync');
  balancer = await startLoadBalancer();
  let workers: Service[] = [await instance.start('api'), await instance.start('api')];
  balancer.setTargets(workers.map(({ port }) => port));
  await instance.untilActive(workers[0]!);

  const errors: string[] = [];
  const returns: number[] = [];
  const apps: Promise<void>[] = [];
  for (let at = 0; at < CLIENTS; at += 100) {
    const batch = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const name = `user-${at + index}`;
        const token = await instance.token(name);
        return createProtocolClient({ endpoint: balancer.endpoint, token, clientId: name });
      }),
    );
    clients.push(...batch);
    apps.push(...batch.map((client) => runApp(client, errors, returns)));
    await all(batch, (client) => client.completedOp !== null);
  }

  for (const old of workers) {
    const fresh = await instance.start('api');
    // as Kubernetes does it: the new one is ready, the old one gets no more connections, and then the signal
    workers = [...workers.filter((worker) => worker !== old), fresh];
    balancer.setTargets(workers.map(({ port }) => port));
    expect(await old.stop()).toBe(0);
  }
  // one of the workers that were replaced had every client at some time
  await expect.poll(() => returns.length, { timeout: 60_000 }).toBeGreaterThanOrEqual(CLIENTS);
  await fixture.sql(`INSERT INTO lists VALUES ('after', 'the restart')`);
  await all(clients, (client) => client.visible.has('lists/after'));

  expect(errors).toEqual([]);
  const slots = new Map<number, number>();
  for (const at of returns) slots.set(Math.floor(at / SLOT_MS), (slots.get(Math.floor(at / SLOT_MS)) ?? 0) + 1);
  // 500 sessions a second are ended; what the machine holds up comes a little later and closer together
  expect(Math.max(...slots.values())).toBeLessThan(CLIENTS / 4);
  stop.abort();
  for (const client of clients) client.disconnect();
  await Promise.all(apps);
});
