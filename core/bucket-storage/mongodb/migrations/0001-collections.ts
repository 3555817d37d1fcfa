import type { Migration } from '../migrations.ts';
import { COLLECTION_NAMES, type Instance, UNFINISHED_INDEX } from '../documents.ts';

const EMPTY: Instance = {
  _id: 'instance',
  tick: 0,
  revision: 0,
  sequence: 0,
  visible: 0,
  active: null,
  processing: null,
  errored: null,
  ready: null,
  activeSources: [],
  formerSources: [],
  next: { version: 1, definition: 1, stream: 1, table: 1 },
  sources: {},
  streams: {},
  closed: [],
  recent: [],
  unserved: [],
  marks: [],
  sessions: [],
};

const CLUSTERED = [COLLECTION_NAMES.chunks, COLLECTION_NAMES.lookups, COLLECTION_NAMES.commits];

/** All collections. What is read by ranges of ids is clustered: half the time to insert, and no second look-up to read. */
export const migration: Migration = {
  name: '0001-collections',
  breaking: true,
  async run({ db, instance, chunks, lookups, rowStateBlocks, undo, staged, held, streams, tables, writeCheckpoints }) {
    const existing = new Set((await db.listCollections({}, { nameOnly: true }).toArray()).map((item) => item.name));
    for (const name of Object.values(COLLECTION_NAMES)) {
      if (existing.has(name)) continue;
      const clustered = CLUSTERED.some((other) => other === name);
      await db.createCollection(name, clustered ? { clusteredIndex: { key: { _id: 1 }, unique: true } } : {});
    }
    const unfinished = { name: UNFINISHED_INDEX, partialFilterExpression: { u: { $exists: true } } };
    await chunks.createIndex({ u: 1, o: 1 }, unfinished);
    await lookups.createIndex({ u: 1, o: 1 }, unfinished);
    await rowStateBlocks.createIndex({ h: 1 });
    await undo.createIndex({ s: 1, t: 1 });
    await staged.createIndex({ s: 1, t: 1 });
    await held.createIndex({ hold: 1, _id: 1 });
    await streams.createIndex({ source: 1, ended: 1 });
    await tables.createIndex({ text: 1 });
    await writeCheckpoints.createIndex({ w: 1, q: 1 }, { sparse: true });
    await writeCheckpoints.createIndex({ touchedMs: 1 });
    await instance.updateOne({ _id: 'instance' }, { $setOnInsert: EMPTY }, { upsert: true });
  },
};
