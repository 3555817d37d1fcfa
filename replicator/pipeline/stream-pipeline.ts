/**
 * Applies a source's change stream: source transactions become visible whole and in order (G1), the source is acknowledged only
 * what storage has (G5). Small transactions are grouped: whatever is complete while a flush is in flight goes into the next one.
 */
import type {
  ReachedWriteCheckpoint,
  SourceWriter,
  StreamCommit,
  StreamProgress,
} from '#core/bucket-storage/contract.ts';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import type { Position, ReplicatedTable, Source, StreamHandler } from '../sources/contract.ts';
import { createReplicationLag } from '../replication-lag.ts';
import type { ChangeApplier, RowDelete, RowUpdate } from './change-applier.ts';
import { createChangeQueue, type QueueItem } from './change-queue.ts';
import type { Flusher } from './flusher.ts';
import type { RowStateCache } from './row-state-cache.ts';
import type { TableBinding } from './table-binding.ts';

/** Changes applied between two looks at the row states of the next ones. */
const APPLY_PAGE = 4000;
/** An idle stream's position is stored and acknowledged this often. */
const KEEPALIVE_MS = 1000;

type Boundary = Extract<QueueItem, { kind: 'commit' | 'keepalive' }>;

/** Where the pipeline stands; `committed` is durable, `at` includes what needed no write. */
export interface StreamPosition {
  readonly at: Position | null;
  readonly committed: Position | null;
  /** Age of the oldest transaction that is not stored yet; null: it does not stream. */
  readonly lagMs: number | null;
}

export interface StreamPipeline {
  readonly handler: StreamHandler;
  /** Applies until `signal` aborts. Rejects with the first error of storage or evaluation. */
  run(): Promise<void>;
  readonly position: StreamPosition;
  /** No further than this position (a processing version must not pass the active one); null: no gate. */
  setGate(gate: Position | null): void;
  /** All transactions at or before `position` have arrived, are applied and stored. */
  caughtUp(position: Position): boolean;
  /** Write checkpoints to report as reached once `position` is passed. */
  expect(position: Position, requests: readonly ReachedWriteCheckpoint[]): void;
  /** Stops at the next transaction boundary, everything stored. Rejects when it ends before: with its error, or its signal's reason. */
  stopAtBoundary(): Promise<void>;
  /** Does `work` between two transactions, with the stream held back; what it flushes is published with the next commit. */
  between(work: () => Promise<void>): void;
  /** Something was flushed that no commit covers yet: only the next take-over undoes it. */
  readonly unpublished: boolean;
}

export interface StreamPipelineDependencies {
  readonly source: Source;
  readonly writer: SourceWriter;
  readonly stream: number;
  readonly cursor: () => string;
  readonly flusher: Flusher;
  readonly applier: ChangeApplier;
  readonly states: RowStateCache;
  readonly start: Position;
  readonly now: () => number;
  readonly signal: AbortSignal;
  binding(table: ReplicatedTable): TableBinding | null;
  /** A table appeared, changed or was truncated; everything before it has been applied. */
  tableChanged(item: Extract<QueueItem, { kind: 'table' | 'truncate' }>): Promise<void>;
  /** Tables were copied as of this position: until it is passed, rows may be newer than the stream. Null when passed. */
  copiedUntil(): Position | null;
  /** Nothing may be published before the stream has passed this position: rows were read that are newer than the stream. */
  hold(position: Position): void;
  /** Values of the table's rows were needed and could not be read: it is copied once it can be. */
  unreadable(table: ReplicatedTable): void;
  /** Clients see this stream's commits: none may be made before `copiedUntil` is passed. */
  visible(): boolean;
  /** The progress to store with the next commit when it changed since. `reached` is where that commit stands. */
  takeProgress(reached: Position): StreamProgress | undefined;
  /** `takeProgress` has something that is worth a commit of its own. */
  progressChanged(): boolean;
  applied(changes: number, transactions: number): void;
}

export function createStreamPipeline(dependencies: StreamPipelineDependencies): StreamPipeline {
  const { source, writer, flusher, applier, states, signal, now } = dependencies;
  let wake = (): void => undefined;
  const queue = createChangeQueue(() => wake());
  /** Last transaction boundary applied to the flusher. */
  let boundary: { position: Position; timeMs: number | null } = { position: dependencies.start, timeMs: null };
  let committed: Position = dependencies.start;
  let inTransaction = false;
  /** Something was flushed without a commit since the last one. */
  let unpublished = false;
  let gate: Position | null = null;
  let stopRequested = false;
  /** How it ended. Whether anybody waits for that is theirs to say. */
  const end = Promise.withResolvers<void>();
  end.promise.catch(() => undefined);
  let lastKeepalive = now();
  const lag = createReplicationLag(now);
  const between: (() => Promise<void>)[] = [];
  let waiting: { position: Position; requests: readonly ReachedWriteCheckpoint[] }[] = [];

  const atOrBefore = (a: Position, b: Position): boolean => source.comparePositions(a, b) <= 0;
  const held = (): boolean => {
    const until = dependencies.visible() ? dependencies.copiedUntil() : null;
    return until !== null && !atOrBefore(until, boundary.position);
  };

  const reachedNow = (): ReachedWriteCheckpoint[] => {
    if (waiting.length === 0) return [];
    const reached = waiting.filter((item) => atOrBefore(item.position, boundary.position));
    waiting = waiting.filter((item) => !reached.includes(item));
    return reached.flatMap((item) => item.requests);
  };

  const commitHere = (): StreamCommit => {
    const reached = reachedNow();
    const progress = dependencies.takeProgress(boundary.position);
    return {
      position: boundary.position,
      ...(progress === undefined ? {} : { progress }),
      sourceTimeMs: boundary.timeMs,
      reachedWriteCheckpoints: reached,
      announce: reached.length > 0,
    };
  };

  const stored = (position: Position, timeMs: number | null): void => {
    committed = position;
    lag.stored(position, timeMs);
    source.acknowledge(dependencies.cursor(), position);
    wake();
  };

  const flushFinal = async (): Promise<void> => {
    unpublished = false;
    const commit = commitHere();
    const { written } = await flusher.flush(commit);
    void written.then(
      () => stored(commit.position!, commit.sourceTimeMs),
      () => wake(),
    );
  };

  /** A change that leaves values out: filled from what was retained, else from the source, whose row may be newer, or gone. */
  const applyOmitting = async (binding: TableBinding, change: RowUpdate): Promise<void> => {
    if (!applier.needsFetch(binding, change)) return applier.apply(binding, change, null);
    try {
      const fetched = await source.fetchRow(change.table, change.key);
      if (fetched !== null) return applier.apply(binding, change, fetched);
      // A later transaction took it away, or gave it another key. Until the stream is there, nothing is published.
      dependencies.hold(await source.head());
    } catch (error) {
      if (!isCodedError(error) || error.code !== 'PSYNC_S1152') throw error;
      dependencies.unreadable(change.table);
    }
    applier.withdraw(binding, change);
  };

  /** Loads the row states of a page of items and applies them in order. */
  const applyPage = async (page: readonly (RowUpdate | RowDelete | Boundary)[]): Promise<void> => {
    const until = dependencies.copiedUntil();
    const blindInserts = until === null || atOrBefore(until, boundary.position);
    const keys: string[] = [];
    for (const item of page) {
      if (item.kind === 'commit' || item.kind === 'keepalive') continue;
      const binding = dependencies.binding(item.table);
      if (binding) applier.keysNeeded(binding, item, blindInserts, keys);
    }
    if (keys.length > 0) await states.load(keys);
    for (const item of page) {
      if (item.kind === 'commit' || item.kind === 'keepalive') {
        await passBoundary(item);
        continue;
      }
      inTransaction = true;
      const binding = dependencies.binding(item.table);
      if (!binding) continue;
      if (item.kind !== 'delete' && item.omitted !== null) await applyOmitting(binding, item);
      else applier.apply(binding, item, null);
      if (flusher.full) await flushPart();
    }
  };

  const passBoundary = async (item: Boundary): Promise<void> => {
    inTransaction = false;
    boundary = { position: item.position, timeMs: item.kind === 'commit' ? item.timeMs : boundary.timeMs };
    if (flusher.full && !held()) await flushFinal();
  };

  /** Part of what is to become visible later: durable, not announced. */
  const flushPart = async (): Promise<void> => {
    unpublished = true;
    await flusher.flush(undefined);
  };

  const apply = async (items: readonly QueueItem[]): Promise<void> => {
    let page: (RowUpdate | RowDelete | Boundary)[] = [];
    let changes = 0;
    let transactions = 0;
    for (const item of items) {
      if (item.kind === 'table' || item.kind === 'truncate') {
        await applyPage(page);
        page = [];
        inTransaction = true;
        unpublished = true;
        await dependencies.tableChanged(item);
        continue;
      }
      if (item.kind === 'commit') transactions++;
      else if (item.kind !== 'keepalive') changes++;
      page.push(item);
      if (page.length < APPLY_PAGE) continue;
      await applyPage(page);
      page = [];
    }
    await applyPage(page);
    dependencies.applied(changes, transactions);
  };

  const hasReached = (): boolean => waiting.some((item) => atOrBefore(item.position, boundary.position));

  /** Writes what is complete when nothing is in flight. True when something was started. */
  const flushComplete = async (): Promise<boolean> => {
    if (inTransaction || flusher.busy || held()) return false;
    const until = dependencies.copiedUntil();
    const leavingHold = until !== null && atOrBefore(until, boundary.position);
    if (flusher.dirty || hasReached() || leavingHold || unpublished || dependencies.progressChanged()) {
      await flushFinal();
      return true;
    }
    if (boundary.position === committed || now() - lastKeepalive < KEEPALIVE_MS) return false;
    lastKeepalive = now();
    const position = boundary.position;
    await writer.keepalive(dependencies.stream, position);
    stored(position, boundary.timeMs);
    return true;
  };

  const step = async (): Promise<boolean> => {
    const work = inTransaction ? undefined : between.shift();
    if (work !== undefined) {
      unpublished = true;
      await work();
      return true;
    }
    const items = queue.take((position) => gate === null || atOrBefore(position, gate));
    if (items.length > 0) await apply(items);
    if (flusher.full && held()) await flushPart();
    const flushed = await flushComplete();
    return items.length > 0 || flushed;
  };

  const nextEvent = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, KEEPALIVE_MS);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  /** Resolves at the boundary at which it was to stop; else rejects. */
  const applyUntilStopped = async (): Promise<void> => {
    for (;;) {
      signal.throwIfAborted();
      const arrived = nextEvent();
      if (!flusher.busy) await flusher.settled();
      if (stopRequested && !inTransaction && !flusher.dirty && !unpublished) return flusher.settled();
      if (await step()) {
        wake();
        continue;
      }
      if (flusher.busy) {
        await Promise.race([arrived, flusher.settled()]);
      } else {
        await arrived;
      }
    }
  };

  return {
    handler: {
      event(event) {
        if (event.kind === 'commit') lag.heard(event.position, event.timeMs);
        else if (event.kind === 'keepalive') lag.heard(event.position, null);
        return queue.push(event);
      },
      idle: () => wake(),
    },
    async run() {
      const abort = (): void => wake();
      signal.addEventListener('abort', abort);
      try {
        await applyUntilStopped();
        end.resolve();
      } catch (error) {
        end.reject(error);
        if (!signal.aborted) throw error;
      } finally {
        signal.removeEventListener('abort', abort);
      }
    },
    get position() {
      return { at: boundary.position, committed, lagMs: lag.ms };
    },
    setGate(position) {
      gate = position;
      wake();
    },
    caughtUp(position) {
      if (queue.seen === null || !atOrBefore(position, queue.seen)) return false;
      if (inTransaction || unpublished || flusher.dirty || flusher.busy) return false;
      return queue.nothingWithin((item) => atOrBefore(item, position));
    },
    expect(position, requests) {
      waiting.push({ position, requests });
      wake();
    },
    stopAtBoundary() {
      stopRequested = true;
      wake();
      return end.promise;
    },
    between(work) {
      between.push(work);
      wake();
    },
    get unpublished() {
      return unpublished || flusher.busy;
    },
  };
}
