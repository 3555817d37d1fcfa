import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { freePort } from '#test/services/free-port.ts';
import type { PrivateRedis } from '#test/services/contract.ts';
import { startRedis } from '#test/services/redis.ts';
import { spawnProcess } from './spawn-process.fixture.ts';

/** The process works for half a second, and may take its time to start. */
const soonMs = 8000;

describe('the life of coordination in a process of its own', () => {
  let server: PrivateRedis;
  let admin: Redis;
  beforeAll(async () => {
    server = await startRedis();
    admin = new Redis(server.url);
    admin.on('error', () => {});
  });
  afterAll(async () => {
    admin.disconnect();
    await server.close();
  });

  test('after close nothing keeps the process alive, all keys and channels have the prefix, no connection stays', async () => {
    const { prefix } = server.createPrefix();
    const child = spawnProcess('everything', server.url, prefix);
    const channels = await vi.waitFor(
      async () => {
        const found = (await admin.pubsub('CHANNELS', '*')) as string[];
        expect(found.length).toBeGreaterThanOrEqual(3);
        expect((await admin.keys('*')).length).toBeGreaterThan(2);
        return found;
      },
      { timeout: soonMs, interval: 5 },
    );
    const keys = await admin.keys('*');
    expect([...keys, ...channels].filter((name) => !name.startsWith(prefix))).toEqual([]);
    await child.said('closed', soonMs);
    expect(await child.ended).toBe(0);
    expect(String(await admin.call('CLIENT', 'LIST')).match(/name=(millrace|t:)/g)).toBe(null);
  });

  test('also when Redis was never there', async () => {
    const child = spawnProcess('everything', `redis://127.0.0.1:${await freePort()}`, 'x:');
    await child.said('closed', soonMs);
    expect(await child.ended).toBe(0);
  });

  test('also when Redis went away before', async () => {
    const { prefix } = server.createPrefix();
    const child = spawnProcess('everything', server.url, prefix);
    await vi.waitFor(async () => expect(await admin.exists(`${prefix}lease:source`)).toBe(1), {
      timeout: soonMs,
      interval: 5,
    });
    await server.kill();
    await child.said('closed', soonMs);
    expect(await child.ended).toBe(0);
    await server.start();
  });
});
