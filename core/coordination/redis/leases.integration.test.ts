import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { realClock } from '#core/platform/clock.ts';
import type { PrivateRedis } from '#test/services/contract.ts';
import { startRedis } from '#test/services/redis.ts';
import { testEnvironment } from '../conformance.ts';
import type { Coordination, HeldLease } from '../contract.ts';
import { createCoordination } from '../create-coordination.ts';
import { spawnProcess, type TestProcess } from './spawn-process.fixture.ts';

const neverAborts = new AbortController().signal;
const ttlMs = 3000;
/** A waiter gets a lease whose holder vanished after the ttl; the rest is for a busy machine. */
const takeOverMs = ttlMs + 1500;

describe('leases when things break (G6, G10, O-11, O-12)', () => {
  let server: PrivateRedis;
  let admin: Redis;
  let keyPrefix: string;
  let processes: Coordination[];
  let children: TestProcess[];

  beforeAll(async () => {
    server = await startRedis();
    admin = new Redis(server.url);
    admin.on('error', () => {});
  });
  afterAll(async () => {
    admin.disconnect();
    await server.close();
  });
  beforeEach(() => {
    ({ prefix: keyPrefix } = server.createPrefix());
    processes = [];
    children = [];
  });
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(processes.map((coordination) => coordination.close()));
    await Promise.all(children.map(({ ended }) => ended));
  });

  const start = (): Coordination => {
    const coordination = createCoordination({ uri: server.url, keyPrefix }, testEnvironment());
    processes.push(coordination);
    return coordination;
  };
  const acquire = (owner: string): Promise<HeldLease> => start().acquire({ name: 'source', owner, ttlMs }, neverAborts);
  const child = async (): Promise<TestProcess> => {
    const started = spawnProcess('hold', server.url, keyPrefix);
    children.push(started);
    await started.said('held');
    return started;
  };
  /** Waits for the lease as `owner`; the waiter has seen the holder when this resolves. */
  const waiting = async (owner: string): Promise<{ lease: Promise<HeldLease>; granted(): boolean }> => {
    let granted = false;
    const lease = acquire(owner).then((held) => {
      granted = true;
      return held;
    });
    await realClock.sleep(300);
    expect(granted).toBe(false);
    return { lease, granted: () => granted };
  };
  const elapsed = async (wait: Promise<unknown>): Promise<number> => {
    const from = performance.now();
    await wait;
    return performance.now() - from;
  };
  const owner = (): Promise<string | null> => processes[0]!.holder('source');

  test('kill -9 of the holder: the standby has it within the ttl', async () => {
    const holder = await child();
    const standby = await waiting('standby');
    holder.kill('SIGKILL');
    const tookMs = await elapsed(standby.lease);
    expect(tookMs).toBeGreaterThan(ttlMs / 2);
    expect(tookMs).toBeLessThan(takeOverMs);
    expect(await owner()).toBe('standby');
  });

  test('SIGTERM of the holder: the standby has it at once', async () => {
    const holder = await child();
    const standby = await waiting('standby');
    holder.kill('SIGTERM');
    expect(await elapsed(standby.lease)).toBeLessThan(1000);
    expect(await holder.ended).toBe(0);
  });

  test('a stopped holder (SIGSTOP) is overtaken, and knows it has lost when it goes on', async () => {
    const holder = await child();
    const standby = await waiting('standby');
    holder.kill('SIGSTOP');
    expect(await elapsed(standby.lease)).toBeLessThan(takeOverMs);
    holder.kill('SIGCONT');
    await holder.said('lost', 2000);
    await realClock.sleep(100);
    expect(await owner()).toBe('standby');
    expect((await standby.lease).lost.aborted).toBe(false);
  });

  test('the connection of the holder is cut: it renews over a new one', async () => {
    const held = await acquire('holder');
    const standby = await waiting('standby');
    for (let cut = 0; cut < 4; cut++) {
      await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await realClock.sleep(ttlMs / 3);
    }
    expect(held.lost.aborted).toBe(false);
    expect(standby.granted()).toBe(false);
    await held.release();
    await standby.lease;
  });

  // The later moment is where a waiter that did not keep watching would come first.
  test.each([300, 2900])('FLUSHALL: the holder takes it again, the waiter does not (after %d ms)', async (afterMs) => {
    const held = await acquire('holder');
    const standby = await waiting('standby');
    await realClock.sleep(afterMs - 300);
    await admin.flushall();
    expect(await owner()).toBe(null);
    await vi.waitFor(async () => expect(await owner()).toBe('holder'), { timeout: ttlMs });
    await realClock.sleep(ttlMs);
    expect([held.lost.aborted, standby.granted()]).toEqual([false, false]);
    await held.release();
    expect(await elapsed(standby.lease)).toBeLessThan(500);
  });

  test('FLUSHALL, and somebody new is quicker: the holder has lost', async () => {
    const held = await acquire('holder');
    await admin.multi().flushall().set(`${keyPrefix}lease:source`, 'token somebody', 'PX', 60_000).exec();
    // With the next renewal, long before its own time is over.
    await vi.waitFor(() => expect(held.lost.aborted).toBe(true), { timeout: ttlMs / 2 });
    expect(held.lost.reason).toMatchObject({ code: 'PSYNC_S2503' });
    await held.release();
    expect(await owner()).toBe('somebody');
    await admin.del(`${keyPrefix}lease:source`);
  });

  test('a key that was left without expiry becomes free', async () => {
    await admin.set(`${keyPrefix}lease:source`, 'token forgotten');
    expect(await elapsed(acquire('waiter'))).toBeLessThan(takeOverMs);
  });

  test('Redis restarts on the same port, its data gone: holder and waiter stay what they are', async () => {
    const held = await acquire('holder');
    const standby = await waiting('standby');
    await server.kill();
    await server.start();
    await vi.waitFor(async () => expect(await owner()).toBe('holder'), { timeout: ttlMs });
    await realClock.sleep(ttlMs);
    expect([held.lost.aborted, standby.granted()]).toEqual([false, false]);
    await held.release();
    expect(await elapsed(standby.lease)).toBeLessThan(500);
  });

  test('Redis stays away: the holder has lost before the ttl is over; somebody gets it when Redis is back', async () => {
    const held = await acquire('holder');
    const standby = await waiting('standby');
    await server.kill();
    const lostAfter = await elapsed(
      vi.waitFor(() => expect(held.lost.aborted).toBe(true), { timeout: 5000, interval: 5 }),
    );
    expect(lostAfter).toBeLessThan(ttlMs);
    const late = acquire('late');
    await realClock.sleep(1000);
    expect(await owner()).toBe(null);
    await server.start();
    expect(await elapsed(Promise.race([standby.lease, late]))).toBeLessThan(2000);
    void late.catch(() => {});
    void standby.lease.catch(() => {});
  });
});
