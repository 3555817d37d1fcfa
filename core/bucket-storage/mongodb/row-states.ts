/** Row states, and what is kept to undo them while a transaction is unfinished. An ordinary collection: `$in` on a clustered one scans. */
import type { ClientSession } from 'mongodb';
import type { RowStateWrite } from '../contract.ts';
import type { Collections, UndoDocument } from './documents.ts';
import { inGroups } from './groups.ts';
import { prefixRange } from './ids.ts';

/** Keys per undo document: each stays far below 16 MB. */
const KEYS_PER_UNDO = 2000;
const UNDO_BYTES = 4 * 1024 * 1024;

export async function readRowStates({ rowStates }: Collections, keys: readonly string[]): Promise<(string | null)[]> {
  const groups = inGroups(keys, (key) => key.length);
  const pages = await Promise.all(groups.map((group) => rowStates.find({ _id: { $in: group } }).toArray()));
  const states = new Map(pages.flat().map(({ _id, s }) => [_id, s]));
  return keys.map((key) => states.get(key) ?? null);
}

/** Deleting and inserting in bulk is two to four times faster than upserts, for new keys as for known ones. */
export async function writeRowStates(
  { rowStates }: Collections,
  writes: readonly { readonly key: string; readonly state: string | null; readonly isNew?: true }[],
  session: ClientSession,
): Promise<void> {
  const fresh = writes.flatMap(({ key, state, isNew }) =>
    isNew === true && state !== null ? [{ _id: key, s: state }] : [],
  );
  if (fresh.length > 0) await rowStates.insertMany(fresh, { session });
  if (fresh.length === writes.length) return;
  // The last write of a key counts.
  const states = new Map(writes.filter(({ isNew }) => isNew !== true).map(({ key, state }) => [key, state]));
  for (const keys of inGroups([...states.keys()], (key) => key.length)) {
    await rowStates.deleteMany({ _id: { $in: keys } }, { session });
  }
  const documents = [...states].flatMap(([_id, s]) => (s === null ? [] : [{ _id, s }]));
  if (documents.length > 0) await rowStates.insertMany(documents, { session });
}

/** Keeps the committed states that a flush which is not final replaces. `name` is unique per flush. */
export async function keepForUndo(
  { undo }: Collections,
  { stream, transaction, name }: { stream: number; transaction: number; name: string },
  writes: readonly RowStateWrite[],
  session: ClientSession,
): Promise<void> {
  const documents: UndoDocument[] = [];
  let bytes = 0;
  for (const { key, previous } of writes) {
    let current = documents.at(-1);
    if (current === undefined || current.keys.length >= KEYS_PER_UNDO || bytes >= UNDO_BYTES) {
      current = {
        _id: `${stream}/${transaction}/${name}/${documents.length}`,
        s: stream,
        t: transaction,
        keys: [],
        states: [],
      };
      documents.push(current);
      bytes = 0;
    }
    current.keys.push(key);
    current.states.push(previous);
    bytes += key.length + (previous?.length ?? 0);
  }
  if (documents.length > 0) await undo.insertMany(documents, { session });
}

/** Some states below a prefix, to be removed. */
export async function rowStateKeysBelow({ rowStates }: Collections, prefix: string, limit: number): Promise<string[]> {
  const { after, before } = prefixRange(prefix);
  const options = { projection: { _id: 1 }, sort: { _id: 1 }, limit } as const;
  const page = await rowStates.find({ _id: { $gt: after, $lt: before } }, options).toArray();
  return page.map(({ _id }) => _id);
}
