import { Redis as Client } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { redis, startRedis } from './redis.ts';

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(url, { lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    client.disconnect();
  }
}

describe('the shared Redis', () => {
  test('gives prefixes that do not meet, and deletes only its own keys', async () => {
    const server = await redis();
    const one = server.createPrefix();
    await using two = server.createPrefix();
    await withClient(server.url, async (client) => {
      const pipeline = client.pipeline();
      for (let i = 0; i < 3000; i += 1) pipeline.set(`${one.prefix}${i}`, '1');
      await pipeline.set(`${two.prefix}kept`, '1').exec();
      await one.drop();
      expect(await client.keys(`${one.prefix}*`)).toEqual([]);
      expect(await client.keys(`${two.prefix}*`)).toEqual([`${two.prefix}kept`]);
    });
  });
});

describe('a private Redis', () => {
  test.each([
    { durable: false, end: 'stop', left: null },
    { durable: false, end: 'kill', left: null },
    { durable: true, end: 'kill', left: 'value' },
  ] as const)('durable $durable: after $end and start a key is $left', async ({ durable, end, left }) => {
    await using server = await startRedis({ durable });
    await withClient(server.url, (client) => client.set('key', 'value'));
    await server[end]();
    await expect(withClient(server.url, (client) => client.ping())).rejects.toThrow();
    await server.start();
    expect(await withClient(server.url, (client) => client.get('key'))).toBe(left);
  });

  test('takes arguments', async () => {
    await using server = await startRedis({ arguments: ['--maxmemory', '10mb'] });
    const answer = await withClient(server.url, (client) => client.config('GET', 'maxmemory'));
    expect(answer).toEqual(['maxmemory', String(10 * 1024 * 1024)]);
  });
});
