import { COLLECTION_NAMES } from '../documents.ts';
import type { Migration } from '../migrations.ts';

/** How far buckets were compacted. A program that does not know it may serve beside it as long as nothing is compacted. */
export const migration: Migration = {
  name: '0003-compaction',
  breaking: false,
  async run({ db }) {
    const names = [COLLECTION_NAMES.compacted, COLLECTION_NAMES.compactionRuns];
    const existing = new Set((await db.listCollections({}, { nameOnly: true }).toArray()).map((item) => item.name));
    for (const name of names) {
      if (existing.has(name)) continue;
      const clustered = name === COLLECTION_NAMES.compacted;
      await db.createCollection(name, clustered ? { clusteredIndex: { key: { _id: 1 }, unique: true } } : {});
    }
  },
};
