/**
 * Sends the data of one announced checkpoint (S-571…S-580): buckets by priority, each from the client's position to the checkpoint, with
 * partial completions between the priorities. Reads ahead while the client takes what was sent, within a bound of bytes.
 */
import type { BucketTotals } from '#core/bucket-storage/contract.ts';
import type { EncodedLine } from '#core/protocol/lines.ts';
import { hasMoreThan, type Page } from '../chunks/page.ts';
import type { ChunkPages, PageResult } from '../chunks/pages.ts';
import type { LineSink } from './contract.ts';
import type { SessionBucket } from './holdings.ts';

export interface Delivery {
  readonly op: number;
  /** Number of the bucket priority being sent; null when only completion lines are left. */
  priority(): number | null;
  sentPages(): number;
  /** Priorities announced and not completed yet. */
  openLevels(): readonly number[];
  /** Why it is unservable: compaction took away what was there below this op. 0: not that. */
  needs(): number;
  /**
   * Goes on sending. `waiting`: for a page, `onPage` will be called. `blocked`: until the sink is writable. `done`: everything was sent but the
   * completion. `unservable`: what storage has is not what was announced (S-425, S-426).
   */
  step(writable: () => boolean): 'waiting' | 'blocked' | 'done' | 'unservable';
  /** No more callbacks. */
  cancel(): void;
}

export interface DeliveryOptions {
  readonly op: number;
  readonly pages: ChunkPages;
  readonly sink: Pick<LineSink, 'encoding' | 'takesDeflated'>;
  /** Buckets with operations to send. */
  readonly buckets: readonly SessionBucket[];
  /** Priorities that get a completion of their own (S-505), in order. */
  readonly levels: readonly number[];
  readonly emit: (line: EncodedLine) => void;
  /** A page was taken out for sending; for figures. */
  readonly onSent: (page: Page, bucket: SessionBucket) => void;
  readonly onPage: () => void;
  readonly onError: (error: unknown) => void;
}

/** Read for one session and not given to its connection yet, at most, and a page more while one is given to it; a single row may be larger. */
const READ_AHEAD_BYTES = 1024 * 1024;
/** Four full chunks: each is 256 KB and what its last row has beyond that. */
const PAGE_BYTES = 1152 * 1024;
const SMALLEST_PAGE_BYTES = 16 * 1024;
/** Guess of an operation's size, to read many small buckets at once but few large ones. */
const OPERATION_BYTES = 1024;
const CONCURRENT_READS = 8;

interface Slot {
  readonly bucket: SessionBucket;
  readonly target: BucketTotals;
  /** Pages that follow one another: the one to be sent next, and one more while that is being sent. */
  readonly readings: Reading[];
}

interface Reading {
  /** Null until it is read. */
  page: Page | null;
  readonly reserved: number;
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { op, pages, emit, onSent, onPage, onError } = options;
  const { encoding, takesDeflated } = options.sink;
  const deflated = takesDeflated ? encoding : null;
  const slots = options.buckets.map((bucket): Slot => ({ bucket, target: bucket.announced!, readings: [] }));
  if (slots.length > 1) slots.sort((a, b) => a.bucket.priority - b.bucket.priority);
  const levels = [...options.levels];
  let head = 0;
  let reserved = 0;
  let reads = 0;
  let cancelled = false;
  let sentPages = 0;
  let needs = 0;

  const request = (slot: Slot, after: number): Reading => {
    const { bucket, target, readings } = slot;
    const wanted = Math.max(SMALLEST_PAGE_BYTES, target.count * OPERATION_BYTES);
    const reading: Reading = { page: null, reserved: Math.min(PAGE_BYTES, wanted) };
    readings.push(reading);
    reserved += reading.reserved;
    reading.page = pages.read(bucket.held, after, target.lastOp, reading.reserved, deflated, (result: PageResult) => {
      reads--;
      if (cancelled) return;
      if (result.page === undefined) return onError(result.error);
      reading.page = result.page;
      arrived(slot);
    });
    if (reading.page === null) reads++;
    return reading;
  };

  const arrived = (slot: Slot): void => {
    if (slots[head] === slot) onPage();
    else readAhead();
  };

  const readAhead = (): void => {
    for (let index = head; index < slots.length; index++) {
      const slot = slots[index]!;
      if (slot.readings.length > 0) continue;
      // The one to be sent next is read in any case.
      if (index > head && (reserved >= READ_AHEAD_BYTES || reads >= CONCURRENT_READS)) return;
      request(slot, slot.bucket.position);
    }
  };

  /**
   * Asks for what follows a page before that is made into lines and sent, so that storage and this process work at the same time. True when it has
   * just done so: the request leaves when this turn ends, and `onPage` follows.
   */
  const readOn = (slot: Slot, page: Page): boolean => {
    if (slot.readings.length > 1 || page.last === null || !hasMoreThan(page, slot.target.lastOp)) return false;
    if (request(slot, page.last.lastOp).page !== null) return false;
    setImmediate(() => {
      if (!cancelled && slots[head] === slot) onPage();
    });
    return true;
  };

  /** Every level before `priority` is complete now (S-496, S-498). */
  const completeLevelsBefore = (priority: number): void => {
    while (levels.length > 0 && levels[0]! < priority) emit(encoding.partialCheckpointComplete(op, levels.shift()!));
  };

  const send = (slot: Slot, page: Page): boolean => {
    const { bucket, target } = slot;
    const { last } = page;
    if (page.needs > op) {
      needs = page.needs;
      return false;
    }
    const isLast = !hasMoreThan(page, target.lastOp);
    if (isLast && !matches(page, target)) return false;
    if (last === null) return false;
    for (const line of pages.lines(page, encoding, !isLast)) emit(line);
    onSent(page, bucket);
    bucket.position = last.lastOp;
    sentPages++;
    reserved -= slot.readings.shift()!.reserved;
    if (isLast) head++;
    return true;
  };

  const step: Delivery['step'] = (writable) => {
    while (head < slots.length) {
      const slot = slots[head]!;
      completeLevelsBefore(slot.bucket.priority);
      readAhead();
      const { page } = slot.readings[0]!;
      if (page === null) return 'waiting';
      if (!writable()) return 'blocked';
      if (readOn(slot, page)) return 'waiting';
      if (!send(slot, page)) return 'unservable';
    }
    // Priority 0 is applied by a partial completion only while local writes wait (S-503).
    if (levels[0] === 0) completeLevelsBefore(1);
    return 'done';
  };

  return {
    op,
    priority: () => slots[head]?.bucket.priority ?? null,
    sentPages: () => sentPages,
    openLevels: () => levels,
    needs: () => needs,
    step,
    cancel() {
      cancelled = true;
    },
  };
}

/** The page ends with the state that was announced. A run that a position cut has no totals of its own; clients check those. */
function matches({ last }: Page, target: BucketTotals): boolean {
  if (last === null || last.lastOp !== target.lastOp) return false;
  return last.totals.lastOp !== last.lastOp || last.totals.checksum === target.checksum;
}
