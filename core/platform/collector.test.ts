import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/**
 * A process with a cache of 64 MB that makes 3 GB of buffers, of which it uses the last few only, beside as many objects as an API worker does;
 * prints how often V8 collected everything since the first of these GB, when its limits have settled, and how many bytes of buffers were there
 * at the most.
 */
const program = (tuned: boolean): string => `
  import { constants, PerformanceObserver } from 'node:perf_hooks';
  import { setImmediate as turn } from 'node:timers/promises';
  import { tuneCollector } from ${JSON.stringify(new URL('collector.ts', import.meta.url).href)};
  if (${tuned}) tuneCollector('serves');
  let full = 0;
  let settled = Infinity;
  new PerformanceObserver((list) => {
    for (const { detail, startTime } of list.getEntries())
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR && startTime > settled) full++;
  }).observe({ entryTypes: ['gc'] });
  const cache = Array.from({ length: 256 }, () => Buffer.allocUnsafeSlow(256 * 1024));
  const kept = [];
  let most = 0;
  for (let index = 0; index < 12_288; index++) {
    if (index === 4096) settled = performance.now();
    kept[index % 16] = Buffer.allocUnsafeSlow(256 * 1024);
    kept[index % 16].objects = Array.from({ length: 100 }, (_, at) => ({ at }));
    if (index % 16 === 0) {
      await turn();
      most = Math.max(most, process.memoryUsage().arrayBuffers);
    }
  }
  // the last entries arrive in a turn of their own
  await turn();
  console.log(JSON.stringify({ full, most }));
`;

async function collections(tuned: boolean): Promise<{ full: number; most: number }> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program(tuned)]);
  return JSON.parse(stdout) as { full: number; most: number };
}

test('buffers that die young do not make this Node collect everything', async () => {
  const [alone, tuned] = await Promise.all([collections(false), collections(true)]);
  expect(tuned.full).toBeLessThan(alone.full / 4);
  expect(tuned.most).toBeLessThan(256 * 1024 * 1024);
});
