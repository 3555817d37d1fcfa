import type { Redis } from 'ioredis';

/** What a claim found: the lease is the claimant's for a full `ttl`, or somebody else's for that long at most. */
export type Claim = { readonly ours: true } | { readonly ours: false; readonly freeInMs: number };

/**
 * The steps on a lease's key, each atomic. All reject when Redis does not answer; then the step may or may not have
 * happened, and each may be repeated.
 */
export interface LeaseStore {
  /** Takes a free lease, and renews one of the same value. */
  claim(name: string, value: string, ttlMs: number): Promise<Claim>;
  /** Frees the lease if it has this value, and tells the waiters. */
  release(name: string, value: string): Promise<void>;
  /** When it is free at the latest unless renewed, in ms; null when free now. */
  remaining(name: string): Promise<number | null>;
  /** The value of the holder; null when free. */
  read(name: string): Promise<string | null>;
}

// One script for taking and for renewing: a claim that is repeated because its answer was lost finds its own value, and a
// holder whose key was flushed takes it again at once. A key without expiry (edited by hand) would never become free.
const CLAIM = `
local value = redis.call('GET', KEYS[1])
if value == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return -1
end
if not value then
  redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
  return -1
end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return tonumber(ARGV[2])
end
return left`;

const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return 0`;

/** @param releasedChannel where the name of a released lease is published */
export function createLeaseStore(client: Redis, keyPrefix: string, releasedChannel: string): LeaseStore {
  const keyOf = (name: string): string => `${keyPrefix}lease:${name}`;
  return {
    claim: async (name, value, ttlMs) => {
      const left = Number(await client.eval(CLAIM, 1, keyOf(name), value, Math.ceil(ttlMs)));
      return left === -1 ? { ours: true } : { ours: false, freeInMs: left };
    },
    release: async (name, value) => {
      await client.eval(RELEASE, 1, keyOf(name), value, releasedChannel, name);
    },
    remaining: async (name) => {
      const left = await client.pttl(keyOf(name));
      return left < 0 ? null : left;
    },
    read: (name) => client.get(keyOf(name)),
  };
}
