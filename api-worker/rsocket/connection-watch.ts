/** When a WebSocket connection has been open for long enough, and how it ends. */
import type { WebSocket } from 'ws';
import type { Clock } from '#core/platform/clock.ts';
import type { SocketWriter } from '../connection/socket-writer.ts';
import type { TimerWheel } from '../session/timer-wheel.ts';
import type { Connection } from './contract.ts';

export interface ConnectionWatch {
  /** The client has said something. */
  heard(): void;
  /** Something was written. */
  progress(): void;
  /** Lets go of the session and closes the connection: once everything is written, or at once. A second time: at once. */
  close(how: 'in order' | 'now'): void;
  /** Closing has begun, by the client or by `ws`. */
  startClosing(): void;
  /** The connection is gone. */
  stop(): void;
}

export interface ConnectionWatchOptions {
  readonly webSocket: WebSocket;
  readonly writer: Pick<SocketWriter, 'isEmpty'>;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly connection: () => Pick<Connection, 'closed' | 'giveUp' | 'isIdle' | 'lifetimeMs'>;
}

/** A connection without a stream: before SETUP and REQUEST_STREAM, or after the end of its stream. Longer than the check of a token takes. */
const IDLE_MS = 15_000;
/** How often a connection is looked at. */
const CHECK_MS = 5000;
/** The other side has this long to answer a closing handshake; `ws` waits 30 s for it. */
const CLOSE_MS = 5000;
const NORMAL = 1000;

export function createConnectionWatch(options: ConnectionWatchOptions): ConnectionWatch {
  const { webSocket, writer, wheel, clock, connection } = options;
  let heardMs = clock.monotonic();
  let idleSinceMs: number | null = heardMs;
  let closing = false;

  const startClosing = (): void => {
    closing = true;
    connection().closed();
    wheel.schedule(item, clock.now() + CLOSE_MS);
  };
  /** The closing frame must not stand between the pieces of a message. */
  const closeOnceWritten = (): void => {
    if (writer.isEmpty()) webSocket.close(NORMAL);
  };
  const close = (how: 'in order' | 'now'): void => {
    if (how === 'now' || closing) return webSocket.terminate();
    startClosing();
    closeOnceWritten();
  };
  const item = {
    due(now: number): void {
      const { isIdle, lifetimeMs, giveUp } = connection();
      const monotonic = clock.monotonic();
      idleSinceMs = isIdle() ? (idleSinceMs ?? monotonic) : null;
      if (closing || monotonic - heardMs > lifetimeMs()) return webSocket.terminate();
      // the client has begun to close
      if (webSocket.readyState !== webSocket.OPEN) return startClosing();
      if (idleSinceMs !== null && monotonic - idleSinceMs >= IDLE_MS) return giveUp();
      wheel.schedule(item, now + CHECK_MS);
    },
  };
  wheel.schedule(item, clock.now() + CHECK_MS);
  return {
    heard: () => void (heardMs = clock.monotonic()),
    progress() {
      if (closing) closeOnceWritten();
    },
    close,
    startClosing,
    stop: () => wheel.remove(item),
  };
}
