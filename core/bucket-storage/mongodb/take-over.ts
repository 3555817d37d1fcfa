/**
 * A new writer for a source: the epoch is raised, so that the former one can change nothing any more; then what it did not commit is
 * removed.
 */
import type { ClientSession } from 'mongodb';
import { codedError } from '../../platform/errors/coded-error.ts';
import { recordActivation, withActivation } from './activation.ts';
import { type ActorOptions, type ChangeDependencies, createActor, readInstance } from './changes.ts';
import {
  type Collections,
  type Instance,
  type StreamRecord,
  type UndoDocument,
  UNFINISHED_INDEX,
} from './documents.ts';
import { failureKind, isTimeLimit } from './failure.ts';
import { fieldOf } from './ids.ts';
import { endTransactions, hexOf, sessionId, sessionsOfOthers } from './open-transactions.ts';
import { announce } from './publication.ts';
import { createBlockPresence, writeRowStates } from './row-states.ts';
import { publish, withStream } from './visibility.ts';
import { fenced } from './writer.ts';

/** An update waits for the lock this long at a time. */
const LOCK_WAIT_MS = 700;
/** The transaction of the source's own former writer is ended at once, those of others only after this. */
const PATIENCE_MS = 1500;
const GIVE_UP_MS = 20_000;
const DELETED_PER_STEP = 5000;

export interface Taken {
  readonly epoch: number;
  readonly actor: ReturnType<typeof createActor>;
}

export async function takeSource(dependencies: ChangeDependencies, source: string, owner: string): Promise<Taken> {
  const field = fieldOf(source);
  let epoch = 0;
  const options: ActorOptions = {
    hasMark: ({ sources }, mark) => sources[field]?.epoch === epoch && sources[field].mark === mark,
  };
  const actor = createActor(dependencies, options);
  try {
    const raised = await raiseEpoch(dependencies, actor.session, field, owner);
    ({ epoch } = raised.sources[field]!);
    await removeUncommitted(dependencies, actor, source, raised);
    return { epoch, actor };
  } catch (error) {
    await actor.end();
    throw error;
  }
}

/** Answers the instance with the new epoch. From then on nothing of the former writer arrives. */
async function raiseEpoch(
  { client, collections, clock }: ChangeDependencies,
  session: ClientSession,
  field: string,
  owner: string,
): Promise<Instance> {
  const started = clock.monotonic();
  const update = {
    $inc: { [`sources.${field}.epoch`]: 1, tick: 1 },
    $set: {
      [`sources.${field}.owner`]: owner,
      [`sources.${field}.session`]: sessionId(session),
      [`sources.${field}.mark`]: '',
    },
  };
  for (;;) {
    const instance = await readInstance(collections);
    const former = instance.sources[field]?.session;
    const all = clock.monotonic() - started > PATIENCE_MS;
    const others = sessionsOfOthers(instance, session);
    await endTransactions(
      client,
      all ? others : others.filter((id) => former !== undefined && hexOf(id) === hexOf(former)),
    );
    try {
      const raised = await collections.instance.findOneAndUpdate({ _id: 'instance' }, update, {
        maxTimeMS: LOCK_WAIT_MS,
        returnDocument: 'after',
        writeConcern: { w: 'majority' },
      });
      if (raised === null) return await readInstance(collections);
      return raised;
    } catch (error) {
      const blocked = isTimeLimit(error) || failureKind(error) === 'conflict';
      if (!blocked) throw error;
      if (clock.monotonic() - started > GIVE_UP_MS) {
        throw codedError(
          'PSYNC_S1402',
          'Another process keeps the instance document of bucket storage locked. Stop it, or wait a minute.',
        );
      }
    }
  }
}

/** `raised`: no writer of this source uses op ids at or below its sequence any more. */
async function removeUncommitted(
  dependencies: ChangeDependencies,
  actor: Taken['actor'],
  source: string,
  raised: Instance,
): Promise<void> {
  const { collections, clock } = dependencies;
  const field = fieldOf(source);
  const { epoch } = raised.sources[field]!;
  const check = (instance: Instance): void => {
    const record = instance.sources[field];
    if (record?.epoch !== epoch) throw fenced(source, record?.owner);
  };
  const streams = Object.entries(raised.streams).filter(([, stream]) => stream.source === source);
  for (const [id, stream] of streams) {
    if (!stream.dirty) continue;
    await deleteUnfinished(collections, Number(id), stream.committedOp, raised.sequence);
    await undoRowStates(collections, actor, Number(id), stream.transaction, check);
    await collections.staged.deleteMany({ s: Number(id), t: { $lte: stream.transaction } });
  }
  await actor.change<void>(async (before, mark) => {
    check(before);
    let instance = before;
    for (const [id] of streams) instance = closeTransaction(instance, Number(id));
    const publication = await withActivation(collections, publish(instance));
    if (instance === before && publication.published.length === 0) return { unchanged: undefined };
    const sealed = {
      ...publication.instance,
      sources: { ...publication.instance.sources, [field]: { ...publication.instance.sources[field]!, mark } },
    };
    return {
      instance: sealed,
      work: async (session) => {
        const result = { ...publication, instance: sealed };
        await announce(collections, result, before, null, clock.now(), session);
        await recordActivation(collections, before, result, clock.now(), session);
      },
    };
  });
}

/** The stream as its last commit left it. */
function closeTransaction(instance: Instance, id: number): Instance {
  const stream: StreamRecord | undefined = instance.streams[id];
  if (stream === undefined || !stream.dirty) return instance;
  const { heldFrom, heldTo, transaction } = stream;
  return withStream(instance, id, { openFrom: heldFrom, openTo: heldTo, transaction: transaction + 1, dirty: false });
}

/** Only up to `upTo`: a still newer writer may be adding its own already. By the index of `u` and `o`. */
async function deleteUnfinished(
  { chunks, lookups }: Collections,
  stream: number,
  after: number,
  upTo: number,
): Promise<void> {
  const all = { u: stream, o: { $gt: after, $lte: upTo } };
  const step = {
    sort: { o: 1 },
    skip: DELETED_PER_STEP,
    limit: 1,
    projection: { o: 1 },
    hint: UNFINISHED_INDEX,
  } as const;
  const upToStep = (bound: { o?: number } | undefined) =>
    bound === undefined ? all : { u: stream, o: { $gt: after, $lte: bound.o! } };
  for (let more = true; more;) {
    const [bound] = await chunks.find(all, step).toArray();
    await chunks.deleteMany(upToStep(bound), { hint: UNFINISHED_INDEX });
    more = bound !== undefined;
  }
  for (let more = true; more;) {
    const [bound] = await lookups.find(all, step).toArray();
    await lookups.deleteMany(upToStep(bound), { hint: UNFINISHED_INDEX });
    more = bound !== undefined;
  }
}

/** Puts committed row states back, in fenced steps. Each step can be repeated. */
async function undoRowStates(
  collections: Collections,
  actor: Taken['actor'],
  stream: number,
  transaction: number,
  check: (instance: Instance) => void,
): Promise<void> {
  const { undo } = collections;
  const blockPresence = createBlockPresence(collections);
  for (;;) {
    const document: UndoDocument | null = await undo.findOne({ s: stream, t: transaction });
    if (document === null) break;
    await actor.change<void>((instance) => {
      check(instance);
      return {
        // Without a mark: made twice it does no harm.
        instance,
        work: async (session) => {
          const writes = document.keys.map((key, at) => ({ key, state: document.states[at] ?? null }));
          await writeRowStates(collections, blockPresence, writes, null, session);
          await undo.deleteOne({ _id: document._id }, { session });
        },
      };
    });
  }
  // Of transactions that were committed.
  await undo.deleteMany({ s: stream, t: { $lt: transaction } });
}
