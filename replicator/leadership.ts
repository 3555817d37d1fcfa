/**
 * One term of leading a source: keeps a runner for each stream of a live version, drops the cursors of ended ones, and switches over to
 * a new version when it has caught up (R-42, R-101, O-126). Ends by its signal or with the first error of a runner.
 */
import type { SourceWriter, BucketStorage } from '#core/bucket-storage/contract.ts';
import type { DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import type { Clock } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { SyncPlan } from '#core/sync-config/contract.ts';
import type { FlushFigures } from './pipeline/flusher.ts';
import { createBackoff } from '#core/platform/backoff.ts';
import { createApproach } from './approach.ts';
import { blockedMessage, CursorLost } from './cursor-lost.ts';
import { createCopyRate, type CopyRate } from './copy-rate.ts';
import type { Findings } from './findings.ts';
import { createMoveOn } from './move-on.ts';
import type { StreamReport } from './report.ts';
import { createSourceHealth, SourceUnusable, streamScope } from './source-health.ts';
import type { Finding, Source, ValueOptions } from './sources/contract.ts';
import type { RunnerLog } from './runner-log.ts';
import { streamReport } from './stream-report.ts';
import { createStreamRunner, type StreamRunner } from './stream-runner.ts';
import { switchOver } from './switch-over.ts';
import { wantedTables } from './wanted-tables.ts';
import { createWriteCheckpointResolver } from './write-checkpoint-resolver.ts';

/** Versions are looked at this often when no nudge tells of a change. */
const POLL_MS = 1000;
/** While a version is processed: how often gates move and readiness is looked at. */
const PROCESSING_TICK_MS = 50;
const CLEAR_INTERVAL_MS = 5000;
const CLEAR_BUDGET_MS = 200;
/** A stream that cannot begin is tried again by itself, with growing pauses; the others go on. */
const HELD_FIRST_MS = 1000;
const HELD_MOST_MS = 15_000;

export interface LeadershipDependencies {
  readonly tag: string;
  readonly storage: BucketStorage;
  readonly coordination: Coordination;
  readonly writer: SourceWriter;
  readonly clock: Clock;
  readonly log: RunnerLog;
  readonly signal: AbortSignal;
  readonly heartbeatIntervalMs: number;
  /** How often the source and its slots are looked at while streams run. */
  readonly healthIntervalMs: number;
  readonly random: () => number;
  readonly findings: Findings;
  openSource(options: () => ValueOptions): Source;
  flushed(figures: FlushFigures): void;
  applied(changes: number, transactions: number): void;
  copied(rows: number, bytes: number): void;
  lagBytes(bytes: number): void;
  connected(connected: boolean): void;
  /** A stream could not begin or go on. */
  failed(code: string): void;
  versions(active: number | null, processing: number | null): void;
}

/** A runner with what belongs to it. */
export interface RunningStream {
  readonly id: number;
  readonly source: Source;
  readonly runner: StreamRunner;
  readonly rate: CopyRate;
  version: DeployedVersion;
  readonly stop: AbortController;
  done: boolean;
}

export function createLeadership(dependencies: LeadershipDependencies): {
  run(healthy: () => void): Promise<void>;
  report(): StreamReport[];
} {
  const { tag, storage, coordination, writer, clock, log, signal, findings } = dependencies;
  /** Whatever works in this term ends with it; its reason is the first error. */
  const term = new AbortController();
  const ended = AbortSignal.any([signal, term.signal]);
  const running = new Map<number, RunningStream>();
  /** Streams that could not begin. Nothing of them is in storage unpublished. */
  const held = new Map<number, { readonly backoff: ReturnType<typeof createBackoff>; untilMs: number }>();
  /** Streams whose cursor is gone: a new version is being copied in their place. */
  const lost = new Set<number>();
  let wake = (): void => undefined;

  const fail = (error: unknown): void => {
    term.abort(error);
    wake();
  };

  const start = (version: DeployedVersion, streamId: number): void => {
    const stream = version.streams.find((item) => item.id === streamId)!;
    const plan = JSON.parse(version.plan) as SyncPlan;
    const source = dependencies.openSource(() => plan.valueOptions);
    source.want(wantedTables(plan, tag));
    const stop = new AbortController();
    const rate = createCopyRate(() => clock.monotonic());
    const runner = createStreamRunner({
      source,
      writer,
      stream,
      version,
      plan,
      now: () => clock.now(),
      log,
      signal: AbortSignal.any([signal, stop.signal]),
      flushed: dependencies.flushed,
      applied: dependencies.applied,
      copied(rows, bytes) {
        rate.copied(rows);
        dependencies.copied(rows, bytes);
      },
      published: (notice) => coordination.publishCommit(notice),
    });
    const entry: RunningStream = { id: stream.id, source, runner, rate, version, stop, done: false };
    running.set(stream.id, entry);
    void follow(entry);
  };

  const health = createSourceHealth({
    findings,
    clock,
    intervalMs: dependencies.healthIntervalMs,
    signal: ended,
    entries: () => running.values(),
    lagBytes: dependencies.lagBytes,
    connected: dependencies.connected,
    fail,
  });

  const follow = async (entry: RunningStream): Promise<void> => {
    try {
      await health.examine(entry);
      if (entry.stop.signal.aborted) return;
      await entry.runner.run();
    } catch (error) {
      if (signal.aborted || entry.stop.signal.aborted) return;
      if (error instanceof SourceUnusable) hold(entry, error.finding.code, []);
      else if (error instanceof CursorLost) await cursorLost(entry, error).catch(fail);
      else fail(error);
    } finally {
      entry.done = true;
      await entry.source.close().catch(() => undefined);
      wake();
    }
  };

  /** Not now: tried again later, while the other streams go on. */
  const hold = (entry: RunningStream, code: string, reasons: readonly Finding[]): void => {
    dependencies.failed(code);
    findings.note(streamScope(entry.id), reasons);
    const { random } = dependencies;
    const known = held.get(entry.id);
    const backoff = known?.backoff ?? createBackoff({ clock, initialMs: HELD_FIRST_MS, maxMs: HELD_MOST_MS, random });
    held.set(entry.id, { backoff, untilMs: clock.monotonic() + backoff.next() });
  };
  /** It has begun: what held it is over. */
  const settled = (entry: RunningStream): void => {
    if (entry.done || !held.delete(entry.id)) return;
    findings.note(streamScope(entry.id), []);
  };
  const isDue = (entry: RunningStream): boolean =>
    entry.done && (held.get(entry.id)?.untilMs ?? Number.POSITIVE_INFINITY) <= clock.monotonic();

  /**
   * start over with a new cursor while clients are served what is there. R-109: where the source gave up the cursor of a first copy,
   * another one would fare no better. It is looked at again until the slot is dropped; a deployment or reprocessing replaces it.
   */
  const cursorLost = async (entry: RunningStream, error: CursorLost): Promise<void> => {
    if (error.firstCopy && error.why === 'invalidated') {
      hold(entry, error.code, [{ level: 'fatal', code: error.code, message: blockedMessage(error.message) }]);
    } else {
      lost.add(entry.id);
      await copyAgain(entry, error);
    }
    if (error.unpublished) throw codedError('PSYNC_S1146', error.message);
  };

  /** The version goes on with data of the other's stream; when that one is lost, it would miss what nobody saw. */
  const continuesFrom = (former: DeployedVersion, next: DeployedVersion): boolean => {
    const kept = new Set(former.definitions.filter((item) => item.source === tag).map((item) => item.id));
    return next.definitions.some(({ id }) => kept.has(id));
  };

  const copyAgain = async (entry: RunningStream, error: CursorLost): Promise<void> => {
    const processing = await storage.configs.processing();
    const replaced = processing?.streams.some((stream) => stream.source === tag && stream.id !== entry.id) ?? false;
    const continues =
      processing !== null && processing.version !== entry.version.version && continuesFrom(entry.version, processing);
    if (replaced && !continues) return;
    const { content, plan, definitions, label } = processing ?? entry.version;
    log.warn(
      { code: error.code, reason: error.message },
      'The replication cursor is lost; everything is copied again with a new one while clients are served',
    );
    const sources = [...new Set(definitions.map((definition) => definition.source))];
    await storage.configs.deploy({
      content,
      plan,
      definitions,
      sources,
      force: [tag],
      ...(label === null ? {} : { label }),
    });
    coordination.nudge('sync-config');
  };

  const stopEntry = async (entry: RunningStream): Promise<void> => {
    entry.stop.abort();
    while (!entry.done) await clock.sleep(5);
    running.delete(entry.id);
  };

  const dropAbandoned = async (): Promise<void> => {
    for (const stream of await storage.configs.abandonedStreams(tag)) {
      const entry = running.get(stream.id);
      if (entry) await stopEntry(entry);
      const source = dependencies.openSource(() => ({
        timestampsIso8601: false,
        timestampMaxPrecision: null,
        customPostgresTypes: false,
      }));
      try {
        if (stream.slot !== '') await source.dropCursor(stream.slot);
        await storage.configs.forgetStream(stream.id);
        log.info({ slot: stream.slot }, 'Dropped the cursor of an ended version');
      } finally {
        await source.close();
      }
    }
  };

  /** Brings runners in line with the live versions. */
  const reconcile = async (): Promise<{ active: DeployedVersion | null; processing: DeployedVersion | null }> => {
    const versions = await storage.configs.live();
    const active = versions.find((version) => version.state === 'active') ?? null;
    const processing = versions.find((version) => version.state === 'processing') ?? null;
    const wanted = new Map<number, DeployedVersion>();
    for (const version of [processing, active]) {
      if (!version) continue;
      for (const stream of version.streams) if (stream.source === tag) wanted.set(stream.id, version);
    }
    for (const entry of running.values()) if (!wanted.has(entry.id)) await stopEntry(entry);
    for (const id of held.keys()) {
      if (wanted.has(id)) continue;
      held.delete(id);
      findings.note(streamScope(id), []);
    }
    dependencies.versions(active?.version ?? null, processing?.version ?? null);
    for (const [id, version] of wanted) {
      let entry = running.get(id);
      if (entry && isDue(entry)) {
        running.delete(id);
        entry = undefined;
      }
      if (!entry) {
        if (!lost.has(id)) start(version, id);
      } else if (version.state === 'active' && entry.version.version !== version.version && !entry.done) {
        adopt(entry, version);
      }
    }
    await dropAbandoned();
    return { active, processing };
  };

  /** The active version changed and goes on with this stream. */
  const adopt = (entry: RunningStream, version: DeployedVersion): void => {
    const plan = JSON.parse(version.plan) as SyncPlan;
    const stream = version.streams.find((item) => item.id === entry.id)!;
    entry.source.want(wantedTables(plan, tag));
    entry.version = version;
    entry.runner.adopt(version, plan, stream.definitions, null);
  };

  const visibleEntry = (active: DeployedVersion | null): RunningStream | null => {
    const stream = active?.streams.find((item) => item.source === tag);
    const entry = stream && running.get(stream.id);
    return entry && !entry.done ? entry : null;
  };

  let current: { active: DeployedVersion | null; processing: DeployedVersion | null } = {
    active: null,
    processing: null,
  };

  const moveOn = createMoveOn(clock);
  const approach = createApproach(clock);

  /** All is copied, and only changes of the source can bring it level with the former stream. */
  const isBehind = ({ runner }: RunningStream, former: RunningStream | null): boolean => {
    if (runner.state.kind !== 'catching-up' && runner.state.kind !== 'streaming') return false;
    const at = former?.runner.position.committed ?? null;
    return !runner.ready || (at !== null && !runner.caughtUp(at));
  };

  /** Moves the gate of the processing stream, and switches over when it is ready. */
  const attendProcessing = async (): Promise<void> => {
    const { active, processing } = current;
    const stream = processing?.streams.find(
      (item) => item.source === tag && !(active?.streams.some((own) => own.id === item.id) ?? false),
    );
    const next = stream && running.get(stream.id);
    if (!processing || !next || next.done) return;
    const former = visibleEntry(active);
    // Only what is lost is done without: a stream that is held for now goes on later, and has its data taken over then.
    const own = active?.streams.find((item) => item.source === tag);
    if (!former && own && (!lost.has(own.id) || continuesFrom(active!, processing))) return;
    if (former) next.runner.setGate(former.runner.position.committed);
    if (isBehind(next, former)) moveOn(next.source);
    if (!next.runner.ready) return;
    const switched = await switchOver({
      processing,
      former,
      next,
      approach,
      tag,
      writer,
      storage,
      coordination,
      clock,
      signal: ended,
      log,
    });
    if (!switched) return;
    running.delete(former?.id ?? -1);
    adoptAfterSwitch(next, switched, former);
    coordination.nudge('sync-config');
    current = await reconcile();
  };

  const adoptAfterSwitch = (next: RunningStream, version: DeployedVersion, former: RunningStream | null): void => {
    const plan = JSON.parse(version.plan) as SyncPlan;
    const stream = version.streams.find((item) => item.id === next.id)!;
    next.version = version;
    next.runner.adopt(version, plan, stream.definitions, former?.runner.progress.value ?? null);
    next.runner.setGate(null);
  };

  /** A nudge that came while nobody paused. */
  let nudged = false;
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = clock.setTimer(ms, resolve, { keepAlive: true });
      wake = () => {
        timer.cancel();
        resolve();
      };
      if (ended.aborted || nudged) wake();
      nudged = false;
    });

  const heartbeat = async (): Promise<void> => {
    while (!ended.aborted) {
      await clock.sleep(dependencies.heartbeatIntervalMs, ended).catch(() => undefined);
      if (ended.aborted) return;
      const entry = running.values().next().value;
      await entry?.source.heartbeat().catch((error: unknown) => log.warn({ err: error }, 'Heartbeat failed'));
    }
  };

  const clearing = async (): Promise<void> => {
    while (!ended.aborted) {
      await clock.sleep(CLEAR_INTERVAL_MS, ended).catch(() => undefined);
      if (ended.aborted) return;
      await storage
        .clearStopped(CLEAR_BUDGET_MS)
        .catch((error: unknown) => log.warn({ err: error }, 'Clearing old data failed; tried again'));
    }
  };

  const resolver = createWriteCheckpointResolver({
    source: {
      tag,
      head: () =>
        visibleEntry(current.active)?.source.head() ??
        Promise.reject(codedError('PSYNC_S2302', 'No active stream yet.')),
    },
    store: storage.writeCheckpoints,
    coordination,
    signal: ended,
    clock,
    expect: (position, requests) => visibleEntry(current.active)?.runner.expect(position, requests),
    failed: (error) => {
      if (visibleEntry(current.active))
        log.warn({ err: error }, 'Write checkpoints could not be resolved; tried again');
    },
  });

  return {
    async run(healthy) {
      let revision = -1;
      const off = coordination.onNudge('sync-config', () => {
        nudged = true;
        wake();
      });
      const abort = (): void => wake();
      signal.addEventListener('abort', abort);
      const side = Promise.allSettled([heartbeat(), clearing(), resolver.run(), health.run()]);
      try {
        while (!signal.aborted) {
          term.signal.throwIfAborted();
          const latest = await storage.configs.revision();
          if (latest !== revision || [...running.values()].some(isDue)) {
            revision = latest;
            current = await reconcile();
          }
          await attendProcessing();
          for (const entry of running.values()) if (entry.runner.state.kind !== 'opening') settled(entry);
          if ([...running.values()].some((entry) => entry.runner.state.kind === 'streaming')) healthy();
          await pause(current.processing ? PROCESSING_TICK_MS : POLL_MS);
        }
      } finally {
        off();
        signal.removeEventListener('abort', abort);
        term.abort();
        for (const entry of running.values()) entry.stop.abort();
        for (const entry of running.values()) await stopEntry(entry);
      }
      await side;
    },
    report: () => [...running.values()].map((entry) => streamReport(entry, health.status(entry.id), findings)),
  };
}
