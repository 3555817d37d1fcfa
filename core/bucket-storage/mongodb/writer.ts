/** The writer of one source. Every change carries its epoch; see changes.ts. */
import type { Collection, Filter } from 'mongodb';
import type { Clock } from '../../platform/clock.ts';
import { codedError } from '../../platform/errors/coded-error.ts';
import type { BucketTotals, Chunk, FlushBatch, SourceWriter, TableIdentity } from '../contract.ts';
import { withActivation } from './activation.ts';
import { type Actor, type Decide, isUncertain, readInstance } from './changes.ts';
import { type PreparedChunks, prepareChunks, scanChunks, totalsAsOf } from './chunks.ts';
import { planFlush, streamEnded } from './commit-plan.ts';
import type { Collections, Instance } from './documents.ts';
import { coded } from './failure.ts';
import { checkDefinitions, type Flushed, writeFlush } from './flush.ts';
import { fieldOf } from './ids.ts';
import { scanLookups } from './lookups.ts';
import type { NoticeLists } from './notice-lists.ts';
import { maySitInInstance, withRecent } from './recent-commits.ts';
import { viewOf, withRecentTotals } from './recent-view.ts';
import { createBlockPresence, readRowStates, rowStateIdsBelow } from './row-states.ts';
import { planSwitchOver } from './switch-over.ts';
import { describeStreams } from './versions.ts';
import { withStream } from './visibility.ts';

export interface WriterDependencies {
  readonly collections: Collections;
  readonly actor: Actor;
  readonly clock: Clock;
  readonly source: string;
  readonly epoch: number;
  readonly owner: string;
  /** Something is left to remove after a commit; not waited for. */
  readonly committed: (unfinished: { readonly stream: number; readonly transaction: number } | null) => void;
}

const NOTHING: NoticeLists = { buckets: [], lookups: [], writeCheckpoints: [] };
const ROW_STATES_PER_STEP = 5000;
const ROW_STATE_BLOCKS_PER_STEP = 150;
const EVERY_OP = Number.MAX_SAFE_INTEGER;

export function createWriter(dependencies: WriterDependencies): SourceWriter {
  const { collections, actor, clock, source, epoch } = dependencies;
  const field = fieldOf(source);
  /** What the flushes of an unfinished transaction changed, per stream. */
  const gathered = new Map<number, NoticeLists>();
  const prepared: PreparedChunks = new WeakMap();
  const blockPresence = createBlockPresence(collections);
  let lost: Error | null = null;
  let flushes = 0;

  const check = (instance: Instance): void => {
    const record = instance.sources[field];
    if (record?.epoch === epoch) return;
    lost = fenced(source, record?.owner);
    void actor.end();
    throw lost;
  };
  const checkNow = async (): Promise<void> => check(await readInstance(collections));
  const seal = (instance: Instance, mark: string): Instance => ({
    ...instance,
    sources: { ...instance.sources, [field]: { ...instance.sources[field]!, mark } },
  });

  /** A change under this epoch. */
  const change = <T>(decide: Decide<T>): Promise<T> =>
    coded(async () => {
      if (lost !== null) throw lost;
      try {
        return await actor.change<T>((instance, mark) => {
          check(instance);
          return decide(instance, mark);
        });
      } catch (error) {
        if (isUncertain(error)) lost ??= error as Error;
        throw lost ?? error;
      }
    });

  /** A read whose answer counts only if this epoch is still the newest. */
  const read = <T>(work: () => Promise<T>): Promise<T> =>
    coded(async () => {
      const [result] = await Promise.all([work(), checkNow()]);
      return result;
    });

  const flush = async (batch: FlushBatch) => {
    const name = `${epoch}.${++flushes}`;
    const { stream } = batch;
    const context = { collections, source, name, prepared, blockPresence, gathered: gathered.get(stream) ?? NOTHING };
    let replaced: number | null = null;
    const { lists, ...result } = await change<Flushed>(async (instance, mark) => {
      const nowMs = clock.now();
      const plan = await withActivation(collections, planFlush(instance, source, batch, nowMs));
      replaced = batch.commit !== undefined && plan.stream.dirty ? plan.stream.transaction : null;
      const sealed = { ...plan, instance: seal(plan.instance, mark) };
      if (maySitInInstance(sealed, batch)) {
        const content = batch.build(plan.firstOp);
        checkDefinitions(content, plan.stream.definitions, stream);
        const small = withRecent(sealed, batch.commit!, content, prepared, nowMs);
        const { firstOp, lastOp } = plan;
        if (small !== null)
          return { instance: small.instance, result: { firstOp, lastOp, notice: small.notice, lists: NOTHING } };
      }
      return {
        instance: sealed.instance,
        work: (session) => writeFlush({ ...context, nowMs }, sealed, batch, session),
      };
    });
    if (batch.commit === undefined) gathered.set(stream, lists);
    else gathered.delete(stream);
    if (batch.commit !== undefined)
      dependencies.committed(replaced === null ? null : { stream, transaction: replaced });
    return result;
  };

  async function* scanAll(definition: number): AsyncGenerator<Chunk> {
    await change((instance, mark) =>
      instance.recent.length === 0
        ? { unchanged: undefined }
        : { instance: seal({ ...instance, recent: [] }, mark), work: () => Promise.resolve() },
    );
    yield* scanChunks(collections, definition, checkNow);
  }

  /** In fenced steps. */
  const drop = async <D extends { _id: string }>(
    collection: Collection<D>,
    prefix: string,
    limit: number,
  ): Promise<void> => {
    for (;;) {
      const ids = await read(() => rowStateIdsBelow(collection, prefix, limit));
      if (ids.length === 0) return;
      const filter = { _id: { $in: ids } } as Filter<D>;
      await change((instance, mark) => ({
        instance: seal(instance, mark),
        work: async (session) => void (await collection.deleteMany(filter, { session })),
      }));
    }
  };

  return {
    source,
    epoch,
    streams: () =>
      coded(async () => {
        const instance = await readInstance(collections);
        check(instance);
        const own = Object.entries(instance.streams).filter(([, stream]) => stream.source === source);
        return describeStreams(
          collections,
          instance,
          own.map(([id]) => Number(id)),
        );
      }),
    setSlot: (stream, slot) =>
      change((instance, mark) => {
        if (instance.streams[stream]?.source !== source) throw streamEnded(stream);
        return {
          instance: seal({ ...instance, revision: instance.revision + 1 }, mark),
          work: async (session) =>
            void (await collections.streams.updateOne({ _id: stream }, { $set: { slot } }, { session })),
        };
      }),
    registerTable: (identity) =>
      change((instance, mark) => registerTable(collections, instance, identity, (next) => seal(next, mark))),
    readRowStates: (keys) => read(() => readRowStates(collections, blockPresence, keys)),
    readTotals: (buckets) =>
      read(async () => {
        // The instance first: what leaves it arrives in the collections.
        const view = viewOf(await readInstance(collections));
        const totals = await totalsAsOf(collections, buckets, EVERY_OP);
        return buckets.map((bucket, index) =>
          newerOf(totals[index]!, withRecentTotals(view, bucket, totals[index]!, EVERY_OP)),
        );
      }),
    prepare: (chunks) => prepareChunks(prepared, chunks),
    flush,
    keepalive: (stream, position) =>
      change((instance, mark) => {
        if (instance.streams[stream]?.source !== source) throw streamEnded(stream);
        return { instance: seal(withStream(instance, stream, { position }), mark), result: undefined };
      }),
    scanDefinition: (definition, signal) => codedItems(scanAll(definition), signal),
    scanLookup: (lookup, signal) => codedItems(scanLookups(collections, lookup, checkNow), signal),
    dropRowStates: async (prefix) => {
      // Blocks first: what hides their rows must not go before them.
      await drop(collections.rowStateBlocks, prefix, ROW_STATE_BLOCKS_PER_STEP);
      await drop(collections.rowStates, prefix, ROW_STATES_PER_STEP);
    },
    switchOver: (options) =>
      change((instance, mark) =>
        planSwitchOver(collections, instance, source, options, clock.now(), (next) => seal(next, mark)),
      ),
  };
}

const newerOf = (a: BucketTotals, b: BucketTotals): BucketTotals => (b.lastOp > a.lastOp ? b : a);

export function fenced(source: string, owner: string | undefined): Error {
  const holder = owner === undefined ? 'Its storage was removed' : `${owner} has taken it over`;
  return codedError('PSYNC_S1003', `This process no longer writes the source ${source}: ${holder}.`);
}

async function registerTable(
  { tables }: Collections,
  instance: Instance,
  identity: TableIdentity,
  seal: (instance: Instance) => Instance,
) {
  const { source, schema, name, relation, identity: columns } = identity;
  const text = JSON.stringify([source, schema, name, relation, columns]);
  const known = await tables.findOne({ text }, { projection: { _id: 1 } });
  if (known !== null) return { unchanged: known._id };
  const id = instance.next.table;
  return {
    instance: seal({ ...instance, next: { ...instance.next, table: id + 1 } }),
    work: async (session: Actor['session']) => {
      await tables.insertOne({ _id: id, text, source, schema, name, relation, identity: columns }, { session });
      return id;
    },
  };
}

async function* codedItems<T>(items: AsyncGenerator<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
  for (;;) {
    signal?.throwIfAborted();
    const next = await coded(() => items.next());
    if (next.done === true) return;
    yield next.value;
  }
}
