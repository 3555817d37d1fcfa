import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { LoggingConfig } from './config/service-config.ts';
import { isCodedError } from './errors/coded-error.ts';
import type { Log } from './log.ts';

/** A logger with fields of its own; `child` adds more, for example source and stream. */
export interface Logger extends Log {
  fatal(fields: object, message: string): void;
  child(fields: object): Logger;
}

export interface LoggerOptions extends LoggingConfig {
  /** Fields of every line, for example the role of the process. */
  readonly fields?: object;
  /** Default: standard output (O-189). Written synchronously, so that the last line before an end is not lost. */
  readonly destination?: DestinationStream;
}

/** Documented levels (O-27) and the ones they become; `verbose` and `http` have no counterpart. */
const LEVELS = {
  silly: 'trace',
  debug: 'debug',
  verbose: 'debug',
  http: 'info',
  info: 'info',
  warn: 'warn',
  error: 'error',
} as const satisfies Record<LoggingConfig['level'], string>;

/** Fields whose values are never shown, at the top and one level below (O-195). */
const SECRET_FIELDS = [
  ...['authorization', 'cookie', 'password', 'secret', 'token', 'tokens', 'jwt', 'deploy_key', 'deployKey', 'apiKey'],
  ...['clientSecret', 'client_secret', 'clientPrivateKey', 'client_private_key', 'secretAccessKey', 'api_key'],
];

/**
 * A logger that writes text or JSON lines (O-28, O-189). JSON lines have `level`, `timestamp` (ISO 8601), `message`, all
 * fields as properties (O-199), and `error_code` when an error with a code is among them (O-198).
 *
 * Errors go into the field `error` (or `err`); secrets in them are masked, see `describeError`.
 */
export function createLogger(options: LoggerOptions): Logger {
  const output = options.destination ?? pino.destination({ fd: 1, sync: true });
  const colorize = options.destination === undefined && process.stdout.isTTY;
  const destination = options.format === 'json' ? output : asText(output, colorize);
  const logger: PinoLogger = pino(
    {
      level: LEVELS[options.level],
      base: options.fields ?? {},
      messageKey: 'message',
      errorKey: 'error',
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: '***' },
      formatters: { level: (level) => ({ level }), log: describeErrors },
      // pino's own would take over what `describeError` leaves out.
      serializers: { error: asItIs, err: asItIs },
    },
    destination,
  );
  return logger;
}

/** Line by line and synchronously; the stream that pino-pretty offers would lose the last lines at an exit. */
function asText(output: DestinationStream, colorize: boolean): DestinationStream {
  const format = prettyFactory({
    colorize,
    messageKey: 'message',
    timestampKey: 'timestamp',
    translateTime: 'UTC:yyyy-mm-dd HH:MM:ss.l',
  });
  return { write: (line) => output.write(format(line)) };
}

function asItIs(value: unknown): unknown {
  return value;
}

function describeErrors(fields: Record<string, unknown>): Record<string, unknown> {
  const error = fields['error'] ?? fields['err'];
  if (!(error instanceof Error)) return fields;
  const { err: _, ...rest } = fields;
  const code = isCodedError(error) ? { error_code: error.code } : {};
  return { ...code, ...rest, error: describeError(error) };
}

export interface DescribedError {
  readonly name: string;
  readonly code?: string;
  readonly message: string;
  readonly details?: unknown;
  readonly stack?: string;
  readonly cause?: DescribedError;
  readonly errors?: readonly DescribedError[];
}

/** A chain of causes longer than this is cut. */
const MAX_DEPTH = 5;

/**
 * What may be logged of an error (O-195). Drivers attach queries, parameters and rows to their errors as properties;
 * none of them is taken over. Credentials in addresses and JWTs are masked in messages, and so are values that
 * Postgres quotes when it refuses them (SQLSTATE classes 22 and 23).
 */
export function describeError(error: unknown, depth = 0): DescribedError {
  if (!(error instanceof Error)) {
    const isText = typeof error === 'string';
    return { name: typeof error, message: isText ? maskSecrets(error) : 'something other than an error was thrown' };
  }
  const code = (error as { code?: unknown }).code;
  const isDataError = typeof code === 'string' && /^2[23][0-9A-Z]{3}$/.test(code);
  const message = maskSecrets(isDataError ? error.message.replaceAll(/"[^"]*"/g, '"…"') : error.message);
  const frames = /\n {4}at [^]*$/.exec(error.stack ?? '')?.[0];
  const cause = error.cause !== undefined && depth < MAX_DEPTH ? describeError(error.cause, depth + 1) : undefined;
  const inner = error instanceof AggregateError && depth < MAX_DEPTH ? (error.errors as unknown[]).slice(0, 10) : null;
  return {
    name: error.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code: String(code) } : {}),
    message,
    ...(isCodedError(error) && error.details !== undefined ? { details: error.details } : {}),
    ...(frames === undefined ? {} : { stack: `${error.name}: ${message}${frames}` }),
    ...(cause === undefined ? {} : { cause }),
    ...(inner === null ? {} : { errors: inner.map((each) => describeError(each, depth + 1)) }),
  };
}

function maskSecrets(text: string): string {
  return text
    .replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, '$1***@')
    .replaceAll(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '<token>');
}
