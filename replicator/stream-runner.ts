/**
 * Runs one replication stream: opens or creates its cursor, copies what is not copied, then follows the change stream. States and
 * transitions: SPEC.md.
 */
import { randomBytes } from 'node:crypto';
import type {
  CommitNotice,
  ReachedWriteCheckpoint,
  ReplicationStream,
  SourceWriter,
  StreamCommit,
  StreamProgress,
} from '#core/bucket-storage/contract.ts';
import type { DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { SyncPlan } from '#core/sync-config/contract.ts';
import { createBucketTotalsCache } from './pipeline/bucket-totals.ts';
import { createChangeApplier } from './pipeline/change-applier.ts';
import { createFlusher, type FlushFigures } from './pipeline/flusher.ts';
import { createRowStateCache } from './pipeline/row-state-cache.ts';
import { createStreamPipeline, type StreamPipeline, type StreamPosition } from './pipeline/stream-pipeline.ts';
import { bindTable, type TableBinding } from './pipeline/table-binding.ts';
import { copyTables } from './pipeline/table-copy.ts';
import { removeTable } from './pipeline/table-removal.ts';
import type {
  CopyPart,
  Position,
  ReplicatedTable,
  Snapshot,
  Source,
  StreamEvent,
  TableReport,
} from './sources/contract.ts';
import { blockedMessage, CursorLost, lostCursor, type Lost } from './cursor-lost.ts';
import type { RunnerLog } from './runner-log.ts';
import { createProgressTracker, laterPosition, type ProgressTracker } from './stream-progress.ts';
import { createTableReports, tableName } from './table-reports.ts';

export type RunnerState =
  | { readonly kind: 'opening' }
  | { readonly kind: 'copying'; readonly rowsCopied: number; readonly rowsEstimated: number }
  | { readonly kind: 'catching-up' }
  | { readonly kind: 'streaming' }
  | { readonly kind: 'stopped' };

export interface StreamRunnerDependencies {
  readonly source: Source;
  readonly writer: SourceWriter;
  readonly stream: ReplicationStream;
  readonly version: DeployedVersion;
  readonly plan: SyncPlan;
  readonly now: () => number;
  readonly log: RunnerLog;
  readonly signal: AbortSignal;
  flushed(figures: FlushFigures): void;
  published(notice: CommitNotice): void;
  applied(changes: number, transactions: number): void;
  copied(rows: number, bytes: number): void;
}

export interface StreamRunner {
  readonly stream: number;
  readonly cursor: string;
  /** Runs until `signal` aborts, `stop` was called (resolves), or something failed (rejects). */
  run(): Promise<void>;
  readonly state: RunnerState;
  readonly position: StreamPosition;
  readonly reports: readonly TableReport[];
  /** What a look at the source says of the wanted tables: kept, and those that can be read at last are copied. */
  noteTables(reports: readonly TableReport[]): void;
  /** All tables are copied, and the stream has passed what they were copied at. */
  readonly ready: boolean;
  setGate(position: Position | null): void;
  caughtUp(position: Position): boolean;
  expect(position: Position, requests: readonly ReachedWriteCheckpoint[]): void;
  stopAtBoundary(): Promise<void>;
  /** Writes these definitions too from now on (switch-over); clients see this stream from now on. */
  adopt(version: DeployedVersion, plan: SyncPlan, definitions: readonly number[], other: StreamProgress | null): void;
  readonly progress: ProgressTracker;
}

export function createStreamRunner(dependencies: StreamRunnerDependencies): StreamRunner {
  const { source, writer, stream, signal, log, now } = dependencies;
  let { version, plan } = dependencies;
  let definitions = new Set(stream.definitions);
  let visible = version.state === 'active';
  let state: RunnerState = { kind: 'opening' };
  let cursor = stream.slot;
  const reports = createTableReports(stream.progress?.reports ?? []);
  let pipeline: StreamPipeline | null = null;
  let gate: Position | null = null;
  let stopped = false;
  const pendingExpectations: { position: Position; requests: readonly ReachedWriteCheckpoint[] }[] = [];
  const progress = createProgressTracker(stream.progress);
  /** Nothing of this stream is in storage yet: unknown buckets are empty, rows have no state. */
  let fresh = stream.progress === null;

  let bindings = new Map<ReplicatedTable, TableBinding | null>();
  const states = createRowStateCache(writer);
  const totals = createBucketTotalsCache(writer, () => fresh);
  const flusher = createFlusher({
    writer,
    stream: stream.id,
    states,
    totals,
    now,
    flushed: dependencies.flushed,
    published: dependencies.published,
  });
  const applier = createChangeApplier({
    source,
    states,
    target: () => flusher.target(),
    rejected(binding, definition, code, reason) {
      log.error({ code, table: tableName(binding.table), definition, reason }, 'Row not synced');
    },
  });

  const deployed = (): DeployedVersion['definitions'] =>
    version.definitions.filter((definition) => definitions.has(definition.id));
  const binding = (table: ReplicatedTable): TableBinding | null => {
    const known = bindings.get(table);
    if (known !== undefined) return known;
    const id = progress.idOf(table);
    const bound = id === null ? null : bindTable(plan, deployed(), table, id);
    bindings.set(table, bound);
    return bound;
  };
  const register = async (table: ReplicatedTable): Promise<number> => {
    const known = progress.idOf(table);
    if (known !== null) return known;
    const { schema, name, relation, identityText } = table;
    const id = await writer.registerTable({ source: source.tag, schema, name, relation, identity: identityText });
    progress.know(table, id);
    return id;
  };

  const noteTables = (latest: readonly TableReport[]): void => {
    if (reports.note(latest)) progress.set({ reports: reports.latest });
    copyRecovered();
  };

  const copyCommit = (): StreamCommit => {
    const changed = progress.take();
    return {
      position: null,
      ...(changed ? { progress: changed } : {}),
      sourceTimeMs: null,
      reachedWriteCheckpoints: [],
      announce: false,
    };
  };

  const copyDependencies = (commit: () => StreamCommit | undefined): Parameters<typeof copyTables>[3] => ({
    applier,
    states,
    flusher,
    binding,
    copied(table, rows, bytes) {
      progress.rowsCopied(table, rows);
      dependencies.copied(rows, bytes);
      if (state.kind === 'copying') state = { ...state, rowsCopied: state.rowsCopied + rows };
    },
    partDone(part) {
      const id = progress.idOf(part.table)!;
      const ranges = [...(progress.table(id)?.ranges ?? []), part.range];
      progress.update(id, { ranges });
    },
    commit,
  });

  /** The first copy of this stream: durable as it goes, resumed after a stop. */
  const firstCopy = async (snapshot: Snapshot, resumed: boolean): Promise<void> => {
    noteTables(snapshot.reports);
    const parts: CopyPart[] = [];
    let rowsEstimated = 0;
    let rowsCopied = 0;
    for (const { table, rowsEstimated: rows, ranges } of snapshot.tables) {
      const id = await register(table);
      if (!binding(table)) continue;
      const known = progress.table(id);
      rowsEstimated += rows;
      rowsCopied += known?.rowsCopied ?? 0;
      if (known?.state === 'done') continue;
      progress.update(id, { state: 'copying', rowsEstimated: rows });
      const stored = new Set(known?.ranges ?? []);
      for (const range of ranges) if (!stored.has(range)) parts.push({ table, range });
    }
    state = { kind: 'copying', rowsCopied, rowsEstimated };
    log.info({ tables: snapshot.tables.length, parts: parts.length, rowsEstimated, resumed }, 'Copying tables');
    await copyTables(snapshot, parts, resumed, copyDependencies(copyCommit), signal);
    for (const { table } of snapshot.tables) {
      const id = progress.idOf(table)!;
      if (progress.table(id)) progress.update(id, { state: 'done', ranges: [] });
    }
    const start = progress.value.startPosition!;
    progress.set({
      snapshot: 'catching-up',
      holdUntil: laterPosition(progress.value.holdUntil, snapshot.position, source.comparePositions),
    });
    const { written } = await flusher.flush({ ...copyCommit(), position: start });
    await written;
    log.info({ rowsCopied: state.kind === 'copying' ? state.rowsCopied : 0 }, 'Tables copied');
  };

  const startOf = (): Position => {
    const start = progress.value.startPosition!;
    return stream.position !== null && source.comparePositions(stream.position, start) > 0 ? stream.position : start;
  };
  /** No client has seen anything of it yet. */
  const isFirstCopy = (): boolean => !visible;

  /** Shown by every process, and what lets a deployment of the same sync config try again. */
  const block = async (blocked: StreamProgress['blocked']): Promise<void> => {
    if (JSON.stringify(progress.value.blocked ?? null) === JSON.stringify(blocked ?? null)) return;
    progress.set({ blocked: blocked ?? null });
    const { written } = await flusher.flush(copyCommit());
    await written;
  };

  const cursorLost = async (found: Lost, unpublished: boolean): Promise<CursorLost> => {
    if (isFirstCopy() && found.why === 'invalidated' && !unpublished)
      await block({ code: found.code, message: blockedMessage(found.reason) });
    return new CursorLost(found, isFirstCopy(), unpublished);
  };

  const openCursor = async (): Promise<void> => {
    if (cursor !== '' && progress.value.startPosition !== null) {
      const found = await source.cursorState(cursor, startOf());
      if (found.kind === 'ok') return block(null);
      throw await cursorLost(found, false);
    }
    // A cursor that was named but never used may exist after a crash between the two steps.
    if (cursor !== '') await source.dropCursor(cursor);
    cursor = source.cursorName(stream.version, randomBytes(4).toString('hex'));
    await writer.setSlot(stream.id, cursor);
    const snapshot = await source.createCursor(cursor, signal);
    try {
      progress.set({ snapshot: 'copying', startPosition: snapshot.position, holdUntil: snapshot.position });
      const { written } = await flusher.flush(copyCommit());
      await written;
      await firstCopy(snapshot, false);
    } finally {
      await snapshot.close();
    }
  };

  const withSnapshot = async (work: (snapshot: Snapshot) => Promise<void>): Promise<void> => {
    const snapshot = await source.openSnapshot(signal);
    try {
      await work(snapshot);
    } finally {
      await snapshot.close();
    }
  };

  const resumeCopy = async (): Promise<void> => {
    if (progress.value.snapshot !== 'copying') return;
    await withSnapshot((snapshot) => firstCopy(snapshot, true));
  };

  /** A copy inside the running stream: of a table that appeared, or came back as another one. */
  const copyAppeared = async (table: ReplicatedTable, id: number): Promise<void> => {
    await withSnapshot(async (snapshot) => {
      noteTables(snapshot.reports);
      const found = snapshot.tables.find((item) => item.table.relation === table.relation);
      if (found) return copyInStream(snapshot, found, id);
      log.warn(
        { table: tableName(table) },
        'Table appeared in the stream but cannot be copied; its changes are followed, and it is copied once it can be',
      );
      progress.update(id, { state: 'failed', ranges: [] });
    });
  };

  const copyInStream = async (snapshot: Snapshot, found: Snapshot['tables'][number], id: number): Promise<void> => {
    progress.know(found.table, id);
    const parts = found.ranges.map((range): CopyPart => ({ table: found.table, range }));
    await copyTables(
      snapshot,
      parts,
      true,
      copyDependencies(() => undefined),
      signal,
    );
    hold(snapshot.position);
    progress.update(id, { state: 'done', ranges: [] });
  };

  const hold = (position: Position): void =>
    progress.set({ holdUntil: laterPosition(progress.value.holdUntil, position, source.comparePositions) });

  /** Tables that could not be replicated and now can be: GRANT, ALTER PUBLICATION and a new key are no changes of rows. */
  const copyRecovered = (): void => {
    const names = pipeline === null ? null : reports.takeRecovered();
    if (!pipeline || !names?.size) return;
    pipeline.between(() =>
      withSnapshot(async (snapshot) => {
        for (const found of snapshot.tables.filter(({ table }) => names.has(tableName(table)))) {
          const id = await register(found.table);
          if (!binding(found.table) || progress.table(id)?.state === 'done') continue;
          log.info({ table: tableName(found.table) }, 'Copying a table that can be replicated now');
          progress.update(id, { state: 'copying' });
          await copyInStream(snapshot, found, id);
        }
      }),
    );
  };

  const removeRows = async (bound: TableBinding): Promise<void> => {
    await flusher.flush(undefined);
    await flusher.settled();
    const removed = await removeTable(bound, { writer, states, applier, flusher, signal });
    log.info({ table: tableName(bound.table), removed }, 'Removed all rows of a table');
  };

  const tableChanged = async (item: Extract<StreamEvent, { kind: 'table' | 'truncate' }>): Promise<void> => {
    fresh = false;
    const id = await register(item.table);
    const bound = binding(item.table);
    if (!bound) return;
    if (item.kind === 'truncate') return removeRows(bound);
    if (item.replaces !== null) {
      const former = await register(item.replaces);
      const formerBound = former === id ? null : bindTable(plan, deployed(), item.replaces, former);
      if (formerBound && progress.table(former)) await removeRows(formerBound);
      if (former !== id) progress.forget(former);
    }
    if (progress.table(id)?.state === 'done') return;
    log.info({ table: tableName(item.table) }, 'Copying a table that appeared');
    progress.update(id, { state: 'copying' });
    await copyAppeared(item.table, id);
  };

  const follow = async (): Promise<void> => {
    fresh = false;
    state = { kind: progress.value.snapshot === 'done' ? 'streaming' : 'catching-up' };
    const start = startOf();
    const stop = new AbortController();
    const running = AbortSignal.any([signal, stop.signal]);
    const current = createStreamPipeline({
      source,
      writer,
      stream: stream.id,
      cursor: () => cursor,
      flusher,
      applier,
      states,
      start,
      now,
      signal: running,
      binding,
      tableChanged,
      copiedUntil: () => progress.value.holdUntil,
      hold,
      unreadable(table) {
        const id = progress.idOf(table);
        if (id !== null) progress.update(id, { state: 'failed' });
      },
      progressChanged: () => progress.changed,
      visible: () => visible,
      takeProgress(reached) {
        const until = progress.value.holdUntil;
        if (until !== null && source.comparePositions(until, reached) <= 0) {
          progress.set({ snapshot: 'done', holdUntil: null });
          state = { kind: 'streaming' };
        }
        return progress.take();
      },
      applied: dependencies.applied,
    });
    pipeline = current;
    current.setGate(gate);
    copyRecovered();
    for (const item of pendingExpectations.splice(0)) current.expect(item.position, item.requests);
    const streaming = source.stream({ cursor, position: start, handler: current.handler, signal: running });
    const applying = current.run();
    try {
      await Promise.race([streaming, applying]);
      // Either ended by itself (stopped at a boundary) or by the signal; a stream that just ends is an error of the source.
    } catch (error) {
      if (signal.aborted) throw error;
      stop.abort(error);
      await Promise.allSettled([streaming, applying]);
      const lost = await lostCursor(error, source, cursor, current.position.committed);
      if (lost === null) throw error;
      await flusher.settled();
      throw await cursorLost(lost, current.unpublished);
    } finally {
      stop.abort();
      await Promise.allSettled([streaming, applying]);
    }
  };

  return {
    stream: stream.id,
    get cursor() {
      return cursor;
    },
    async run() {
      try {
        await openCursor();
        await resumeCopy();
        await follow();
      } finally {
        if (signal.aborted && state.kind === 'copying')
          log.info({ code: 'PSYNC_S1103' }, 'The first copy was stopped; it goes on at the next start');
        state = { kind: 'stopped' };
      }
      if (!signal.aborted && !stopped)
        throw codedError('PSYNC_S1101', 'The change stream ended without an error; it is opened again.');
    },
    get state() {
      return state;
    },
    get position() {
      return pipeline?.position ?? { at: stream.position, committed: stream.position, lagMs: null };
    },
    get reports() {
      return reports.latest;
    },
    noteTables,
    get ready() {
      return progress.value.snapshot === 'done' && progress.value.holdUntil === null;
    },
    setGate(position) {
      gate = position;
      pipeline?.setGate(position);
    },
    caughtUp: (position) => pipeline?.caughtUp(position) ?? false,
    expect(position, requests) {
      if (pipeline) pipeline.expect(position, requests);
      else pendingExpectations.push({ position, requests });
    },
    async stopAtBoundary() {
      stopped = true;
      await pipeline?.stopAtBoundary();
    },
    adopt(next, nextPlan, ids, other) {
      version = next;
      plan = nextPlan;
      definitions = new Set(ids);
      if (other) progress.adopt(other);
      bindings = new Map();
      visible = true;
    },
    progress,
  };
}
