import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { BucketRef } from '../contract.ts';
import {
  type ActiveSource,
  activate,
  activateAll,
  commitAt,
  readBucket,
  rowsFor,
  spec,
  visibleOp,
  write,
} from './content.ts';
import type { ChildJob, ChildReport } from './child-writer.ts';
import { type Bench, type StorageFactory, withInstance } from './factory.ts';

const TAKE_OVER_MS = 5000;
const HELD_UP_MS = 10_000;

/** Real processes that are stopped and killed in the middle of a storage transaction (G6). */
export function stoppedProcess(factory: StorageFactory): void {
  describe('a process that is stopped or killed', { timeout: 120_000 }, () => {
    test('with SIGSTOP inside its storage transaction: taken over within 5 s, and it writes nothing when it wakes up', () =>
      withInstance(factory, async (bench) => {
        const active = await activate(bench.storage);
        const child = startChild(bench, active, { pauseInBuild: 3 });
        await child.until((report) => report.kind === 'stopping');
        await untilStopped(child.process.pid!);
        const next = await timedTakeOver(bench);
        const position = (await next.streams())[0]!.position;
        const marker = await write(
          next,
          active.stream.id,
          { rows: rowsFor(bucketOf(active), 'next', 1) },
          commitAt('next'),
        );
        child.process.kill('SIGCONT');
        const end = await child.until((report) => report.kind === 'failed');
        expect(end).toMatchObject({ code: 'PSYNC_S1003' });
        expect(position).toBe('child2');
        expect(await next.readTotals([bucketOf(active)])).toMatchObject([{ lastOp: marker.lastOp, count: 21 }]);
        await child.end();
      }));

    test('with kill -9 inside its storage transaction: taken over within 5 s', () =>
      withInstance(factory, async (bench) => {
        const active = await activate(bench.storage);
        const child = startChild(bench, active, { pauseInBuild: 2 });
        await child.until((report) => report.kind === 'stopping');
        await untilStopped(child.process.pid!);
        await child.end();
        const next = await timedTakeOver(bench);
        expect((await next.streams())[0]!.position).toBe('child1');
        expect((await next.readTotals([bucketOf(active)]))[0]!.count).toBe(10);
        await write(next, active.stream.id, { rows: rowsFor(bucketOf(active), 'next', 1) }, commitAt('next'));
      }));

    test('with SIGSTOP: another source of the same instance is taken over within 5 s', () =>
      withInstance(factory, async (bench) => {
        const active = await activate(bench.storage);
        const child = startChild(bench, active, { pauseInBuild: 2 });
        await child.until((report) => report.kind === 'stopping');
        await untilStopped(child.process.pid!);
        const started = performance.now();
        await bench.storage.takeOver('s2', 'another source');
        expect(performance.now() - started).toBeLessThan(TAKE_OVER_MS);
        await child.end();
      }));

    test('with SIGSTOP: another source of the same instance is held up for seconds only', () =>
      withInstance(factory, async (bench) => {
        const sources = await activateAll(bench.storage, [spec('bucket', 'b', 's1'), spec('bucket', 'other', 's2')]);
        const [active, other] = [sources.get('s1')!, sources.get('s2')!];
        const child = startChild(bench, active, { pauseInBuild: 2 });
        await child.until((report) => report.kind === 'stopping');
        await untilStopped(child.process.pid!);
        const started = performance.now();
        const bucket: BucketRef = { definition: other.id('other'), key: '[]' };
        const { notice } = await write(
          other.writer,
          other.stream.id,
          { rows: rowsFor(bucket, 'r', 3) },
          commitAt('p1'),
        );
        expect(performance.now() - started).toBeLessThan(HELD_UP_MS);
        expect(await readBucket(bench.storage.reader, bucket, notice!.op)).toHaveLength(3);
        // The stopped process is still the writer of its source: it goes on where it was.
        child.process.kill('SIGCONT');
        await child.until((report) => report.kind === 'flushed' && report.count === 4);
        await child.end();
        const [totals] = await bench.storage.reader.totals([bucketOf(active)], await visibleOp(bench.storage));
        expect(totals!.count % 10).toBe(0);
        expect(totals!.count).toBeGreaterThanOrEqual(40);
      }));

    test('with SIGSTOP at any moment: everything it reported is there, nothing of it comes later', () =>
      withInstance(factory, async (bench) => {
        const active = await activate(bench.storage);
        for (let round = 0; round < 6; round++) {
          const child = startChild(bench, active, {});
          let reported = 0;
          await child.until((report) => {
            if (report.kind === 'flushed') reported = report.count;
            return reported >= 3 + round * 5;
          });
          child.process.kill('SIGSTOP');
          await untilStopped(child.process.pid!);
          const next = await timedTakeOver(bench);
          const [totals] = await next.readTotals([bucketOf(active)]);
          expect(totals!.count % 10).toBe(0);
          child.process.kill('SIGCONT');
          const end = await child.until((report) => report.kind === 'failed');
          expect(end).toMatchObject({ code: 'PSYNC_S1003' });
          await child.end();
          const op = await visibleOp(bench.storage);
          const operations = await readBucket(bench.storage.reader, bucketOf(active), op);
          expect(operations).toHaveLength(totals!.count);
          expect(new Set(operations.map((operation) => operation.opId)).size).toBe(totals!.count);
          expect(await next.readTotals([bucketOf(active)])).toEqual([totals]);
        }
      }));
  });
}

const bucketOf = (active: ActiveSource): BucketRef => ({ definition: active.id('b'), key: '["child"]' });

async function timedTakeOver(bench: Bench) {
  const started = performance.now();
  const writer = await bench.storage.takeOver('s1', 'the next one');
  expect(performance.now() - started).toBeLessThan(TAKE_OVER_MS);
  return writer;
}

function startChild(bench: Bench, active: ActiveSource, job: Pick<ChildJob, 'pauseInBuild'>) {
  const full: ChildJob = {
    ...job,
    openerModule: bench.factory.openerModule,
    request: { url: bench.instance.url },
    source: 's1',
    stream: active.stream.id,
    bucket: bucketOf(active),
    rows: 10,
  };
  const process = fork(new URL('./child-writer.ts', import.meta.url), [JSON.stringify(full)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const reports: ChildReport[] = [];
  const waiting = new Set<() => void>();
  process.on('message', (report: ChildReport) => {
    reports.push(report);
    for (const wake of waiting) wake();
  });
  process.on('exit', () => {
    for (const wake of waiting) wake();
  });
  const until = async (matches: (report: ChildReport) => boolean): Promise<ChildReport> => {
    let seen = 0;
    for (;;) {
      while (seen < reports.length) {
        const report = reports[seen++]!;
        if (matches(report)) return report;
      }
      if (process.exitCode !== null || process.signalCode !== null) throw new Error('The child process ended early');
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          resolve();
        };
        waiting.add(wake);
      });
    }
  };
  return { process, until, end: () => endChild(process) };
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** SIGSTOP takes effect a little after it was sent. */
async function untilStopped(pid: number): Promise<void> {
  const state = async (): Promise<string> => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  };
  await expect.poll(state, { timeout: 10_000, interval: 5 }).toBe('T');
}
