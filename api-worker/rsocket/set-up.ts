/** What a SETUP frame says (S-594, S-596). */
import { codedError } from '#core/platform/errors/coded-error.ts';
import { RSOCKET_ERROR, type ClientFrame } from './frames.ts';
import { documentReader, type ReadDocument } from './payload-codec.ts';

export interface Setup {
  /** Longest silence of the client, milliseconds, within our bounds. */
  readonly lifetimeMs: number;
  readonly readData: ReadDocument;
  readonly readMetadata: ReadDocument;
  /** Undefined when there is none, or none that could be one. */
  readonly token: string | undefined;
  readonly userAgent: string | undefined;
}

/** Why a SETUP is refused: a code of the protocol, and the error to tell. */
export interface RefusedSetup {
  readonly code: number;
  readonly error: unknown;
}

/** Longest silence before somebody is given up of whom nothing is known. */
export const MAX_LIFETIME_MS = 300_000;
const MIN_LIFETIME_MS = 5000;
const MAX_TOKEN_LENGTH = 16 * 1024;
/** Sent by somebody who is not known yet (G9). */
const MAX_SETUP_BYTES = 32 * 1024;

export function readSetup(frame: ClientFrame & { type: 'setup' }): Setup | RefusedSetup {
  const { invalidSetup, unsupportedSetup } = RSOCKET_ERROR;
  if ((frame.metadata?.length ?? 0) > MAX_SETUP_BYTES) return refusedSetup(invalidSetup, 'SETUP is too large');
  if (frame.majorVersion !== 1) return refusedSetup(unsupportedSetup, 'Only RSocket 1 is supported');
  if (frame.resumes || frame.leases) return refusedSetup(unsupportedSetup, 'Resuming and leases are not supported');
  const [readMetadata, readData] = [frame.metadataMime, frame.dataMime].map(documentReader);
  if (!readMetadata || !readData)
    return refusedSetup(unsupportedSetup, 'Announce application/json or application/bson as MIME types');
  let identity: Record<string, unknown>;
  try {
    identity = frame.metadata === null ? {} : readMetadata(frame.metadata);
  } catch (error) {
    return { code: invalidSetup, error };
  }
  const { token, user_agent: userAgent } = identity;
  return {
    lifetimeMs: Math.min(Math.max(frame.lifetimeMs, MIN_LIFETIME_MS), MAX_LIFETIME_MS),
    ...{ readData, readMetadata },
    token: typeof token === 'string' && token.length <= MAX_TOKEN_LENGTH ? token : undefined,
    userAgent: typeof userAgent === 'string' ? userAgent : undefined,
  };
}

export function refusedSetup(code: number, message: string): RefusedSetup {
  return { code, error: codedError('PSYNC_S2001', message, { status: 400 }) };
}
