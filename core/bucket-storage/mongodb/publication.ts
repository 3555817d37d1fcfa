/** Commits on their way to being visible: their lists are kept in `held_commits`, then become one notice in `commits`. */
import type { ClientSession } from 'mongodb';
import type { CommitNotice } from '../contract.ts';
import type { Collections, HeldDocument, Instance } from './documents.ts';
import { decodeLists, encodeLists, mergeLists, noticeDocument, type NoticeLists, UNLISTED } from './notice-lists.ts';
import type { Publication } from './visibility.ts';

export interface OwnLists {
  readonly op: number;
  readonly lists: NoticeLists;
  readonly sourceTimeMs: number | null;
}

/** Keeps what a commit changed until it is visible. `hold`: the stream that holds it back itself. */
export async function keepLists(
  { held }: Collections,
  { op, lists, sourceTimeMs }: OwnLists,
  hold: number | null,
  session: ClientSession,
): Promise<void> {
  const document: HeldDocument = { _id: op, hold, lists: encodeLists(lists), sourceTimeMs };
  await held.replaceOne({ _id: op }, document, { upsert: true, session });
}

/** Lists of the commits that `stream` held back until now; they are no longer kept. */
export async function takeHeld({ held }: Collections, stream: number, session: ClientSession): Promise<NoticeLists[]> {
  const documents = await held.find({ hold: stream }, { session }).toArray();
  await held.deleteMany({ hold: stream }, { session });
  return documents.map((document) => decodeLists(document.lists));
}

/** Writes the notice of what became visible; null when nothing did. `own`: lists of the present commit. */
export async function announce(
  collections: Collections,
  { instance, published, activated }: Publication,
  before: Instance,
  own: OwnLists | null,
  storedMs: number,
  session: ClientSession,
): Promise<CommitNotice | null> {
  if (published.length === 0) return null;
  const op = instance.visible;
  const others = published.filter((range) => range.last !== own?.op);
  const waited = others.length === 0 ? [] : await takeWaiting(collections, op, session);
  const complete = activated === null && published.every((range) => range.listed) && waited.length === others.length;
  const parts = [...waited.map((document) => decodeLists(document.lists)), ...(own === null ? [] : [own.lists])];
  const times = [...waited.map((document) => document.sourceTimeMs), own?.sourceTimeMs ?? null].filter(
    (time) => time !== null,
  );
  const notice: CommitNotice = {
    version: instance.active!,
    op,
    previous: before.visible,
    ...(complete ? mergeLists(parts) : UNLISTED),
    sourceTimeMs: times.length === 0 ? null : Math.max(...times),
    storedMs,
  };
  await collections.commits.insertOne(noticeDocument(notice), { session });
  return notice;
}

async function takeWaiting({ held }: Collections, upTo: number, session: ClientSession): Promise<HeldDocument[]> {
  const filter = { hold: null, _id: { $lte: upTo } };
  const documents = await held.find(filter, { session }).toArray();
  await held.deleteMany(filter, { session });
  return documents;
}
