/** Bucket storage on Postgres 14 or newer (O-71). Everything stands in the schema `powersync`. */
import { randomBytes } from 'node:crypto';
import type { PoolConfig } from 'pg';
import type { Clock } from '../../platform/clock.ts';
import {
  DEFAULT_STORAGE_BATCH_MAX_CURRENT_DATA_BYTES,
  DEFAULT_STORAGE_BATCH_MAX_BYTES,
} from '../../platform/limits.ts';
import type { BucketStorage, StorageFigures } from '../contract.ts';
import type { BatchLimits } from './bulk-writes.ts';
import { createClaim } from './claim.ts';
import { clearStopped } from './clearing.ts';
import { createCompactionStore } from './compaction.ts';
import { createConfigStore } from './configs.ts';
import { openDatabase, type Database, type StorageLog } from './database.ts';
import { createFlushQueue, type FlushQueue } from './flush-queue.ts';
import { createInspection } from './inspection.ts';
import { createHousekeeping } from './housekeeping.ts';
import { assertMigrated, destroy, migrate } from './migrations.ts';
import { createReader } from './reader.ts';
import { createRevocationStore } from './revocations.ts';
import { takeOver } from './take-over.ts';
import { createWriteCheckpointStore } from './write-checkpoints.ts';
import { createWriter } from './writer.ts';

export interface PostgresStorageOptions {
  /** Address, login and TLS as `pg` takes them (`poolOptions` of a Postgres endpoint). `max` counts readers; each writer has one more. */
  readonly pool: PoolConfig;
  readonly log: StorageLog;
  readonly clock: Clock;
  /** Like `Math.random`; spreads retries. */
  readonly random?: () => number;
  /** O-47: a flush is one transaction; what exceeds these goes into it with several statements. */
  readonly batchLimits?: Partial<BatchLimits> & { readonly maxCurrentDataBytes?: number };
}

/** Opens bucket storage; connects when first used. Errors are PSYNC_S2402 … S2404 (O-369…O-371). */
export async function openPostgresStorage(options: PostgresStorageOptions): Promise<BucketStorage> {
  const { log, clock, random = Math.random } = options;
  const limits = statementLimits(options.batchLimits);
  const database = openDatabase(options.pool, log);
  const housekeeping = createHousekeeping(database, clock, log);
  const queues = new Set<FlushQueue>();
  const now = (): number => clock.now();

  return {
    kind: 'postgresql',
    migrate: () => migrate(database),
    assertMigrated: () => assertMigrated(database),
    configs: createConfigStore(database, now),
    reader: createReader(database),
    writeCheckpoints: createWriteCheckpointStore(database, now),
    inspection: createInspection(database),
    revocations: createRevocationStore(database, now),
    claim: createClaim(database, now),
    compaction: createCompactionStore(database),
    async takeOver(source, owner) {
      const backend = `millrace-writer-${randomBytes(12).toString('hex')}`;
      const identity = await takeOver({ database, clock, log }, source, owner, backend);
      const queue = createFlushQueue({ database, clock, random, log, limits, backend, ...identity });
      queues.add(queue);
      return createWriter(identity, { database, queue, now, wrote: () => housekeeping.attend() });
    },
    figures: () => figures(database),
    clearStopped: (budgetMs) => clearStopped(database, clock, budgetMs),
    destroy: () => destroy(database),
    async close() {
      await Promise.all([...queues].map((queue) => queue.close()));
      await housekeeping.settled();
      await database.close();
    },
  };
}

function statementLimits(given: PostgresStorageOptions['batchLimits'] = {}): BatchLimits {
  const bytes = given.maxBytes ?? DEFAULT_STORAGE_BATCH_MAX_BYTES;
  const most = given.maxCurrentDataBytes ?? DEFAULT_STORAGE_BATCH_MAX_CURRENT_DATA_BYTES;
  return { maxBytes: Math.min(bytes, most), maxRecords: given.maxRecords ?? MAX_RECORDS };
}

/** Measured: more per statement gains nothing. */
const MAX_RECORDS = 2000;

/** Sizes on disk, indexes included (O-82). */
async function figures(database: Database): Promise<StorageFigures> {
  const [row] = await database.rows<StorageFigures>({
    text: `SELECT pg_total_relation_size('powersync.bucket_data') AS "operationBytes",
      pg_total_relation_size('powersync.lookups') + pg_total_relation_size('powersync.lookup_garbage') AS "parameterBytes",
      pg_total_relation_size('powersync.row_states') + pg_total_relation_size('powersync.undo') AS "rowStateBytes"`,
  });
  return row!;
}
