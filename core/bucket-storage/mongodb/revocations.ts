/** The deny list in MongoDB. See ../revocation-store.ts. */
import type { MongoClient } from 'mongodb';
import type { Clock } from '../../platform/clock.ts';
import { codedError } from '../../platform/errors/coded-error.ts';
import type { Revocation, RevocationStore } from '../revocation-store.ts';
import type { Collections } from './documents.ts';
import { coded } from './failure.ts';
import { createTurns } from './turns.ts';

/** The document that all entries take their revisions from. Keys of entries are longer. */
export const REVISION_ID = '#';
/** Removed by one call. */
const EXPIRED_PER_CALL = 1000;
const TRANSACTION = {
  readConcern: { level: 'snapshot' },
  writeConcern: { w: 'majority' },
  readPreference: 'primary',
  maxCommitTimeMS: 15_000,
} as const;

export function createRevocationStore(client: MongoClient, collections: Collections, clock: Clock): RevocationStore {
  const { revocations } = collections;
  // Those of one process would only repeat each other.
  const turn = createTurns();

  const revoke = async ({ key, issuedBeforeMs, expiresMs }: Revocation, most: number): Promise<void> => {
    await client.withSession((session) =>
      session.withTransaction(async () => {
        // First of all: transactions that meet here are repeated, so entries become visible in the order of their revisions.
        const raised = { returnDocument: 'after', session } as const;
        const counter = await revocations.findOneAndUpdate({ _id: REVISION_ID }, { $inc: { last: 1 } }, raised);
        if (counter === null) throw notMigrated();
        const expired = { expiresMs: { $lte: clock.now() } };
        const ids = await revocations
          .find(expired, { projection: { _id: 1 }, limit: EXPIRED_PER_CALL, session })
          .toArray();
        await revocations.deleteMany({ _id: { $in: ids.map(({ _id }) => _id) } }, { session });
        const others = { revision: { $exists: true }, _id: { $ne: key } };
        if ((await revocations.countDocuments(others, { limit: most, session })) >= most) throw full(most);
        const entry = { $set: { revision: counter.last! }, $max: { issuedBeforeMs, expiresMs } };
        await revocations.updateOne({ _id: key }, entry, { upsert: true, session });
      }, TRANSACTION),
    );
  };

  const after: RevocationStore['after'] = async (revision, limit) => {
    // What a failover could take back must not be counted as read: its revision would be given out again.
    const options = { sort: { revision: 1 }, limit, readConcern: { level: 'majority' } } as const;
    const found = await revocations
      .find({ revision: { $gt: revision }, expiresMs: { $gt: clock.now() } }, options)
      .toArray();
    return found.map((entry) => ({
      key: entry._id,
      issuedBeforeMs: entry.issuedBeforeMs ?? null,
      expiresMs: entry.expiresMs!,
      revision: entry.revision!,
    }));
  };

  return {
    revoke: (revocation, most) => coded(() => turn(() => revoke(revocation, most))),
    after: (revision, limit) => coded(() => after(revision, limit)),
  };
}

function notMigrated(): Error {
  return codedError(
    'PSYNC_S1005',
    'Bucket storage has no place for revocations: migration 0002 was not run. Run "migrate up", or allow automatic migrations.',
  );
}

function full(most: number): Error {
  return codedError(
    'PSYNC_S4108',
    `${most} revocations are recorded, which is the most; they expire within a day. To refuse more tokens than that, replace the key that signed them.`,
  );
}
