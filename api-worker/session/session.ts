/** One sync session as a state machine. SPEC.md has its states, its events and the whole table. */
import type { BucketTotals } from '#core/bucket-storage/contract.ts';
import type { Clock } from '#core/platform/clock.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { EncodedLine } from '#core/protocol/lines.ts';
import type { ChunkPages } from '../chunks/pages.ts';
import { requireCurrent, type Feed } from '../feed/feed.ts';
import type { Follower } from '../feed/follower.ts';
import type { WriteCheckpointEntry } from '../feed/write-checkpoint-index.ts';
import type { CloseReason, LineSink, SessionLimits, SyncRequest } from './contract.ts';
import { createDelivery, type Delivery } from './delivery.ts';
import { sayFarewell } from './farewell.ts';
import { createHoldings, newestOf, type SessionBucket } from './holdings.ts';
import { keepaliveTimes } from './keepalive-times.ts';
import { TABLE, type Event, type State } from './machine.ts';
import type { SessionReport } from './report.ts';
import { resolveSession, type Resolution, type Resolved } from './resolution.ts';
import type { SharedLines } from './shared-lines.ts';
import type { TimerWheel } from './timer-wheel.ts';

export interface SessionDependencies {
  readonly feed: Feed;
  readonly pages: ChunkPages;
  readonly shared: SharedLines;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly random: () => number;
  readonly limits: SessionLimits;
}

/** A session that is served. Its connection calls these. */
export interface Session {
  /** The sink is writable again. */
  drained(): void;
  /** The client went away. */
  closed(): void;
  /** Ends it in order; what is half sent continues elsewhere from the client's position (S-573). */
  end(reason: CloseReason): void;
}

/** Lines are held back up to this, so that a burst is one write. */
const COALESCE_BYTES = 32 * 1024;

/** Steps without having to wait for anything. Far more than a socket has room for; ends a session rather than hold up all others. */
const MAX_ROUNDS = 100_000;

/** What the client was told last. */
interface Announced {
  readonly op: number;
  readonly version: number;
  readonly writeCheckpoint: bigint | null;
  readonly streamsText: string;
}

/** Starts a session. Errors before the first line go to `sink.fail`, later ones end the stream (S-607). */
export function startSession(
  dependencies: SessionDependencies,
  request: SyncRequest,
  requestedPositions: ReadonlyMap<string, number>,
  sink: LineSink,
  report: SessionReport,
): Session {
  const { feed, pages, shared, wheel, clock, limits } = dependencies;
  let state: State = 'resolving';
  let resolution: Resolution | null = null;
  let announced: Announced | null = null;
  let delivery: Delivery | null = null;
  /** Totals at `resolution.op`, for an announcement there while the feed has gone on. */
  let pinned: ReadonlyMap<SessionBucket, BucketTotals> | null = null;
  /** The resolution was not used for an announcement yet. */
  let fresh = false;
  /** Pages sent when the present delivery was interrupted last. */
  let interruptedAt = 0;
  /** The checkpoint before could not be served. After a compaction a newer one can, even if nothing new is in it. */
  let recovering: 'no' | 'from compaction' | 'from a mismatch' = 'no';
  /** What came up and was not acted on yet. Changed buckets are noted in the holdings. */
  const news = { lookups: false, writeCheckpoint: false, urgent: false };
  const newestPosition = newestOf(requestedPositions);
  let output: EncodedLine[] = [];
  let outputBytes = 0;
  let started = false;

  const follower: Follower = {
    lookupsChanged: () => void (news.lookups = true),
    writeCheckpointReached: () => void (news.writeCheckpoint = true),
    wake: () => on('woken'),
  };
  const holdings = createHoldings({
    feed,
    shared,
    follower,
    positions: requestedPositions,
    onBucketChanged(bucket) {
      // Only more urgent data interrupts what is being sent (S-499).
      const sending = delivery?.priority() ?? null;
      if (sending !== null && bucket.priority < sending) news.urgent = true;
    },
  });
  const writeCheckpoint: WriteCheckpointEntry = feed.followWriteCheckpoint(request.userId, request.clientId, follower);
  const wheelItem = { due };
  const keepalives = keepaliveTimes(request.expiresAtMs, limits.keepaliveMs, dependencies.random);

  // -- the machine ---------------------------------------------------------------------------------------------------

  function on(event: Event, detail?: unknown): void {
    const reaction = TABLE[state][event];
    if (reaction === 'go on') return attempt();
    if (reaction === 'finish')
      return finish(event === 'failed' ? 'error' : (detail as CloseReason), event === 'failed' ? detail : undefined);
    if (reaction === 'impossible') {
      on(
        'failed',
        codedError(
          'PSYNC_S0001',
          `A sync session got the event "${event}" in the state "${state}". This is a bug: report it.`,
        ),
      );
    }
  }

  function attempt(): void {
    try {
      goOn();
    } catch (error) {
      on('failed', error);
    }
  }

  /** Does what there is to do, until something has to be waited for. */
  function goOn(): void {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (!sink.writable()) return block();
      if (resolution === null) return resolve();
      const willAnnounce = hasNews() && (delivery === null || (mayInterrupt() && (news.urgent || isUnannounced())));
      // What was just resolved is used once even if it is outdated by now: a client makes progress however often its lookups change.
      if (isStale() && mayInterrupt() && !(fresh && willAnnounce)) return resolve();
      if (willAnnounce) {
        if (!isLoaded()) return load();
        announce();
        continue;
      }
      if (delivery === null) {
        flush();
        state = 'idle';
        return;
      }
      const progress = delivery.step(isWritable);
      if (progress === 'done') {
        complete(delivery);
      } else if (progress === 'unservable') {
        return recover(delivery);
      } else {
        // The first line tells the client that it is connected (S-618); a diff can wait for its data.
        if (progress === 'blocked' || !started || outputBytes >= COALESCE_BYTES) flush();
        if (progress === 'blocked' && !sink.writable()) return block();
        state = 'sending';
        if (progress === 'waiting') return;
      }
    }
    throw codedError('PSYNC_S0001', 'A sync session makes no progress. This is a bug: report it.');
  }

  function block(): void {
    state = 'blocked';
    report.blocked();
  }

  /** Something of what was announced is sent between two interruptions, so that data arrives however often there is news. */
  function mayInterrupt(): boolean {
    return delivery === null || delivery.sentPages() > interruptedAt;
  }

  // -- resolving -----------------------------------------------------------------------------------------------------

  function resolve(): void {
    state = 'resolving';
    interruptedAt = delivery?.sentPages() ?? 0;
    flush();
    resolveNow().then(
      (resolved) => {
        if (state !== 'resolving') return release(resolved);
        try {
          accept(resolved);
        } catch (error) {
          return on('failed', error);
        }
        on('resolved');
      },
      (error: unknown) => on('failed', error),
    );
  }

  async function resolveNow(): Promise<Resolved> {
    await catchUpWithClient();
    const current = requireCurrent(feed);
    news.lookups = false;
    return resolveSession({ feed, follower, limits }, request, current);
  }

  /** A client that comes from a worker which is ahead of this one holds more than this one would announce. */
  async function catchUpWithClient(): Promise<void> {
    if (announced !== null) return;
    if (feed.current === null) return feed.refresh();
    const { op } = feed.current;
    if (newestPosition > op) await feed.refresh();
  }

  function release({ resolution: { lookups } }: Resolved): void {
    for (const entry of lookups) feed.unfollowLookup(entry, follower);
  }

  function accept(next: Resolved): void {
    const before = resolution;
    resolution = next.resolution;
    pinned = null;
    fresh = true;
    for (const entry of before?.lookups ?? []) {
      if (!resolution.lookups.has(entry)) feed.unfollowLookup(entry, follower);
    }
    holdings.apply(next.resolved.buckets, resolution.version);
    if (announced !== null && !isUnannounced()) announced = { ...announced, version: resolution.version.version };
  }

  // -- announcing ----------------------------------------------------------------------------------------------------

  /** A resolution has to be told to the client: the first one, or one that changed its buckets or streams. */
  function isUnannounced(): boolean {
    return (
      resolution !== null &&
      (announced === null || holdings.setChanged() || resolution.streamsText !== announced.streamsText)
    );
  }

  function hasNews(): boolean {
    return announced === null || holdings.changed() || news.writeCheckpoint || isUnannounced();
  }

  /** While lookups have changed again, what was resolved holds at the op of the resolution only. */
  function isStale(): boolean {
    return news.lookups || resolution?.version !== feed.current?.version;
  }

  function isFull(): boolean {
    if (announced === null || resolution === null) return true;
    return (
      resolution.streamsText !== announced.streamsText ||
      (resolution.version.version !== announced.version && holdings.setChanged())
    );
  }

  /** Totals as of the op to announce; null while they have to be read. */
  function totalsOf(bucket: SessionBucket): BucketTotals | null {
    const { totals } = bucket.held;
    if (!isStale() || (totals !== null && totals.lastOp <= resolution!.op)) return totals;
    return pinned?.get(bucket) ?? null;
  }

  function isLoaded(): boolean {
    return (
      writeCheckpoint.value !== undefined && holdings.needed(isFull()).every((bucket) => totalsOf(bucket) !== null)
    );
  }

  function load(): void {
    state = 'loading';
    loadNow().then(
      () => on('loaded'),
      (error: unknown) => on('failed', error),
    );
  }

  async function loadNow(): Promise<void> {
    const missing = holdings.needed(isFull()).filter((bucket) => totalsOf(bucket) === null);
    await Promise.all([
      writeCheckpoint.value === undefined ? feed.loadWriteCheckpoint(writeCheckpoint) : null,
      isStale() ? loadPinned(missing, resolution!.op) : feed.loadTotals(missing.map((bucket) => bucket.held)),
    ]);
  }

  async function loadPinned(buckets: readonly SessionBucket[], op: number): Promise<void> {
    const totals = await feed.totalsAt(
      buckets.map((bucket) => bucket.held),
      op,
    );
    pinned = new Map([...(pinned ?? []), ...buckets.map((bucket, index) => [bucket, totals[index]!] as const)]);
  }

  /** Tells the client of the newest state, and starts to send what it needs for it. Supersedes what is half sent (S-580). */
  function announce(): void {
    const { version, streams, streamsText, lookups, unknownStreams } = resolution!;
    const op = isStale() ? resolution!.op : feed.current!.op;
    const full = isFull();
    const first = announced === null;
    const number = reachedAt(op);
    news.writeCheckpoint = writeCheckpoint.since > op;
    news.urgent = false;
    fresh = false;
    const { entries, buckets, removed } = holdings.announce(full, op, (bucket) => totalsOf(bucket)!);
    const isNothingNew = !full && entries.length === 0 && removed.length === 0 && number === announced?.writeCheckpoint;
    if (isNothingNew && recovering === 'from a mismatch') throw mismatch(op);
    if (isNothingNew && recovering === 'no') return;
    recovering = 'no';
    announced = { op, version: version.version, writeCheckpoint: number, streamsText };
    if (full) add(sink.encoding.checkpoint({ lastOpId: op, writeCheckpoint: number, buckets: entries, streams }));
    else add(shared.diff(sink.encoding, { lastOpId: op, writeCheckpoint: number, updated: entries, removed }));
    report.announced({
      op,
      writeCheckpoint: number,
      setChanged: full || removed.length > 0,
      lookups: lookups.size,
      unknownStreams,
      names: holdings.names,
    });
    deliver(op, buckets);
    if (first) {
      report.started();
      wheel.schedule(wheelItem, keepalives.first(clock.now()));
    }
  }

  /** The newest number reached at `op` (S-466), or what was told before. */
  function reachedAt(op: number): bigint | null {
    const { value, since } = writeCheckpoint;
    return since <= op ? (value ?? null) : (announced?.writeCheckpoint ?? null);
  }

  function deliver(op: number, listed: readonly SessionBucket[]): void {
    const levels = levelsOf(delivery?.openLevels() ?? [], listed);
    const unfinished = delivery === null ? listed : [...new Set([...unsent, ...listed])];
    delivery?.cancel();
    unsent = unfinished.filter(needsData);
    interruptedAt = 0;
    delivery = createDelivery({
      op,
      pages,
      sink,
      buckets: unsent,
      levels,
      emit: add,
      onSent: (page, { stream }) => report.page(page, stream),
      onPage: () => on('page'),
      onError: (error) => on('failed', error),
    });
  }
  /** Buckets of the present delivery. */
  let unsent: readonly SessionBucket[] = [];

  /** Something is there that the client does not have; a bucket that went away needs nothing. */
  function needsData(bucket: SessionBucket): boolean {
    return bucket.announced !== null && bucket.held.holders.has(bucket) && bucket.position < bucket.announced.lastOp;
  }

  function complete({ op }: Delivery): void {
    add(shared.complete(sink.encoding, op));
    delivery = null;
    unsent = [];
    report.completed(op);
  }

  /** What was announced cannot be sent any more: only a newer checkpoint can (S-425, S-426). */
  function recover({ op, needs }: Delivery): void {
    state = 'loading';
    feed.refresh().then(
      () => {
        const now = feed.current?.op ?? 0;
        if (now <= op || now < needs()) return on('failed', mismatch(op));
        recovering = needs() > op ? 'from compaction' : 'from a mismatch';
        interruptedAt = -1;
        news.urgent = true;
        news.writeCheckpoint = true;
        on('loaded');
      },
      (error: unknown) => on('failed', error),
    );
  }

  // -- output --------------------------------------------------------------------------------------------------------

  function add(line: EncodedLine): void {
    output.push(line);
    outputBytes += line.bytes;
    if (outputBytes >= COALESCE_BYTES) flush();
  }

  function isWritable(): boolean {
    return sink.writable();
  }

  function flush(): void {
    if (output.length === 0) return;
    const lines = output;
    report.sent(lines.length, outputBytes);
    output = [];
    outputBytes = 0;
    started = true;
    sink.send(lines);
  }

  // -- time ----------------------------------------------------------------------------------------------------------

  function due(now: number): void {
    if (state === 'ended') return;
    const stalled = sink.stalledSince();
    if (stalled !== null && clock.monotonic() - stalled > limits.stallMs) return on('ended', 'client does not read');
    const seconds = Math.max(0, Math.floor((request.expiresAtMs - now) / 1000));
    // Between two lines is always a good place; what is held back stays in front.
    add(shared.tokenExpiresIn(sink.encoding, now >= request.expiresAtMs ? 0 : Math.max(seconds, 1)));
    flush();
    if (now >= request.expiresAtMs) return on('ended', 'token expired');
    wheel.schedule(wheelItem, keepalives.next(now));
  }

  // -- the end -------------------------------------------------------------------------------------------------------

  function finish(reason: CloseReason, error?: unknown): void {
    const wasStarted = started;
    state = 'ended';
    delivery?.cancel();
    delivery = null;
    unsent = [];
    output = [];
    wheel.remove(wheelItem);
    holdings.releaseAll();
    for (const entry of resolution?.lookups ?? []) feed.unfollowLookup(entry, follower);
    feed.unfollowWriteCheckpoint(writeCheckpoint, follower);
    feed.leave(follower);
    const expired = (): EncodedLine => shared.tokenExpiresIn(sink.encoding, 0);
    sayFarewell(sink, { reason, error, started: wasStarted, expired });
    report.ended(reason, error, sink.sentBytes());
  }

  feed.join(follower);
  on('resolved' satisfies Event);
  return {
    drained: () => on('drained'),
    closed: () => on('ended', 'client closed' satisfies CloseReason),
    end: (reason) => on('ended', reason),
  };
}

/** Without doubles, in order. */
function levelsOf(open: readonly number[], listed: readonly SessionBucket[]): readonly number[] {
  if (open.length === 0 && listed.length === 1) return [listed[0]!.priority];
  return [...new Set([...open, ...listed.map((bucket) => bucket.priority)])].toSorted((a, b) => a - b);
}

function mismatch(op: number): Error {
  return codedError('PSYNC_S2404', `The operations of a bucket do not add up to its totals at checkpoint ${op}.`);
}
