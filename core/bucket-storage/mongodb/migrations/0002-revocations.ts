import { COLLECTION_NAMES } from '../documents.ts';
import type { Migration } from '../migrations.ts';
import { REVISION_ID } from '../revocations.ts';

/** The deny list of client tokens. Programs that do not know it serve on, and do not look at it. */
export const migration: Migration = {
  name: '0002-revocations',
  breaking: false,
  async run({ db, revocations }) {
    const existing = await db.listCollections({ name: COLLECTION_NAMES.revocations }, { nameOnly: true }).toArray();
    if (existing.length === 0) await db.createCollection(COLLECTION_NAMES.revocations);
    await revocations.createIndex({ revision: 1 }, { sparse: true });
    await revocations.createIndex({ expiresMs: 1 }, { sparse: true });
    await revocations.updateOne({ _id: REVISION_ID }, { $setOnInsert: { last: 0 } }, { upsert: true });
  },
};
