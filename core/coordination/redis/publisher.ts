import type { Connection } from './connection.ts';

/** Sends the messages of one channel. */
export interface Publisher {
  /** Never waits. Own messages are recognized by `isOwn` on the receiving side. */
  send(body: string): void;
  close(): void;
}

/** What is on the way to a Redis that does not answer. */
export const MAX_UNANSWERED_BYTES = 8 * 1024 * 1024;
const SENDER_LENGTH = 16;

/**
 * Nothing is kept for later: a message that cannot be sent now (no connection, or too much unanswered) or whose sending
 * failed is dropped, and as soon as Redis answers again one empty message tells all listeners that they missed something.
 * They read what it was from storage, so memory is bounded however long Redis is away.
 *
 * @param sender 16 characters, unique to this process
 */
export function createPublisher(connection: Connection, channel: string, sender: string): Publisher {
  let unanswered = 0;
  let missed = false;
  let closed = false;

  function publish(message: string): void {
    unanswered += message.length;
    connection.client.publish(channel, message).then(
      () => {
        unanswered -= message.length;
        if (missed && unanswered === 0) tell();
      },
      () => {
        unanswered -= message.length;
        missed = true;
      },
    );
  }

  function tell(): void {
    if (closed || !missed || !connection.isReady()) return;
    missed = false;
    publish(sender);
  }

  const forget = connection.onReady(tell);
  return {
    send: (body) => {
      if (closed) return;
      if (!connection.isReady() || unanswered + body.length > MAX_UNANSWERED_BYTES) {
        missed = true;
        return;
      }
      tell();
      publish(sender + body);
    },
    close: () => {
      closed = true;
      forget();
    },
  };
}

/** True for a message that `sender` sent. */
export function isOwn(message: Buffer, sender: string): boolean {
  return message.toString('latin1', 0, SENDER_LENGTH) === sender;
}

/** What the sender passed to `send`; empty when messages were missed. */
export function bodyOf(message: Buffer): string {
  return message.toString('utf8', SENDER_LENGTH);
}
