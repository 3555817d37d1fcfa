/** What a session tells operators: log entries (S-680…S-683, O-190…O-192) and figures (O-173, O-178). Never row data. */
import type { Clock } from '#core/platform/clock.ts';
import { errorDefinition } from '#core/platform/errors/registry.ts';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import type { Log } from '#core/platform/log.ts';
import type { Page } from '../chunks/page.ts';
import type { CloseReason, SyncRequest } from './contract.ts';

export interface SessionFigures {
  /** Of one stream of the sync config; bytes before compression. */
  operationsSynced(count: number, stream: string, bytes: number): void;
  /** A session waits for its client. */
  clientAwaited(): void;
  /** Bytes of lines before compression (O-173). */
  dataSynced(bytes: number): void;
  /** A session has sent all of the checkpoint `op`. */
  checkpointSent(op: number): void;
  streamEnded(reason: CloseReason): void;
}

/** What a session has told its client, for operators who ask about a user. */
export interface SessionView {
  readonly requestId: string;
  readonly clientId: string;
  readonly userAgent: string | undefined;
  readonly connectedMs: number;
  /** The checkpoint that was told last, and the newest one of which everything was sent; null: none yet. */
  readonly announced: { readonly op: number; readonly writeCheckpoint: bigint | null } | null;
  readonly completed: number | null;
  /** Names of its buckets. */
  bucketNames(): readonly string[];
}

export interface SessionReport {
  started(): void;
  announced(checkpoint: {
    op: number;
    writeCheckpoint: bigint | null;
    /** The list of buckets is news. */
    setChanged: boolean;
    lookups: number;
    /** Streams that the client asks for and nobody knows: a developer looks for them in the log (S-65). */
    unknownStreams: readonly string[];
    names: () => string[];
  }): void;
  page(page: Page, stream: string): void;
  /** Nothing is added until the client has read. */
  blocked(): void;
  sent(lines: number, bytes: number): void;
  completed(op: number): void;
  ended(reason: CloseReason, error: unknown, sentBytes: number): void;
}

/** A report that remembers what the session did last. */
export interface ObservedReport extends SessionReport {
  view(): SessionView;
}

/** Bucket names of larger sessions are cut off in the log. */
const LOGGED_NAMES = 100;
/** What a client may make us log in one text. */
const LOGGED_TEXT = 500;
const LOGGED_PARAMETERS = 4000;
/** Names that only the client made up. */
const LOGGED_UNKNOWN = 10;
const LOGGED_NAME = 100;

export function createSessionReport(options: {
  readonly request: SyncRequest;
  readonly log: Log;
  readonly figures: SessionFigures;
  readonly clock: Clock;
  readonly onEnded: () => void;
}): ObservedReport {
  const { request, log, figures, clock } = options;
  const startedAt = clock.monotonic();
  const counts = { put: 0, remove: 0, move: 0, clear: 0 };
  const parameters = cutParameters(request.connectionParameters);
  let operations = 0;
  let bytes = 0;
  let announced: SessionView['announced'] = null;
  let completed: number | null = null;
  let bucketNames: () => string[] = () => [];
  const connectedMs = clock.now();

  const identity = (): object => ({
    rid: request.requestId,
    user_id: request.userId,
    client_id: request.clientId,
    user_agent: cut(request.userAgent, LOGGED_TEXT),
    app_metadata: request.appMetadata,
    client_params: parameters,
  });

  return {
    view: () => ({
      requestId: request.requestId,
      clientId: request.clientId,
      userAgent: cut(request.userAgent, LOGGED_TEXT),
      connectedMs,
      announced,
      completed,
      bucketNames,
    }),
    started: () => log.info(identity(), 'Sync stream started'),
    announced({ op, writeCheckpoint, setChanged, lookups, unknownStreams, names }) {
      announced = { op, writeCheckpoint };
      bucketNames = names;
      if (!setChanged) {
        log.debug(
          { rid: request.requestId, checkpoint: op, write_checkpoint: writeCheckpoint?.toString() ?? null },
          'New checkpoint',
        );
        return;
      }
      const list = names();
      const fields = {
        rid: request.requestId,
        user_id: request.userId,
        checkpoint: op,
        write_checkpoint: writeCheckpoint?.toString() ?? null,
        buckets: list.length,
        parameter_results: lookups,
        bucket_names: list.slice(0, LOGGED_NAMES).map((name) => cut(name, LOGGED_TEXT)),
        unknown_streams:
          unknownStreams.length === 0
            ? undefined
            : unknownStreams.slice(0, LOGGED_UNKNOWN).map((name) => cut(name, LOGGED_NAME)),
      };
      log.info(fields, 'New checkpoint');
    },
    page(page, stream) {
      operations += page.operations;
      counts.put += page.counts.put;
      counts.remove += page.counts.remove;
      counts.move += page.counts.move;
      counts.clear += page.counts.clear;
      figures.operationsSynced(page.operations, stream, page.bytes);
    },
    blocked: figures.clientAwaited,
    sent(_lines, size) {
      bytes += size;
      figures.dataSynced(size);
    },
    completed(op) {
      completed = op;
      figures.checkpointSent(op);
    },
    ended(reason, error, sentBytes) {
      const fields = {
        ...identity(),
        operations_synced: operations,
        operation_counts: counts,
        data_synced_bytes: bytes,
        data_sent_bytes: sentBytes,
        stream_ms: Math.round(clock.monotonic() - startedAt),
        close_reason: reason,
      };
      if (error === undefined) log.info(fields, 'Sync stream complete');
      else logFailure(log, error, fields);
      figures.streamEnded(reason);
      options.onEnded();
    },
  };
}

function cut<T extends string | undefined>(text: T, length: number): T | string {
  return text === undefined || text.length <= length ? text : `${text.slice(0, length)}…`;
}

/** As they came, or the beginning of their text. */
function cutParameters(parameters: SyncRequest['connectionParameters']): unknown {
  if (parameters === null) return null;
  const text = JSON.stringify(parameters);
  return text.length <= LOGGED_PARAMETERS ? parameters : cut(text, LOGGED_PARAMETERS);
}

/** Expected ends (limits, no config) are not errors of the service. */
function logFailure(log: Log, error: unknown, fields: object): void {
  const severity = isCodedError(error) ? errorDefinition(error.code).severity : 'error';
  const withError = { ...fields, error_code: isCodedError(error) ? error.code : undefined, error };
  if (severity === 'info') log.info(withError, 'Sync stream complete');
  else if (severity === 'warning') log.warn(withError, 'Sync stream complete');
  else log.error(withError, 'Sync stream complete');
}
