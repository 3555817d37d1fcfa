/** What the client of a session that is over gets to hear (S-607). */
import { revoked } from '#core/platform/auth/revocations.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { EncodedLine } from '#core/protocol/lines.ts';
import type { CloseReason, LineSink } from './contract.ts';

export interface Farewell {
  readonly reason: CloseReason;
  readonly error: unknown;
  /** Lines were sent. */
  readonly started: boolean;
  /** A line by which the client knows that its token is of no use any more. */
  expired(): EncodedLine;
}

/**
 * Ends the connection's part of a session. Before the first line an error is an answer; later the stream just ends, and the client
 * comes back. Of a revoked token nothing is left to wait for: who does not read is cut.
 */
export function sayFarewell(sink: LineSink, { reason, error, started, expired }: Farewell): void {
  if (reason === 'client does not read') return sink.abort();
  if (reason === 'token revoked' && started) {
    if (!sink.writable()) return sink.abort();
    sink.send([expired()]);
    return sink.fail(revoked());
  }
  const failure = error ?? refusalFor(reason);
  if (!started && failure !== undefined) sink.fail(failure);
  else sink.end();
}

/** Of a session that ends before it has begun. */
function refusalFor(reason: CloseReason): Error | undefined {
  if (reason === 'token revoked') return revoked();
  if (reason === 'shutting down') return codedError('PSYNC_S2003', 'The service is restarting: connect again');
  return undefined;
}
