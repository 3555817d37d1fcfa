import { describe, expect, test } from 'vitest';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import type { BucketRef, FlushResult, SourceWriter } from '../contract.ts';
import {
  type ActiveSource,
  activate,
  batchOf,
  collect,
  commitAt,
  readBucket,
  rowsFor,
  rowsOf,
  visibleOp,
  write,
} from './content.ts';
import { type Bench, type StorageFactory, withInstance } from './factory.ts';
import { type Fault, type Gate, openGate } from './gate.ts';

/** More storage calls than any flush needs. */
const MOST_STEPS = 60;
/** G6: a take-over ends within this, whatever the former writer is doing. */
const TAKE_OVER_MS = 5000;
const ABOUT_TAKE_OVER = 'within 5 s of the fault';

const BREAKS = ['cut', 'lose-reply'] as const;
/** Some implementations store a small commit that is nothing but chunks in another way. */
const KINDS = ['chunks', 'chunks and row states'] as const;
type Kind = (typeof KINDS)[number];

/** Faults at every step between storage calls (G5, G6). */
export function pausedWriter(factory: StorageFactory): void {
  describe('a fault at every step of a flush', { timeout: 240_000 }, () => {
    test.each(KINDS)('a writer that is paused, and wakes up after a take-over, writes nothing (%s)', (kind) =>
      withInstance(factory, async (bench) => {
        const outcomes = await everyStep(bench, 'pause', kind, async ({ gate, active, attempt, flushing, step }) => {
          const started = performance.now();
          const next = await bench.storage.takeOver('s1', `step ${step}`);
          expect(performance.now() - started, ABOUT_TAKE_OVER).toBeLessThan(TAKE_OVER_MS);
          const before = await next.readTotals([bucketOf(active)]);
          const committed = await hasCommitted(next, active, attempt);
          const marker = await write(
            next,
            active.stream.id,
            { rows: rowsFor(bucketOf(active), `next${step}-`, 1) },
            commitAt(`next${step}`),
          );
          gate.release();
          const outcome = await flushing;
          if (!committed) expect(outcome, `step ${step}`).toMatch(/PSYNC_S1003/);
          expect(await next.readTotals([bucketOf(active)])).toMatchObject([
            { lastOp: marker.lastOp, count: before[0]!.count + 1 },
          ]);
          await expectWhole(bench, active, attempt, committed);
          return committed;
        });
        // The steps reach from before the storage transaction to after it.
        expect(outcomes).toContain(false);
      }),
    );

    test.each(BREAKS.flatMap((fault) => KINDS.map((kind) => [fault, kind] as const)))(
      'a flush whose connection breaks (%s) is applied once, or refused and not applied (%s)',
      (fault, kind) =>
        withInstance(factory, async (bench) => {
          await everyStep(bench, fault, kind, async ({ active, attempt, flushing, step }) => {
            const outcome = await flushing;
            const next = await bench.storage.takeOver('s1', `step ${step}`);
            const committed = await hasCommitted(next, active, attempt);
            if (typeof outcome !== 'string') expect(committed, `step ${step}`).toBe(true);
            await expectWhole(bench, active, attempt, committed);
            return committed;
          });
        }),
    );

    test.each(BREAKS)('a crash (%s) between two flushes of a transaction leaves nothing of it', (fault) =>
      withInstance(factory, async (bench) => {
        await everyStep(
          bench,
          fault,
          'chunks and row states',
          async ({ gate, active, flushing, step }) => {
            // Nothing of this process ever reaches the server again.
            gate.arm('pause', 1);
            gate.cutAll();
            const next = await bench.storage.takeOver('s1', `step ${step}`);
            const op = await visibleOp(bench.storage);
            expect(
              (await collect(next.scanDefinition(bucketOf(active).definition))).every((chunk) => chunk.lastOp <= op),
            ).toBe(true);
            expect(await next.readRowStates(['1/1/1/a'])).toEqual(['committed']);
            gate.release();
            gate.cutAll();
            await flushing;
            expect(await next.readRowStates(['1/1/1/a'])).toEqual(['committed']);
            return false;
          },
          { final: false },
        );
      }),
    );
  });
}

interface Step {
  readonly gate: Gate;
  readonly active: ActiveSource;
  /** Names the rows of this attempt. */
  readonly attempt: string;
  readonly step: number;
  /** The flush that met the fault: its result, or the text of its error. */
  readonly flushing: Promise<FlushResult | string>;
}

const bucketOf = (active: ActiveSource): BucketRef => ({ definition: active.id('b'), key: '["faults"]' });
const ROWS = 6;

/** Repeats a flush with a fault at its first, second, … message until the fault comes no more. */
async function everyStep(
  bench: Bench,
  fault: Fault,
  kind: Kind,
  check: (step: Step) => Promise<boolean>,
  options: { final: boolean } = { final: true },
): Promise<boolean[]> {
  const active = await activate(bench.storage);
  const outcomes: boolean[] = [];
  const first = await bench.storage.takeOver('s1', 'first');
  await write(
    first,
    active.stream.id,
    { rowStates: [{ key: '1/1/1/a', state: 'committed', previous: null }] },
    commitAt('p1'),
  );
  for (let step = 1; step <= MOST_STEPS; step++) {
    const gate = await openGate(bench.instance.address);
    try {
      const storage = await bench.open(gate.address);
      const writer = await storage.takeOver('s1', `through the gate, step ${step}`);
      // Warms up connections, so that the steps counted are those of a flush.
      await write(
        writer,
        active.stream.id,
        { rows: rowsFor(bucketOf(active), `warm${step}-`, 1) },
        commitAt(`warm${step}`),
      );
      const attempt = `try${step}-`;
      const rowStates = kind === 'chunks' ? [] : [{ key: '1/1/1/a', state: 'unfinished', previous: 'committed' }];
      const commit = options.final ? commitAt(attempt) : undefined;
      const batch = await batchOf(
        writer,
        active.stream.id,
        { rows: rowsFor(bucketOf(active), attempt, ROWS), chunkSize: 2, rowStates },
        commit,
      );
      gate.arm(fault, step);
      const flushing: Promise<FlushResult | string> = writer.flush(batch).catch((error: unknown) => {
        if (!isCodedError(error)) throw error;
        return error.message;
      });
      const tripped = await Promise.race([gate.whenTripped().then(() => true), flushing.then(() => gate.tripped)]);
      if (!tripped) {
        expect(outcomes.length, 'messages of a flush').toBeGreaterThan(kind === 'chunks' ? 0 : 1);
        return outcomes;
      }
      outcomes.push(await check({ gate, active, attempt, step, flushing }));
      await storage.close();
    } finally {
      await gate.close();
    }
  }
  throw new Error(`The flush still met the fault at message ${MOST_STEPS}`);
}

async function hasCommitted(writer: SourceWriter, active: ActiveSource, attempt: string): Promise<boolean> {
  const streams = await writer.streams();
  return streams.find((stream) => stream.id === active.stream.id)?.position === attempt;
}

/** All rows of the attempt are visible, once, together with their position; or none. */
async function expectWhole(bench: Bench, active: ActiveSource, attempt: string, committed: boolean): Promise<void> {
  const { reader } = bench.storage;
  const op = await visibleOp(bench.storage);
  const operations = await readBucket(reader, bucketOf(active), op);
  const own = operations.filter((operation) => operation.objectId!.startsWith(attempt));
  expect(own).toHaveLength(committed ? ROWS : 0);
  const [totals] = await reader.totals([bucketOf(active)], op);
  expect(totals!.count).toBe(operations.length);
  expect(Object.keys(rowsOf(own))).toHaveLength(own.length);
}
