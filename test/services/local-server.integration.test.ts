import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { startLocalServer } from './local-server.ts';
import { startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** A zombie is dead: not every container has an init that collects orphans. */
async function isAlive(pid: string): Promise<boolean> {
  try {
    process.kill(Number(pid), 0);
  } catch {
    return false;
  }
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return !/\) Z /.test(state);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(20);
}

// A program of its own that starts servers and then waits; it prints their process ids and folders.
const holder = `
  import { startLocalServer } from '${new URL('./local-server.ts', import.meta.url).href}';
  const program = 'setInterval(() => {}, 1000); console.log("ready " + process.pid)';
  const server = await startLocalServer({
    name: 'sleeper',
    command: process.execPath,
    arguments: () => ['-e', program],
    readyLine: /ready/,
    stopSignal: 'SIGTERM',
  });
  console.log(server.log().split(' ')[1], server.folder);
  setInterval(() => {}, 1000);
`;

describe('a server ends with the process that started it', () => {
  test.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)('that ended by %s', async (signal) => {
    const parent = spawn(process.execPath, ['--input-type=module', '-e', holder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
    const [pid, folder] = line.split(' ') as [string, string];
    expect(await isAlive(pid)).toBe(true);
    expect(await exists(folder)).toBe(true);
    parent.kill(signal);
    await until(async () => !(await isAlive(pid)));
    await until(async () => !(await exists(folder)));
  });
});

describe('a server that cannot run', () => {
  const recipe = {
    name: 'thing',
    arguments: () => ['-e', 'console.error("no luck"); process.exit(3)'],
    readyLine: /never/,
  };

  test('fails with its exit code and output', async () => {
    const start = startLocalServer({ ...recipe, command: process.execPath, stopSignal: 'SIGTERM' });
    await expect(start).rejects.toThrow(/thing did not start: it ended with exit code 3[^]*no luck/);
  });

  test('fails when there is no such program', async () => {
    const start = startLocalServer({ ...recipe, command: '/no/such/program', stopSignal: 'SIGTERM' });
    await expect(start).rejects.toThrow(/thing did not start: .*ENOENT/);
  });
});

test('several workers may start servers at once', async () => {
  const servers = await Promise.all([startRedis(), startRedis(), startRedis(), startPostgres({ durable: false })]);
  const urls = servers.map((server) => server.url);
  expect(new Set(urls).size).toBe(urls.length);
  await Promise.all(servers.map((server) => server.close()));
});
