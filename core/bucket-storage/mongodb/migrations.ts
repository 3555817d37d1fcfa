/** Schema migrations: run once, in order, by whoever holds the lock (O-78…O-80). Each can be repeated after a crash. */
import type { Clock } from '../../platform/clock.ts';
import { codedError } from '../../platform/errors/coded-error.ts';
import type { Collections } from './documents.ts';
import { isDuplicateKey } from './failure.ts';
import { migration as collections0001 } from './migrations/0001-collections.ts';
import { migration as revocations0002 } from './migrations/0002-revocations.ts';
import { migration as compaction0003 } from './migrations/0003-compaction.ts';

export interface Migration {
  /** Number and what it does. */
  readonly name: string;
  /** Programs that do not know it must not run; false lets them (rolling upgrades). */
  readonly breaking: boolean;
  run(collections: Collections): Promise<void>;
}

/** Append only: what was released never changes. */
export const MIGRATIONS: readonly Migration[] = [collections0001, revocations0002, compaction0003];

const LOCK = 'lock';
/** Without renewal the lock is free after this; by the server's clock. */
const LOCK_MS = 30_000;
const RENEW_MS = 10_000;
const LOOK_MS = 100;
const DURABLE = { writeConcern: { w: 'majority' } } as const;

/** Runs what is missing, or waits until another process has. Answers what this one ran. */
export async function migrate(
  collections: Collections,
  owner: string,
  clock: Clock,
): Promise<{ applied: readonly string[] }> {
  const applied: string[] = [];
  while ((await missing(collections)).length > 0) {
    if (!(await takeLock(collections, owner))) {
      await clock.sleep(LOOK_MS);
      continue;
    }
    const renewal = renewEvery(clock, RENEW_MS, () => takeLock(collections, owner));
    try {
      for (const migration of await missing(collections)) {
        await migration.run(collections);
        const record = { appliedMs: clock.now(), breaking: migration.breaking };
        await collections.migrations.updateOne({ _id: migration.name }, { $set: record }, { upsert: true, ...DURABLE });
        applied.push(migration.name);
      }
    } finally {
      renewal.stop();
      await collections.migrations.deleteOne({ _id: LOCK, owner });
    }
  }
  return { applied };
}

/** PSYNC_S1005 when a migration is missing, or one was run that this program does not know and cannot do with (O-77, O-79). */
export async function assertMigrated(collections: Collections): Promise<void> {
  const [first] = await missing(collections);
  if (first !== undefined) {
    throw codedError(
      'PSYNC_S1005',
      `The schema of bucket storage is not up to date: migration ${first.name} was not run. Run "migrate up", or allow automatic migrations.`,
    );
  }
  const known = MIGRATIONS.map((migration) => migration.name);
  const newer = await collections.migrations.findOne({ _id: { $nin: [...known, LOCK] }, breaking: true });
  if (newer !== null) {
    throw codedError(
      'PSYNC_S1005',
      `Bucket storage was migrated by a newer release (${newer._id}), which this one cannot read. Upgrade it.`,
    );
  }
}

async function missing({ migrations }: Collections): Promise<Migration[]> {
  const records = await migrations
    .find({ appliedMs: { $exists: true } }, { readConcern: { level: 'majority' } })
    .toArray();
  const done = new Set(records.map((record) => record._id));
  return MIGRATIONS.filter((migration) => !done.has(migration.name));
}

/** Takes or renews it. */
async function takeLock(collections: Collections, owner: string): Promise<boolean> {
  const { migrations } = collections;
  const free = { _id: LOCK, $or: [{ owner }, { $expr: { $lt: ['$until', '$$NOW'] } }] };
  const update = await migrations.updateOne(free, [{ $set: { owner, until: { $add: ['$$NOW', LOCK_MS] } } }], DURABLE);
  if (update.matchedCount > 0) return true;
  try {
    // By the server's clock from its first renewal on; until then it is free at once.
    await migrations.insertOne({ _id: LOCK, owner, until: new Date(0) }, DURABLE);
  } catch (error) {
    if (isDuplicateKey(error)) return false;
    throw error;
  }
  return takeLock(collections, owner);
}

function renewEvery(clock: Clock, everyMs: number, renew: () => Promise<unknown>): { stop(): void } {
  let timer = clock.setTimer(everyMs, tick);
  function tick(): void {
    renew().catch(() => undefined);
    timer = clock.setTimer(everyMs, tick);
  }
  return { stop: () => timer.cancel() };
}
