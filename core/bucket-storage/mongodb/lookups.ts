/** Lookup entries in `lookups`: append only, so that each key can be read as of any checkpoint. */
import type { ClientSession, Document } from 'mongodb';
import type { LookupEntry, LookupKey } from '../contract.ts';
import type { Collections, LookupDocument } from './documents.ts';
import { definitionRange, lookupEnd, lookupId, lookupPrefix, opOf, rowOf } from './ids.ts';
import { documentsIn } from './ranges.ts';

const KEYS_PER_AGGREGATION = 50;
const SCAN_PAGE = 1000;

export async function insertLookups(
  { lookups }: Collections,
  entries: readonly LookupEntry[],
  unfinished: number | null,
  session: ClientSession,
): Promise<void> {
  if (entries.length === 0) return;
  const documents = entries.map((entry): LookupDocument => {
    const document: LookupDocument = { _id: lookupId(entry), k: lookupPrefix(entry).length, v: entry.values };
    if (unfinished !== null) {
      document.u = unfinished;
      document.o = entry.op;
    }
    return document;
  });
  await lookups.insertMany(documents, { session });
}

/** Values that each key has as of `op`, in the order of the keys. */
export async function lookupsAsOf(
  { lookups }: Collections,
  keys: readonly LookupKey[],
  op: number,
): Promise<string[][]> {
  const groups: LookupKey[][] = [];
  for (let at = 0; at < keys.length; at += KEYS_PER_AGGREGATION) groups.push(keys.slice(at, at + KEYS_PER_AGGREGATION));
  const found = new Map<string, Map<string, string | null>>();
  const read = async (group: readonly LookupKey[]): Promise<void> => {
    const [first, ...others] = group.map((key) => [
      { $match: { _id: { $gt: lookupPrefix(key), $lt: lookupEnd(key) } } },
    ]);
    const unions: Document[] = others.map((pipeline) => ({ $unionWith: { coll: lookups.collectionName, pipeline } }));
    const cursor = lookups.aggregate<LookupDocument>([...first!, ...unions], { batchSize: 10_000 });
    for await (const document of cursor) {
      if (opOf(document._id) > op) continue;
      const prefix = document._id.slice(0, document.k);
      const rows = found.get(prefix) ?? new Map<string, string | null>();
      // In the order of ops, so the last one seen counts.
      rows.set(rowOf(document._id, document.k), document.v);
      found.set(prefix, rows);
    }
  };
  await Promise.all(groups.map(read));
  return keys.map((key) => {
    const rows = found.get(lookupPrefix(key));
    return rows === undefined ? [] : [...rows.values()].filter((values) => values !== null);
  });
}

/** All entries of a lookup in (key, row, op) order. `check` runs before each page. */
export async function* scanLookups(
  { lookups }: Collections,
  lookup: number,
  check: () => Promise<void>,
): AsyncGenerator<LookupEntry> {
  for await (const document of documentsIn(lookups, definitionRange(lookup), SCAN_PAGE, check)) {
    const bracket = document._id.indexOf('[');
    const key = document._id.slice(bracket, document.k - 1);
    yield { lookup, key, row: rowOf(document._id, document.k), op: opOf(document._id), values: document.v };
  }
}
