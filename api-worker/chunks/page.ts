/** A piece of a bucket's history as it is served: operations after a position, and the lines made of them. */
import type { BucketTotals, Chunk } from '#core/bucket-storage/contract.ts';
import { countOperations, type OperationCounts, type OperationRun } from '#core/protocol/data-lines.ts';
import type { EncodedLine, LineEncoding } from '#core/protocol/lines.ts';
import { cutOperations } from '#core/protocol/operations.ts';
import { deflatedOnly } from '../deflate/lines.ts';
import type { HeldBucket } from '../feed/held-buckets.ts';
import { ownBuffer } from '../own-buffer.ts';

/** `totals`: of the bucket as of the chunk that the run is of. */
export interface PageRun extends OperationRun {
  readonly totals: BucketTotals;
}

/** Operations of one bucket after a position. */
export interface Page {
  readonly bucketName: string;
  readonly after: number;
  /** Null when nothing but deflated lines is left. */
  readonly runs: readonly PageRun[] | null;
  /** Its last operation, with the totals that tell whether what was read is what was announced (S-426); null: it has none. */
  readonly last: Pick<PageRun, 'lastOp' | 'totals'> | null;
  /** Everything in (after, coveredTo] is in it. */
  readonly coveredTo: number;
  /** No checkpoint below this op can be completed with what is in it (`Chunk.needs`); 0: any can. */
  readonly needs: number;
  readonly counts: OperationCounts;
  readonly operations: number;
  readonly bytes: number;
  /** Lines made of it, by `variantOf`. */
  readonly lines: Map<string, readonly EncodedLine[]>;
}

/** Names what a bucket has after a position. */
export function placeName(bucket: HeldBucket, after: number): string {
  return `${bucket.definition}:${after}:${bucket.key}`;
}

/** Lines of the same page differ by these. */
export function variantOf(encoding: LineEncoding, hasMore: boolean): string {
  return `${encoding.name}${hasMore ? '+' : ''}`;
}

/** The bucket has more than the page for a checkpoint in which its last operation is `upTo`. */
export function hasMoreThan(page: Page, upTo: number): boolean {
  return page.coveredTo < upTo && page.last?.lastOp !== upTo;
}

/** Cuts what a position divides; everything else is taken over as it is. */
export function createPage(
  bucketName: string,
  after: number,
  upTo: number,
  chunks: readonly Chunk[],
  more: boolean,
): Page {
  const runs: PageRun[] = [];
  let needs = 0;
  for (const { firstOp, lastOp, count, operations, totals, needs: needed } of chunks) {
    needs = Math.max(needs, needed ?? 0);
    const run = cutRun({ lastOp, count, operations: asBuffer(operations), totals }, firstOp, after, upTo);
    if (run.count > 0) runs.push({ ...run, operations: ownBuffer(run.operations) });
  }
  const coveredTo = more ? Math.min(chunks.at(-1)?.lastOp ?? after, upTo) : upTo;
  return pageOf(runs, { bucketName, after, coveredTo, needs });
}

/** What of a page belongs to a checkpoint that does not reach as far. Of a page without plain bytes nothing can be cut. */
export function clipPage(page: Page, upTo: number): Page {
  if (page.last === null || page.last.lastOp <= upTo) return page;
  if (page.runs === null) throw new Error('Of this page there are deflated lines only.');
  const runs: PageRun[] = [];
  for (const run of page.runs) {
    // Without the chunk's first op, a run that crosses the end is cut by looking at it.
    const kept = run.lastOp <= upTo ? run : cutRun(run, 0, page.after, upTo);
    if (kept.count > 0) runs.push(kept);
    if (run.lastOp > upTo) break;
  }
  const { bucketName, after, needs } = page;
  return pageOf(runs, { bucketName, after, coveredTo: upTo, needs });
}

/** The page without its plain bytes, for clients that take deflate; null when no client has taken it so. */
export function deflatedPage(page: Page): Page | null {
  const lines = new Map<string, readonly EncodedLine[]>();
  for (const [variant, plain] of page.lines) {
    const deflated = plain.map(deflatedOnly).filter((line) => line !== null);
    if (deflated.length === plain.length) lines.set(variant, deflated);
  }
  return lines.size === 0 ? null : { ...page, runs: null, lines };
}

function cutRun(run: PageRun, firstOp: number, after: number, upTo: number): PageRun {
  if (firstOp > after && run.lastOp <= upTo) return run;
  const cut = cutOperations(run.operations, after, upTo);
  return { lastOp: cut.lastOp, count: cut.count, operations: cut.bytes, totals: run.totals };
}

function pageOf(runs: readonly PageRun[], about: Pick<Page, 'bucketName' | 'after' | 'coveredTo' | 'needs'>): Page {
  const counts = { put: 0, remove: 0, move: 0, clear: 0 };
  let bytes = 0;
  let operations = 0;
  for (const run of runs) {
    countOperations(run.operations, counts);
    bytes += run.operations.length;
    operations += run.count;
  }
  const last = runs.at(-1);
  return {
    ...about,
    runs,
    last: last === undefined ? null : { lastOp: last.lastOp, totals: last.totals },
    ...{ counts, operations, bytes, lines: new Map<string, readonly EncodedLine[]>() },
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The line in memory of its own, when it is small; of a large one, the bytes around its operations are. */
export function ownLine(line: EncodedLine): EncodedLine {
  if (line.bytes <= JOINED_BYTES) {
    const whole = Buffer.allocUnsafeSlow(line.bytes);
    let at = 0;
    for (const part of line.parts) at += part.copy(whole, at);
    return { ...line, parts: [whole] };
  }
  return { ...line, parts: line.parts.map(ownBuffer) };
}

const JOINED_BYTES = 4096;
