/** Commands that do one thing and exit: `migrate up`, `test-connections` (O-5…O-9). */
import { realClock } from '#core/platform/clock.ts';
import { loadServiceConfig, readSyncConfig, type ConfigFlags } from '#core/platform/config/load.ts';
import { presentedCertificates } from '#core/platform/config/postgres-connect.ts';
import type { ServiceConfig, SourceConnection } from '#core/platform/config/service-config.ts';
import { createLogger, type Logger } from '#core/platform/logging.ts';
import type { SyncPlan } from '#core/sync-config/contract.ts';
import { wantedTables } from '#replicator/wanted-tables.ts';
import { openSourceToAsk } from './ask-source.ts';
import { assertOwned, claimStorage } from './claim.ts';
import { compilerFor } from './deploy.ts';
import { openStorage, sharesServer } from './instance.ts';
import { isOlderSchema } from './storage-part.ts';

interface Loaded {
  readonly config: ServiceConfig;
  readonly log: Logger;
}

/** The configuration of a command that does one thing, with what is to be said of it logged. */
export async function loadForCommand(flags: ConfigFlags): Promise<Loaded> {
  const { config, notices } = await loadServiceConfig({
    flags,
    environment: process.env,
    workingFolder: process.cwd(),
  });
  const log = createLogger(config.logging);
  for (const notice of notices) log[notice.level]({ key: notice.key }, notice.message);
  return { config, log };
}

/** O-6, O-78. Claims the storage for the instance, if one is named (O-69); that of another is not touched. */
export async function migrateUp(
  flags: ConfigFlags,
  { instance: named }: { readonly instance?: string },
): Promise<void> {
  const { config, log } = await loadForCommand(flags);
  const storage = await openStorage(config, log, realClock);
  try {
    const instance = named ?? config.instanceId;
    await assertOwned(storage, instance);
    const { applied } = await storage.migrate();
    await claimStorage(storage, instance);
    log.info({ applied }, applied.length === 0 ? 'The storage schema is up to date' : 'Migrated the storage schema');
  } finally {
    await storage.close();
  }
}

/** O-8, R-11: every finding is its own line; fails when one of them is fatal. */
export async function testConnections(flags: ConfigFlags): Promise<void> {
  const { config, log } = await loadForCommand(flags);
  const wanted = await tablesOf(config);
  let failed = 0;
  for (const connection of config.replication.connections) failed += await testSource(connection, config, wanted, log);
  failed += await testStorage(config, log);
  if (failed > 0) process.exitCode = 1;
}

/** The tables of the sync config, where the configuration has one: a table that nobody syncs need not be usable. */
async function tablesOf(config: ServiceConfig): Promise<SyncPlan | null> {
  if (!config.syncConfig) return null;
  try {
    return compilerFor(config.replication.connections)(await readSyncConfig(config.syncConfig)).plan;
  } catch (error) {
    print(`sync config: ${messageOf(error)}`);
    return null;
  }
}

async function testSource(
  connection: SourceConnection,
  config: ServiceConfig,
  plan: SyncPlan | null,
  log: Logger,
): Promise<number> {
  const source = openSourceToAsk(connection, log, sharesServer(connection, config.storage));
  try {
    if (plan) source.want(wantedTables(plan, connection.tag));
    const report = await source.check();
    const problems = report.tables.flatMap(({ errors }) => errors).filter(({ code }) => plan || !UNWANTED.has(code));
    for (const { level, code, message } of [...report.findings, ...problems])
      print(`source ${connection.tag}: ${level}: [${code}] ${message}`);
    if (report.findings.some(({ code }) => code === 'PSYNC_S1163')) await printCertificates(connection);
    const server = report.serverVersion === null ? '' : ` (version ${report.serverVersion})`;
    print(`source ${connection.tag}: ${report.ok ? 'ok' : 'not usable'}${server}`);
    const isFatal = (finding: { readonly level: string }): boolean => finding.level === 'fatal';
    return report.findings.filter(isFatal).length + (plan ? problems.filter(isFatal).length : 0);
  } catch (error) {
    print(`source ${connection.tag}: fatal: ${messageOf(error)}`);
    return 1;
  } finally {
    await source.close();
  }
}

/** Problems of tables that matter only to a sync config that names them: not published, a view. */
const UNWANTED: ReadonlySet<string> = new Set(['PSYNC_S1151', 'PSYNC_S1153']);

/** what to compare with the server's own, and then to put into `cacert`. */
async function printCertificates(connection: SourceConnection): Promise<void> {
  if (connection.type !== 'postgresql') return;
  const chain = await presentedCertificates(connection).catch((error: unknown) => {
    print(`source ${connection.tag}: ${messageOf(error)}`);
    return [];
  });
  for (const { subject, issuer, validTo, pem } of chain)
    print(
      `source ${connection.tag}: the server presents ${subject}, issued by ${issuer}, valid to ${validTo}:\n${pem.trim()}`,
    );
}

/** A storage that was never migrated is fine: the first start does it, unless that is turned off. */
async function testStorage(config: ServiceConfig, log: Logger): Promise<number> {
  const { type } = config.storage;
  try {
    const storage = await openStorage(config, log, realClock);
    try {
      await storage.assertMigrated();
      print(`storage ${type}: ok`);
    } catch (error) {
      if (!isOlderSchema(error)) throw error;
      const { disableAutoMigration } = config.migrations;
      print(`storage ${type}: ok; ${disableAutoMigration ? error.description : 'the next start migrates its schema.'}`);
    } finally {
      await storage.close();
    }
    return 0;
  } catch (error) {
    print(`storage ${type}: fatal: ${messageOf(error)}`);
    return 1;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
