import { MOST_REGISTERED_TABLES, type StorageInspection } from '../inspection.ts';
import type { Collections } from './documents.ts';
import { coded } from './failure.ts';
import { createBlockPresence, readRowStates } from './row-states.ts';

export function createInspection(collections: Collections): StorageInspection {
  return {
    tables: ({ source, schema, name }) =>
      coded(async () => {
        const options = { sort: { _id: -1 }, limit: MOST_REGISTERED_TABLES } as const;
        const found = await collections.tables.find({ source, schema, name }, options).toArray();
        return found.map(({ _id: id, text: _text, ...identity }) => ({ id, ...identity }));
      }),
    // Other processes write blocks: whether there are any is looked for each time.
    rowStates: (keys) => coded(() => readRowStates(collections, createBlockPresence(collections), keys)),
  };
}
