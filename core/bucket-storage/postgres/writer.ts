/** The only writer of a source: every write happens in a transaction that checks the source's epoch (G6, I3). */
import { createHash } from 'node:crypto';
import { codedError } from '../../platform/errors/coded-error.ts';
import type { SourceWriter, TableIdentity } from '../contract.ts';
import type { Database, Queryable, Statement } from './database.ts';
import type { FlushQueue } from './flush-queue.ts';
import { readStreams, STREAM_IS_LIVE } from './stream-rows.ts';
import { fenced, streamEnded } from './stream-state.ts';
import { switchOver } from './switch-over.ts';
import {
  assertLeading,
  readRowStates,
  readTotals,
  scanDefinition,
  scanLookup,
  type WriterIdentity,
} from './writer-reads.ts';

/** Row states removed in one statement. */
const DROP_ROWS = 5000;
/** Sorts after every text that begins with the same prefix. */
const AFTER_ALL = '\u{10FFFF}';

export interface WriterDependencies {
  readonly database: Database;
  readonly queue: FlushQueue;
  readonly now: () => number;
  /** Called after what was written; may look after old data in the background. */
  readonly wrote: () => void;
}

export function createWriter(identity: WriterIdentity, dependencies: WriterDependencies): SourceWriter {
  const { database, queue, now, wrote } = dependencies;
  const { source, epoch } = identity;

  return {
    source,
    epoch,
    async streams() {
      await assertLeading(database, identity);
      return readStreams(database, `s.source = $1 AND ${STREAM_IS_LIVE}`, [source]);
    },
    async setSlot(stream, slot) {
      await writeStream(database, identity, stream, SET_SLOT, slot);
    },
    registerTable: (table) => registerTable(database, identity, table),
    readRowStates: (keys) => readRowStates(database, identity, keys),
    readTotals: (buckets) => readTotals(database, identity, buckets),
    // Nothing is compressed here: the server does that itself.
    prepare: () => undefined,
    async flush(batch) {
      const result = await queue.flush(batch);
      wrote();
      return result;
    },
    async keepalive(stream, position) {
      await writeStream(database, identity, stream, KEEPALIVE, position);
      wrote();
    },
    scanDefinition: (definition, signal) => scanDefinition(database, identity, definition, signal),
    scanLookup: (lookup, signal) => scanLookup(database, identity, lookup, signal),
    async dropRowStates(prefix) {
      for (;;) {
        const removed = await whileLeading(database, identity, (transaction) =>
          transaction.change(DROP_STATES, [prefix, prefix + AFTER_ALL]),
        );
        if (removed < DROP_ROWS) return;
      }
    },
    switchOver: (options) => switchOver(database, identity, options, now()),
  };
}

const LOCK_SOURCE: Statement = {
  name: 'lock_source',
  text: 'SELECT FROM powersync.sources WHERE source = $1 AND epoch = $2 FOR SHARE',
};

/** A transaction during which nobody takes over. */
export function whileLeading<T>(
  database: Database,
  { source, epoch }: WriterIdentity,
  work: (transaction: Queryable) => Promise<T>,
): Promise<T> {
  return database.transaction(async (transaction) => {
    const rows = await transaction.rows(LOCK_SOURCE, [source, epoch]);
    if (rows.length === 0) throw fenced(source);
    return work(transaction);
  });
}

/** As one statement: the source's row cannot change between the check and the write. */
const streamWrite = (name: string, assignment: string, condition: string): Statement => ({
  name,
  text: `WITH held AS (${LOCK_SOURCE.text})
    UPDATE powersync.streams s SET ${assignment} FROM held WHERE s.id = $3 AND s.source = $1 AND ${condition} AND ${STREAM_IS_LIVE}`,
});
const SET_SLOT = streamWrite('set_slot', 'slot = $4', 'true');
/** Never past a transaction that is not whole: what is confirmed to the source is gone there. */
const KEEPALIVE = streamWrite('keepalive', 'position = $4', 's.first_uncommitted IS NULL');
const UNFINISHED: Statement = {
  text: 'SELECT FROM powersync.streams WHERE id = $1 AND source = $2 AND first_uncommitted IS NOT NULL',
};

async function writeStream(
  database: Database,
  identity: WriterIdentity,
  stream: number,
  statement: Statement,
  value: string,
): Promise<void> {
  const changed = await database.change(statement, [identity.source, identity.epoch, stream, value]);
  if (changed > 0) return;
  await assertLeading(database, identity);
  const unfinished = await database.rows(UNFINISHED, [stream, identity.source]);
  if (unfinished.length === 0) throw streamEnded(stream);
  throw codedError('PSYNC_S0001', `Stream ${stream} has an unfinished transaction; its position cannot be confirmed.`);
}

const REGISTER_TABLE: Statement = {
  name: 'register_table',
  text: `INSERT INTO powersync.tables (source, schema_name, name, relation, identity, hash) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (hash) DO NOTHING`,
};
const FIND_TABLE: Statement = { name: 'find_table', text: 'SELECT id FROM powersync.tables WHERE hash = $1' };

async function registerTable(database: Database, identity: WriterIdentity, table: TableIdentity): Promise<number> {
  const parts = [table.source, table.schema, table.name, table.relation, table.identity];
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
  return whileLeading(database, identity, async (transaction) => {
    const find = async (): Promise<number | undefined> =>
      (await transaction.rows<{ id: number }>(FIND_TABLE, [hash]))[0]?.id;
    const known = await find();
    if (known !== undefined) return known;
    await transaction.change(REGISTER_TABLE, [...parts, hash]);
    return (await find())!;
  });
}

const DROP_STATES: Statement = {
  name: 'drop_states',
  text: `DELETE FROM powersync.row_states WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM powersync.row_states WHERE key >= $1 AND key < $2 LIMIT ${DROP_ROWS}))`,
};
