/** Brings the schema up to date, and takes it away (O-71, O-78…O-80, O-7). */
import { codedError } from '../../platform/errors/coded-error.ts';
import type { Database, Queryable } from './database.ts';
import { MIGRATIONS, SCHEMA } from './schema.ts';

/** Held while the schema changes, so that processes that start together do it once (O-80). "millrace" in ASCII. */
const LOCK = `SELECT pg_advisory_xact_lock(x'6d696c6c72616365'::bigint)`;
/** R-85 asks for 14 when source and storage share a server; older ones also lack what the tables use. */
const OLDEST_VERSION = 140_000;

const JOURNAL = `
CREATE TABLE ${SCHEMA}.millrace_migrations (
  name text PRIMARY KEY,
  breaking boolean NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)`;
/** Names of migrations that ran; the first row tells how the schema came to be. */
const SCHEMA_CREATED = '0-schema-created';
const SCHEMA_GIVEN = '0-schema-given';

interface Existing {
  readonly schema: boolean;
  readonly journal: boolean;
  readonly tables: number;
  readonly version: number;
}

async function examine(database: Queryable): Promise<Existing> {
  const [row] = await database.rows<Existing>({
    text: `SELECT n.oid IS NOT NULL AS schema,
        EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'millrace_migrations') AS journal,
        (SELECT count(*)::int FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'S')) AS tables,
        current_setting('server_version_num')::int AS version
      FROM (SELECT to_regnamespace('${SCHEMA}')::oid AS oid) n`,
  });
  return row!;
}

/** Runs what is missing, all or nothing. Answers the names. */
export async function migrate(database: Database): Promise<{ applied: readonly string[] }> {
  return database.transaction(async (transaction) => {
    // Migrations may take longer than ordinary statements, and several processes may wait for one.
    await transaction.rows({ text: 'SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0' });
    await transaction.rows({ text: LOCK });
    const existing = await examine(transaction);
    if (existing.version < OLDEST_VERSION) {
      throw codedError(
        'PSYNC_S2404',
        'Postgres bucket storage needs version 14 or newer. Upgrade the server, or use another one.',
      );
    }
    if (!existing.schema) await transaction.rows({ text: `CREATE SCHEMA ${SCHEMA}` });
    if (!existing.journal) await begin(transaction, existing);
    const done = await appliedMigrations(transaction);
    const applied: string[] = [];
    for (const { name, breaking, sql } of MIGRATIONS) {
      if (done.has(name)) continue;
      await transaction.rows({ text: sql });
      await transaction.rows({ text: `INSERT INTO ${SCHEMA}.millrace_migrations (name, breaking) VALUES ($1, $2)` }, [
        name,
        breaking,
      ]);
      applied.push(name);
    }
    return { applied };
  });
}

async function begin(transaction: Queryable, existing: Existing): Promise<void> {
  if (existing.tables > 0) {
    const message = `The schema "${SCHEMA}" holds tables of another program. Give bucket storage a database of its own, or remove that schema (O-69).`;
    throw codedError('PSYNC_S2404', message);
  }
  await transaction.rows({ text: JOURNAL });
  const name = existing.schema ? SCHEMA_GIVEN : SCHEMA_CREATED;
  await transaction.rows({ text: `INSERT INTO ${SCHEMA}.millrace_migrations (name, breaking) VALUES ($1, false)` }, [
    name,
  ]);
}

async function appliedMigrations(database: Queryable): Promise<Map<string, boolean>> {
  const rows = await database.rows<{ name: string; breaking: boolean }>({
    text: `SELECT name, breaking FROM ${SCHEMA}.millrace_migrations`,
  });
  return new Map(rows.map(({ name, breaking }) => [name, breaking]));
}

/** Throws PSYNC_S1005 naming the first missing migration, or one that this program does not know and cannot ignore (O-79, O-77). */
export async function assertMigrated(database: Database): Promise<void> {
  const { journal } = await examine(database);
  const done = journal ? await appliedMigrations(database) : new Map<string, boolean>();
  const missing = MIGRATIONS.find(({ name }) => !done.has(name));
  if (missing) {
    const message = `Bucket storage lacks the migration "${missing.name}". Run "migrate up" first, or allow automatic migrations.`;
    throw codedError('PSYNC_S1005', message);
  }
  const known = new Set([SCHEMA_CREATED, SCHEMA_GIVEN, ...MIGRATIONS.map(({ name }) => name)]);
  for (const [name, breaking] of done) {
    if (known.has(name) || !breaking) continue;
    throw codedError(
      'PSYNC_S1005',
      `Bucket storage was migrated by a newer version of the service ("${name}"). Upgrade this one again.`,
    );
  }
}

/** Removes all that migrations made; the schema too when they made it and nothing else stands in it. */
export async function destroy(database: Database): Promise<void> {
  await database.transaction(async (transaction) => {
    await transaction.rows({ text: LOCK });
    const existing = await examine(transaction);
    if (!existing.journal) return;
    const created = (await appliedMigrations(transaction)).has(SCHEMA_CREATED);
    const tables = OWN_TABLES.map((name) => `${SCHEMA}.${name}`).join(', ');
    await transaction.rows({ text: `DROP TABLE IF EXISTS ${tables}` });
    await transaction.rows({ text: `DROP SEQUENCE IF EXISTS ${SCHEMA}.write_checkpoint_expired` });
    if (created) await transaction.rows({ text: DROP_EMPTY_SCHEMA });
  });
}

const DROP_EMPTY_SCHEMA = `
DO $$ BEGIN
  DROP SCHEMA ${SCHEMA} RESTRICT;
EXCEPTION WHEN dependent_objects_still_exist THEN NULL;
END $$`;

const OWN_TABLES = [
  ...MIGRATIONS.flatMap(({ sql }) => [...sql.matchAll(/CREATE TABLE powersync\.(\w+)/g)].map((match) => match[1]!)),
  'millrace_migrations',
];
