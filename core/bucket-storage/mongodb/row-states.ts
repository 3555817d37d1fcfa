/**
 * Row states, and what is kept to undo them while a transaction is unfinished. Those of new rows in blocks, many at a time; all others as
 * documents of their own, which come before blocks. Ordinary collections: `$in` on a clustered one scans, and index entries are shorter.
 */
import { Binary, type ClientSession, type Collection, type Filter } from 'mongodb';
import type { RowStateWrite } from '../contract.ts';
import type { Collections, UndoDocument } from './documents.ts';
import { inGroups } from './groups.ts';
import { prefixRange } from './ids.ts';
import {
  blockId,
  blockPrefixOf,
  byHash,
  encodeBlocks,
  findInBlock,
  fitsBlock,
  type StoredRow,
} from './row-state-blocks.ts';

/** Keys per undo document: each stays far below 16 MB. */
const KEYS_PER_UNDO = 2000;
const UNDO_BYTES = 4 * 1024 * 1024;

/** Keys per look-up in blocks, and blocks per answer of the server: a few MB at most, however many blocks there are. */
const KEYS_PER_LOOKUP = 1000;
const BLOCKS_PER_ANSWER = 500;
/** Fewer rows are not worth a block. */
const ROWS_FOR_BLOCKS = 64;

/** Which groups of keys may have blocks. Only the one writer of a source adds blocks to its groups, so that "none" stays true. */
export interface BlockPresence {
  /** Those of the keys that a block may hold. */
  among(keys: readonly string[]): Promise<string[]>;
  /** Blocks with this prefix are about to be written. */
  add(prefix: string): void;
}

export function createBlockPresence({ rowStateBlocks }: Collections): BlockPresence {
  const known = new Map<string, boolean>();
  const find = async (prefix: string): Promise<void> => {
    const { after, before } = prefixRange(prefix);
    const found = await rowStateBlocks.findOne({ _id: { $gt: after, $lt: before } }, { projection: { _id: 1 } });
    // Not over what was added meanwhile.
    if (!known.has(prefix)) known.set(prefix, found !== null);
  };
  return {
    async among(keys) {
      const prefixes = new Set(keys.map(blockPrefixOf));
      prefixes.delete('');
      for (const prefix of prefixes) {
        if (!known.has(prefix)) await find(prefix);
      }
      return [...prefixes].some((prefix) => known.get(prefix) === true)
        ? keys.filter((key) => known.get(blockPrefixOf(key)) === true)
        : [];
    },
    add: (prefix) => void known.set(prefix, true),
  };
}

export async function readRowStates(
  collections: Collections,
  presence: BlockPresence,
  keys: readonly string[],
): Promise<(string | null)[]> {
  const groups = inGroups(keys, (key) => key.length);
  const pages = await Promise.all(groups.map((group) => collections.rowStates.find({ _id: { $in: group } }).toArray()));
  const states = new Map(pages.flat().map(({ _id, s }) => [_id, s]));
  const others = await presence.among(keys.filter((key) => !states.has(key)));
  await searchBlocks(collections, others, {}, (key, state) => void states.set(key, state));
  return keys.map((key) => states.get(key) ?? null);
}

/** Block after block: many may have one of the hashes. */
async function searchBlocks(
  { rowStateBlocks }: Collections,
  keys: readonly string[],
  session: { readonly session?: ClientSession },
  found: (key: string, state: string) => void,
): Promise<void> {
  for (let at = 0; at < keys.length; at += KEYS_PER_LOOKUP) {
    const wanted = byHash(keys.slice(at, at + KEYS_PER_LOOKUP));
    const options = { projection: { d: 1 }, hint: { h: 1 }, batchSize: BLOCKS_PER_ANSWER } as const;
    for await (const { _id, d } of rowStateBlocks.find(
      { h: { $in: [...wanted.keys()] } },
      { ...options, ...session },
    )) {
      findInBlock(_id, d as Buffer, wanted, found);
    }
  }
}

/**
 * `blocksAt`: number of the change, unique in the instance, when many new rows may become blocks; null: a document per row. Deleting and
 * inserting in bulk is two to four times faster than upserts, for new keys as for known ones.
 */
export async function writeRowStates(
  collections: Collections,
  presence: BlockPresence,
  writes: readonly { readonly key: string; readonly state: string | null; readonly isNew?: true }[],
  blocksAt: number | null,
  session: ClientSession,
): Promise<void> {
  const { rowStates } = collections;
  let fresh: StoredRow[] = [];
  /** The last write of a key counts. */
  const states = new Map<string, string | null>();
  for (const write of writes) {
    if (write.isNew !== true) states.set(write.key, write.state);
    else if (write.state !== null) fresh.push(write as StoredRow);
  }
  if (blocksAt !== null) fresh = await writeBlocks(collections, presence, fresh, blocksAt, session);
  if (fresh.length > 0) {
    const documents = fresh.map(({ key, state }) => ({ _id: key, s: state }));
    await rowStates.insertMany(documents, { session });
  }
  if (states.size === 0) return;
  for (const keys of inGroups([...states.keys()], (key) => key.length)) {
    await rowStates.deleteMany({ _id: { $in: keys } }, { session });
  }
  const removed = [...states].flatMap(([key, state]) => (state === null ? [key] : []));
  const hidden = new Set<string>();
  await searchBlocks(collections, await presence.among(removed), { session }, (key) => void hidden.add(key));
  const documents = [...states].flatMap(([_id, s]) => (s === null && !hidden.has(_id) ? [] : [{ _id, s }]));
  if (documents.length > 0) await rowStates.insertMany(documents, { session });
}

/** Answers the rows that are left: too few with their prefix, or too large. */
async function writeBlocks(
  { rowStateBlocks }: Collections,
  presence: BlockPresence,
  fresh: readonly StoredRow[],
  at: number,
  session: ClientSession,
): Promise<StoredRow[]> {
  let rest: StoredRow[] = [];
  const groups = new Map<string, StoredRow[]>();
  for (const row of fresh) {
    const prefix = fitsBlock(row) ? blockPrefixOf(row.key) : '';
    const group = groups.get(prefix);
    if (group === undefined) groups.set(prefix, [row]);
    else group.push(row);
  }
  for (const [prefix, rows] of groups) {
    if (prefix === '' || rows.length < ROWS_FOR_BLOCKS) {
      rest = rest.concat(rows);
      continue;
    }
    presence.add(prefix);
    const documents = encodeBlocks(rows, prefix.length).map(({ hashes, bytes }, number) => ({
      _id: blockId(prefix, at, number),
      h: hashes,
      d: new Binary(bytes),
    }));
    await rowStateBlocks.insertMany(documents, { session });
  }
  return rest;
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

/** Ids of some states or blocks below a prefix, to be removed. */
export async function rowStateIdsBelow<D extends { _id: string }>(
  collection: Collection<D>,
  prefix: string,
  limit: number,
): Promise<string[]> {
  const { after, before } = prefixRange(prefix);
  const options = { projection: { _id: 1 }, sort: { _id: 1 }, limit } as const;
  const page = await collection.find({ _id: { $gt: after, $lt: before } } as Filter<D>, options).toArray();
  return page.map(({ _id }) => _id as string);
}
