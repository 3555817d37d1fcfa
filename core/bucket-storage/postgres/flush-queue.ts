/**
 * Flushes of one writer, one after the other, on a connection of their own; a lost connection is replaced and the flush tried again.
 * Storage applies a flush once, however often it is sent.
 */
import type pg from 'pg';
import { createBackoff } from '../../platform/backoff.ts';
import type { Clock } from '../../platform/clock.ts';
import { codedError } from '../../platform/errors/coded-error.ts';
import type { FlushBatch, FlushResult } from '../contract.ts';
import type { Database, StorageLog } from './database.ts';
import { failureKind, storageError } from './failure.ts';
import { flushOnce } from './flush.ts';
import type { BatchLimits } from './bulk-writes.ts';

export interface FlushQueue {
  flush(batch: FlushBatch): Promise<FlushResult>;
  close(): Promise<void>;
}

export interface FlushQueueDependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: StorageLog;
  readonly limits: BatchLimits;
  readonly source: string;
  readonly epoch: number;
  /** Name of the connection, by which a successor finds and ends it. */
  readonly backend: string;
}

/** A flush whose connection was lost is tried again for this long; then the writer is finished, and its successor finds out. */
const RETRY_MS = 20_000;
const MAX_CONFLICTS = 5;

export function createFlushQueue(dependencies: FlushQueueDependencies): FlushQueue {
  const { database, clock, random, log, limits, source, epoch, backend } = dependencies;
  let client: pg.Client | null = null;
  let last: Promise<unknown> = Promise.resolve();
  let count = 0;
  /** Why nothing is written any more. */
  let finished: Error | null = null;

  const connection = async (): Promise<pg.Client> => {
    if (database.closed) throw codedError('PSYNC_S2402', 'Bucket storage was closed.');
    client ??= await database.connectPipelined(backend);
    return client;
  };
  const discard = async (): Promise<void> => {
    const former = client;
    client = null;
    await former?.end().catch(() => undefined);
  };

  const attempt = async (batch: FlushBatch): Promise<FlushResult> => {
    const flushId = `${epoch}:${++count}`;
    const started = clock.monotonic();
    const backoff = createBackoff({ clock, random, initialMs: 50, maxMs: 2000 });
    for (let conflicts = 0; ;) {
      try {
        return await flushOnce(await connection(), { source, epoch, flushId, now: clock.now(), limits }, batch);
      } catch (error) {
        const kind = failureKind(error);
        const again =
          kind === 'conflict'
            ? conflicts++ < MAX_CONFLICTS
            : kind === 'connection' && clock.monotonic() - started < RETRY_MS;
        if (kind === 'connection') await discard();
        if (!again || database.closed) {
          // Whether it was applied is unknown: the next flush could apply its content twice.
          if (kind === 'connection') finished = storageError(error);
          throw storageError(error);
        }
        log.warn(
          { source, reason: storageError(error).message },
          'A flush to bucket storage failed; it is tried again',
        );
        await backoff.wait();
      }
    }
  };

  return {
    flush(batch) {
      const turn = last.then(() => {
        if (finished) throw finished;
        return attempt(batch);
      });
      last = turn.catch(() => undefined);
      return turn;
    },
    async close() {
      finished ??= codedError('PSYNC_S2402', 'Bucket storage was closed.');
      await last;
      await discard();
    },
  };
}
