/** The seam between a sync session and the connection it is served on (HTTP here, WebSocket beside it). */
import type { EncodedLine, LineEncoding } from '#core/protocol/lines.ts';
import type { SessionRequest } from '#core/sync-config/contract.ts';

/** What a client asked for (S-524…S-537), checked; and who it is. */
export interface SyncRequest extends SessionRequest {
  /** Key of write checkpoints besides the user (S-529); empty when the client sent none. */
  readonly clientId: string;
  readonly expiresAtMs: number;
  /** For logs only (S-537, S-651: cut, never refused). */
  readonly appMetadata: Readonly<Record<string, string>> | undefined;
  readonly userAgent: string | undefined;
  /** Identifies the session in logs (O-190). */
  readonly requestId: string;
}

/** Where a session's lines go. Calls `drained` and `closed` of its session. */
export interface LineSink {
  readonly encoding: LineEncoding;
  /** Of data lines it sends deflate blocks, and does not need their bytes (deflate/lines.ts). */
  readonly takesDeflated: boolean;
  /** Sends lines in one write. The first call starts the response. */
  send(lines: readonly EncodedLine[]): void;
  /** False while so much waits for the client that no more should be added; `drained` follows. */
  writable(): boolean;
  /** Bytes given to the connection, as they are on the wire. */
  sentBytes(): number;
  /** Since when the client has taken nothing although something waits; null when nothing waits. `clock.monotonic()` time. */
  stalledSince(): number | null;
  /** Answers an error instead of a stream. After the first `send` only RSocket has a way to say it: elsewhere the stream ends. */
  fail(error: unknown): void;
  /** Ends the stream in order. */
  end(): void;
  /** Cuts the connection. */
  abort(): void;
}

/** Why a session ended; goes to the log (S-681). */
export type CloseReason =
  | 'client closed'
  | 'token expired'
  | 'token revoked'
  | 'shutting down'
  | 'client does not read'
  | 'error';

/** Bounds of one session. */
export interface SessionLimits {
  readonly maxBuckets: number;
  readonly maxParameterResults: number;
  /** A client that takes nothing for longer is cut. */
  readonly stallMs: number;
  readonly keepaliveMs: number;
}
