/** A session without a connection: lines go straight into a client model, and the test decides when the client reads. */
import { deserialize } from 'bson';
import { realClock, type Clock } from '#core/platform/clock.ts';
import type { CommitNotice } from '#core/bucket-storage/contract.ts';
import { bsonEncoding } from '#core/protocol/encoding/bson.ts';
import type { EncodedLine } from '#core/protocol/lines.ts';
import { createClientModel, type ClientModel } from '#test/client/client-model.ts';
import { createChunkPages, type ChunkPages } from '../chunks/pages.ts';
import { createFeed, type Feed } from '../feed/feed.ts';
import type { CloseReason, LineSink, SessionLimits, SyncRequest } from '../session/contract.ts';
import { startSession, type Session, type SessionDependencies } from '../session/session.ts';
import { createSharedLines } from '../session/shared-lines.ts';
import { createTimerWheel } from '../session/timer-wheel.ts';
import { MAX_REQUEST_N } from '../rsocket/frames.ts';
import { createPayloadSink } from '../rsocket/payload-sink.ts';
import { createFakeResolver } from './fake-resolver.ts';
import type { FakeStorage } from './fake-storage.ts';
import { createRecordingWriter } from './recording-writer.ts';

export interface DirectWorker {
  readonly feed: Feed;
  readonly pages: ChunkPages;
  readonly dependencies: SessionDependencies;
  announce(notice: CommitNotice): void;
  close(): void;
}

export interface DirectWorkerOptions {
  readonly storage: FakeStorage;
  readonly clock?: Clock;
  /** False: the worker polls. */
  readonly shared?: boolean;
  readonly limits?: Partial<SessionLimits>;
  readonly random?: () => number;
  readonly cacheBytes?: number;
  readonly onFailure?: (error: unknown) => void;
}

export function startDirectWorker({ storage, clock = realClock, ...options }: DirectWorkerOptions): DirectWorker {
  const stop = new AbortController();
  const listeners = new Set<(notice: CommitNotice) => void>();
  const random = options.random ?? Math.random;
  const feed = createFeed({
    reader: storage.reader,
    configs: storage.configs,
    writeCheckpoints: storage.writeCheckpoints,
    coordination: {
      shared: options.shared ?? true,
      onCommit(listener: (notice: CommitNotice) => void) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
      onNudge: () => () => undefined,
    },
    createResolver: createFakeResolver,
    lookupCacheBytes: 1024 * 1024,
    clock,
    random,
    signal: stop.signal,
    onFailure: options.onFailure ?? (() => undefined),
    onCommit: () => undefined,
  });
  const pages = createChunkPages({
    reader: storage.reader,
    concurrency: 4,
    cacheBytes: options.cacheBytes ?? 100_000,
    deflatedFrom: 0,
  });
  const wheel = createTimerWheel(clock);
  const limits = {
    maxBuckets: 1000,
    maxParameterResults: 1000,
    stallMs: 60_000,
    keepaliveMs: 20_000,
    ...options.limits,
  };
  return {
    feed,
    pages,
    dependencies: { feed, pages, shared: createSharedLines(), wheel, clock, random, limits },
    announce(notice) {
      for (const listener of listeners) listener(notice);
    },
    close() {
      stop.abort(new Error('closed'));
      wheel.stop();
    },
  };
}

export interface DirectSession {
  readonly model: ClientModel;
  readonly session: Session;
  /** Kinds of lines, in order. */
  readonly kinds: string[];
  readonly lines: Record<string, unknown>[];
  readonly outcome: { readonly kind: 'open' | 'ended' | 'failed' | 'aborted'; readonly error?: unknown };
  /** A rule of the protocol that was broken. */
  readonly violation: unknown;
  /** The client reads again. */
  read(): void;
  /** The client goes away. */
  close(): void;
  /** The reason in the report. */
  readonly closeReason: CloseReason | null;
}

export interface DirectSessionOptions {
  readonly request?: Partial<SyncRequest>;
  readonly model?: ClientModel;
  /** How many sends the client takes before it stops reading; asked again after each `read`. Default: all. Of payloads: lines. */
  readonly patience?: () => number;
  /** Lines travel as payloads of RSocket; default as they are. */
  readonly payloads?: 'plain' | 'compressed';
  readonly stalledSince?: () => number | null;
}

export function startDirectSession(
  worker: DirectWorker,
  user: string,
  options: DirectSessionOptions = {},
): DirectSession {
  const model = options.model ?? createClientModel();
  const kinds: string[] = [];
  const lines: Record<string, unknown>[] = [];
  let outcome: DirectSession['outcome'] = { kind: 'open' };
  let violation: unknown = null;
  let closeReason: CloseReason | null = null;
  let left = options.patience?.() ?? Infinity;
  let sentBytes = 0;
  model.begin();
  const take = (bytes: Buffer): void => {
    const decoded = deserialize(bytes) as Record<string, unknown>;
    kinds.push(Object.keys(decoded)[0]!);
    lines.push(decoded);
    try {
      if (violation === null) model.handle(decoded);
    } catch (error) {
      violation = error;
    }
  };
  const payloadSink =
    options.payloads === undefined
      ? null
      : createPayloadSink({
          stream: 1,
          initialN: Math.min(left, MAX_REQUEST_N),
          compresses: options.payloads === 'compressed',
          writer: createRecordingWriter((frame) => void (frame.kind === 'line' && take(frame.data))),
          clock: worker.dependencies.clock,
          onEnd: (error) => void (outcome = error === null ? { kind: 'ended' } : { kind: 'failed', error }),
          onAbort: () => void (outcome = { kind: 'aborted' }),
        });
  const sink: LineSink = payloadSink ?? {
    encoding: bsonEncoding,
    takesDeflated: false,
    send(encoded: readonly EncodedLine[]) {
      left--;
      for (const line of encoded) {
        sentBytes += line.bytes;
        take(Buffer.concat(line.parts));
      }
    },
    writable: () => left > 0,
    sentBytes: () => sentBytes,
    stalledSince: () => options.stalledSince?.() ?? null,
    fail: (error) => void (outcome = { kind: 'failed', error }),
    end: () => void (outcome = outcome.kind === 'open' ? { kind: 'ended' } : outcome),
    abort: () => void (outcome = { kind: 'aborted' }),
  };
  const request: SyncRequest = {
    userId: user,
    clientId: `device of ${user}`,
    claims: { sub: user },
    connectionParameters: null,
    includeDefaults: true,
    subscriptions: [],
    expiresAtMs: worker.dependencies.clock.now() + 3_600_000,
    appMetadata: undefined,
    userAgent: undefined,
    requestId: 'test',
    ...options.request,
  };
  const positions = new Map(model.store.positions().map(({ name, after }) => [name, Number(after)]));
  const session = startSession(worker.dependencies, request, positions, sink, {
    started: () => undefined,
    announced: () => undefined,
    blocked: () => undefined,
    page: () => undefined,
    sent: () => undefined,
    completed: () => undefined,
    ended(reason, error) {
      closeReason = reason;
      if (error !== undefined) outcome = { kind: outcome.kind === 'open' ? 'ended' : outcome.kind, error };
    },
  });
  payloadSink?.listen(session);
  return {
    model,
    session,
    kinds,
    lines,
    get outcome() {
      return outcome;
    },
    get violation() {
      return violation;
    },
    get closeReason() {
      return closeReason;
    },
    read() {
      left = options.patience?.() ?? Infinity;
      if (payloadSink === null) session.drained();
      else payloadSink.request(Math.min(left, MAX_REQUEST_N));
    },
    close() {
      if (payloadSink === null) session.closed();
      else payloadSink.close();
    },
  };
}

/** Waits for a condition, turn by turn of the event loop. */
export async function eventually(condition: () => boolean, what: string, turns = 3000): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    if (condition()) return;
    await (turn % 50 === 49
      ? new Promise((resolve) => setTimeout(resolve, 1))
      : new Promise((resolve) => setImmediate(resolve)));
  }
  throw new Error(`did not come: ${what}`);
}
