/**
 * Errors of MongoDB as coded errors (O-75, O-368…O-371), without what might be data or secrets: messages of the server quote keys and
 * values, so only names and codes are passed on.
 */
import {
  MongoError,
  MongoNetworkError,
  MongoServerError,
  MongoServerSelectionError,
  MongoNetworkTimeoutError,
  MongoWriteConcernError,
} from 'mongodb';
import { codedError, isCodedError } from '../../platform/errors/coded-error.ts';

/**
 * connection: lost, refused, or no primary. timeout: the server gave up. conflict: another transaction was in the way, try again.
 * query: refused. own: not of MongoDB.
 */
export type FailureKind = 'connection' | 'timeout' | 'conflict' | 'query' | 'own';

const MAX_TIME_EXPIRED = 50;
const AUTHENTICATION = new Set([11, 18, 8000]);
/** Not primary, shutting down, stepped down, host unreachable, network timeout and the like. */
const STATE_CHANGES = new Set([6, 7, 89, 91, 189, 262, 9001, 10058, 10107, 11600, 11602, 13388, 13435, 13436]);
/** WriteConflict, LockTimeout, NoSuchTransaction, TransactionTooOld, Interrupted by killSessions. */
const CONFLICTS = new Set([24, 112, 225, 251, 237, 11601]);

export const isDuplicateKey = (error: unknown): boolean => error instanceof MongoServerError && error.code === 11000;
export const isTimeLimit = (error: unknown): boolean =>
  error instanceof MongoServerError && error.code === MAX_TIME_EXPIRED;

/** The outcome of a commit that failed like this is unknown. */
export function isUnknownOutcome(error: unknown): boolean {
  return error instanceof MongoError && error.hasErrorLabel('UnknownTransactionCommitResult');
}

/** A write of one document that failed like this may have been made, or may not last. */
export function isUnknownWrite(error: unknown): boolean {
  const kind = failureKind(error);
  return kind === 'connection' || kind === 'timeout' || error instanceof MongoWriteConcernError;
}

/** What went wrong, as far as the caller's next step depends on it. */
export function failureKind(error: unknown): FailureKind {
  if (isCodedError(error) || !(error instanceof MongoError)) return 'own';
  if (error instanceof MongoNetworkError || error instanceof MongoServerSelectionError) return 'connection';
  const code = typeof error.code === 'number' ? error.code : 0;
  if (error instanceof MongoNetworkTimeoutError || code === MAX_TIME_EXPIRED) return 'timeout';
  if (AUTHENTICATION.has(code) || STATE_CHANGES.has(code)) return 'connection';
  if (CONFLICTS.has(code) || error.hasErrorLabel('TransientTransactionError')) return 'conflict';
  // Pools that were cleared, topologies that were closed: the driver's own words for a connection that is gone.
  if (!(error instanceof MongoServerError) && /PoolCleared|TopologyClosed|NotConnected|ClientClosed/.test(error.name))
    return 'connection';
  return 'query';
}

/** The error to throw for `error`; what is not of MongoDB passes. The cause is a copy without text of the server, safe to log (O-195). */
export function storageError(error: unknown): Error {
  const kind = failureKind(error);
  if (kind === 'own') return error as Error;
  const described = describe(error as MongoError);
  const cause = new Error(described);
  switch (kind) {
    case 'connection':
      return codedError(
        'PSYNC_S2402',
        `Cannot reach bucket storage: ${described}. Check that MongoDB runs, has a primary, and accepts the configured login.`,
        {
          cause,
        },
      );
    case 'timeout':
      return codedError('PSYNC_S2403', `Bucket storage did not answer in time: ${described}. Check its load.`, {
        cause,
      });
    case 'conflict':
      return codedError(
        'PSYNC_S1402',
        `A storage transaction was retried too often: ${described}. Check the load of bucket storage.`,
        { cause },
      );
    case 'query':
      return codedError('PSYNC_S2404', `Bucket storage refused a query: ${described}. ${advice(error as MongoError)}`, {
        cause,
      });
  }
}

function describe(error: MongoError): string {
  if (error instanceof MongoServerError) return `${error.codeName ?? 'error'} (${error.code ?? 'no code'})`;
  // Addresses of servers, but nothing of the query.
  if (error instanceof MongoServerSelectionError) return error.reason?.error?.name ?? 'no primary found';
  return error.name;
}

function advice(error: MongoError): string {
  if (error.code === 13) return 'The user needs the roles readWrite and dbAdmin on the storage database.';
  if (error.code === 11000) return 'A key exists twice: this is a bug, or two instances share one database.';
  if (error.code === 14031) return 'The disk is full.';
  return 'See the log of MongoDB.';
}

/** Runs a driver call; what it throws is coded. */
export async function coded<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw storageError(error);
  }
}
