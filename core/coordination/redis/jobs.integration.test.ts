import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { realClock } from '#core/platform/clock.ts';
import type { PrivateRedis } from '#test/services/contract.ts';
import { startRedis } from '#test/services/redis.ts';
import { testEnvironment } from '../conformance.ts';
import type { Coordination } from '../contract.ts';
import { createCoordination } from '../create-coordination.ts';
import { spawnProcess } from './spawn-process.fixture.ts';

const soon = { timeout: 10_000, interval: 10 };

describe('jobs when things break (G10)', () => {
  let server: PrivateRedis;
  let admin: Redis;
  let keyPrefix: string;
  let processes: Coordination[];

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
  });
  afterEach(() => Promise.all(processes.map((coordination) => coordination.close())));

  const start = (): Coordination => {
    const coordination = createCoordination({ uri: server.url, keyPrefix }, testEnvironment());
    processes.push(coordination);
    return coordination;
  };
  /** Adds jobs until one of them was run. */
  const worksAgain = async (coordination: Coordination, done: () => unknown[]): Promise<void> => {
    let attempt = 0;
    await vi.waitFor(async () => {
      await coordination.jobs.add('compaction', `again ${attempt++ % 3}`, 'again');
      expect(done()).toContain('again');
    }, soon);
  };

  test('kill -9 of a worker: its job goes to another one', async () => {
    const child = spawnProcess('work', server.url, keyPrefix);
    const coordination = start();
    await coordination.jobs.add('compaction', 'a', 'data');
    await child.said('working');
    const done: unknown[] = [];
    coordination.jobs.work('compaction', async (data) => void done.push(data));
    await realClock.sleep(1500);
    expect(done).toEqual([]);
    child.kill('SIGKILL');
    await child.ended;
    await vi.waitFor(() => expect(done).toEqual(['data']), soon);
  });

  test('FLUSHALL: a running job is told to end, queued ones are gone, new ones run', async () => {
    const [producer, consumer] = [start(), start()];
    const done: unknown[] = [];
    let aborted = false;
    consumer.jobs.work('compaction', async (data, signal) => {
      if (data === 'long') await realClock.sleep(60_000, signal).finally(() => (aborted = true));
      done.push(data);
    });
    await producer.jobs.add('compaction', 'a', 'long');
    await realClock.sleep(200);
    await producer.jobs.add('compaction', 'b', 'queued');
    await admin.flushall();
    await vi.waitFor(() => expect(aborted).toBe(true), soon);
    await worksAgain(producer, () => done);
    expect(done).not.toContain('queued');
  });

  test('Redis is restarted without its data: jobs are refused meanwhile, then run', async () => {
    const [producer, consumer] = [start(), start()];
    const done: unknown[] = [];
    consumer.jobs.work('compaction', async (data) => void done.push(data));
    await producer.jobs.add('compaction', 'a', 'first');
    await vi.waitFor(() => expect(done).toEqual(['first']), soon);
    await server.kill();
    await expect(producer.jobs.add('compaction', 'b', 'refused')).rejects.toMatchObject({ code: 'PSYNC_S2502' });
    await server.start();
    await worksAgain(producer, () => done);
  });

  test('finished and given up jobs leave nothing behind', async () => {
    const coordination = start();
    let calls = 0;
    const stop = coordination.jobs.work('clearing', async (data) => {
      calls++;
      if (data === 'bad') throw new Error('does not work');
    });
    await coordination.jobs.add('clearing', 'a', 'good');
    await coordination.jobs.add('clearing', 'b', 'bad');
    await vi.waitFor(() => expect(calls).toBe(4), soon);
    await stop();
    const keys = await admin.keys(`${keyPrefix}*`);
    expect(keys.filter((key) => key.includes('key-'))).toEqual([]);
    expect(keys.filter((key) => !key.startsWith(`${keyPrefix}jobs:clearing:`))).toEqual([]);
  });
});
