import type { CommitNotice } from '../../bucket-storage/contract.ts';
import type { CoordinationEnvironment } from '../environment.ts';
import type { LocalBus } from '../local-bus.ts';
import { decodeCommit, encodeCommit } from './commit-codec.ts';
import type { Connection } from './connection.ts';
import { bodyOf, createPublisher, isOwn } from './publisher.ts';
import type { Subscriptions } from './subscriptions.ts';

export interface CommitBus {
  publishCommit(notice: CommitNotice): void;
  onCommit(listener: (notice: CommitNotice) => void, reconnected: () => void): () => void;
  close(): void;
}

/**
 * Commit notices between processes. Listeners of the publishing process are told directly and at once; its own messages,
 * coming back from Redis, are ignored. The channel is subscribed while there are listeners.
 */
export function createCommitBus(
  connections: { commands: Connection; subscriptions: Subscriptions; local: LocalBus; channel: string; sender: string },
  { log }: CoordinationEnvironment,
): CommitBus {
  const { commands, subscriptions, local, channel, sender } = connections;
  const publisher = createPublisher(commands, channel, sender);
  let unsubscribe: (() => void) | undefined;
  let complained = false;

  function receive(message: Buffer): void {
    if (isOwn(message, sender)) return;
    const body = bodyOf(message);
    if (body === '') return local.deliverReconnected();
    const notice = decodeCommit(body);
    if (notice !== null) return local.deliverCommit(notice);
    if (!complained)
      log.warn({ error_code: 'PSYNC_S2506', channel }, 'A commit notice cannot be read; storage is polled instead');
    complained = true;
    local.deliverReconnected();
  }

  return {
    publishCommit: (notice) => {
      publisher.send(encodeCommit(notice));
      local.publishCommit(notice);
    },
    onCommit: (listener, reconnected) => {
      const forget = local.onCommit(listener, reconnected);
      unsubscribe ??= subscriptions.listen(channel, receive, local.deliverReconnected);
      return () => {
        forget();
        if (local.commitListeners > 0) return;
        unsubscribe?.();
        unsubscribe = undefined;
      };
    },
    close: publisher.close,
  };
}
