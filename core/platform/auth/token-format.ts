import { codedError, type CodedError } from '../errors/coded-error.ts';
import { MAX_TOKEN_BYTES } from '../limits.ts';

/** The parts of a JWT that are read before its signature is checked; nothing here may be trusted yet. */
export interface UnverifiedToken {
  /** Compact form. */
  readonly text: string;
  readonly algorithm: string;
  readonly kid: string | undefined;
  /** It needs extensions (`crit`), none of which are supported. */
  readonly needsExtensions: boolean;
  readonly claims: Claims;
}

/** A refused token (`PSYNC_S2101`); says why, and never shows the token. */
export function refused(message: string): CodedError {
  return codedError('PSYNC_S2101', message);
}

/**
 * Takes the token out of `Token …` or `Bearer …` (O-83); the word may be in any case.
 *
 * Throws `PSYNC_S2106` when there is none.
 */
export function tokenOf(authorization: string | undefined): string {
  const match = /^(?:token|bearer) +([^ ]+) *$/i.exec(authorization ?? '');
  if (match === null) {
    throw codedError('PSYNC_S2106', 'A token is required: send the header "Authorization: Token <JWT>"');
  }
  return match[1]!;
}

/**
 * Reads header and payload of a JWT in compact form.
 *
 * Throws `PSYNC_S2101` when it is none.
 */
export function readToken(text: string): UnverifiedToken {
  if (text.length > MAX_TOKEN_BYTES) throw refused(`The token is longer than ${MAX_TOKEN_BYTES} bytes`);
  const parts = text.split('.');
  if (parts.length !== 3 || !parts.every((part) => /^[\w-]*$/.test(part))) throw malformed();
  const header = readJson(parts[0]!);
  if (header === null) throw malformed();
  const { alg, kid, crit } = header.value;
  if (typeof alg !== 'string' || (kid !== undefined && typeof kid !== 'string')) throw malformed();
  const claims = readJson(parts[1]!);
  if (claims === null) throw refused('The payload of the token is not a JSON object');
  return { text, algorithm: alg, kid, needsExtensions: crit !== undefined, claims };
}

/** Why the header alone is enough to refuse a token (`PSYNC_S2101`): not signed (O-94), or more than a signature. Null: it is not. */
export function headerRefusal({ algorithm, needsExtensions }: UnverifiedToken): CodedError | null {
  if (algorithm.toLowerCase() === 'none') return refused('Tokens must be signed: alg "none" is not accepted');
  return needsExtensions ? refused('The token needs extensions (crit) that are not supported') : null;
}

function malformed(): CodedError {
  return refused('The token is not a JWT: three parts in base64url, separated by dots, are expected');
}

export interface Claims {
  /** Whole numbers that a JS number cannot hold exactly are bigints. */
  readonly value: Readonly<Record<string, unknown>>;
  /** The JSON text as signed. */
  readonly text: string;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function readJson(part: string): Claims | null {
  try {
    const text = utf8.decode(Buffer.from(part, 'base64url'));
    // Only long runs of digits can lose precision; parsing with their source text is slower.
    const value: unknown = /\d{16}/.test(text) ? JSON.parse(text, exactIntegers) : JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? { value: value as Record<string, unknown>, text } : null;
  } catch {
    return null;
  }
}

function exactIntegers(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? '';
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}
