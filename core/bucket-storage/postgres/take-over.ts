/**
 * Taking over a source: the epoch goes up, what the former writer was doing is ended, and what it did not commit is taken back.
 */
import type { Clock } from '../../platform/clock.ts';
import { codedError } from '../../platform/errors/coded-error.ts';
import { DROP_UNCOMMITTED_REACHED, enlistWaiting } from './write-checkpoint-rows.ts';
import type { Database, Queryable, StorageLog } from './database.ts';
import { lockInstance, publish } from './instance.ts';
import { STREAM_IS_LIVE } from './stream-rows.ts';
import { whileLeading } from './writer.ts';
import { assertEpoch, type WriterIdentity } from './writer-reads.ts';

export interface TakeOverDependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: StorageLog;
}

/** A former writer that holds the lock longer than this is cut off. */
const PATIENCE_MS = 400;
/** Others may hold it too, for as long as a large flush takes. */
const GIVE_UP_MS = 30_000;

/** Answers the new epoch. Within 5 s even when the former writer's process is stopped in the middle of a transaction. */
export async function takeOver(
  { database, clock, log }: TakeOverDependencies,
  source: string,
  owner: string,
  backend: string,
): Promise<WriterIdentity> {
  const started = clock.monotonic();
  for (;;) {
    const epoch = await raiseEpoch(database, source, owner, backend);
    if (epoch !== null) {
      const identity = { source, epoch };
      await takeBack(database, identity, clock);
      return identity;
    }
    const ended = await endFormer(database, source);
    log.warn(
      { source, ended },
      'Bucket storage was locked while a source was taken over; transactions of its former writer were ended',
    );
    if (clock.monotonic() - started > GIVE_UP_MS) {
      throw codedError(
        'PSYNC_S2403',
        `Bucket storage stayed locked while "${source}" was taken over. Look for long transactions in its database.`,
      );
    }
  }
}

/** Null when the lock was not to be had at once. */
async function raiseEpoch(database: Database, source: string, owner: string, backend: string): Promise<number | null> {
  return database.transaction(async (transaction) => {
    await transaction.rows({ text: `SET LOCAL lock_timeout = ${PATIENCE_MS}` });
    await transaction.rows({ text: 'SAVEPOINT before_lock' });
    try {
      await lockInstance(transaction);
      const [row] = await transaction.rows<{ epoch: number }>({ text: RAISE_EPOCH }, [source, owner, backend]);
      return row!.epoch;
    } catch (error) {
      if ((error as { code?: string }).code !== '55P03') throw error;
      await transaction.rows({ text: 'ROLLBACK TO before_lock' });
      return null;
    }
  });
}

const RAISE_EPOCH = `INSERT INTO powersync.sources AS s (source, epoch, owner, backend) VALUES ($1, 1, $2, $3)
  ON CONFLICT (source) DO UPDATE SET epoch = s.epoch + 1, owner = excluded.owner, backend = excluded.backend
  RETURNING epoch`;

/** Ends the former writer's connections that are inside a transaction. A role may end its own connections. Answers how many. */
async function endFormer(database: Database, source: string): Promise<number> {
  const rows = await database.rows({ text: END_FORMER }, [source, PATIENCE_MS]);
  return rows.length;
}

const END_FORMER = `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a
  JOIN powersync.sources s ON a.application_name = s.backend
  WHERE s.source = $1 AND a.datname = current_database() AND a.pid <> pg_backend_pid()
    AND a.xact_start < clock_timestamp() - make_interval(secs => $2::float / 2000)`;

/** Flush by flush, newest first, so that it can be interrupted and continued by the next one. */
async function takeBack(database: Database, identity: WriterIdentity, clock: Clock): Promise<void> {
  for (;;) {
    const more = await whileLeading(database, identity, async (transaction) => {
      const rows = await transaction.rows({ text: TAKE_BACK_FLUSH }, [identity.source]);
      return rows.length > 0;
    });
    if (!more) break;
  }
  await database.transaction(async (transaction) => {
    const instance = await lockInstance(transaction);
    await assertEpoch(transaction, identity);
    await forgetUncommitted(transaction, identity.source);
    await enlistWaiting(transaction, identity.source);
    await publish(transaction, instance, clock.now());
  });
}

async function forgetUncommitted(transaction: Queryable, source: string): Promise<void> {
  await transaction.change({ text: DROP_UNCOMMITTED_REACHED }, [source]);
  const own = 'SELECT id FROM powersync.streams WHERE source = $1';
  // What is left belongs to ended versions, whose data is cleared as a whole.
  await transaction.change({ text: `DELETE FROM powersync.undo WHERE stream IN (${own})` }, [source]);
  await transaction.change({ text: `DELETE FROM powersync.pending WHERE state = 'open' AND stream IN (${own})` }, [
    source,
  ]);
  await transaction.change(
    {
      text: 'UPDATE powersync.streams SET first_uncommitted = NULL WHERE source = $1 AND first_uncommitted IS NOT NULL',
    },
    [source],
  );
}

/** One record of `undo`: its chunks and lookup entries go, its row states become what they were when the transaction began. */
const TAKE_BACK_FLUSH = `
  WITH flush AS (
    DELETE FROM powersync.undo WHERE id = (SELECT u.id FROM powersync.undo u JOIN powersync.streams s ON s.id = u.stream
      WHERE s.source = $1 AND ${STREAM_IS_LIVE} ORDER BY u.id DESC LIMIT 1)
    RETURNING *
  ), chunks AS (
    DELETE FROM powersync.bucket_data d USING flush, unnest(chunk_definitions, chunk_keys, chunk_ops) AS c(definition, key, op)
    WHERE d.definition = c.definition AND d.key = c.key AND d.last_op = c.op
  ), entries AS (
    DELETE FROM powersync.lookups l USING flush, unnest(lookup_ids, lookup_keys, lookup_rows, lookup_ops) AS e(lookup, key, row, op)
    WHERE l.lookup = e.lookup AND l.key = e.key AND l.row = e.row AND l.op = e.op
  ), removed AS (
    DELETE FROM powersync.row_states r USING flush, unnest(state_keys, state_previous) AS w(key, state)
    WHERE r.key = w.key AND w.state IS NULL
  ), restored AS (
    INSERT INTO powersync.row_states (key, state)
    SELECT w.key, w.state FROM flush, unnest(state_keys, state_previous) AS w(key, state) WHERE w.state IS NOT NULL
    ON CONFLICT (key) DO UPDATE SET state = excluded.state
  )
  SELECT id FROM flush`;
