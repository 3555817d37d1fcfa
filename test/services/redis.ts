import { randomBytes } from 'node:crypto';
import { Redis as Client } from 'ioredis';
import { alone } from './alone.ts';
import type { Origin, PrivateRedis, Redis, RedisOptions, RedisPrefix } from './contract.ts';
import { environmentNames } from './contract.ts';
import { startDockerServer } from './docker-server.ts';
import { findProgram, installDebianPackages } from './install.ts';
import { type LocalRecipe, startLocalServer } from './local-server.ts';

const folders = ['/usr/bin', '/opt/homebrew/bin', '/usr/local/bin'];
let shared: Promise<Redis> | undefined;

/** The Redis of this test run. Everybody else uses it too: no FLUSHALL, only keys under a prefix of the test's own. */
export function redis(): Promise<Redis> {
  shared ??= sharedRedis();
  return shared;
}

async function sharedRedis(): Promise<Redis> {
  const url = process.env[environmentNames.redis];
  return url === undefined || url === '' ? startRedis() : describe('environment', url);
}

/** A Redis of the test's own, to flush, stop, kill, and start again. */
export async function startRedis(options: RedisOptions = {}): Promise<PrivateRedis> {
  const storage =
    options.durable === true ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no'];
  const words = ['--save', '', ...storage, ...(options.arguments ?? [])];
  const docker = await startDockerServer({
    name: 'Redis',
    image: 'redis:7',
    command: (port) => ['redis-server', '--port', String(port), ...words],
  });
  const server = docker ?? { host: '127.0.0.1', ...(await startLocalServer(localRecipe(await redisProgram(), words))) };
  const url = `redis://${server.host}:${server.port}`;
  return { ...server, ...describe(docker === undefined ? 'local' : 'docker', url) };
}

function localRecipe(command: string, words: string[]): LocalRecipe {
  return {
    name: 'redis',
    command,
    arguments: (port, folder) => ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, ...words],
    readyLine: /Ready to accept connections/,
    stopSignal: 'SIGTERM',
  };
}

async function redisProgram(): Promise<string> {
  const find = async () =>
    (await findProgram('redis-server', folders)) ?? (await findProgram('valkey-server', folders));
  return (
    (await find()) ??
    alone('redis', async () => {
      const found = await find();
      if (found !== undefined) return found;
      const hint = 'Debian: apt-get install redis-server; macOS: brew install redis';
      await installDebianPackages(['redis-server'], { what: 'Redis', variable: environmentNames.redis, hint });
      return (await find()) ?? 'redis-server';
    })
  );
}

function describe(origin: Origin, url: string): Redis {
  return { origin, url, createPrefix: () => prefix(url) };
}

function prefix(url: string): RedisPrefix {
  const name = `t:${process.pid}:${randomBytes(6).toString('hex')}:`;
  const drop = () => deleteKeys(url, `${name}*`);
  return { url, prefix: name, drop, [Symbol.asyncDispose]: drop };
}

async function deleteKeys(url: string, pattern: string): Promise<void> {
  const client = new Client(url, { lazyConnect: true, maxRetriesPerRequest: 1 });
  // Commands that fail say so themselves.
  client.on('error', () => {});
  await client.connect();
  try {
    let cursor = '0';
    do {
      const [next, keys] = await client.scan(cursor, 'MATCH', pattern, 'COUNT', 1000);
      if (keys.length > 0) await client.unlink(...keys);
      cursor = next;
    } while (cursor !== '0');
  } finally {
    client.disconnect();
  }
}
