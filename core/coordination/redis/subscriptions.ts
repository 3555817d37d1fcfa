import type { Timer } from '#core/platform/clock.ts';
import type { CoordinationEnvironment } from '../environment.ts';
import type { Connection } from './connection.ts';

export interface Subscriptions {
  /**
   * Listens to a channel until the returned function is called; one listener a channel.
   *
   * `established` is called each time the server confirms the subscription: what was published before, and since the
   * connection broke, was not heard.
   */
  listen(channel: string, message: (body: Buffer) => void, established: () => void): () => void;
  close(): void;
}

/** A silent connection is asked for a sign of life this often; with the silence limit of the connection, a dead one is noticed. */
const HEARTBEAT_MS = 5000;

interface Listener {
  readonly message: (body: Buffer) => void;
  readonly established: () => void;
}

/** Channels over the one connection that is in subscriber mode. */
export function createSubscriptions(connection: Connection, environment: CoordinationEnvironment): Subscriptions {
  const { clock, log } = environment;
  const { client } = connection;
  const listeners = new Map<string, Listener>();

  async function subscribe(channels: readonly string[]): Promise<void> {
    if (channels.length === 0 || !connection.isReady()) return;
    // The listener of this moment: one that joins while the server answers is subscribed by its own call.
    const asked = channels.map((channel) => [channel, listeners.get(channel)] as const);
    try {
      await client.subscribe(...channels);
    } catch (error) {
      // A broken connection subscribes again when it is back. Anything else is a refusal: then polling has to do.
      if (connection.isReady()) {
        log.warn(
          { error_code: 'PSYNC_S2502', channels, reason: (error as Error).message },
          'Redis refused a subscription',
        );
      }
      return;
    }
    for (const [channel, listener] of asked) {
      if (listener !== undefined && listeners.get(channel) === listener) listener.established();
    }
  }

  client.on('messageBuffer', (channel: Buffer, body: Buffer) => {
    listeners.get(channel.toString())?.message(body);
  });
  const forgetReady = connection.onReady(() => void subscribe([...listeners.keys()]));

  let heartbeat: Timer;
  const beat = (): void => {
    heartbeat = clock.setTimer(HEARTBEAT_MS, beat);
    // Its failure is the connection's to handle.
    if (connection.isReady() && listeners.size > 0) client.ping().catch(() => {});
  };
  heartbeat = clock.setTimer(HEARTBEAT_MS, beat);

  return {
    listen: (channel, message, established) => {
      const listener = { message, established };
      listeners.set(channel, listener);
      void subscribe([channel]);
      return () => {
        if (listeners.get(channel) !== listener) return;
        listeners.delete(channel);
        if (connection.isReady()) client.unsubscribe(channel).catch(() => {});
      };
    },
    close: () => {
      heartbeat.cancel();
      forgetReady();
      listeners.clear();
    },
  };
}
