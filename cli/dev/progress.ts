/** How far replication is, for somebody who waits in front of a terminal or the demo page. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceReport } from '#replicator/report.ts';

export interface Progress {
  readonly ready: boolean;
  readonly message: string;
}

const LOOK_MS = 100;

export function progressOf(reports: readonly SourceReport[]): Progress {
  const streams = reports.flatMap((report) => report.streams);
  if (streams.some((stream) => stream.state === 'streaming')) return { ready: true, message: 'Ready' };
  const copying = streams.find((stream) => stream.state === 'copying');
  if (copying) {
    const total = Math.max(copying.rowsEstimated, copying.rowsCopied);
    return { ready: false, message: `Copying tables: ${copying.rowsCopied} of about ${total} rows` };
  }
  const error = reports.find((report) => report.error)?.error;
  return { ready: false, message: error ? `Waiting: ${error.message}` : 'Preparing replication …' };
}

/** Tells every change of the message until it is ready (true) or the signal aborts (false). */
export async function followProgress(
  progress: () => Progress,
  tell: (message: string) => void,
  signal: AbortSignal,
): Promise<boolean> {
  let told = '';
  while (!signal.aborted) {
    const { ready, message } = progress();
    if (ready) return true;
    if (message !== told) tell(message);
    told = message;
    await sleep(LOOK_MS);
  }
  return false;
}
