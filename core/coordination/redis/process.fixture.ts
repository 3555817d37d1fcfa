/**
 * A process of an instance, for tests that stop or kill it: `node process.fixture.ts <task> <uri> <key prefix>`.
 * Prints one word a line about what happens to it.
 */
import { realClock } from '#core/platform/clock.ts';
import { createCoordination } from '../create-coordination.ts';

const [task = '', uri = '', keyPrefix = ''] = process.argv.slice(2);
const say = (word: string): void => void process.stdout.write(`${word}\n`);
const log = { info: () => {}, warn: (_fields: object, message: string) => void process.stderr.write(`${message}\n`) };
const coordination = createCoordination(
  { uri, keyPrefix },
  { log, clock: realClock, random: Math.random, jobs: { lockMs: 1000, retryMs: 20 } },
);
const neverAborts = new AbortController().signal;

async function hold(): Promise<void> {
  const lease = await coordination.acquire({ name: 'source', owner: 'child', ttlMs: 3000 }, neverAborts);
  lease.lost.addEventListener('abort', () => say('lost'));
  process.on('SIGTERM', () => void coordination.close());
  say('held');
}

function work(): void {
  coordination.jobs.work('compaction', async () => {
    say('working');
    await new Promise(() => {});
  });
}

/** Uses everything, closes, and must end by itself. */
async function everything(): Promise<void> {
  coordination.onCommit(
    () => {},
    () => {},
  );
  coordination.onNudge('sync-config', () => {});
  const waiting = new AbortController();
  const lease = coordination.acquire({ name: 'source', owner: 'child', ttlMs: 3000 }, waiting.signal);
  const second = coordination.acquire({ name: 'source', owner: 'child', ttlMs: 3000 }, waiting.signal);
  coordination.jobs.work('compaction', (_data, signal) => realClock.sleep(60_000, signal));
  coordination.jobs.add('compaction', 'a', 1).catch(() => {});
  coordination.jobs.add('clearing', 'a', 1).catch(() => {});
  await realClock.sleep(500);
  const closed = coordination.close();
  await Promise.allSettled([lease, second, closed]);
  say('closed');
}

if (task === 'hold') await hold();
else if (task === 'work') work();
else await everything();
