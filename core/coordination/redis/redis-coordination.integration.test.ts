import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { redis } from '#test/services/redis.ts';
import type { RedisPrefix } from '#test/services/contract.ts';
import { conformance, testEnvironment } from '../conformance.ts';
import { createCoordination } from '../create-coordination.ts';

describe('over Redis', () => {
  const prefixes: RedisPrefix[] = [];
  beforeAll(async () => void (await redis()));
  afterAll(() => Promise.all(prefixes.map((prefix) => prefix.drop())));

  conformance(async () => {
    const prefix = (await redis()).createPrefix();
    prefixes.push(prefix);
    const config = { uri: prefix.url, keyPrefix: prefix.prefix };
    const [first, second] = [
      createCoordination(config, testEnvironment()),
      createCoordination(config, testEnvironment()),
    ];
    return { first, second, close: async () => void (await Promise.all([first.close(), second.close()])) };
  });

  test('an address that cannot be one of Redis is refused without being repeated', () => {
    const create = (uri: string) => () => createCoordination({ uri, keyPrefix: 'x:' }, testEnvironment());
    for (const uri of ['', 'localhost:6379', 'http://user:secret@host', 'redis://']) {
      expect(create(uri)).toThrow('PSYNC_S3224');
      expect(create(uri)).not.toThrow('secret');
    }
  });
});
