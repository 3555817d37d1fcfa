/** One RSocket connection of a client (S-593…S-602), as the WebSocket around it sees it. */
import type { VerifiedToken } from '#core/platform/auth/token-verifier.ts';
import type { Clock } from '#core/platform/clock.ts';
import type { SocketWriter } from '../connection/socket-writer.ts';
import type { SyncRequestBody } from '../http/sync-request.ts';
import type { PayloadSink } from './payload-sink.ts';

export interface ConnectionOptions {
  readonly writer: SocketWriter;
  readonly clock: Clock;
  readonly compresses: boolean;
  /** Largest request, also one in several frames. */
  readonly maxRequestBytes: number;
  /** Checks that there is room, then the token. */
  readonly authenticate: (authorization: string | undefined) => Promise<VerifiedToken>;
  /** Starts the session of a request; throws when it is refused. */
  readonly start: (request: StreamRequest, sink: PayloadSink) => { drained(): void; closed(): void };
  /** A request or connection was refused, or the client broke the protocol. */
  readonly onRefused: (error: unknown) => void;
  /** Nothing more is sent: close in order once everything is written, or cut at once. */
  readonly close: (how: 'in order' | 'now') => void;
}

export interface StreamRequest {
  readonly token: VerifiedToken;
  readonly userAgent: string | undefined;
  readonly body: SyncRequestBody;
}

export interface Connection {
  /** One WebSocket message; text is none of the protocol. */
  receive(message: Buffer, isBinary: boolean): void;
  /** The writer has got rid of something. */
  progress(): void;
  /** It had no stream for too long: ends it, with an error when it is not the client who was waited for. */
  giveUp(): void;
  /** The connection is gone, or nothing must be sent on it any more. */
  closed(): void;
  /** Longest silence of the client before it is given up (lifetime of SETUP), milliseconds. */
  lifetimeMs(): number;
  /** Nothing is going on: no SETUP yet, or no stream. */
  isIdle(): boolean;
}
