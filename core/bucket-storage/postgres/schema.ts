/**
 * The tables, as migrations build them. Everything stands in the schema `powersync` (O-71).
 *
 * Keys are compared by bytes (`COLLATE "C"`): fast, and the same on every server. A key that does not fit into an index is folded
 * (key-text.ts) and stands whole in a `…_whole` column.
 */

export const SCHEMA = 'powersync';

export interface Migration {
  readonly name: string;
  /** False: programs that do not know it may go on (O-76, rolling upgrades). */
  readonly breaking: boolean;
  readonly sql: string;
}

/**
 * One row. Every transaction that allocates op ids or changes what is visible locks it first: so op ids become visible in order (I2),
 * and everything read after the lock is current. Never vacuumed away from its page: a low fill factor keeps updates in place.
 */
const INSTANCE = `
CREATE TABLE powersync.instance (
  id int PRIMARY KEY CHECK (id = 1),
  op_sequence bigint NOT NULL DEFAULT 0,
  visible_op bigint NOT NULL DEFAULT 0,
  visible_version int,
  version_sequence int NOT NULL DEFAULT 0,
  revision bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO powersync.instance (id) VALUES (1);

-- The epoch is what a writer must have (G6); backend names its connections in pg_stat_activity.
CREATE TABLE powersync.sources (
  source text PRIMARY KEY,
  epoch bigint NOT NULL,
  owner text NOT NULL,
  backend text NOT NULL
) WITH (fillfactor = 50);`;

const SYNC_CONFIGS = `
CREATE TABLE powersync.sync_config_versions (
  version int PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('processing', 'active', 'stopped', 'errored')),
  content text NOT NULL,
  plan text NOT NULL,
  label text,
  error text,
  created_ms bigint NOT NULL,
  activated_ms bigint
);
CREATE UNIQUE INDEX one_active ON powersync.sync_config_versions (state) WHERE state = 'active';
CREATE UNIQUE INDEX one_processing ON powersync.sync_config_versions (state) WHERE state = 'processing';

CREATE TABLE powersync.streams (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  version int NOT NULL,
  slot text NOT NULL DEFAULT '',
  position text,
  progress json,
  committed_op bigint NOT NULL DEFAULT 0,
  -- First op of flushes that no commit has ended yet.
  first_uncommitted bigint,
  -- First op of commits that wait for the end of a hold (R-118).
  first_held bigint,
  last_commit_ms bigint,
  -- The last flush and what it answered, for a writer that did not hear it.
  flush_id text,
  flush_first bigint,
  flush_last bigint,
  flush_notice bigint
) WITH (fillfactor = 50);

CREATE TABLE powersync.definitions (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('bucket', 'lookup')),
  identity text NOT NULL,
  name text NOT NULL,
  source text NOT NULL,
  since int NOT NULL,
  -- The stream that writes it.
  stream int NOT NULL
);
CREATE TABLE powersync.version_definitions (
  version int NOT NULL,
  definition int NOT NULL,
  ordinal int NOT NULL,
  PRIMARY KEY (version, definition)
);
-- A version's streams. switched: it writes all that the version wants of its source.
CREATE TABLE powersync.version_streams (
  version int NOT NULL,
  stream int NOT NULL,
  switched boolean NOT NULL,
  PRIMARY KEY (version, stream)
);
CREATE TABLE powersync.tables (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  schema_name text NOT NULL,
  name text NOT NULL,
  relation text NOT NULL,
  identity text NOT NULL,
  hash text NOT NULL UNIQUE
);`;

const DATA = `
-- Chunks: runs of operations of one bucket, in wire form. The totals are those of the bucket up to last_op.
CREATE TABLE powersync.bucket_data (
  definition int NOT NULL,
  key text COLLATE "C" NOT NULL,
  last_op bigint NOT NULL,
  first_op bigint NOT NULL,
  count int NOT NULL,
  checksum bigint NOT NULL,
  total_count bigint NOT NULL,
  total_checksum bigint NOT NULL,
  key_whole text,
  operations bytea NOT NULL,
  PRIMARY KEY (definition, key, last_op)
);
CREATE TABLE powersync.lookups (
  lookup int NOT NULL,
  key text COLLATE "C" NOT NULL,
  row text COLLATE "C" NOT NULL,
  op bigint NOT NULL,
  "values" text,
  key_whole text,
  row_whole text,
  PRIMARY KEY (lookup, key, row, op)
);
-- Places where an entry replaced an older one: the older one goes when no reader can want it any more.
CREATE TABLE powersync.lookup_garbage (
  op bigint NOT NULL,
  lookup int NOT NULL,
  key text COLLATE "C" NOT NULL,
  row text COLLATE "C" NOT NULL
);
CREATE INDEX lookup_garbage_op ON powersync.lookup_garbage (op);
CREATE TABLE powersync.row_states (
  key text COLLATE "C" PRIMARY KEY,
  state text NOT NULL
) WITH (fillfactor = 90);
-- How to take back what a stream flushed and did not commit.
CREATE TABLE powersync.undo (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream int NOT NULL,
  chunk_definitions int[],
  chunk_keys text[],
  chunk_ops bigint[],
  lookup_ids int[],
  lookup_keys text[],
  lookup_rows text[],
  lookup_ops bigint[],
  state_keys text[],
  state_previous text[]
);
CREATE INDEX undo_stream ON powersync.undo (stream, id);`;

const COMMITS = `
-- The durable twin of the messages to API workers: visible commits of the last minutes. Null lists: too many to list.
CREATE TABLE powersync.commits (
  op bigint PRIMARY KEY,
  previous bigint NOT NULL,
  version int NOT NULL,
  buckets text,
  lookups text,
  write_checkpoints text,
  source_time_ms bigint,
  stored_ms bigint NOT NULL
);
-- Parts of commits to come. open: flushed, not committed; held: committed, waits for the end of the stream's own hold;
-- closed: complete, waits for older ops of other streams.
CREATE TABLE powersync.pending (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream int NOT NULL,
  state text NOT NULL CHECK (state IN ('open', 'held', 'closed')),
  first_op bigint NOT NULL,
  op bigint NOT NULL,
  version int NOT NULL,
  buckets text,
  lookups text,
  write_checkpoints text,
  source_time_ms bigint
);

-- pair: the JSON array [user id, client id]. One row per pair: the greatest number asked for.
CREATE TABLE powersync.write_checkpoints (
  pair text COLLATE "C" PRIMARY KEY,
  pair_whole text,
  checkpoint bigint NOT NULL,
  touched_ms bigint NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX write_checkpoints_touched ON powersync.write_checkpoints (touched_ms);
-- Greatest number of pairs that expired. A sequence, because it is read by everybody and never locked.
CREATE SEQUENCE powersync.write_checkpoint_expired MINVALUE 0 START WITH 0;
-- Which of them a source has not resolved yet, in the order they came.
CREATE TABLE powersync.write_checkpoints_waiting (
  source text NOT NULL,
  pair text COLLATE "C" NOT NULL,
  pair_whole text,
  checkpoint bigint NOT NULL,
  ordinal bigint GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (source, pair)
);
CREATE INDEX write_checkpoints_waiting_ordinal ON powersync.write_checkpoints_waiting (source, ordinal);
-- The op from which on a source has passed a number. Custom ones stand in rows of the source (S-487).
CREATE TABLE powersync.write_checkpoints_reached (
  pair text COLLATE "C" NOT NULL,
  source text NOT NULL,
  custom boolean NOT NULL,
  op bigint NOT NULL,
  stream int NOT NULL,
  checkpoint bigint NOT NULL,
  PRIMARY KEY (pair, source, custom, op)
);
CREATE INDEX write_checkpoints_reached_op ON powersync.write_checkpoints_reached (stream, op);`;

/** The deny list of client tokens; the one row of the other table is where all entries take their revisions from. */
const REVOCATIONS = `
CREATE TABLE powersync.revocations (
  key text COLLATE "C" PRIMARY KEY,
  revision bigint NOT NULL,
  issued_before_ms bigint,
  expires_ms bigint NOT NULL
);
CREATE INDEX revocations_revision ON powersync.revocations (revision);
CREATE INDEX revocations_expires ON powersync.revocations (expires_ms);
CREATE TABLE powersync.revocation_revision (
  id int PRIMARY KEY CHECK (id = 1),
  last bigint NOT NULL
);
INSERT INTO powersync.revocation_revision (id, last) VALUES (1, 0);`;

/** Whose this storage is; one row, or none. */
const CLAIM = `
CREATE TABLE powersync.claim (
  id int PRIMARY KEY CHECK (id = 1),
  instance text NOT NULL,
  claimed_ms bigint NOT NULL
);`;

/**
 * needs_op: see `Chunk.needs`. compacted_buckets: how far a bucket was compacted, and how many of its operations are gone. A program that does
 * not know them may serve beside this one as long as nothing is compacted.
 */
const COMPACTION = `
ALTER TABLE powersync.bucket_data ADD COLUMN needs_op bigint;
CREATE TABLE powersync.compacted_buckets (
  definition int NOT NULL,
  key text COLLATE "C" NOT NULL,
  removed bigint NOT NULL DEFAULT 0,
  last_op bigint,
  count bigint,
  PRIMARY KEY (definition, key)
);
CREATE TABLE powersync.compaction_runs (
  id int PRIMARY KEY CHECK (id = 1),
  ended_ms bigint NOT NULL,
  last_success_ms bigint
);`;

/** lz4 is three times faster than the default and halves what is written; not every server has it, and then none is faster. */
const COMPRESSION = `
DO $$
BEGIN
  ALTER TABLE powersync.bucket_data ALTER COLUMN operations SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
  ALTER TABLE powersync.bucket_data ALTER COLUMN operations SET STORAGE EXTERNAL;
END $$;`;

/** In order. Append only: what was released never changes. */
export const MIGRATIONS: readonly Migration[] = [
  { name: '1-tables', breaking: true, sql: [INSTANCE, SYNC_CONFIGS, DATA, COMMITS, COMPRESSION].join('\n') },
  { name: '2-revocations', breaking: false, sql: REVOCATIONS },
  { name: '3-claim', breaking: false, sql: CLAIM },
  { name: '4-compaction', breaking: false, sql: COMPACTION },
];
