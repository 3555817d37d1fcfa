/**
 * Sends the data of one announced checkpoint (S-571…S-580): buckets by priority, each from the client's position to the checkpoint, with
 * partial completions between the priorities. Reads ahead while the client takes what was sent, within a bound of bytes.
 */
import type { BucketTotals } from '#core/bucket-storage/contract.ts';
import type { EncodedLine, LineEncoding } from '#core/protocol/lines.ts';
import type { ChunkPages, Page, PageResult } from '../chunks/pages.ts';
import type { SessionBucket } from './holdings.ts';

export interface Delivery {
  readonly op: number;
  /** Number of the bucket priority being sent; null when only completion lines are left. */
  readonly priority: number | null;
  readonly sentPages: number;
  /** Priorities announced and not completed yet. */
  readonly openLevels: readonly number[];
  /** Why it is unservable: compaction took away what was there below this op. 0: not that. */
  readonly needs: number;
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
  readonly encoding: LineEncoding;
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

/** Read for one session and not given to its connection yet, at most; a single row may be larger. */
const READ_AHEAD_BYTES = 1024 * 1024;
const PAGE_BYTES = 1024 * 1024;
const SMALLEST_PAGE_BYTES = 16 * 1024;
/** Guess of an operation's size, to read many small buckets at once but few large ones. */
const OPERATION_BYTES = 1024;
const CONCURRENT_READS = 8;

interface Slot {
  readonly bucket: SessionBucket;
  readonly target: BucketTotals;
  state: 'idle' | 'reading' | 'ready';
  page: Page | null;
  reserved: number;
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { op, pages, encoding, emit, onSent, onPage, onError } = options;
  const slots = options.buckets.map((bucket): Slot => ({
    bucket,
    target: bucket.announced!,
    state: 'idle',
    page: null,
    reserved: 0,
  }));
  if (slots.length > 1) slots.sort((a, b) => a.bucket.priority - b.bucket.priority);
  const levels = [...options.levels];
  let head = 0;
  let reserved = 0;
  let reads = 0;
  let cancelled = false;
  let sentPages = 0;
  let needs = 0;

  const request = (slot: Slot): void => {
    const wanted = Math.max(SMALLEST_PAGE_BYTES, slot.target.count * OPERATION_BYTES);
    slot.reserved = Math.min(PAGE_BYTES, wanted);
    reserved += slot.reserved;
    const page = pages.read(slot.bucket.held, slot.bucket.position, slot.target.lastOp, slot.reserved, (result) =>
      arrived(slot, result),
    );
    slot.page = page;
    slot.state = page === null ? 'reading' : 'ready';
    if (page === null) reads++;
  };

  const arrived = (slot: Slot, result: PageResult): void => {
    reads--;
    if (cancelled) return;
    if (result.page === undefined) return onError(result.error);
    slot.page = result.page;
    slot.state = 'ready';
    if (slots[head] === slot) onPage();
    else readAhead();
  };

  const readAhead = (): void => {
    for (let index = head; index < slots.length; index++) {
      const slot = slots[index]!;
      if (slot.state !== 'idle') continue;
      // The one to be sent next is read in any case.
      if (index > head && (reserved >= READ_AHEAD_BYTES || reads >= CONCURRENT_READS)) return;
      request(slot);
    }
  };

  /** Every level before `priority` is complete now (S-496, S-498). */
  const completeLevelsBefore = (priority: number): void => {
    while (levels.length > 0 && levels[0]! < priority) emit(encoding.partialCheckpointComplete(op, levels.shift()!));
  };

  const send = (slot: Slot, page: Page): boolean => {
    const { bucket, target } = slot;
    const last = page.runs.at(-1);
    if (page.needs > op) {
      needs = page.needs;
      return false;
    }
    const isLast = page.coveredTo >= target.lastOp || last?.lastOp === target.lastOp;
    if (isLast && !matches(page, target)) return false;
    if (last === undefined) return false;
    for (const line of pages.lines(page, encoding, !isLast)) emit(line);
    onSent(page, bucket);
    bucket.position = last.lastOp;
    sentPages++;
    reserved -= slot.reserved;
    slot.page = null;
    slot.state = 'idle';
    if (isLast) head++;
    return true;
  };

  const step: Delivery['step'] = (writable) => {
    while (head < slots.length) {
      const slot = slots[head]!;
      completeLevelsBefore(slot.bucket.priority);
      readAhead();
      if (slot.page === null) return 'waiting';
      if (!writable()) return 'blocked';
      if (!send(slot, slot.page)) return 'unservable';
    }
    // Priority 0 is applied by a partial completion only while local writes wait (S-503).
    if (levels[0] === 0) completeLevelsBefore(1);
    return 'done';
  };

  return {
    op,
    get priority() {
      return slots[head]?.bucket.priority ?? null;
    },
    get sentPages() {
      return sentPages;
    },
    get openLevels() {
      return levels;
    },
    get needs() {
      return needs;
    },
    step,
    cancel() {
      cancelled = true;
    },
  };
}

/** The page ends with the state that was announced. A run that a position cut has no totals of its own; clients check those. */
function matches(page: Page, target: BucketTotals): boolean {
  const last = page.runs.at(-1);
  const totals = page.totals.at(-1);
  if (last === undefined || totals === undefined || last.lastOp !== target.lastOp) return false;
  return totals.lastOp !== last.lastOp || totals.checksum === target.checksum;
}
