/** Commands that do one thing and exit: `migrate up`, `teardown`, `test-connections` (O-5…O-9). */
import { realClock } from '#core/platform/clock.ts';
import { loadServiceConfig, type ConfigFlags } from '#core/platform/config/load.ts';
import type { ServiceConfig } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { createLogger, type Logger } from '#core/platform/logging.ts';
import { openSource } from '#replicator/sources/registry.ts';
import { openStorage } from './instance.ts';

interface Loaded {
  readonly config: ServiceConfig;
  readonly log: Logger;
}

async function load(flags: ConfigFlags): Promise<Loaded> {
  const { config, notices } = await loadServiceConfig({
    flags,
    environment: process.env,
    workingFolder: process.cwd(),
  });
  const log = createLogger(config.logging);
  for (const notice of notices) log[notice.level]({ key: notice.key }, notice.message);
  return { config, log };
}

/** O-6, O-78. */
export async function migrateUp(flags: ConfigFlags): Promise<void> {
  const { config, log } = await load(flags);
  const storage = await openStorage(config, log, realClock);
  try {
    const { applied } = await storage.migrate();
    log.info({ applied }, applied.length === 0 ? 'The storage schema is up to date' : 'Migrated the storage schema');
  } finally {
    await storage.close();
  }
}

/** O-7: removes the replication slots of every version, then everything in bucket storage. */
export async function teardown(confirmation: string | undefined, flags: ConfigFlags): Promise<void> {
  if (confirmation !== 'TEARDOWN') {
    throw codedError(
      'PSYNC_S0102',
      'Nothing was removed. To destroy the buckets and replication slots of this instance, run: millrace teardown TEARDOWN',
    );
  }
  const { config, log } = await load(flags);
  const storage = await openStorage(config, log, realClock);
  try {
    await storage.migrate();
    const remaining: string[] = [];
    for (const connection of config.replication.connections) {
      // Taking over ends whoever still leads, so that no slot is in use.
      const writer = await storage.takeOver(connection.tag, `teardown/${process.pid}`);
      const source = openSource(connection, {
        log,
        snapshotConnections: 1,
        valueOptions: () => ({ timestampsIso8601: false, timestampMaxPrecision: null, customPostgresTypes: false }),
      });
      try {
        for (const stream of await writer.streams()) {
          if (stream.slot === '') continue;
          await source.dropCursor(stream.slot).catch((error: unknown) => {
            remaining.push(stream.slot);
            log.error({ slot: stream.slot, err: error }, 'The replication slot could not be dropped');
          });
        }
      } finally {
        await source.close();
      }
    }
    await storage.destroy();
    log.info({ remaining }, 'Removed bucket storage');
    if (remaining.length > 0) {
      throw codedError(
        'PSYNC_S1120',
        `These replication slots remain in the source and keep its WAL; drop them by hand: ${remaining.join(', ')}`,
      );
    }
  } finally {
    await storage.close();
  }
}

/** O-8, R-11: every finding is its own line; fails when one of them is fatal. */
export async function testConnections(flags: ConfigFlags): Promise<void> {
  const { config, log } = await load(flags);
  let failed = 0;
  for (const connection of config.replication.connections) {
    const source = openSource(connection, {
      log,
      snapshotConnections: 1,
      valueOptions: () => ({ timestampsIso8601: false, timestampMaxPrecision: null, customPostgresTypes: false }),
    });
    try {
      const report = await source.check();
      for (const finding of report.findings) {
        if (finding.level === 'fatal') failed++;
        print(`source ${connection.tag}: ${finding.level}: [${finding.code}] ${finding.message}`);
      }
      print(
        `source ${connection.tag}: ${report.ok ? 'ok' : 'not usable'}${report.serverVersion === null ? '' : ` (version ${report.serverVersion})`}`,
      );
      if (!report.ok) failed++;
    } catch (error) {
      failed++;
      print(`source ${connection.tag}: fatal: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await source.close();
    }
  }
  try {
    const storage = await openStorage(config, log, realClock);
    try {
      await storage.figures();
    } finally {
      await storage.close();
    }
    print(`storage ${config.storage.type}: ok`);
  } catch (error) {
    failed++;
    print(`storage ${config.storage.type}: fatal: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (failed > 0) process.exitCode = 1;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
