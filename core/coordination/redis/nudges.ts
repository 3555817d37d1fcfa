import type { NudgeTopic } from '../contract.ts';
import type { LocalBus } from '../local-bus.ts';
import type { Connection } from './connection.ts';
import { isOwn } from './publisher.ts';
import type { Subscriptions } from './subscriptions.ts';

export interface Nudges {
  nudge(topic: NudgeTopic): void;
  onNudge(topic: NudgeTopic, listener: () => void): () => void;
  close(): void;
}

/** Of one topic: nothing to do, a message on the way, or one on the way and another to send after it. */
type Sending = 'idle' | 'sending' | 'sending-and-again';

/**
 * Nudges between processes. The first of a burst goes at once; those that come while it is on the way become one more. A nudge
 * that could not be sent is sent when Redis is back, so the most that is kept is one bit a topic.
 */
export function createNudges(connections: {
  commands: Connection;
  subscriptions: Subscriptions;
  local: LocalBus;
  channelOf: (topic: NudgeTopic) => string;
  sender: string;
}): Nudges {
  const { commands, subscriptions, local, channelOf, sender } = connections;
  const sending = new Map<NudgeTopic, Sending>();
  const unsent = new Set<NudgeTopic>();
  const unsubscribe = new Map<NudgeTopic, () => void>();

  function send(topic: NudgeTopic): void {
    if ((sending.get(topic) ?? 'idle') !== 'idle') return void sending.set(topic, 'sending-and-again');
    if (!commands.isReady()) return void unsent.add(topic);
    unsent.delete(topic);
    sending.set(topic, 'sending');
    commands.client.publish(channelOf(topic), sender).then(
      () => {
        const again = sending.get(topic) === 'sending-and-again';
        sending.set(topic, 'idle');
        if (again) send(topic);
      },
      () => {
        sending.set(topic, 'idle');
        // Sent again when the connection is back; if it never broke (a refusal), with the next nudge.
        unsent.add(topic);
      },
    );
  }

  const forget = commands.onReady(() => {
    for (const topic of [...unsent]) send(topic);
  });

  return {
    nudge: (topic) => {
      send(topic);
      local.nudge(topic);
    },
    onNudge: (topic, listener) => {
      const leave = local.onNudge(topic, listener);
      if (!unsubscribe.has(topic)) {
        const receive = (message: Buffer): void => {
          if (!isOwn(message, sender)) local.nudge(topic);
        };
        // Established (again): a nudge may have been missed, and one too many does no harm.
        unsubscribe.set(
          topic,
          subscriptions.listen(channelOf(topic), receive, () => local.nudge(topic)),
        );
      }
      return () => {
        leave();
        if (local.nudgeListeners(topic) > 0) return;
        unsubscribe.get(topic)?.();
        unsubscribe.delete(topic);
      };
    },
    close: forget,
  };
}
