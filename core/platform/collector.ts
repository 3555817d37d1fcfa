/**
 * When V8 collects the old generation.
 *
 * What a program reads and sends lies outside its heap, in buffers. With the defaults of V8 every 64 MB of them begin a collection of everything,
 * whatever is in use, and however many of them were garbage at once: a sixth of an API worker's processor time during a first sync, to mark the same
 * 25 MB of heap again and again. Counted with the heap instead, buffers that died young go with a collection of the young generation, which
 * costs 4 ms, and one of everything begins when both together come near a limit, a share above what was in use. The defaults begin it when a third
 * of the room up to that limit is used, for a small heap every 8 MB; later costs up to 30 MB.
 * A replicator's buffers live longer: counting them saves it 3 % of its time and costs 35 MB, so there V8 does as it likes.
 *
 * And by default that limit may be four times what is in use, until a program rests. Of one at rest `collect-at-rest.ts` gives memory back; for
 * one that is never at rest for long, the limit itself is lower.
 */
import { setFlagsFromString } from 'node:v8';

/** Per cent of the room up to the limit: from the first on in the background, from the second on at once. */
const BEGIN = 70;
const BEGIN_AT_ONCE = 90;
const TUNING = {
  /** 10,000 clients, before memory is given back at rest: 560 MB instead of 620, for the same processor time. */
  serves: { growth: 40, countsBuffers: true },
  /** A copy makes much garbage of middle age. Collecting it earlier costs little and keeps a fifth of the memory free. */
  replicates: { growth: 60, countsBuffers: false },
} satisfies Record<string, Tuning>;

interface Tuning {
  /** Per cent above what is in use at which the limit stands. */
  readonly growth: number;
  /** Buffers count as what is in use, instead of having a limit of their own. */
  readonly countsBuffers: boolean;
}

/** For the process; to be called before it works. */
export function tuneCollector(work: keyof typeof TUNING): void {
  const { growth, countsBuffers } = TUNING[work];
  if (countsBuffers) setFlagsFromString('--external-memory-accounted-in-global-limit');
  setFlagsFromString(`--incremental-marking-soft-trigger=${BEGIN}`);
  setFlagsFromString(`--incremental-marking-hard-trigger=${BEGIN_AT_ONCE}`);
  setFlagsFromString(`--heap-growing-percent=${growth}`);
}
