/** Write checkpoints per (user, client): numbers, and who still has to resolve them. See write-checkpoint-store.ts. */
import type { Document } from 'mongodb';
import type { Clock } from '../../platform/clock.ts';
import type { WriteCheckpointStore } from '../write-checkpoint-store.ts';
import { readInstance } from './changes.ts';
import type { Collections, WriteCheckpointDocument } from './documents.ts';
import { type RecentReader, recentReached, viewOf } from './recent-view.ts';
import { coded, isDuplicateKey } from './failure.ts';
import { pairFrom, pairOf, reachedAt } from './reached-write-checkpoints.ts';

/** Waits for every source of the active version, whichever that will be. */
const EVERYONE = '*';
const EXPIRED_PER_CALL = 2000;
const DURABLE = { writeConcern: { w: 'majority' } } as const;

export function createWriteCheckpointStore(
  collections: Collections,
  recent: RecentReader,
  clock: Clock,
): WriteCheckpointStore {
  const { writeCheckpoints } = collections;
  let lastOrder = 0;

  /** Increases within a process; across processes as well as their clocks agree. */
  const nextOrder = (): number => {
    lastOrder = Math.max(lastOrder + 1, clock.now() * 1000);
    return lastOrder;
  };

  /** Sets `n` to an expression over the former document; while that raises it, everyone has to resolve it again. */
  const raise = async (pair: string, n: Document): Promise<{ before: WriteCheckpointDocument | null }> => {
    const stages = [
      { $set: { next: n } },
      {
        $set: {
          w: { $cond: [{ $gt: ['$next', { $ifNull: ['$n', 0n] }] }, [EVERYONE], '$w'] },
          q: {
            $cond: [{ $and: [{ $lte: ['$w', null] }, { $gt: ['$next', { $ifNull: ['$n', 0n] }] }] }, nextOrder(), '$q'],
          },
          n: '$next',
          touchedMs: clock.now(),
        },
      },
      { $unset: 'next' },
    ];
    const options = { upsert: true, returnDocument: 'before', ...DURABLE } as const;
    for (let attempt = 1; ; attempt++) {
      try {
        return { before: await writeCheckpoints.findOneAndUpdate({ _id: pair }, stages, options) };
      } catch (error) {
        // Two upserts of the same pair met; the second one finds the document of the first.
        if (!isDuplicateKey(error) || attempt === 5) throw error;
      }
    }
  };

  const create: WriteCheckpointStore['create'] = async (userId, clientId) => {
    // A first number after those that expired: they were given out at an earlier time, and more slowly than one per millisecond.
    const first = BigInt(Math.floor(clock.now()));
    const pair = pairOf({ userId, clientId });
    const { before } = await raise(pair, { $cond: [{ $lte: ['$n', null] }, first, { $add: ['$n', 1n] }] });
    return before === null ? first : before.n + 1n;
  };

  const request: WriteCheckpointStore['request'] = async (userId, clientId, id) => {
    const pair = pairOf({ userId, clientId });
    const { before } = await raise(pair, { $max: ['$n', id] });
    const known = before?.n ?? 0n;
    return id > known ? { id, created: true } : { id: known, created: false };
  };

  const unresolved: WriteCheckpointStore['unresolved'] = async (source, limit) => {
    const find = (sources: readonly string[], most: number) =>
      writeCheckpoints
        .find({ w: { $in: [...sources] } }, { sort: { q: 1 }, limit: most, projection: { n: 1 } })
        .toArray();
    const usual = [source, EVERYONE];
    const [instance, found] = await Promise.all([readInstance(collections), find(usual, limit)]);
    const view = viewOf(instance);
    const { formerSources } = instance;
    let documents = found;
    // Those that wait for a source which is not used any more can be finished by any other; others are resolved, and not written down yet.
    if (formerSources.length > 0 || (found.length === limit && view.reached.length > 0)) {
      documents = await find([...usual, ...formerSources], limit + view.reached.length);
    }
    const open = documents.filter(({ _id, n }) => (recentReached(view, _id, view.through) ?? 0n) < n);
    return open.slice(0, limit).map(({ _id, n }) => ({ ...pairFrom(_id), checkpoint: n }));
  };

  const reached: WriteCheckpointStore['reached'] = async (pairs, op) => {
    const ids = pairs.map(pairOf);
    // What stands in the instance first: from there it goes to the documents.
    const view = await recent.through(op);
    const found = await writeCheckpoints.find({ _id: { $in: ids } }, { projection: { h: 1, k: 1 } }).toArray();
    const documents = new Map(found.map((document) => [document._id, document]));
    const hidden = found.some((document) => document.k !== undefined) ? await hiddenStreams() : new Set<string>();
    return ids.map((id) => {
      const document = documents.get(id);
      const numbers = [reachedAt(document?.h, op), recentReached(view, id, op)];
      for (const [stream, history] of Object.entries(document?.k ?? {})) {
        if (!hidden.has(stream)) numbers.push(reachedAt(history, op));
      }
      return numbers.reduce(
        (best, number) => (number !== null && (best === null || number > best) ? number : best),
        null,
      );
    });
  };

  /** Streams that are not served, or never were. */
  const hiddenStreams = async (): Promise<Set<string>> => {
    const instance = await readInstance(collections);
    const processing = Object.entries(instance.streams).filter(([, stream]) => !stream.serving);
    return new Set([...processing.map(([id]) => id), ...instance.unserved.map(String)]);
  };

  const expire: WriteCheckpointStore['expire'] = async (olderThanMs) => {
    const old = { touchedMs: { $lt: clock.now() - olderThanMs } };
    const documents = await writeCheckpoints.find(old, { projection: { _id: 1 }, limit: EXPIRED_PER_CALL }).toArray();
    if (documents.length === 0) return 0;
    const { deletedCount } = await writeCheckpoints.deleteMany({
      ...old,
      _id: { $in: documents.map(({ _id }) => _id) },
    });
    return deletedCount;
  };

  return {
    create: (userId, clientId) => coded(() => create(userId, clientId)),
    request: (userId, clientId, id) => coded(() => request(userId, clientId, id)),
    unresolved: (source, limit) => coded(() => unresolved(source, limit)),
    reached: (pairs, op) => coded(() => reached(pairs, op)),
    expire: (olderThanMs) => coded(() => expire(olderThanMs)),
  };
}
