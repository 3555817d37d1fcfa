import type { Position } from '../contract.ts';
import { messagePrefix } from './config.ts';
import { sqlState } from './errors.ts';
import { positionOf } from './position.ts';
import type { SideQueries } from './side-queries.ts';
import { beforePageHeader } from './slots.ts';

/**
 * The head of the source's log now, and a marker behind it: a transaction that consists of one logical message.
 *
 * The position returned is the end of the message. Whatever was committed before the call has its commit record before the message, so
 * it is at or before the position; the marker's own commit lies behind it, so the stream passes it as soon as it is delivered, on an
 * idle source too. Any role may write such a message, and a wal_sender needs no setting to read it.
 *
 * Where emitting is refused (privileges revoked, a proxy that knows no such function) the position is the end of the log, which the
 * server's keepalives pass.
 */
export async function markHead(queries: SideQueries): Promise<Position> {
  try {
    const [row] = await queries.run<{ lsn: string }>(
      'Marking the head of the source',
      `SELECT pg_catalog.pg_logical_emit_message(true, $1, '')::text AS lsn`,
      [messagePrefix],
    );
    return positionOf(row!.lsn);
  } catch (error) {
    if (!isRefused(error)) throw error;
    const [row] = await queries.run<{ lsn: string }>(
      'Reading the head of the source',
      'SELECT pg_catalog.pg_current_wal_insert_lsn()::text AS lsn',
    );
    return beforePageHeader(positionOf(row!.lsn));
  }
}

/** Insufficient privilege, or no such function. */
function isRefused(error: unknown): boolean {
  const state = sqlState((error as Error).cause);
  return state === '42501' || state === '42883';
}
