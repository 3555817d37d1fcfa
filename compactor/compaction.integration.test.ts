/** What compaction must never change, on both storages (S-417…S-427, O-151…O-157): random histories, clients in mid-stream, runs that are killed. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  activate,
  commitAt,
  type ActiveSource,
  rowsFor,
  visibleOp,
  write,
} from '#core/bucket-storage/conformance/content.ts';
import { withInstance, type StorageFactory } from '#core/bucket-storage/conformance/factory.ts';
import type { BucketReader, BucketRef, BucketStorage } from '#core/bucket-storage/contract.ts';
import { mongodbFactory } from '#core/bucket-storage/mongodb/opener.fixture.ts';
import { postgresFactory } from '#core/bucket-storage/postgres/factory.fixture.ts';
import { realClock } from '#core/platform/clock.ts';
import { createModelClient, type History, type ModelClient } from './model-client.fixture.ts';
import { runCompaction, type RunResult } from './run.ts';

const RUNS = Number(process.env['MILLRACE_CONFORMANCE_RUNS'] ?? 20);
const KEYS = ['[]', '["a"]'];
const CLIENTS = 3;

type Step =
  | {
      readonly kind: 'flush';
      readonly rows: readonly { readonly key: number; readonly id: number; readonly remove: boolean }[];
      readonly chunkSize: number;
      readonly final: boolean;
      /** Storage may keep small commits elsewhere for a while; those with row states it does not. */
      readonly settles: boolean;
    }
  | { readonly kind: 'client'; readonly client: number; readonly pages: number }
  | { readonly kind: 'new client'; readonly client: number }
  /** Ends after so many calls of storage, as a killed process does. */
  | { readonly kind: 'compact'; readonly calls: number; readonly maxRows: number; readonly pageBytes: number }
  | { readonly kind: 'two at once' }
  | { readonly kind: 'take-over' };

const client = fc.nat(CLIENTS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('flush' as const),
      rows: fc.array(fc.record({ key: fc.nat(KEYS.length - 1), id: fc.nat(5), remove: fc.boolean() }), {
        minLength: 1,
        maxLength: 10,
      }),
      chunkSize: fc.integer({ min: 1, max: 5 }),
      final: fc.integer({ min: 0, max: 4 }).map((number) => number > 0),
      settles: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('client' as const), client, pages: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('new client' as const), client }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('compact' as const),
      calls: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(Infinity)),
      maxRows: fc.constantFrom(2, 5, 1000),
      pageBytes: fc.constantFrom(1, 300, 100_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('two at once' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('take-over' as const) }) },
);

describe.each([mongodbFactory, postgresFactory])(
  'compaction on $name',
  { timeout: 600_000 },
  (factory: StorageFactory) => {
    test('clients of any age see the rows of their checkpoint, and checksums agree, whatever is compacted when (O-153)', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), (steps) => runSteps(factory, steps)),
        { numRuns: RUNS, interruptAfterTimeLimit: 400_000, markInterruptAsFailure: false },
      );
    });

    test('a bucket whose rows were all removed becomes one CLEAR; where nothing is left to do, nothing is done', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const bucket = { definition: id('b'), key: '[]' };
        await write(writer, stream.id, { rows: rowsFor(bucket, 'r', 50), chunkSize: 7 }, commitAt('p1'));
        const removals = rowsFor(bucket, 'r', 50).map((row) => ({ ...row, data: null }));
        await write(writer, stream.id, { rows: removals, chunkSize: 7, rowStates: STATES }, commitAt('p2'));
        expect(await compact(storage)).toMatchObject({ moved: 50, removed: 99 });
        const op = await visibleOp(storage);
        const { chunks } = await storage.reader.chunks(bucket, 0, op, 1e6);
        expect(chunks.map(({ count }) => count)).toEqual([1]);
        expect((await storage.reader.totals([bucket], op))[0]).toMatchObject({ count: 100, removed: 99 });
        expect(await compact(storage)).toMatchObject({ compacted: 0 });
      }));

    test('a rewrite of what somebody else rewrote does nothing (O-157)', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const bucket = { definition: id('b'), key: '[]' };
        const twice = [...rowsFor(bucket, 'r', 3), ...rowsFor(bucket, 'r', 3)];
        await write(writer, stream.id, { rows: twice, chunkSize: 2, rowStates: STATES }, commitAt('p1'));
        const before = await storage.compaction.chunksBefore(bucket, Number.MAX_SAFE_INTEGER, 1e6);
        await compact(storage);
        const after = await storage.compaction.chunksBefore(bucket, Number.MAX_SAFE_INTEGER, 1e6);
        const rewrites = before.map((chunk) => ({ was: chunk, chunk }));
        const undo = { rewrites, clearedBelow: null, removed: null };
        expect(await storage.compaction.rewrite(bucket, undo)).toBe(false);
        expect(await storage.compaction.chunksBefore(bucket, Number.MAX_SAFE_INTEGER, 1e6)).toEqual(after);
      }));

    test('the last run is remembered (O-185)', () =>
      withInstance(factory, async ({ storage: { compaction } }) => {
        expect(await compaction.lastRun()).toBe(null);
        await compaction.recordRun({ endedMs: 5, succeeded: false });
        expect(await compaction.lastRun()).toEqual({ endedMs: 5, lastSuccessMs: null });
        await compaction.recordRun({ endedMs: 6, succeeded: true });
        await compaction.recordRun({ endedMs: 7, succeeded: false });
        expect(await compaction.lastRun()).toEqual({ endedMs: 7, lastSuccessMs: 6 });
      }));
  },
);

const STATES = [{ key: '1/1/1/x', state: 'some', previous: null }];

async function runSteps(factory: StorageFactory, steps: readonly Step[]): Promise<void> {
  await withInstance(factory, async ({ storage, open }) => {
    const source = await activate(storage);
    const other = await open();
    const buckets = KEYS.map((key) => ({ definition: source.id('b'), key }));
    const replication = createReplication(storage, source, buckets);
    await replication.start();
    // Like API workers: some that were there from the beginning, and know what they have read.
    const newClient = (reader: BucketReader): ModelClient => createModelClient(reader, buckets, replication.history);
    const clients = Array.from({ length: CLIENTS }, () => newClient(other.reader));
    for (const item of steps) {
      if (item.kind === 'flush') await replication.flush(item);
      else if (item.kind === 'take-over') await replication.takeOver();
      else if (item.kind === 'new client') clients[item.client] = newClient(other.reader);
      else if (item.kind === 'client') for (let at = 0; at < item.pages; at++) await clients[item.client]!.step();
      else if (item.kind === 'compact') await compactOrDie(storage, item);
      else await Promise.all([compact(storage), compact(other, { pageBytes: 1 })]);
    }
    for (const item of clients) await item.finish();
    await replication.settle();
    await compact(storage);
    const fresh = newClient(other.reader);
    await fresh.finish();
    fresh.expectCompact();
    expect(await compact(storage)).toMatchObject({ moved: 0, removed: 0 });
  });
}

/** Writes, and knows what clients have to see at each checkpoint. */
function createReplication(storage: BucketStorage, source: ActiveSource, buckets: readonly BucketRef[]) {
  const history: History = new Map();
  let { writer } = source;
  let number = 0;
  let committed = new Map<string, string>();
  let present = new Map(committed);
  const commit = async (): Promise<void> => {
    committed = new Map(present);
    history.set(await visibleOp(storage), committed);
  };
  return {
    history,
    start: commit,
    async flush({ rows, chunkSize, final, settles }: Extract<Step, { kind: 'flush' }>) {
      number++;
      const changes = rows.map(({ key, id, remove }) => ({
        ...buckets[key]!,
        id: `r${id}`,
        data: remove ? null : JSON.stringify({ number, text: 'x'.repeat(40) }),
      }));
      for (const { key, id, data } of changes) {
        if (data === null) present.delete(`${key} items/${id}`);
        else present.set(`${key} items/${id}`, data);
      }
      const content = { rows: changes, chunkSize, rowStates: settles ? STATES : [] };
      await write(writer, source.stream.id, content, final ? commitAt(`p${number}`) : undefined);
      if (final) await commit();
    },
    async takeOver() {
      writer = await storage.takeOver(source.stream.source, 'another');
      present = new Map(committed);
    },
    async settle() {
      number++;
      await write(
        writer,
        source.stream.id,
        { rows: [], rowStates: STATES },
        commitAt(`p${number}`, { announce: true }),
      );
      await commit();
    },
  };
}

interface Limits {
  readonly maxRows?: number;
  readonly pageBytes?: number;
}

function compact(
  storage: Pick<BucketStorage, 'compaction' | 'writeCheckpoints' | 'clearStopped'>,
  limits: Limits = {},
): Promise<RunResult> {
  const log = { info: () => undefined };
  const { signal } = new AbortController();
  return runCompaction({
    storage,
    clock: realClock,
    log,
    signal,
    throttle: 0,
    requestRetentionMs: 3_600_000,
    ...limits,
  });
}

async function compactOrDie(
  storage: BucketStorage,
  { calls, ...limits }: Limits & { readonly calls: number },
): Promise<void> {
  const killed = new Error('killed');
  let left = calls;
  const compaction = new Proxy(storage.compaction, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver);
      if (typeof member !== 'function') return member;
      return async (...values: unknown[]): Promise<unknown> => {
        if (--left < 0) throw killed;
        return Reflect.apply(member, target, values) as unknown;
      };
    },
  });
  const { writeCheckpoints, clearStopped } = storage;
  await compact({ compaction, writeCheckpoints, clearStopped }, limits).catch((error: unknown) => {
    if (error !== killed) throw error;
  });
}
