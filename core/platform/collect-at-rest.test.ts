import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFakeClock } from './clock.ts';
import { collectAtRest, type Collector } from './collect-at-rest.ts';

const MB = 1024 * 1024;

test('memory is favoured at rest alone, after the heap has grown, and for one turn', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ load: fc.double({ min: 0, max: 1, noNaN: true }), bytes: fc.nat(500) })),
      async (turns) => {
        const clock = createFakeClock();
        let now = { load: 1, bytes: 20 };
        let favoured = false;
        let settled = now.bytes;
        const collector: Collector = {
          load: () => now.load,
          usedBytes: () => now.bytes * MB,
          favourMemory: (does) => (favoured = does),
        };
        const timer = collectAtRest(collector, clock);
        for (const turn of turns) {
          const before = favoured;
          now = turn;
          await clock.advance(20_000);
          expect(favoured).toBe(!before && turn.load < 0.25 && turn.bytes > settled * 1.15 + 8);
          if (before) settled = turn.bytes;
        }
        timer.cancel();
        expect(clock.waiting).toBe(0);
      },
    ),
    { numRuns: 50 },
  );
});

/** A process that leaves 80 MB behind, and then rests; prints what it takes before and after. */
const program = (favours: boolean): string => `
  import { thisCollector } from ${JSON.stringify(new URL('collect-at-rest.ts', import.meta.url).href)};
  import { setTimeout as sleep } from 'node:timers/promises';
  const collector = thisCollector();
  let kept = [];
  for (let index = 0; index < 3_000_000; index++) kept.push({ index });
  const before = collector.usedBytes();
  kept = null;
  collector.favourMemory(${favours});
  const deadline = performance.now() + ${favours ? 25_000 : 10_000};
  while (collector.usedBytes() > before / 4 && performance.now() < deadline) await sleep(50);
  console.log(JSON.stringify({ before, after: collector.usedBytes() }));
`;

async function heaps(favours: boolean): Promise<{ before: number; after: number }> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program(favours)]);
  return JSON.parse(stdout) as { before: number; after: number };
}

test('this Node gives memory back at rest if it is asked to, and not by itself', async () => {
  const [asked, alone] = await Promise.all([heaps(true), heaps(false)]);
  expect(asked.before).toBeGreaterThan(80 * MB);
  expect(asked.after).toBeLessThan(asked.before / 4);
  expect(alone.after).toBeGreaterThan(alone.before / 4);
});
