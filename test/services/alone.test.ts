import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { alone } from './alone.ts';

test('work of one name never overlaps, and a failure releases the lock', async () => {
  let inside = 0;
  let most = 0;
  const works = Array.from({ length: 8 }, (_, i) =>
    alone('alone-test', async () => {
      inside += 1;
      most = Math.max(most, inside);
      await delay(5);
      inside -= 1;
      if (i % 2 === 0) throw new Error('failed');
      return i;
    }),
  );
  const results = await Promise.allSettled(works);
  expect(most).toBe(1);
  expect(results.map((result) => result.status)).toEqual(works.map((_, i) => (i % 2 === 0 ? 'rejected' : 'fulfilled')));
});

test('the lock of a process that was killed is free', async () => {
  const code = `
    import { alone } from '${new URL('./alone.ts', import.meta.url).href}';
    await alone('alone-killed', () => new Promise(() => { setInterval(() => {}, 1000); console.log('has it'); }));
  `;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(owner.stdout, 'data');
  let killed = false;
  const second = alone('alone-killed', () => Promise.resolve(killed));
  // Time in which a lock that does not hold would let it pass.
  await delay(50);
  killed = true;
  owner.kill('SIGKILL');
  expect(await second).toBe(true);
});
