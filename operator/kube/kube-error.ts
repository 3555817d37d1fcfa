/**
 * Why the API server refused, in its own words (`reason` of a Status object), or that it could not be asked. Conflicts are part of normal life:
 * whoever gets one looks again.
 */
export type KubeFailure =
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Forbidden'
  | 'Unauthorized'
  | 'Invalid'
  /** 410: the asked resource version is too old (`Expired`, `Gone`). */
  | 'Expired'
  /** 429, or 503 with a time to wait. */
  | 'TooManyRequests'
  /** No whole answer came in time. Whether the request was carried out is not known. */
  | 'Unreachable'
  | 'Other';

export class KubeError extends Error {
  readonly failure: KubeFailure;
  /** HTTP status; 0 without an answer. */
  readonly status: number;
  /** As the server asks for; absent when it says nothing. */
  readonly retryAfterMs: number | undefined;

  constructor(
    failure: KubeFailure,
    message: string,
    options: { readonly status?: number; readonly retryAfterMs?: number | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KubeError';
    this.failure = failure;
    this.status = options.status ?? 0;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** True for errors of the API server; with `failure`, only for that one. */
export function isKubeError(error: unknown, failure?: KubeFailure): error is KubeError {
  return error instanceof KubeError && (failure === undefined || error.failure === failure);
}

const BY_REASON: Readonly<Record<string, KubeFailure>> = {
  NotFound: 'NotFound',
  AlreadyExists: 'AlreadyExists',
  Conflict: 'Conflict',
  Forbidden: 'Forbidden',
  Unauthorized: 'Unauthorized',
  Invalid: 'Invalid',
  BadRequest: 'Invalid',
  Expired: 'Expired',
  Gone: 'Expired',
  TooManyRequests: 'TooManyRequests',
};

const BY_STATUS: Readonly<Record<number, KubeFailure>> = {
  400: 'Invalid',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
};

const LONGEST_MESSAGE = 1000;

/**
 * The error of an answer with a failing status, or of an ERROR event in a watch.
 *
 * @param body the Status object, parsed; anything else is a proxy's and is not repeated
 * @param retryAfter the header, in seconds
 */
export function kubeErrorOf(status: number, body: unknown, what: string, retryAfter?: string): KubeError {
  const said = (body !== null && typeof body === 'object' ? body : {}) as {
    kind?: unknown;
    reason?: unknown;
    message?: unknown;
    details?: { retryAfterSeconds?: unknown };
  };
  const isStatus = said.kind === 'Status';
  const seconds = Number(retryAfter ?? (isStatus ? said.details?.retryAfterSeconds : undefined));
  const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
  const byReason = isStatus ? BY_REASON[String(said.reason)] : undefined;
  const overloaded = (status === 503 || status === 500) && retryAfterMs !== undefined;
  const failure = overloaded ? 'TooManyRequests' : (byReason ?? BY_STATUS[status] ?? 'Other');
  const message = isStatus && typeof said.message === 'string' ? said.message.slice(0, LONGEST_MESSAGE) : '';
  return new KubeError(failure, `${what}: ${status}${message === '' ? '' : ` ${message}`}`, { status, retryAfterMs });
}
