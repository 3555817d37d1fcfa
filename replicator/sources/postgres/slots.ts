import type pg from 'pg';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { OpenResult, Position, SourceStatus } from '../contract.ts';
import { applicationName } from './config.ts';
import { sourceError, sqlState } from './errors.ts';
import { comparePositions, positionOf } from './position.ts';
import type { ServerFacts } from './server.ts';
import type { SideQueries } from './side-queries.ts';
import { quoteIdentifier, quoteLiteral } from './tables.ts';

/** A row of `pg_replication_slots`, as far as the version has the columns, and the end of the log. */
export interface SlotRow {
  database: string | null;
  active_pid: number | null;
  confirmed: string | null;
  restart: string | null;
  wal_status: string | null;
  invalidation: string | null;
  wal_end: string;
}

/** Columns came with versions 13, 16 and 17 (R-110). */
function slotSql({ versionNumber }: ServerFacts, slot: string): string {
  const walStatus = versionNumber >= 130_000 ? 'wal_status' : 'NULL';
  const invalidation =
    versionNumber >= 170_000
      ? 'invalidation_reason'
      : versionNumber >= 160_000
        ? `CASE WHEN conflicting THEN 'rows_removed' END`
        : 'NULL';
  return `
    SELECT database, active_pid, confirmed_flush_lsn::text AS confirmed, restart_lsn::text AS restart,
           ${walStatus}::text AS wal_status, ${invalidation}::text AS invalidation,
           pg_catalog.pg_current_wal_insert_lsn()::text AS wal_end
      FROM pg_catalog.pg_replication_slots WHERE slot_name = ${quoteLiteral(slot)}`;
}

/** Reason as of R-108 -> what to do. */
const advice: Readonly<Record<string, string>> = {
  wal_removed: 'Raise max_slot_wal_keep_size.',
  rows_removed: 'Rows that the slot needed were removed; set hot_standby_feedback where it applies.',
  wal_level_insufficient: 'Keep wal_level = logical on every server that may become the primary.',
  idle_timeout: 'Raise idle_replication_slot_timeout, or keep the replicator running.',
};

function lost(slot: string, reason: string): OpenResult {
  const what = advice[reason] ?? '';
  return {
    kind: 'lost',
    code: 'PSYNC_S1146',
    reason: `Replication slot ${slot} was invalidated: ${reason}. ${what}`.trim(),
    why: 'invalidated',
  };
}

function unusable(slot: string, why: 'missing' | 'diverged', what: string): OpenResult {
  return { kind: 'lost', code: 'PSYNC_S1146', reason: `Replication slot ${slot} ${what}`, why };
}

/**
 * Whether the stream can go on from `position` (R-72, R-103, R-108): the slot is there, not invalidated, not confirmed past the
 * position, and the server's own log reaches at least up to it (after a fail-over to a server that lacks the last transactions it
 * does not).
 */
export function slotState(
  slot: string,
  row: SlotRow | undefined,
  database: string,
  position: Position | null,
): OpenResult {
  if (row === undefined) return unusable(slot, 'missing', 'does not exist.');
  if (row.database !== database) return unusable(slot, 'missing', 'belongs to another database.');
  if (row.invalidation !== null) return lost(slot, row.invalidation);
  if (row.wal_status === 'lost') return lost(slot, 'wal_removed');
  if (row.restart === null && row.wal_status === null) return lost(slot, 'wal_removed');
  if (position === null) return { kind: 'ok' };
  if (row.confirmed !== null && comparePositions(positionOf(row.confirmed), position) > 0) {
    return unusable(
      slot,
      'diverged',
      'was confirmed past what is stored here, as after restoring bucket storage from a backup.',
    );
  }
  if (comparePositions(beforePageHeader(positionOf(row.wal_end)), position) < 0) {
    return unusable(
      slot,
      'diverged',
      'is on a server whose log ends before what was already received, as after a fail-over that lost transactions.',
    );
  }
  return { kind: 'ok' };
}

/** The end of the log as inserted lies behind the header of a new page, the end of a record before it. */
export function beforePageHeader(position: Position): Position {
  const low = Number.parseInt(position.slice(9), 16);
  const inPage = low % 8_192;
  if (inPage !== 24 && inPage !== 40) return position;
  return `${position.slice(0, 9)}${(low - inPage).toString(16).toUpperCase().padStart(8, '0')}`;
}

/** Reads the slot over any connection, a walsender too. */
export async function readSlot(
  client: Pick<pg.Client, 'query'>,
  facts: ServerFacts,
  slot: string,
): Promise<SlotRow | undefined> {
  const { rows } = await client.query<SlotRow>(slotSql(facts, slot));
  return rows[0];
}

/** Errors of START_REPLICATION and of a running stream that mean the slot is lost; versions 11 and 12 tell it in no other way (R-110). */
export function isSlotLost(error: unknown): boolean {
  const message = error instanceof Error ? error.message : '';
  const state = sqlState(error);
  if (state === '42704') return /replication slot/i.test(message);
  return (
    (state === '58P01' && /has already been removed/.test(message)) ||
    (state === '55000' && /can no longer|has been invalidated|cannot be used|no longer get changes/i.test(message))
  );
}

export function slotLostError(slot: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : 'unknown';
  return codedError('PSYNC_S1146', `Replication slot ${slot} is lost: ${reason}.`, { cause: error });
}

const patienceMs = 30_000;
const pollMs = 100;

/**
 * Ends the backend that uses the slot, when it is one of ours (same role, our application name): a replicator that was paused or cut
 * off, whose writes storage refuses already (G6). Then waits until the slot is free. Rejects with PSYNC_S1177 when it stays in use.
 */
export async function freeSlot(queries: SideQueries, slot: string, signal?: AbortSignal): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    signal?.throwIfAborted();
    const rows = await queries.run<{ active_pid: number | null; ended: boolean | null }>(
      'Freeing the replication slot',
      `SELECT s.active_pid,
              (SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a
                WHERE a.pid = s.active_pid AND a.usename = current_user AND a.application_name = $2) AS ended
         FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $1`,
      [slot, applicationName],
    );
    const pid = rows[0]?.active_pid ?? null;
    if (pid === null) return;
    if (performance.now() > deadline) {
      throw codedError(
        'PSYNC_S1177',
        `Replication slot ${slot} is in use by process ${pid} of the source. End it with pg_terminate_backend if it should not be.`,
      );
    }
    // The server offers nothing to wait for.
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Ends a backend of ours whose connection was cut, and waits until it is gone: it may be about to create a slot still. */
export async function endBackend(queries: SideQueries, pid: number): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline) {
    const rows = await queries.run<{ ended: boolean }>(
      'Ending a connection that was given up',
      `SELECT pg_catalog.pg_terminate_backend(pid) AS ended FROM pg_catalog.pg_stat_activity
        WHERE pid = $1 AND usename = current_user AND application_name = $2`,
      [pid, applicationName],
    );
    if (rows.length === 0) return;
    // The server offers nothing to wait for.
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Drops the slot; one that is not there is fine. Waits until it is free. */
export async function dropSlot(queries: SideQueries, slot: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    await freeSlot(queries, slot);
    try {
      await queries.run(
        'Dropping the replication slot',
        'SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1',
        [slot],
      );
      return;
    } catch (error) {
      const cause = (error as Error).cause;
      if (sqlState(cause) === '42704') return;
      // Somebody took it in between.
      if (sqlState(cause) !== '55006' || attempt === 10) throw error;
    }
  }
}

export interface CreatedSlot {
  readonly position: Position;
  /** For SET TRANSACTION SNAPSHOT, as long as the creating connection runs no other command. */
  readonly snapshot: string;
}

/** Creates a permanent slot over a walsender and exports the snapshot at its start. Waits for open transactions of the source to end. */
export async function createSlot(walsender: pg.Client, slot: string): Promise<CreatedSlot> {
  try {
    const { rows } = await walsender.query<{ consistent_point: string; snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT ${quoteIdentifier(slot)} LOGICAL pgoutput EXPORT_SNAPSHOT`,
    );
    return { position: positionOf(rows[0]!.consistent_point), snapshot: rows[0]!.snapshot_name };
  } catch (error) {
    throw sourceError(error, `Creating replication slot ${slot}`);
  }
}

/** R-106, R-107. Bytes; null where the version or the settings tell nothing. */
export async function slotStatus(queries: SideQueries, slot: string): Promise<SourceStatus> {
  const { versionNumber } = await queries.facts();
  const recent = versionNumber >= 130_000;
  const [row] = await queries.run<{
    lag: string | null;
    retained: string | null;
    wal_status: string | null;
    safe: string | null;
    keep: string | null;
  }>(
    'Reading the state of the replication slot',
    `SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.confirmed_flush_lsn)::int8 AS lag,
            pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn)::int8 AS retained,
            ${recent ? 's.wal_status, s.safe_wal_size' : 'NULL AS wal_status, NULL::int8'} AS safe,
            ${recent ? `(SELECT setting::int8 FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size')` : 'NULL::int8'} AS keep
       FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $1`,
    [slot],
  );
  if (row === undefined)
    return { slot: null, lagBytes: null, retainedBytes: null, walStatus: null, safeWalBytes: null, maxWalBytes: null };
  const bytes = (text: string | null): number | null => (text === null ? null : Math.max(0, Number(text)));
  const keepMegabytes = row.keep === null ? -1 : Number(row.keep);
  return {
    slot,
    lagBytes: bytes(row.lag),
    retainedBytes: bytes(row.retained),
    walStatus: row.wal_status,
    safeWalBytes: bytes(row.safe),
    maxWalBytes: keepMegabytes < 0 ? null : keepMegabytes * 1024 * 1024,
  };
}
