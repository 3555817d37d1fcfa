/** Sync config versions in Postgres. */
import { codedError } from '../../platform/errors/coded-error.ts';
import type { ReplicationStream } from '../contract.ts';
import type {
  DefinitionSpec,
  DeployedDefinition,
  DeployedVersion,
  SyncConfigStore,
  VersionState,
} from '../sync-config-store.ts';
import type { Database, Queryable } from './database.ts';
import { deploy } from './deployment.ts';
import { bumpRevision, lockInstance, publish } from './instance.ts';
import { readStreams, STREAM_IS_LIVE } from './stream-rows.ts';

export function createConfigStore(database: Database, now: () => number): SyncConfigStore {
  const byState = async (state: VersionState): Promise<DeployedVersion | null> =>
    (await readVersions(database, 'reported_state = $1', [state]))[0] ?? null;

  return {
    async deploy(options) {
      const version = await database.transaction((transaction) => deploy(transaction, options, now()));
      const [deployed] = await readVersions(database, 'version = $1', [version]);
      // Only a deployment right after this one could have cleared it.
      if (!deployed) throw codedError('PSYNC_S0001', `Version ${version} was replaced while it was deployed.`);
      return deployed;
    },
    active: () => byState('active'),
    processing: () => byState('processing'),
    live: () => readVersions(database, `reported_state <> 'stopped'`, []),
    async get(version) {
      return (await readVersions(database, 'version = $1', [version]))[0] ?? null;
    },
    async revision() {
      const [row] = await database.rows<{ revision: number }>(REVISION);
      return row!.revision;
    },
    async fail(version, error) {
      await database.transaction(async (transaction) => {
        const instance = await lockInstance(transaction);
        await transaction.change({ text: FAIL }, [version, error]);
        await bumpRevision(transaction);
        await publish(transaction, instance, now());
      });
    },
    abandonedStreams: (source) => readStreams(database, `s.source = $1 AND NOT ${STREAM_IS_LIVE}`, [source]),
    async forgetStream(stream) {
      await database.transaction(async (transaction) => {
        await lockInstance(transaction);
        await forget(transaction, stream);
      });
    },
  };
}

const REVISION = { name: 'revision', text: 'SELECT revision FROM powersync.instance WHERE id = 1' };
/** The active version goes on serving whatever is said of it (O-133). */
const FAIL = `UPDATE powersync.sync_config_versions
  SET error = $2, state = CASE WHEN state = 'processing' THEN 'errored' ELSE state END WHERE version = $1`;

async function forget(transaction: Queryable, stream: number): Promise<void> {
  const removed = await transaction.change(
    { text: `DELETE FROM powersync.streams s WHERE s.id = $1 AND NOT ${STREAM_IS_LIVE}` },
    [stream],
  );
  if (removed === 0) return;
  await transaction.change({ text: 'DELETE FROM powersync.version_streams WHERE stream = $1' }, [stream]);
  await transaction.change({ text: 'DELETE FROM powersync.undo WHERE stream = $1' }, [stream]);
  await transaction.change({ text: `DELETE FROM powersync.pending WHERE stream = $1 AND state <> 'closed'` }, [stream]);
  await bumpRevision(transaction);
}

interface VersionColumns {
  readonly version: number;
  readonly state: VersionState;
  readonly content: string;
  readonly plan: string;
  readonly label: string | null;
  readonly error: string | null;
  readonly created_ms: number;
  readonly activated_ms: number | null;
}

interface DefinitionColumns extends DefinitionSpec {
  readonly id: number;
  readonly since: number;
  readonly version: number;
}

/**
 * While a version that took over waits for the end of another source's transaction, clients see the former one (G1): that is still
 * active to everybody but the writers.
 */
const REPORTED_STATE = `CASE WHEN v.version = (SELECT visible_version FROM powersync.instance WHERE id = 1) THEN 'active'
  WHEN v.state = 'active' THEN 'processing' ELSE v.state END`;

/** Whole versions, oldest first, as of one moment. */
async function readVersions(
  database: Database,
  condition: string,
  values: readonly unknown[],
): Promise<DeployedVersion[]> {
  return database.transaction(async (transaction) => {
    await transaction.rows({ text: 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY' });
    const rows = await transaction.rows<VersionColumns>(
      {
        text: `SELECT version, reported_state AS state, content, plan, label, error, created_ms, activated_ms
          FROM (SELECT v.*, ${REPORTED_STATE} AS reported_state FROM powersync.sync_config_versions v) v
          WHERE ${condition} ORDER BY version`,
      },
      values,
    );
    const versions: DeployedVersion[] = [];
    for (const row of rows) versions.push(await completed(transaction, row));
    return versions;
  });
}

async function completed(transaction: Queryable, row: VersionColumns): Promise<DeployedVersion> {
  const definitions = await transaction.rows<DefinitionColumns>({ text: DEFINITIONS }, [row.version]);
  const own = 'EXISTS (SELECT FROM powersync.version_streams vs WHERE vs.stream = s.id AND vs.version = $1)';
  const streams: readonly ReplicationStream[] = await readStreams(transaction, own, [row.version]);
  return {
    version: row.version,
    state: row.state,
    content: row.content,
    plan: row.plan,
    label: row.label,
    definitions: definitions.map(({ id, since, kind, identity, name, source }): DeployedDefinition => ({
      id,
      since,
      kind,
      identity,
      name,
      source,
    })),
    streams,
    error: row.error,
    createdMs: row.created_ms,
    activatedMs: row.activated_ms,
  };
}

const DEFINITIONS = `SELECT d.id, d.since, d.kind, d.identity, d.name, d.source FROM powersync.definitions d
  JOIN powersync.version_definitions vd ON vd.definition = d.id WHERE vd.version = $1 ORDER BY vd.ordinal`;
