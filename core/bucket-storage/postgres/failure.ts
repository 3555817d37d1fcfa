/**
 * Errors of Postgres as coded errors (O-75, O-369…O-371), without what might be data: messages of data errors and `detail` quote values.
 */
import { codedError, isCodedError } from '../../platform/errors/coded-error.ts';

/** What a driver error tells beyond its message; all optional. */
interface DriverError {
  readonly code?: string;
  readonly message?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly constraint?: string;
  readonly routine?: string;
}

/**
 * `connection`: lost or refused, the outcome of what was sent is unknown. `conflict`: rolled back, may be tried again at once.
 * `own`: not of Postgres or its driver.
 */
export type FailureKind = 'connection' | 'timeout' | 'lock-timeout' | 'conflict' | 'query' | 'own';

/** SQLSTATE classes whose messages name objects, settings and limits, but never values of rows. */
const TELLING_CLASSES = new Set(['08', '0A', '28', '3D', '3F', '42', '53', '54', '55', '57', '58']);
const CONFLICTS = new Set(['40001', '40P01']);
/** 25006: the server became a standby; 57P0x: shut down, crashed, starting; 53300: no connection left. */
const CONNECTION_STATES = new Set(['25006', '57P01', '57P02', '57P03', '57P04', '57P05', '53300', '25P03']);
/** Names of system errors (`EPIPE`) begin with E, SQLSTATEs never do. */
const SQLSTATE = /^(?!E)[0-9A-Z]{5}$/;
const DRIVER_TIMEOUTS = new Set(['Query read timeout', 'timeout exceeded when trying to connect']);

/** What went wrong, as far as the caller's next step depends on it. */
export function failureKind(error: unknown): FailureKind {
  if (isCodedError(error) || isProgrammingError(error)) return 'own';
  const { code, message = '' } = (error ?? {}) as DriverError;
  if (DRIVER_TIMEOUTS.has(message)) return message.startsWith('Query') ? 'connection' : 'timeout';
  if (code === undefined || !SQLSTATE.test(code)) return 'connection';
  if (CONFLICTS.has(code)) return 'conflict';
  if (code === '57014') return 'timeout';
  if (code === '55P03') return 'lock-timeout';
  const connection =
    code.startsWith('08') || code.startsWith('28') || code.startsWith('3D') || CONNECTION_STATES.has(code);
  return connection ? 'connection' : 'query';
}

/** The driver throws plain errors, or its own with a code. */
function isProgrammingError(error: unknown): boolean {
  if (!(error instanceof Error)) return true;
  return (
    (error as DriverError).code === undefined &&
    Object.getPrototypeOf(error) !== Error.prototype &&
    !(error instanceof AggregateError)
  );
}

/** The error to throw for `error`; what is not of Postgres passes. The cause is a copy without details, safe to log (O-195). */
export function storageError(error: unknown): Error {
  const described = describe(error);
  const cause = new Error(described);
  switch (failureKind(error)) {
    case 'own':
      return error as Error;
    case 'connection':
      return codedError(
        'PSYNC_S2402',
        `Cannot reach bucket storage: ${described}. Check that it runs and the configured address and login.`,
        {
          cause,
        },
      );
    case 'timeout':
    case 'lock-timeout':
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
      return codedError('PSYNC_S2404', `Bucket storage refused a query: ${described}. ${advice(error)}`, { cause });
  }
}

function describe(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return describe(error.errors[0]);
  const { code, message = '', schema, table, constraint, routine } = (error ?? {}) as DriverError;
  if (code === undefined) return message === '' ? 'unknown error' : message;
  if (!SQLSTATE.test(code)) return code;
  const place = [schema, table, constraint].filter((part) => part !== undefined).join('.');
  const text = TELLING_CLASSES.has(code.slice(0, 2)) ? message : `error in ${routine ?? 'the server'}`;
  return `SQLSTATE ${code} ${text}${place === '' ? '' : ` (${place})`}`;
}

function advice(error: unknown): string {
  const code = (error as DriverError | null)?.code ?? '';
  if (code === '42501') {
    return 'Grant the user CREATE on the database, or create the schema "powersync" and make the user its owner.';
  }
  if (code === '53100') return 'The disk of bucket storage is full: make room.';
  return 'See the log of the database.';
}
