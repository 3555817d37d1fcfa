/**
 * An instance without a database, for tests of the worker: commits are made by hand, and everything a worker reads comes from the list of
 * them. Reads are as slow, and notices as unreliable, as a test wants.
 */
import type {
  BucketReader,
  BucketTotals,
  Chunk,
  CommitNotice,
  LookupKey,
  ReachedWriteCheckpoint,
} from '#core/bucket-storage/contract.ts';
import { NOTICE_LIST_LIMIT } from '#core/bucket-storage/contract.ts';
import type { CompactionStore } from '#core/bucket-storage/compaction-store.ts';
import type { RecordedRevocation, RevocationStore } from '#core/bucket-storage/revocation-store.ts';
import type { DeployedDefinition, DeployedVersion, SyncConfigStore } from '#core/bucket-storage/sync-config-store.ts';
import type { WriteCheckpointStore } from '#core/bucket-storage/write-checkpoint-store.ts';
import { addChecksums } from '#core/protocol/checksum.ts';
import { encodeOperations, operationChecksum, type Operation } from '#core/protocol/operations.ts';

export interface FakeChange {
  readonly definition: number;
  readonly key: string;
  readonly op: 'PUT' | 'REMOVE';
  readonly id: string;
  readonly data?: string;
}

export interface FakeCommit {
  readonly changes?: readonly FakeChange[];
  readonly lookups?: readonly (LookupKey & { readonly row: string; readonly values: string | null })[];
  readonly writeCheckpoints?: readonly ReachedWriteCheckpoint[];
  /** Activates a version that was deployed. */
  readonly version?: number;
  /** Lists are left out of the notice. */
  readonly unlisted?: boolean;
}

interface StoredBucket {
  readonly chunks: Chunk[];
}

export interface FakeStorage {
  readonly reader: BucketReader;
  readonly configs: SyncConfigStore;
  readonly writeCheckpoints: WriteCheckpointStore;
  readonly revocations: RevocationStore;
  readonly compaction: Pick<CompactionStore, 'lastRun'>;
  deploy(version: number, definitions: readonly DeployedDefinition[], plan: unknown): void;
  /** Makes a commit visible and answers its notice; the test decides whether the worker hears of it. */
  commit(commit: FakeCommit): CommitNotice;
  /** Forgets notices up to an op, as storage does after some minutes. */
  forgetNotices(upTo: number): void;
  /** Rows of a bucket as of an op: what a client must see. */
  rowsAt(definition: number, key: string, op: number): Map<string, string>;
  totalsAt(definition: number, key: string, op: number): BucketTotals;
  /** Replaces the chunks of a bucket, as compaction does. */
  replaceChunks(definition: number, key: string, chunks: readonly Chunk[]): void;
  readonly op: number;
  /** Awaited by every read; a test may make reads slow or failing. */
  beforeRead: (what: string) => Promise<void> | void;
  readonly reads: Record<string, number>;
}

const NOTHING: BucketTotals = { lastOp: 0, count: 0, checksum: 0 };

export interface FakeStorageOptions {
  readonly operationsPerChunk?: number;
  /** A read of chunks answers no more than these, whatever was asked for. */
  readonly chunksPerRead?: number;
}

export function createFakeStorage(options: FakeStorageOptions = {}): FakeStorage {
  const perChunk = options.operationsPerChunk ?? 3;
  const perRead = options.chunksPerRead ?? Infinity;
  const buckets = new Map<string, StoredBucket>();
  const history = new Map<string, { op: number; id: string; data: string | null }[]>();
  const lookups = new Map<string, { op: number; row: string; values: string | null }[]>();
  const reached = new Map<string, { op: number; checkpoint: bigint }[]>();
  const requested = new Map<string, bigint>();
  const versions = new Map<number, DeployedVersion>();
  let notices: CommitNotice[] = [];
  let forgotten = 0;
  let op = 0;
  let version = 0;
  const reads: Record<string, number> = {};

  const nameOf = (definition: number, key: string): string => `${definition}:${key}`;
  const bucketOf = (definition: number, key: string): StoredBucket => {
    const name = nameOf(definition, key);
    let bucket = buckets.get(name);
    if (bucket === undefined) buckets.set(name, (bucket = { chunks: [] }));
    return bucket;
  };
  const totalsAt = (definition: number, key: string, at: number): BucketTotals =>
    buckets.get(nameOf(definition, key))?.chunks.findLast((chunk) => chunk.lastOp <= at)?.totals ?? NOTHING;

  const addChunks = (changes: readonly FakeChange[]): Map<string, FakeChange> => {
    const touched = new Map<string, FakeChange>();
    const byBucket = new Map<string, Operation[]>();
    for (const change of changes) {
      op++;
      const name = nameOf(change.definition, change.key);
      const data = change.op === 'PUT' ? (change.data ?? JSON.stringify({ id: change.id })) : null;
      const subkey = `t/${change.id}`;
      const checksum = operationChecksum('items', change.id, subkey, data);
      const list = byBucket.get(name) ?? [];
      list.push({ opId: op, op: change.op, objectType: 'items', objectId: change.id, subkey, checksum, data });
      byBucket.set(name, list);
      touched.set(name, change);
      const past = history.get(name) ?? [];
      past.push({ op, id: change.id, data });
      history.set(name, past);
    }
    for (const [name, operations] of byBucket) {
      const { definition, key } = touched.get(name)!;
      for (let at = 0; at < operations.length; at += perChunk) {
        appendChunk(definition, key, operations.slice(at, at + perChunk));
      }
    }
    return touched;
  };

  const appendChunk = (definition: number, key: string, operations: readonly Operation[]): void => {
    const { chunks } = bucketOf(definition, key);
    const before = chunks.at(-1)?.totals ?? NOTHING;
    const checksum = operations.reduce((sum, item) => addChecksums(sum, item.checksum), 0);
    const lastOp = operations.at(-1)!.opId;
    chunks.push({
      definition,
      key,
      firstOp: operations[0]!.opId,
      lastOp,
      count: operations.length,
      checksum,
      totals: { lastOp, count: before.count + operations.length, checksum: addChecksums(before.checksum, checksum) },
      operations: encodeOperations(operations),
    });
  };

  const addLookups = (entries: NonNullable<FakeCommit['lookups']>): void => {
    for (const { lookup, key, row, values } of entries) {
      op++;
      const name = nameOf(lookup, key);
      const list = lookups.get(name) ?? [];
      list.push({ op, row, values });
      lookups.set(name, list);
    }
  };

  const commit: FakeStorage['commit'] = (content) => {
    const previous = op;
    const touched = addChunks(content.changes ?? []);
    addLookups(content.lookups ?? []);
    if (op === previous) op++;
    for (const { userId, clientId, checkpoint } of content.writeCheckpoints ?? []) {
      const name = `${userId}/${clientId}`;
      reached.set(name, [...(reached.get(name) ?? []), { op, checkpoint }]);
    }
    if (content.version !== undefined) version = content.version;
    const unlisted = content.unlisted === true || touched.size > NOTICE_LIST_LIMIT;
    const notice: CommitNotice = {
      version,
      op,
      previous: notices.at(-1)?.op ?? forgotten,
      buckets: unlisted
        ? null
        : [...touched.values()].map(({ definition, key }) => ({ definition, key, ...totalsAt(definition, key, op) })),
      lookups: unlisted ? null : (content.lookups ?? []).map(({ lookup, key }) => ({ lookup, key })),
      writeCheckpoints: unlisted ? null : (content.writeCheckpoints ?? []),
      sourceTimeMs: null,
      storedMs: Date.now(),
    };
    notices.push(notice);
    return notice;
  };

  const read = async <T>(what: string, answer: () => T): Promise<T> => {
    reads[what] = (reads[what] ?? 0) + 1;
    await storage.beforeRead(what);
    return answer();
  };

  const reader: BucketReader = {
    checkpoint: () => read('checkpoint', () => (version === 0 ? null : { version, op })),
    noticesAfter: (after, limit) =>
      read('noticesAfter', () =>
        after < forgotten ? 'gap' : notices.filter((notice) => notice.op > after).slice(0, limit),
      ),
    totals: (refs, at) => read('totals', () => refs.map(({ definition, key }) => totalsAt(definition, key, at))),
    chunks: ({ definition, key }, after, upTo, maxBytes) =>
      read('chunks', () => {
        const fitting = bucketOf(definition, key).chunks.filter(
          (chunk) => chunk.lastOp > after && chunk.firstOp <= upTo,
        );
        let bytes = 0;
        const count = fitting.findIndex((chunk) => (bytes += chunk.operations.length) >= maxBytes);
        const chunks = fitting.slice(0, Math.min(count < 0 ? fitting.length : count + 1, perRead));
        return { chunks, more: chunks.length < fitting.length };
      }),
    lookups: (keys, at) =>
      read('lookups', () =>
        keys.map(({ lookup, key }) => {
          const rows = new Map<string, string | null>();
          for (const entry of lookups.get(nameOf(lookup, key)) ?? [])
            if (entry.op <= at) rows.set(entry.row, entry.values);
          return [...rows.values()].filter((values) => values !== null);
        }),
      ),
  };

  const writeCheckpoints: WriteCheckpointStore = {
    create(userId, clientId) {
      const name = `${userId}/${clientId}`;
      const next = (requested.get(name) ?? 0n) + 1n;
      requested.set(name, next);
      return Promise.resolve(next);
    },
    request(userId, clientId, id) {
      const name = `${userId}/${clientId}`;
      const known = requested.get(name) ?? 0n;
      if (id > known) requested.set(name, id);
      return Promise.resolve({ id: id > known ? id : known, created: id > known });
    },
    unresolved: () => Promise.resolve([]),
    reached: (pairs, at) =>
      read('reached', () =>
        pairs.map(
          ({ userId, clientId }) =>
            reached.get(`${userId}/${clientId}`)?.findLast((item) => item.op <= at)?.checkpoint ?? null,
        ),
      ),
    expire: () => Promise.resolve(0),
  };

  const revoked: RecordedRevocation[] = [];
  const revocations: RevocationStore = {
    revoke: (revocation) => Promise.resolve(void revoked.push({ ...revocation, revision: revoked.length + 1 })),
    after: (revision, limit) =>
      read('revocations', () => revoked.filter((each) => each.revision > revision).slice(0, limit)),
  };

  const notNeeded = (): never => {
    throw new Error('not part of the fake');
  };
  const configs: SyncConfigStore = {
    get: (number) => read('config', () => versions.get(number) ?? null),
    active: () => Promise.resolve(versions.get(version) ?? null),
    processing: () => Promise.resolve(null),
    live: () => Promise.resolve([...versions.values()]),
    revision: () => Promise.resolve(version),
    deploy: notNeeded,
    fail: notNeeded,
    abandonedStreams: notNeeded,
    forgetStream: notNeeded,
  };

  const storage: FakeStorage = {
    reader,
    configs,
    writeCheckpoints,
    revocations,
    compaction: { lastRun: () => Promise.resolve(null) },
    deploy(number, definitions, plan) {
      versions.set(number, {
        version: number,
        state: 'active',
        content: '',
        plan: JSON.stringify(plan),
        label: null,
        definitions,
        streams: [],
        error: null,
        createdMs: 0,
        activatedMs: 0,
      });
    },
    commit,
    forgetNotices(upTo) {
      notices = notices.filter((notice) => notice.op > upTo);
      forgotten = Math.max(forgotten, Math.min(upTo, op));
    },
    rowsAt(definition, key, at) {
      const rows = new Map<string, string>();
      for (const { op: changedAt, id, data } of history.get(nameOf(definition, key)) ?? []) {
        if (changedAt > at) break;
        if (data === null) rows.delete(`items/${id}`);
        else rows.set(`items/${id}`, data);
      }
      return rows;
    },
    totalsAt,
    replaceChunks(definition, key, chunks) {
      bucketOf(definition, key).chunks.splice(0, Infinity, ...chunks);
    },
    get op() {
      return op;
    },
    beforeRead: () => undefined,
    reads,
  };
  return storage;
}
