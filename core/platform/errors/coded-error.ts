import { errorDefinition, type ErrorCode } from './registry.ts';

/** More about an error, for logs and for clients where the code allows it. Never secrets, tokens or row data (O-195). */
export type ErrorDetails = string | readonly string[] | Readonly<Record<string, unknown>>;

export interface CodedErrorOptions {
  readonly details?: ErrorDetails | undefined;
  /** The underlying error; for logs only, never sent. */
  readonly cause?: unknown;
  /** HTTP status, when it is not the one of the registry (for example 400 for an invalid request, S2001). */
  readonly status?: number | undefined;
}

/** An error with a `PSYNC_…` code; its message reads `[PSYNC_S2305] …` (S-678, O-189). Create with `codedError`. */
export class CodedError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  /** The message without the code, as it appears in answers. */
  readonly description: string;
  readonly details: ErrorDetails | undefined;

  constructor(code: ErrorCode, message: string, options: CodedErrorOptions = {}) {
    super(`[${code}] ${message}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CodedError';
    this.code = code;
    this.status = options.status ?? errorDefinition(code).status;
    this.description = message;
    this.details = options.details;
  }
}

/**
 * An error that is ready to throw.
 *
 * @param message says what happened and what to do, without the code and without secrets
 */
export function codedError(code: ErrorCode, message: string, options: CodedErrorOptions = {}): CodedError {
  return new CodedError(code, message, options);
}

/** True for errors of this module; with `code`, only for that one. */
export function isCodedError(error: unknown, code?: ErrorCode): error is CodedError {
  return error instanceof CodedError && (code === undefined || error.code === code);
}

/** What an error answer holds, in the shape the existing service uses (wire/09-http.txt; O-379). */
export interface ErrorBody {
  readonly error: {
    readonly status: number;
    readonly code: ErrorCode;
    readonly description: string;
    readonly details?: string;
    readonly name: string;
  };
}

export interface ErrorBodyOptions {
  /** `operator` for authenticated admin routes: messages of every code are shown. Default `client`. */
  readonly audience?: 'client' | 'operator';
}

/**
 * The body of an error answer. Codes that are not meant for clients show the summary of the registry instead of their
 * message; errors without a code become `PSYNC_S2001` and reveal nothing (O-123, S-603, S-606).
 */
export function errorBody(error: unknown, options: ErrorBodyOptions = {}): ErrorBody {
  if (!isCodedError(error)) {
    const { status, summary } = errorDefinition('PSYNC_S2001');
    return { error: { status, code: 'PSYNC_S2001', description: summary, name: 'InternalServerError' } };
  }
  const definition = errorDefinition(error.code);
  const visible = definition.audience === 'client' || options.audience === 'operator';
  const details = visible ? renderDetails(error.details) : undefined;
  return {
    error: {
      status: error.status,
      code: error.code,
      description: visible ? error.description : definition.summary,
      ...(details === undefined ? {} : { details }),
      name: errorName(error),
    },
  };
}

/** Tools read `details` as a string; lists and objects travel as JSON text inside it (wire/09-http.txt). */
function renderDetails(details: ErrorDetails | undefined): string | undefined {
  if (details === undefined || typeof details === 'string') return details;
  return JSON.stringify(details, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

function errorName(error: CodedError): string {
  if (error.code.startsWith('PSYNC_S21')) return 'AuthorizationError';
  if (error.code === 'PSYNC_S2002') return 'RouteNotFound';
  if (error.code === 'PSYNC_S2001') return error.status < 500 ? 'ValidationError' : 'InternalServerError';
  return 'ServiceError';
}
