import { CodedError, codedError } from '#core/platform/errors/coded-error.ts';
import { explainConnectionError } from '#core/platform/config/postgres-connect.ts';
import type { ErrorCode } from '#core/platform/errors/registry.ts';

/** The query that shows which slots could be dropped (R-84, R-104). */
export const slotsQuery =
  'SELECT slot_name, active, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) AS retained FROM pg_replication_slots; ' +
  "then SELECT pg_drop_replication_slot('…') for those that are inactive and no longer needed";

/** What `pg` and sockets throw, as far as we look at it. */
interface DriverError {
  readonly code?: unknown;
  readonly message?: unknown;
  /** Given by the server only. */
  readonly severity?: unknown;
}

const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
]);

/** SQLSTATE of an error of the server, or null. */
export function sqlState(error: unknown): string | null {
  const { code, severity } = (error ?? {}) as DriverError;
  return typeof code === 'string' && typeof severity === 'string' ? code : null;
}

/**
 * Any error of the driver as a coded one: what failed, the reason, what to do. `detail` and `where` of the server may hold row data
 * and are left out (O-195); so is everything the connection was configured with.
 *
 * @param doing for the message: 'Opening the connection', 'The copy of "public"."lists"'
 */
export function sourceError(failure: unknown, doing: string): CodedError {
  const error = explainConnectionError(failure);
  if (error instanceof CodedError) return error;
  const reason = reasonOf(error);
  const state = sqlState(error);
  const make = (code: ErrorCode, advice: string): CodedError =>
    codedError(code, `${doing} failed: ${reason}.${advice === '' ? '' : ` ${advice}`}`, { cause: error });

  if (state === null) {
    if (isTimeout(error)) return make('PSYNC_S1121', 'Check the load of the source and the network between.');
    if (isNetworkProblem(error))
      return make('PSYNC_S1170', 'It is tried again; check host, port and network if it lasts.');
    return make('PSYNC_S1120', '');
  }
  if (state === '28P01' || state === '28000' || state === '3D000') {
    return make(
      'PSYNC_S1171',
      'Check username, password and database of the connection, and pg_hba.conf of the server.',
    );
  }
  if (state === '42501' && /wal ?sender|replication/i.test(reason)) return make('PSYNC_S1172', replicationRoleAdvice);
  if (state === '53400' && /slots/i.test(reason)) {
    return make('PSYNC_S1174', `Raise max_replication_slots, or drop slots that are not needed: ${slotsQuery}.`);
  }
  if (state === '53300')
    return make('PSYNC_S1174', 'Raise max_connections or max_wal_senders, or end other connections.');
  if (state === '55006' && /slot/i.test(reason))
    return make('PSYNC_S1177', 'Normal while another replicator hands over.');
  // Ended by an administrator, or the server is starting, stopping or recovering.
  if (state.startsWith('57P') || state.startsWith('08')) return make('PSYNC_S1170', 'It is tried again.');
  return make('PSYNC_S1120', '');
}

export const replicationRoleAdvice =
  'Run ALTER ROLE … REPLICATION (on AWS RDS: GRANT rds_replication TO …), and allow replication connections with the provider.';

/** The message of the server or the socket, on one line, with the SQLSTATE. */
function reasonOf(error: unknown): string {
  const { message, code } = (error ?? {}) as DriverError;
  let text = typeof message === 'string' ? message : String(error);
  if (error instanceof AggregateError && text === '') {
    text = error.errors.map((each: unknown) => reasonOf(each)).join('; ');
  }
  const suffix = typeof code === 'string' && !text.includes(code) ? ` (${code})` : '';
  return `${text.replace(/\s+/g, ' ').trim().slice(0, 500)}${suffix}`;
}

function isTimeout(error: unknown): boolean {
  const { code, message } = (error ?? {}) as DriverError;
  return (
    code === 'ETIMEDOUT' ||
    code === 'ESOCKETTIMEDOUT' ||
    (typeof message === 'string' && /read timeout|timeout expired|timed out/i.test(message))
  );
}

function isNetworkProblem(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isNetworkProblem);
  const { code, message } = (error ?? {}) as DriverError;
  if (typeof code === 'string' && networkCodes.has(code)) return true;
  return (
    typeof message === 'string' &&
    /connection (terminated|closed)|socket hang up|connection ended|SSL connection/i.test(message)
  );
}
