import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Position, ReplicatedTable, Source, StreamEvent } from '../sources/contract.ts';
import type { ChangeApplier } from './change-applier.ts';
import type { Flusher } from './flusher.ts';
import type { RowStateCache } from './row-state-cache.ts';
import { createStreamPipeline, type StreamPipeline } from './stream-pipeline.ts';
import type { TableBinding } from './table-binding.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const turns = async (count: number): Promise<void> => {
  for (let passed = 0; passed < count; passed++) await turn();
};
const table = { schema: 'public', name: 't' } as ReplicatedTable;

interface Harness {
  readonly pipeline: StreamPipeline;
  readonly abort: AbortController;
  /** Changes applied that no flush has taken. */
  readonly dirty: () => boolean;
  readonly committed: Position[];
}

/** Applies and flushes nothing but counts; a flush takes so many turns of the event loop. */
function createHarness(flushTurns: () => number, failing: () => Error | null = () => null): Harness {
  const abort = new AbortController();
  const committed: Position[] = [];
  let gathered = 0;
  let inFlight: Promise<void> | null = null;
  const flusher = {
    get dirty() {
      return gathered > 0;
    },
    full: false,
    get busy() {
      return inFlight !== null;
    },
    async flush(commit) {
      await inFlight;
      gathered = 0;
      const written = (async () => {
        await turns(flushTurns());
        const failure = failing();
        if (failure) throw failure;
        if (commit?.position != null) committed.push(commit.position);
      })().finally(() => (inFlight = null));
      inFlight = written;
      written.catch(() => undefined);
      return { written: written.then(() => ({}) as never) };
    },
    async settled() {
      await inFlight;
    },
  } as Partial<Flusher> as Flusher;
  const pipeline = createStreamPipeline({
    source: {
      comparePositions: (a: string, b: string) => Number(a) - Number(b),
      acknowledge: () => undefined,
    } as Partial<Source> as Source,
    writer: { keepalive: async () => undefined } as never,
    stream: 1,
    cursor: () => 'slot',
    flusher,
    applier: { keysNeeded: () => undefined, apply: () => void gathered++ } as Partial<ChangeApplier> as ChangeApplier,
    states: { load: async () => undefined } as Partial<RowStateCache> as RowStateCache,
    start: '0',
    now: () => 0,
    signal: abort.signal,
    binding: () => ({}) as TableBinding,
    tableChanged: async () => undefined,
    copiedUntil: () => null,
    hold: () => undefined,
    unreadable: () => undefined,
    visible: () => true,
    takeProgress: () => undefined,
    progressChanged: () => false,
    applied: () => undefined,
  });
  return { pipeline, abort, committed, dirty: () => gathered > 0 };
}

const change: StreamEvent = { kind: 'insert', table, omitted: null, bytes: 10 } as unknown as StreamEvent;

/** Transaction after transaction, for as long as it is not told to stop. */
async function neverIdle({ handler }: StreamPipeline, stop: AbortSignal, pause: () => number): Promise<void> {
  for (let position = 1; !stop.aborted; position++) {
    await handler.event({ kind: 'begin' });
    await handler.event(change);
    await turns(pause());
    await handler.event({ kind: 'commit', position: String(position), timeMs: 0 });
    await turns(pause());
  }
}

/** The numbers over and over. */
function cycle(numbers: readonly number[]): () => number {
  let at = 0;
  return () => numbers[at++ % numbers.length]!;
}

describe('a stream that is told to stop', () => {
  test('stops at a boundary, all stored, while changes arrive without a pause', async () => {
    const paces = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(paces, paces, fc.nat(30), async (flushes, pauses, before) => {
        const { pipeline, dirty, committed } = createHarness(cycle(flushes));
        const writing = new AbortController();
        // one turn at least, as anything that comes from a socket
        const pause = cycle(pauses);
        const load = neverIdle(pipeline, writing.signal, () => 1 + pause());
        const running = pipeline.run();
        await turns(before);
        await pipeline.stopAtBoundary();
        expect(dirty()).toBe(false);
        expect(pipeline.position.at).toBe(committed.at(-1) ?? '0');
        await running;
        writing.abort();
        await load;
      }),
      { numRuns: 50 },
    );
  });

  test('in the middle of a transaction: not before its end', async () => {
    const { pipeline, committed } = createHarness(() => 1);
    const running = pipeline.run();
    // more than the queue holds: a part of it is applied before the rest has come
    for (let count = 0; count <= 50_000; count++) void pipeline.handler.event(change);
    await turns(20);
    let stopped = false;
    const stopping = pipeline.stopAtBoundary().then(() => (stopped = true));
    await turns(20);
    expect(stopped).toBe(false);
    void pipeline.handler.event({ kind: 'commit', position: '7', timeMs: 0 });
    await stopping;
    expect(committed).toEqual(['7']);
    await running;
  });

  test('ends before a boundary: who waits for it hears why', async () => {
    const { pipeline, abort } = createHarness(() => 1);
    const running = pipeline.run();
    for (let count = 0; count <= 50_000; count++) void pipeline.handler.event(change);
    await turns(20);
    const stopping = pipeline.stopAtBoundary();
    abort.abort(new Error('the connection is lost'));
    await expect(stopping).rejects.toThrow('the connection is lost');
    await running;
    await expect(pipeline.stopAtBoundary()).rejects.toThrow('the connection is lost');
  });

  test('storage fails with what was to be stored: who waits for it hears why', async () => {
    const { pipeline } = createHarness(
      () => 3,
      () => new Error('storage is gone'),
    );
    const running = pipeline.run();
    const failed = expect(running).rejects.toThrow('storage is gone');
    void pipeline.handler.event(change);
    void pipeline.handler.event({ kind: 'commit', position: '1', timeMs: 0 });
    await turns(2);
    await expect(pipeline.stopAtBoundary()).rejects.toThrow('storage is gone');
    await failed;
  });
});
