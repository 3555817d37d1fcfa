/** Answers to what a client may ask as often as it likes, and of which only the newest matters. */
import { HIGH_WATER_BYTES, type SocketWriter } from './socket-writer.ts';

export interface LatestAnswer {
  /** Sends it, or, while the client does not take what was sent, keeps it in place of the one before (G9). */
  send(message: { readonly buffers: readonly Buffer[]; readonly bytes: number }): void;
  /** The client has taken something. */
  progress(): void;
}

export function createLatestAnswer(writer: SocketWriter): LatestAnswer {
  let owed: { readonly buffers: readonly Buffer[]; readonly bytes: number } | null = null;
  const progress = (): void => {
    if (owed === null || writer.waitingBytes() >= HIGH_WATER_BYTES) return;
    const { buffers, bytes } = owed;
    owed = null;
    writer.write(buffers, bytes, false);
  };
  return {
    send(message) {
      owed = message;
      progress();
    },
    progress,
  };
}
