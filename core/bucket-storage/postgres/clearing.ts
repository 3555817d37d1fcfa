/** Removing data of versions that ended (O-134), in small steps so that nobody waits for it. */
import type { Clock } from '../../platform/clock.ts';
import type { Database } from './database.ts';
import { lockInstance } from './instance.ts';

/** Rows removed by one statement. */
const STEP_ROWS = 500;
/** Ended versions stay listed; older ones are forgotten. */
const KEPT_VERSIONS = 20;
const AFTER_ALL = '\u{10FFFF}';

/** A version whose checkpoint clients still see counts as in use, even when its successor waits only to become visible. */
const USED = `SELECT vd.definition FROM powersync.version_definitions vd JOIN powersync.sync_config_versions v USING (version)
  WHERE v.state IN ('processing', 'active') OR v.version = (SELECT visible_version FROM powersync.instance WHERE id = 1)`;

/** Works for about `budgetMs`; false when nothing is left to do. */
export async function clearStopped(database: Database, clock: Clock, budgetMs: number): Promise<boolean> {
  const deadline = clock.monotonic() + budgetMs;
  const ended = await database.rows<{ id: number; since: number }>({
    text: `SELECT id, since FROM powersync.definitions WHERE id NOT IN (${USED}) ORDER BY id`,
  });
  for (const { id, since } of ended) {
    for (const step of [CLEAR_CHUNKS, CLEAR_COMPACTED, CLEAR_LOOKUPS]) {
      if (await exhausted(database, clock, deadline, step, [id])) return true;
    }
    const last = await isLastOfGroup(database, since, id);
    if (last && (await exhausted(database, clock, deadline, CLEAR_STATES, [`${since}/`, `${since}/${AFTER_ALL}`])))
      return true;
    await forgetDefinition(database, id);
  }
  await forgetVersions(database);
  return false;
}

/** Repeats a step until it finds nothing; true when the time is over before. */
async function exhausted(
  database: Database,
  clock: Clock,
  deadline: number,
  text: string,
  values: readonly unknown[],
): Promise<boolean> {
  for (;;) {
    const removed = await database.change({ text }, values);
    if (removed < STEP_ROWS) return false;
    if (clock.monotonic() >= deadline) return true;
  }
}

const clearStep = (table: string, condition: string): string => `DELETE FROM powersync.${table}
  WHERE ctid = ANY(ARRAY(SELECT ctid FROM powersync.${table} WHERE ${condition} LIMIT ${STEP_ROWS}))`;
const CLEAR_CHUNKS = clearStep('bucket_data', 'definition = $1');
const CLEAR_COMPACTED = clearStep('compacted_buckets', 'definition = $1');
const CLEAR_LOOKUPS = clearStep('lookups', 'lookup = $1');
const CLEAR_STATES = clearStep('row_states', 'key >= $1 AND key < $2');

/** Row states belong to all definitions of a version together; they go with the last one. */
async function isLastOfGroup(database: Database, since: number, id: number): Promise<boolean> {
  const rows = await database.rows(
    { text: 'SELECT FROM powersync.definitions WHERE since = $1 AND id <> $2 LIMIT 1' },
    [since, id],
  );
  return rows.length === 0;
}

async function forgetDefinition(database: Database, id: number): Promise<void> {
  await database.transaction(async (transaction) => {
    // A deployment may not begin to use it meanwhile. It cannot: it keeps only what the active version has.
    await lockInstance(transaction);
    await transaction.change({ text: 'DELETE FROM powersync.version_definitions WHERE definition = $1' }, [id]);
    await transaction.change({ text: 'DELETE FROM powersync.lookup_garbage WHERE lookup = $1' }, [id]);
    await transaction.change({ text: 'DELETE FROM powersync.definitions WHERE id = $1' }, [id]);
  });
}

async function forgetVersions(database: Database): Promise<void> {
  const old = `SELECT v.version FROM powersync.sync_config_versions v WHERE v.state = 'stopped'
    AND NOT EXISTS (SELECT FROM powersync.version_streams vs JOIN powersync.streams s ON s.id = vs.stream WHERE vs.version = v.version)
    AND v.version IS DISTINCT FROM (SELECT visible_version FROM powersync.instance WHERE id = 1)
    ORDER BY v.version DESC OFFSET ${KEPT_VERSIONS}`;
  const text = `WITH forgotten AS (DELETE FROM powersync.sync_config_versions WHERE version IN (${old}) RETURNING version)
    DELETE FROM powersync.version_definitions WHERE version IN (SELECT version FROM forgotten)`;
  await database.change({ text });
}
