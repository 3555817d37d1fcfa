/** Write checkpoints that a commit covers: recorded in its transaction, with the op from which on they count (S-465, S-466, S-487). */
import type { AnyBulkWriteOperation, ClientSession } from 'mongodb';
import type { ReachedWriteCheckpoint } from '../contract.ts';
import type { Collections, Instance, StagedDocument, WriteCheckpointDocument } from './documents.ts';
import { inGroups } from './groups.ts';
import { fieldOf } from './ids.ts';

/** Numbers kept per pair, so that older checkpoints can be answered. */
const HISTORY = 16;

export const pairOf = ({ userId, clientId }: { userId: string; clientId: string }): string =>
  JSON.stringify([userId, clientId]);
export function pairFrom(id: string): { userId: string; clientId: string } {
  const [userId, clientId] = JSON.parse(id) as [string, string];
  return { userId, clientId };
}

/** What one commit of a stream covers. */
export interface ReachedCommit {
  /** Before the commit. */
  readonly instance: Instance;
  readonly source: string;
  readonly op: number;
  readonly nowMs: number;
  readonly managed: readonly ReachedWriteCheckpoint[];
  readonly custom?: { readonly stream: number; readonly carried: readonly ReachedWriteCheckpoint[] };
}

/** Records commits, oldest first. Answers the numbers that all sources have passed by them now, and the custom ones. */
export async function recordReached(
  { writeCheckpoints }: Collections,
  commits: readonly ReachedCommit[],
  session: ClientSession,
): Promise<ReachedWriteCheckpoint[]> {
  const pairs = new Set(commits.flatMap(({ managed, custom }) => [...managed, ...(custom?.carried ?? [])].map(pairOf)));
  const stored = new Map<string, WriteCheckpointDocument>();
  for (const group of inGroups([...pairs], (pair) => pair.length)) {
    for (const document of await writeCheckpoints.find({ _id: { $in: group } }, { session }).toArray()) {
      stored.set(document._id, document);
    }
  }
  const documents = new Map(stored);
  const reached: ReachedWriteCheckpoint[] = [];
  for (const commit of commits) {
    for (const [pair, number] of greatestByPair(commit.managed)) {
      const next = withResolved(documents.get(pair) ?? empty(pair), number, commit);
      documents.set(pair, next);
      const checkpoint = reachedAt(next.h, commit.op);
      if (checkpoint !== null) reached.push({ ...pairFrom(pair), checkpoint });
    }
    if (commit.custom === undefined) continue;
    for (const [pair, number] of greatestByPair(commit.custom.carried)) {
      documents.set(pair, withCustom(documents.get(pair) ?? empty(pair), number, commit.custom.stream, commit));
      reached.push({ ...pairFrom(pair), checkpoint: number });
    }
  }
  const writes = [...pairs].map((pair): AnyBulkWriteOperation<WriteCheckpointDocument> => {
    const document = documents.get(pair)!;
    return stored.has(pair)
      ? { replaceOne: { filter: { _id: pair }, replacement: document } }
      : { insertOne: { document } };
  });
  await writeCheckpoints.bulkWrite(writes, { session });
  return reached;
}

const empty = (pair: string): WriteCheckpointDocument => ({ _id: pair, n: 0n, touchedMs: 0 });

function greatestByPair(list: readonly ReachedWriteCheckpoint[]): Map<string, bigint> {
  const greatest = new Map<string, bigint>();
  for (const item of list) {
    const pair = pairOf(item);
    const known = greatest.get(pair);
    if (known === undefined || known < item.checkpoint) greatest.set(pair, item.checkpoint);
  }
  return greatest;
}

/** One source has passed `checkpoint`. It is reached when all sources of the active version have. */
function withResolved(
  document: WriteCheckpointDocument,
  checkpoint: bigint,
  { instance, source, op, nowMs }: ReachedCommit,
): WriteCheckpointDocument {
  const field = fieldOf(source);
  const resolvedBefore = document.r?.[field] ?? 0n;
  const resolved = { ...document.r, [field]: max(resolvedBefore, checkpoint) };
  const n = max(document.n, checkpoint);
  const passed = instance.activeSources.map((tag) => resolved[fieldOf(tag)] ?? 0n);
  const reached = passed.reduce((least, item) => (item < least ? item : least), passed[0] ?? 0n);
  const waiting = instance.activeSources.filter((tag) => (resolved[fieldOf(tag)] ?? 0n) < n);
  const { w: _waited, q, ...rest } = document;
  const h = append(document.h, reached, op);
  const next: WriteCheckpointDocument = { ...rest, n, r: resolved, h, touchedMs: nowMs };
  if (waiting.length === 0) return next;
  return { ...next, w: waiting, ...(q === undefined ? {} : { q }) };
}

function withCustom(
  document: WriteCheckpointDocument,
  checkpoint: bigint,
  stream: number,
  { op, nowMs }: ReachedCommit,
): WriteCheckpointDocument {
  const history = append(document.k?.[stream], checkpoint, op);
  const n = max(document.n, checkpoint);
  return { ...document, n, k: { ...document.k, [stream]: history }, touchedMs: nowMs };
}

type History = [checkpoint: bigint, op: number][];

function append(history: History = [], checkpoint: bigint, op: number): History {
  const newest = history.at(-1)?.[0] ?? 0n;
  return checkpoint > newest ? [...history, [checkpoint, op] satisfies History[number]].slice(-HISTORY) : history;
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** The greatest number that counts at `op`. */
export function reachedAt(history: History | undefined, op: number): bigint | null {
  return history?.findLast((entry) => entry[1] <= op)?.[0] ?? null;
}

/** Keeps custom ones of a flush that is not final. */
export async function stageCustom(
  { staged }: Collections,
  { stream, transaction, name }: { stream: number; transaction: number; name: string },
  custom: readonly ReachedWriteCheckpoint[],
  session: ClientSession,
): Promise<void> {
  if (custom.length === 0) return;
  const greatest = greatestByPair(custom);
  const document: StagedDocument = {
    _id: `${stream}/${transaction}/${name}`,
    s: stream,
    t: transaction,
    pairs: [...greatest.keys()],
    checkpoints: [...greatest.values()],
  };
  await staged.insertOne(document, { session });
}

/** What the flushes of a transaction kept; it is no longer kept. */
export async function takeStaged(
  { staged }: Collections,
  stream: number,
  transaction: number,
  session: ClientSession,
): Promise<ReachedWriteCheckpoint[]> {
  const filter = { s: stream, t: transaction };
  const documents = await staged.find(filter, { session }).toArray();
  if (documents.length === 0) return [];
  await staged.deleteMany(filter, { session });
  return documents.flatMap(({ pairs, checkpoints }) =>
    pairs.map((pair, at) => ({ ...pairFrom(pair), checkpoint: checkpoints[at]! })),
  );
}
