/** Bucket storage on MongoDB. See ../contract.ts; documents.ts for what is stored, changes.ts for how it is changed. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '../../platform/clock.ts';
import { DEFAULT_CLEAR_BATCH_THROTTLE_RATE } from '../../platform/limits.ts';
import type { BucketStorage, StorageFigures } from '../contract.ts';
import { type Actor, type ChangeDependencies, createActor, readInstance } from './changes.ts';
import { createClaim } from './claim.ts';
import { clearStopped } from './clearing.ts';
import { createCompactionStore } from './compaction.ts';
import { type ConnectionOptions, connect } from './connection.ts';
import { type Collections, COLLECTION_NAMES, collectionsOf } from './documents.ts';
import { coded } from './failure.ts';
import { createInspection } from './inspection.ts';
import { createLeftovers } from './leftovers.ts';
import { assertMigrated, migrate } from './migrations.ts';
import { hexOf, sessionId } from './open-transactions.ts';
import { createReader } from './reader.ts';
import { createRecentReader } from './recent-view.ts';
import { takeSource } from './take-over.ts';
import { createRevocationStore } from './revocations.ts';
import { createTurns } from './turns.ts';
import { createSyncConfigStore } from './versions.ts';
import { createWriteCheckpointStore } from './write-checkpoints.ts';
import { createWriter } from './writer.ts';

/** Where logs go; `pino` fits. */
export interface StorageLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface MongodbStorageOptions extends ConnectionOptions {
  readonly log: StorageLog;
  readonly clock: Clock;
  /** Pause between steps of clearing, as a share of their duration (O-45). Default 0.2. */
  readonly clearBatchThrottleRate?: number;
  /** Returns a number in [0, 1). */
  readonly random?: () => number;
}

/** Sessions kept in the instance document of processes that change it without being writers. */
const SESSIONS_KEPT = 50;

/** Connects and checks the server. Throws PSYNC_S2401 for a server that is no replica set, S2402 when there is none. */
export async function openMongodbStorage(options: MongodbStorageOptions): Promise<BucketStorage> {
  const { log, clock, random = Math.random } = options;
  const { client, database } = await connect(options);
  const collections = collectionsOf(client.db(database));
  const dependencies: ChangeDependencies = {
    client,
    collections,
    clock,
    random,
    turn: createTurns(),
    known: { instance: null },
  };
  const recent = createRecentReader(collections);
  const actor = createAdministrator(dependencies);
  const leftovers = createLeftovers(collections, clock, log);
  const owner = `${hostname()} ${process.pid} ${randomUUID()}`;
  const clearing = {
    collections,
    actor,
    clock,
    throttle: options.clearBatchThrottleRate ?? DEFAULT_CLEAR_BATCH_THROTTLE_RATE,
  };
  return {
    kind: 'mongodb',
    migrate: () => coded(() => migrate(collections, owner, clock)),
    assertMigrated: () => coded(() => assertMigrated(collections)),
    configs: createSyncConfigStore(collections, actor, clock),
    reader: createReader(collections, recent),
    writeCheckpoints: createWriteCheckpointStore(collections, recent, clock),
    inspection: createInspection(collections),
    revocations: createRevocationStore(client, collections, clock),
    claim: createClaim(collections, clock),
    compaction: createCompactionStore(client, collections),
    takeOver: (source, ownerOfSource) =>
      coded(async () => {
        const taken = await takeSource(dependencies, source, ownerOfSource);
        const { committed } = leftovers;
        return createWriter({ collections, clock, source, owner: ownerOfSource, committed, ...taken });
      }),
    figures: () => coded(() => figures(collections)),
    clearStopped: (budgetMs) => coded(() => clearStopped(clearing, budgetMs)),
    destroy: () => coded(() => destroy(collections)),
    close: async () => {
      await leftovers.settled();
      await client.close();
    },
  };
}

/** Makes changes that no writer makes. Its session is registered before its first change. */
function createAdministrator(dependencies: ChangeDependencies): Actor {
  const { collections } = dependencies;
  const actor = createActor(dependencies, { hasMark: (instance, mark) => instance.marks.includes(mark) });
  const register = async (): Promise<void> => {
    const { sessions } = await readInstance(collections);
    const own = sessionId(actor.session);
    if (sessions.some((id) => hexOf(id) === hexOf(own))) return;
    const push = { $push: { sessions: { $each: [own], $slice: -SESSIONS_KEPT } }, $inc: { tick: 1 } };
    await collections.instance.updateOne({ _id: 'instance' }, push);
  };
  return {
    ...actor,
    change: async (decide) => {
      await register();
      return actor.change(decide);
    },
  };
}

/** The three parts of hosted data (O-82), uncompressed. */
async function figures(collections: Collections): Promise<StorageFigures> {
  const sizeOf = async (collection: {
    aggregate(stages: object[]): { toArray(): Promise<unknown[]> };
  }): Promise<number> => {
    const parts = (await collection.aggregate([{ $collStats: { storageStats: {} } }]).toArray()) as {
      storageStats: { size: number };
    }[];
    return parts.reduce((sum, part) => sum + part.storageStats.size, 0);
  };
  const { chunks, lookups, rowStates, rowStateBlocks } = collections;
  const [operationBytes, parameterBytes, singleBytes, blockBytes] = await Promise.all([
    sizeOf(chunks),
    sizeOf(lookups),
    sizeOf(rowStates),
    sizeOf(rowStateBlocks),
  ]);
  return { operationBytes, parameterBytes, rowStateBytes: singleBytes + blockBytes };
}

async function destroy({ db }: Collections): Promise<void> {
  // The instance goes first: from then on no writer changes anything. As long as migrations count as run, nobody takes the rest for a new one.
  const { migrations, claim, ...others } = COLLECTION_NAMES;
  for (const name of [...Object.values(others), migrations, claim]) await db.dropCollection(name);
}
