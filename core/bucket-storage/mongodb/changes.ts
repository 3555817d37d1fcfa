/**
 * Changes of the instance: each is one transaction that begins with the instance document. It is prepared from a copy of the document
 * and carried out only if the document is still the same (its `tick`), so that whatever was decided is still right: epoch, op ids,
 * what is visible. A change whose commit got no answer is looked up by its mark, and never made twice.
 */
import type { ClientSession, MongoClient } from 'mongodb';
import { createBackoff } from '../../platform/backoff.ts';
import type { Clock } from '../../platform/clock.ts';
import { codedError, isCodedError } from '../../platform/errors/coded-error.ts';
import type { Collections, Instance } from './documents.ts';
import { failureKind, isUnknownOutcome, isUnknownWrite, storageError } from './failure.ts';
import { settle } from './recent-commits.ts';
import { endTransactions, sessionsOfOthers } from './open-transactions.ts';
import { changesBetween } from './visibility.ts';

/** What to do, decided on a copy of the instance. */
export interface Change<T> {
  /** The instance afterwards. Commits that are not in its `recent` any more are moved to the collections. */
  readonly instance: Instance;
  /** The rest of the transaction. Called again when the transaction is repeated. Answers the result. */
  work(session: ClientSession): Promise<T>;
}
/** The instance is all that changes: one update, half the time of a transaction. */
export interface SingleChange<T> {
  readonly instance: Instance;
  readonly result: T;
}
/** Nothing needs to be done. */
export interface NoChange<T> {
  readonly unchanged: T;
}
export type Decision<T> = Change<T> | SingleChange<T> | NoChange<T>;
export type Decide<T> = (instance: Instance, mark: string) => Decision<T> | Promise<Decision<T>>;

export interface Actor {
  /** Decides and changes, one change at a time. Throws coded errors; those of `decide` as they are. */
  change<T>(decide: Decide<T>): Promise<T>;
  readonly session: ClientSession;
  end(): Promise<void>;
}

export interface ChangeDependencies {
  readonly client: MongoClient;
  readonly collections: Collections;
  readonly clock: Clock;
  readonly random: () => number;
  /** One change of this process at a time: they would only get in each other's way. */
  readonly turn: <T>(work: () => Promise<T>) => Promise<T>;
  /** The instance as it was after the last change of this process; null when it has to be read. */
  readonly known: { instance: Instance | null };
}

export interface ActorOptions {
  /** Whether the change with this mark is in the instance. */
  hasMark(instance: Instance, mark: string): boolean;
}

/** A change is tried for this long before it fails. */
const GIVE_UP_MS = 30_000;
/** Somebody has kept the instance document locked for this long without changing it: a process that is stopped. */
const STUCK_MS = 4000;
/** A single change waits this long for others, then looks what is in its way. */
const SINGLE_MS = 1000;
const TRANSACTION = {
  readConcern: { level: 'local' },
  writeConcern: { w: 'majority' },
  readPreference: 'primary',
  maxCommitTimeMS: 15_000,
} as const;

export async function readInstance(collections: Collections): Promise<Instance> {
  const instance = await collections.instance.findOne({ _id: 'instance' });
  if (instance === null) {
    throw codedError(
      'PSYNC_S1005',
      'Bucket storage has no schema: migration 0001 was not run. Run "migrate up", or allow automatic migrations.',
    );
  }
  // Made before there were recent commits.
  return { ...instance, recent: instance.recent ?? [] };
}

type Attempt<T> =
  | { readonly kind: 'done'; readonly result: T; readonly instance: Instance | null }
  /** Somebody else changed the instance. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** It may have been committed. */
  | { readonly kind: 'unknown'; readonly error: unknown; readonly result: T };

export function createActor(dependencies: ChangeDependencies, options: ActorOptions): Actor {
  const { client, collections, clock, random, known } = dependencies;
  const session = client.startSession({ causalConsistency: false, defaultTransactionOptions: TRANSACTION });
  let marks = 0;
  const nonce = Math.floor(random() * 2 ** 40).toString(36);

  const attemptSingle = async <T>(before: Instance, { instance, result }: SingleChange<T>): Promise<Attempt<T>> => {
    const options = { session, writeConcern: { w: 'majority' }, maxTimeMS: SINGLE_MS } as const;
    try {
      const filter = { _id: 'instance', tick: before.tick } as const;
      const update = await collections.instance.updateOne(filter, changesBetween(before, instance), options);
      if (update.matchedCount === 0) return { kind: 'stale' };
    } catch (error) {
      return isUnknownWrite(error) ? { kind: 'unknown', error, result } : { kind: 'failed', error };
    }
    return { kind: 'done', result, instance: { ...instance, tick: before.tick + 1 } };
  };

  const attempt = async <T>(before: Instance, change: Change<T>): Promise<Attempt<T>> => {
    let result: T;
    try {
      session.startTransaction();
      const update = await collections.instance.updateOne(
        { _id: 'instance', tick: before.tick },
        changesBetween(before, change.instance),
        { session },
      );
      if (update.matchedCount === 0) {
        await abort();
        return { kind: 'stale' };
      }
      if (change.instance.recent.length === 0) await settle(collections, before, session);
      result = await change.work(session);
    } catch (error) {
      await abort();
      return { kind: 'failed', error };
    }
    try {
      await session.commitTransaction();
    } catch (error) {
      await abort();
      return isUnknownOutcome(error) ? { kind: 'unknown', error, result } : { kind: 'failed', error };
    }
    return { kind: 'done', result, instance: { ...change.instance, tick: before.tick + 1 } };
  };

  /** The server ends it by itself if this does not reach it; the next transaction of the session ends it as well. */
  const abort = async (): Promise<void> => {
    if (session.inTransaction()) await session.abortTransaction().catch(() => undefined);
  };

  const change = async <T>(decide: Decide<T>): Promise<T> => {
    const giveUpAt = clock.monotonic() + GIVE_UP_MS;
    const backoff = createBackoff({ clock, random, initialMs: 4, maxMs: 200 });
    const blocked = createBlockedWatch(dependencies, session);
    let pending: { readonly mark: string; readonly result: T } | null = null;
    let lastError: unknown = null;
    for (;;) {
      try {
        const fresh = known.instance === null;
        const before: Instance =
          known.instance ?? (pending === null ? await readInstance(collections) : await readDurably(collections));
        known.instance = before;
        if (pending !== null && options.hasMark(before, pending.mark)) return pending.result;
        const mark = `${nonce}.${++marks}`;
        let decision: Decision<T>;
        try {
          decision = await decide(before, mark);
        } catch (error) {
          known.instance = null;
          // Decided on a copy that may be old: look again before it fails.
          if (!fresh && isCodedError(error)) continue;
          throw error;
        }
        if ('unchanged' in decision) {
          if (fresh) return decision.unchanged;
          known.instance = null;
          continue;
        }
        const outcome: Attempt<T> = await ('result' in decision
          ? attemptSingle(before, decision)
          : attempt(before, decision));
        if (outcome.kind === 'done') {
          known.instance = outcome.instance;
          return outcome.result;
        }
        known.instance = null;
        if (outcome.kind === 'stale') {
          if (clock.monotonic() < giveUpAt) continue;
          throw codedError(
            'PSYNC_S1402',
            'A storage transaction was overtaken too often. Check the health and load of bucket storage.',
          );
        }
        if (outcome.kind === 'unknown') pending = { mark, result: outcome.result };
        throw outcome.error;
      } catch (error) {
        lastError = error;
        const kind = failureKind(error);
        const repeat = kind === 'conflict' || kind === 'connection' || (kind === 'timeout' && pending !== null);
        if (!repeat || clock.monotonic() >= giveUpAt) throw pending === null ? storageError(error) : uncertain(error);
        if (kind !== 'connection') await blocked.check().catch(() => undefined);
      }
      await backoff.wait().catch(() => Promise.reject(storageError(lastError)));
    }
  };

  return {
    session,
    change: (decide) => dependencies.turn(() => change(decide)),
    end: () => session.endSession(),
  };
}

/** The outcome of a change could not be found out. */
function uncertain(error: unknown): Error {
  const coded = storageError(error);
  return Object.assign(coded, { uncertain: true });
}
export const isUncertain = (error: unknown): boolean => (error as { uncertain?: boolean } | null)?.uncertain === true;

/** Reads what will survive a failover: after a commit without an answer. */
async function readDurably(collections: Collections): Promise<Instance> {
  const options = { readConcern: { level: 'linearizable' }, maxTimeMS: 10_000 } as const;
  const instance = await collections.instance.findOne({ _id: 'instance' }, options);
  return instance === null ? readInstance(collections) : { ...instance, recent: instance.recent ?? [] };
}

/** Notices that the instance document stays locked without being changed, and then ends the transactions of others, once. */
function createBlockedWatch({ client, collections, clock }: ChangeDependencies, own: ClientSession) {
  let since: { readonly at: number; readonly tick: number } | null = null;
  let ended = false;
  return {
    async check(): Promise<void> {
      if (ended) return;
      const instance = await readInstance(collections);
      if (since === null || since.tick !== instance.tick) since = { at: clock.monotonic(), tick: instance.tick };
      if (clock.monotonic() - since.at < STUCK_MS) return;
      ended = true;
      await endTransactions(client, sessionsOfOthers(instance, own));
    },
  };
}
