import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BucketRef, BucketStorage, SourceWriter } from '../contract.ts';
import {
  type ActiveSource,
  activateAll,
  batchOf,
  bucketName,
  commitAt,
  type Content,
  operationOf,
  readBucket,
  spec,
  visibleOp,
} from './content.ts';
import { type Bench, type StorageFactory, withInstance } from './factory.ts';
import { createModel, type Model } from './model.ts';

const RUNS = Number(process.env['MILLRACE_CONFORMANCE_RUNS'] ?? 12);
const SOURCES = ['s1', 's2', 's3'] as const;
const KEYS = ['[]', '["a"]', '["b",1]'];
const ROWS = ['1/x', '1/y', '1/y z'];

interface FlushCommand {
  readonly kind: 'flush';
  readonly source: number;
  readonly rows: readonly { key: number; id: number; remove: boolean }[];
  readonly lookups: readonly { key: number; row: number; values: string | null }[];
  readonly rowStates: readonly { key: number; state: string | null }[];
  readonly final: boolean;
  readonly announce: boolean;
  readonly hold: boolean;
  readonly chunkSize: number;
}
type Command =
  | FlushCommand
  /** A new writer in the same process. */
  | { readonly kind: 'take-over'; readonly source: number }
  /** The process ends without saying goodbye; a new one takes all its sources over. */
  | { readonly kind: 'crash' };

const source = fc.nat(SOURCES.length - 1);
const flushCommand: fc.Arbitrary<FlushCommand> = fc.record({
  kind: fc.constant('flush' as const),
  source,
  rows: fc.array(fc.record({ key: fc.nat(KEYS.length - 1), id: fc.nat(5), remove: fc.boolean() }), { maxLength: 8 }),
  lookups: fc.array(
    fc.record({
      key: fc.nat(1),
      row: fc.nat(ROWS.length - 1),
      values: fc.constantFrom('[["a"]]', '[["b"],["c"]]', null),
    }),
    { maxLength: 2 },
  ),
  rowStates: fc.uniqueArray(fc.record({ key: fc.nat(3), state: fc.constantFrom('one', 'two', null) }), {
    maxLength: 3,
    selector: (item) => item.key,
  }),
  final: fc.boolean(),
  announce: fc.boolean(),
  hold: fc.integer({ min: 0, max: 7 }).map((number) => number === 0),
  chunkSize: fc.integer({ min: 1, max: 4 }),
});
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 12, arbitrary: flushCommand },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('take-over' as const), source }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
);

/** Random flushes, crashes and take-overs, compared with an in-memory model after each step. */
export function modelBased(factory: StorageFactory): void {
  describe('random sequences of flushes, crashes and take-overs', { timeout: 600_000 }, () => {
    test('always show what the model shows', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 30 }), (commands) =>
          withInstance(factory, (bench) => runCommands(bench, commands)),
        ),
        { numRuns: RUNS, interruptAfterTimeLimit: 500_000, markInterruptAsFailure: false },
      );
    });
  });
}

interface Run {
  readonly bench: Bench;
  readonly sources: Map<string, ActiveSource>;
  readonly writers: Map<string, SourceWriter>;
  readonly model: Model;
  process: BucketStorage;
  step: number;
}

async function runCommands(bench: Bench, commands: readonly Command[]): Promise<void> {
  const specs = SOURCES.flatMap((tag) => [spec('bucket', `b-${tag}`, tag), spec('lookup', `l-${tag}`, tag)]);
  const sources = await activateAll(bench.storage, specs);
  const run: Run = {
    bench,
    sources,
    writers: new Map([...sources].map(([tag, active]) => [tag, active.writer])),
    model: createModel(SOURCES, await visibleOp(bench.storage)),
    process: bench.storage,
    step: 0,
  };
  for (const item of commands) {
    run.step++;
    if (item.kind === 'flush') await flush(run, item);
    else if (item.kind === 'take-over') await takeOver(run, SOURCES[item.source]!);
    else {
      run.process = await bench.open();
      for (const tag of SOURCES) await takeOver(run, tag);
    }
    await compare(run);
  }
  await compareHistory(run);
}

async function takeOver(run: Run, tag: string): Promise<void> {
  const former = run.writers.get(tag)!;
  run.writers.set(tag, await run.process.takeOver(tag, `step ${run.step}`));
  run.model.takenOver(tag);
  await expect(former.streams()).rejects.toThrow(/PSYNC_S1003/);
}

async function flush(run: Run, item: FlushCommand): Promise<void> {
  const { model, step } = run;
  const tag = SOURCES[item.source]!;
  const active = run.sources.get(tag)!;
  const writer = run.writers.get(tag)!;
  const definition = active.id(`b-${tag}`);
  const lookup = active.id(`l-${tag}`);
  const rowStates = item.rowStates.map(({ key, state }) => {
    const name = `1/1/1/${tag}-${key}`;
    return { key: name, state, previous: model.committedRowState(tag, name) };
  });
  const content: Content = {
    rows: item.rows.map((row) => ({
      definition,
      key: KEYS[row.key]!,
      id: `r${row.id}`,
      data: row.remove ? null : `{"step":${step}}`,
    })),
    lookups: item.lookups.map((entry) => ({
      lookup,
      key: KEYS[entry.key]!,
      row: ROWS[entry.row]!,
      values: entry.values,
    })),
    rowStates,
    chunkSize: item.chunkSize,
  };
  const progress = {
    snapshot: 'done' as const,
    startPosition: null,
    holdUntil: item.hold ? 'later' : null,
    tables: [],
  };
  const commit = item.final ? commitAt(`p${step}`, { announce: item.announce, progress }) : undefined;
  const result = await writer.flush(await batchOf(writer, active.stream.id, content, commit));
  const rows = content.rows!;
  model.flushed({
    source: tag,
    operations: rows.map((row, at) => ({ bucket: bucketName(row), operation: operationOf(row, result.firstOp + at) })),
    lookups: content.lookups!.map((entry, at) => ({
      key: `${lookup}${entry.key}`,
      row: entry.row,
      op: result.firstOp + rows.length + at,
      values: entry.values,
    })),
    rowStates,
    commit: item.final ? { position: `p${step}`, hold: item.hold, announce: item.announce } : null,
    result,
  });
}

function allBuckets(run: Run): BucketRef[] {
  return SOURCES.flatMap((tag) => KEYS.map((key) => ({ definition: run.sources.get(tag)!.id(`b-${tag}`), key })));
}

/** The state now: checkpoint, content, totals, lookups, row states, positions. */
async function compare(run: Run): Promise<void> {
  const { model } = run;
  const { reader } = run.bench.storage;
  const op = model.visible;
  expect((await reader.checkpoint())!.op).toBe(op);
  const buckets = allBuckets(run);
  expect(await reader.totals(buckets, op)).toEqual(buckets.map((bucket) => model.totals(bucketName(bucket), op)));
  for (const bucket of buckets)
    expect(await readBucket(reader, bucket, Number.MAX_SAFE_INTEGER)).toEqual(model.operations(bucketName(bucket), op));
  await compareLookups(run, op);
  for (const tag of SOURCES) {
    const writer = run.writers.get(tag)!;
    const own = KEYS.map((key) => ({ definition: run.sources.get(tag)!.id(`b-${tag}`), key }));
    expect(await writer.readTotals(own)).toEqual(own.map((bucket) => model.ownTotals(tag, bucketName(bucket))));
    const keys = [0, 1, 2, 3].map((key) => `1/1/1/${tag}-${key}`);
    expect(await writer.readRowStates(keys)).toEqual(keys.map((key) => model.rowState(tag, key)));
    expect((await writer.streams()).map((stream) => stream.position)).toEqual([model.position(tag)]);
  }
}

async function compareLookups(run: Run, op: number): Promise<void> {
  const keys = SOURCES.flatMap((tag) =>
    KEYS.slice(0, 2).map((key) => ({ lookup: run.sources.get(tag)!.id(`l-${tag}`), key })),
  );
  const read = await run.bench.storage.reader.lookups(keys, op);
  expect(read.map((values) => values.toSorted())).toEqual(
    keys.map(({ lookup, key }) => run.model.lookups(`${lookup}${key}`, op)),
  );
}

/** Every checkpoint that was ever announced still reads as it did, and the notices between any two tell what changed. */
async function compareHistory(run: Run): Promise<void> {
  const { model } = run;
  const { reader } = run.bench.storage;
  const buckets = allBuckets(run);
  for (const op of model.announced) {
    expect(await reader.totals(buckets, op)).toEqual(buckets.map((bucket) => model.totals(bucketName(bucket), op)));
    for (const bucket of buckets) {
      expect(await readBucket(reader, bucket, op, { maxBytes: 1 })).toEqual(model.operations(bucketName(bucket), op));
    }
    await compareLookups(run, op);
  }
  const notices = await reader.noticesAfter(model.announced[0]!, 1000);
  if (notices === 'gap') throw new Error('all notices are recent');
  expect(notices.map((notice) => notice.op)).toEqual(model.announced.slice(1));
  for (const notice of notices) {
    const { buckets: changed, lookups } = model.changed(notice.previous, notice.op);
    expect(notice.buckets!.map(bucketName).toSorted()).toEqual(changed);
    expect(notice.lookups!.map((item) => `${item.lookup}${item.key}`).toSorted()).toEqual(lookups);
    for (const { definition, key, ...totals } of notice.buckets!) {
      expect(totals).toEqual(model.totals(bucketName({ definition, key }), notice.op));
    }
  }
}
