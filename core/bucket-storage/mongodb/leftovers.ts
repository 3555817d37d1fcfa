/** What commits leave behind, removed beside the work: notices that nobody needs any more, records for an undo that cannot come. */
import type { Clock } from '../../platform/clock.ts';
import type { Collections } from './documents.ts';

/** Notices are kept for this long. */
const KEEP_NOTICES_MS = 10 * 60_000;
const LOOK_EVERY_MS = 30_000;
const NOTICES_PER_STEP = 2000;

export interface Leftovers {
  /** A commit was made; the undo records of the transaction, if it had unfinished flushes, are of no use now. */
  committed(unfinished: { readonly stream: number; readonly transaction: number } | null): void;
  /** Resolves when nothing is being removed. */
  settled(): Promise<void>;
}

export function createLeftovers(
  { commits, undo }: Collections,
  clock: Clock,
  log: { warn(fields: object, message: string): void },
): Leftovers {
  let looked = Number.NEGATIVE_INFINITY;
  let running: Promise<void> = Promise.resolve();
  let waiting = 0;

  const removeNotices = async (): Promise<void> => {
    const oldMs = clock.now() - KEEP_NOTICES_MS;
    for (;;) {
      const options = { sort: { _id: 1 }, limit: NOTICES_PER_STEP, projection: { storedMs: 1 } } as const;
      const documents = await commits.find({}, options).toArray();
      const old = documents.filter((document) => document.storedMs < oldMs);
      const last = old.at(-1);
      if (last === undefined) return;
      await commits.deleteMany({ _id: { $lte: last._id }, storedMs: { $lt: oldMs } });
      if (old.length < NOTICES_PER_STEP) return;
    }
  };

  /** A failure leaves things to the next commit or take-over. */
  const later = (work: () => Promise<unknown>): void => {
    waiting++;
    running = running
      .then(work)
      .catch((error: unknown) => log.warn({ err: error }, 'Removing leftovers of commits failed; tried again later'))
      .then(() => void waiting--);
  };

  return {
    committed(unfinished) {
      if (unfinished !== null) {
        const { stream, transaction } = unfinished;
        later(() => undo.deleteMany({ s: stream, t: { $lte: transaction } }));
      }
      const now = clock.monotonic();
      if (now - looked < LOOK_EVERY_MS || waiting > 0) return;
      looked = now;
      later(removeNotices);
    },
    settled: () => running,
  };
}
