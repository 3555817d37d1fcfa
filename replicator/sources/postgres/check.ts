import type { CheckReport, Finding, IsWanted, TableReport } from '../contract.ts';
import { endQuietly, connectPrimary } from './connect.ts';
import { oldestVersion, type PostgresConnection, publicationName } from './config.ts';
import { replicationRoleAdvice, slotsQuery, sourceError } from './errors.ts';
import { findTables } from './published-tables.ts';
import { readServerFacts } from './server.ts';
import type { SideQueries } from './side-queries.ts';

export interface CheckOptions {
  /** Try whether a replication connection can be opened. */
  readonly connect: boolean;
  readonly sharesServerWithStorage: boolean;
  readonly isWanted: IsWanted;
}

/** Below this version a source and bucket storage on one server are refused. */
const sharedServerVersion = 140_000;

/**
 * Everything replication needs of the server, the role, the publication and the tables (R-80…R-99), each problem as a finding of its
 * own. Never rejects: what cannot be asked is a finding too.
 */
export async function checkSource(
  connection: PostgresConnection,
  queries: SideQueries,
  options: CheckOptions,
): Promise<CheckReport> {
  const findings: Finding[] = [];
  const attempt = async <T>(work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work();
    } catch (error) {
      const { code, description } = sourceError(error, 'Checking the source');
      findings.push({ level: 'fatal', code, message: description, unanswered: true });
      return null;
    }
  };
  const done = (serverVersion: string | null, tables: readonly TableReport[] = []): CheckReport => ({
    ok: findings.every(({ level }) => level !== 'fatal'),
    serverVersion,
    findings,
    tables,
  });
  const fatal = (code: string, message: string): void => void findings.push({ level: 'fatal', code, message });

  const facts = await attempt(() => queries.using('Checking the source', readServerFacts));
  if (facts === null) return done(null);
  if (facts.versionNumber < oldestVersion) {
    fatal('PSYNC_S1175', `The source is Postgres ${facts.version}; version 11 or later is needed.`);
    return done(facts.version);
  }
  if (options.sharesServerWithStorage && facts.versionNumber < sharedServerVersion) {
    const server = `Source and bucket storage are on one server, which is Postgres ${facts.version}`;
    fatal('PSYNC_S1144', `${server}. Upgrade it to 14 or later, or use another one for bucket storage.`);
  }
  findings.push(...((await attempt(() => checkSettings(queries))) ?? []));
  findings.push(...((await attempt(() => checkPublication(queries, facts.versionNumber))) ?? []));
  const tables = await attempt(() =>
    queries.using('Checking the tables of the source', (client) =>
      findTables(client, facts, connection.tag, options.isWanted),
    ),
  );
  // The attributes of the role tell most of it, the attempt the rest: pg_hba.conf, providers, free walsenders.
  if (options.connect && findings.every(({ code }) => code !== 'PSYNC_S1172')) {
    await attempt(async () => endQuietly(await connectPrimary(connection, { replication: true })));
  }
  return done(facts.version, tables?.reports);
}

interface SettingsRow {
  wal_level: string;
  slots: number;
  used_slots: number;
  senders: number;
  can_replicate: boolean;
  bypasses_rls: boolean;
}

async function checkSettings(queries: SideQueries): Promise<Finding[]> {
  const [row] = await queries.run<SettingsRow>(
    'Checking the settings of the source',
    `SELECT pg_catalog.current_setting('wal_level') AS wal_level,
            pg_catalog.current_setting('max_replication_slots')::int AS slots,
            (SELECT count(*)::int FROM pg_catalog.pg_replication_slots) AS used_slots,
            pg_catalog.current_setting('max_wal_senders')::int AS senders,
            r.rolreplication OR r.rolsuper OR EXISTS (
              SELECT FROM pg_catalog.pg_roles m WHERE m.rolname = 'rds_replication' AND pg_catalog.pg_has_role(m.oid, 'MEMBER')
            ) AS can_replicate,
            r.rolbypassrls OR r.rolsuper AS bypasses_rls
       FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`,
  );
  const { wal_level: walLevel, slots, used_slots: used, senders, can_replicate: canReplicate } = row!;
  const findings: Finding[] = [];
  if (walLevel !== 'logical') {
    findings.push({
      level: 'fatal',
      code: 'PSYNC_S1173',
      message: `wal_level of the source is ${walLevel}, but must be logical. Run ALTER SYSTEM SET wal_level = logical and restart the server.`,
    });
  }
  if (!canReplicate) {
    findings.push({
      level: 'fatal',
      code: 'PSYNC_S1172',
      message: `The role may not replicate. ${replicationRoleAdvice}`,
    });
  }
  if (senders === 0) {
    findings.push({
      level: 'fatal',
      code: 'PSYNC_S1174',
      message: 'max_wal_senders of the source is 0. Set it to at least 10.',
    });
  }
  if (used >= slots) {
    // Not fatal: one of them may be ours. A deployment needs a second one.
    findings.push({
      level: 'warning',
      code: 'PSYNC_S1174',
      message: `All ${slots} replication slots of the source are in use; deploying a sync config needs a free one. Raise max_replication_slots, or see ${slotsQuery}.`,
    });
  }
  return findings;
}

interface PublicationRow {
  pubinsert: boolean;
  pubupdate: boolean;
  pubdelete: boolean;
  pubtruncate: boolean;
  via_root: boolean;
}

async function checkPublication(queries: SideQueries, versionNumber: number): Promise<Finding[]> {
  const viaRoot = versionNumber >= 130_000 ? 'pubviaroot' : 'false';
  const [row] = await queries.run<PublicationRow>(
    'Checking the publication of the source',
    `SELECT pubinsert, pubupdate, pubdelete, pubtruncate, ${viaRoot} AS via_root FROM pg_catalog.pg_publication WHERE pubname = $1`,
    [publicationName],
  );
  const fatal = (code: string, message: string): Finding => ({ level: 'fatal', code, message });
  if (row === undefined) {
    const create = `CREATE PUBLICATION ${publicationName} FOR ALL TABLES, or FOR TABLE with the tables of the sync config`;
    return [fatal('PSYNC_S1141', `Publication ${publicationName} does not exist. Run ${create}.`)];
  }
  const findings: Finding[] = [];
  const missing = (['insert', 'update', 'delete', 'truncate'] as const).filter((operation) => !row[`pub${operation}`]);
  if (missing.length > 0) {
    const alter = `ALTER PUBLICATION ${publicationName} SET (publish = 'insert, update, delete, truncate')`;
    findings.push(
      fatal('PSYNC_S1142', `Publication ${publicationName} does not publish ${missing.join(', ')}. Run ${alter}.`),
    );
  }
  if (row.via_root) {
    const alter = `ALTER PUBLICATION ${publicationName} SET (publish_via_partition_root = false)`;
    findings.push(
      fatal('PSYNC_S1143', `Publication ${publicationName} uses publish_via_partition_root. Run ${alter}.`),
    );
  }
  return findings;
}
