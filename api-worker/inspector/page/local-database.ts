/** What the client's own database holds: the tables of the SDK's core, read without any schema of the app. */
import type { AbstractPowerSyncDatabase } from '@powersync/web';

export interface LocalBucket {
  readonly name: string;
  /** Operations downloaded since the bucket was begun. */
  readonly operations: number;
  readonly rows: number;
  readonly dataBytes: number;
  /** As counted by the SDK, with everything around the rows. */
  readonly downloadedBytes: number;
  readonly lastOp: string;
  readonly isApplied: boolean;
  /** Unsigned 32 bit, as a checkpoint has it. */
  readonly checksum: number;
}

export interface LocalTable {
  readonly name: string;
  readonly rows: number;
  readonly dataBytes: number;
}

export interface LocalRow {
  readonly id: string;
  readonly lastOp: string;
  /** Whether `data` is that of `lastOp`, which is downloaded before its checkpoint is complete and applied. */
  readonly isApplied: boolean;
  readonly data: string | null;
  readonly holders: readonly { readonly bucket: string; readonly op: string }[];
}

export const MAX_ROWS = 100;

/** Sizes in bytes: `length` of a text counts characters. */
const BYTES = 'sum(length(CAST(data AS BLOB)))';

export async function readBuckets(database: AbstractPowerSyncDatabase): Promise<LocalBucket[]> {
  const found = await database.getAll<Omit<LocalBucket, 'isApplied'> & { readonly isApplied: number }>(`
    SELECT b.name, b.count_at_last + b.count_since_last AS operations, ifnull(o.row_count, 0) AS "rows",
      ifnull(o.bytes, 0) AS dataBytes, b.downloaded_size AS downloadedBytes, CAST(b.last_op AS TEXT) AS lastOp,
      b.last_op > 0 AND b.last_applied_op = b.last_op AS isApplied, (b.op_checksum + b.add_checksum) & 4294967295 AS checksum
    FROM ps_buckets b LEFT JOIN
      (SELECT bucket, count(*) AS row_count, ${BYTES} AS bytes FROM ps_oplog GROUP BY bucket) o ON o.bucket = b.id
    WHERE b.pending_delete = 0 AND b.name <> '$local' ORDER BY b.name`);
  return found.map((bucket) => ({ ...bucket, isApplied: Boolean(bucket.isApplied) }));
}

/** When each subscription was synced last, by `streamKey`; the SDK's own value is 1000 times too large. */
export async function readStreamTimes(database: AbstractPowerSyncDatabase): Promise<ReadonlyMap<string, Date>> {
  const found = await database.getAll<{ readonly name: string; readonly parameters: string; readonly ms: number }>(`
    SELECT stream_name AS name, local_params AS parameters, last_synced_at / 1000 AS ms
    FROM ps_stream_subscriptions WHERE last_synced_at IS NOT NULL`);
  return new Map(found.map(({ name, parameters, ms }) => [streamKey(name, JSON.parse(parameters)), new Date(ms)]));
}

export const streamKey = (name: string, parameters: unknown): string => `${name} ${JSON.stringify(parameters)}`;

/** Tables as an app would see them: rows of several buckets count once. */
export function readTables(database: AbstractPowerSyncDatabase): Promise<LocalTable[]> {
  return database.getAll<LocalTable>(
    `SELECT type AS name, count(*) AS "rows", ifnull(${BYTES}, 0) AS dataBytes FROM ps_untyped GROUP BY type ORDER BY type`,
  );
}

/** The rows of a table that changed last, at most MAX_ROWS, with the buckets that hold them. `idPart` anywhere in the id. */
export async function readRows(
  database: AbstractPowerSyncDatabase,
  table: string,
  idPart: string,
): Promise<LocalRow[]> {
  const found = await database.getAll<
    Omit<LocalRow, 'holders' | 'isApplied'> & { readonly holders: string; readonly isApplied: number }
  >(
    `SELECT u.id, u.data, CAST(max(o.op_id) AS TEXT) AS lastOp, min(o.op_id <= b.last_applied_op) AS isApplied,
      json_group_array(json_object('bucket', b.name, 'op', CAST(o.op_id AS TEXT))) AS holders
    FROM ps_oplog o JOIN ps_buckets b ON b.id = o.bucket JOIN ps_untyped u ON u.type = o.row_type AND u.id = o.row_id
    WHERE o.row_type = ? AND (? = '' OR instr(o.row_id, ?) > 0)
    GROUP BY o.row_id ORDER BY max(o.op_id) DESC LIMIT ${MAX_ROWS}`,
    [table, idPart, idPart],
  );
  return found.map((row) => ({
    ...row,
    isApplied: Boolean(row.isApplied),
    holders: JSON.parse(row.holders) as LocalRow['holders'],
  }));
}
