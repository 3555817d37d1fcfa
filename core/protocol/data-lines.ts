/**
 * Chunks to `data` lines (S-572, S-575): a chunk becomes one line with its bytes untouched; small neighbours share a line, because each
 * line costs a client more than an operation does.
 */
import type { EncodedLine, LineEncoding } from './lines.ts';
import { appendRekeyed } from './operations.ts';

/** A chunk, or what a position left of it. */
export interface OperationRun {
  readonly lastOp: number;
  readonly count: number;
  readonly operations: Buffer;
}

/** Neighbours are merged up to these; a single chunk may be larger (a row has up to 15 MB). */
export const LINE_BYTES = 256 * 1024;
export const LINE_OPERATIONS = 1000;
/** A chunk of this size is forwarded as it is: copying it would save nothing. */
const ALONE_BYTES = 64 * 1024;

/**
 * Lines for `runs`, which are in order and have operations after `after` only. `hasMore` says whether the bucket goes on after the last.
 */
export function dataLines(
  encoding: LineEncoding,
  bucket: string,
  after: number,
  runs: readonly OperationRun[],
  hasMore: boolean,
): EncodedLine[] {
  const lines: EncodedLine[] = [];
  let position = after;
  let index = 0;
  while (index < runs.length) {
    const next = groupEnd(runs, index);
    const last = runs[next - 1]!;
    const { operations, count } = merge(runs, index, next);
    const more = hasMore || next < runs.length;
    lines.push(encoding.data({ bucket, after: position, hasMore: more, nextAfter: last.lastOp, count, operations }));
    position = last.lastOp;
    index = next;
  }
  return lines;
}

/** The index after the last run that shares a line with run `start`. */
function groupEnd(runs: readonly OperationRun[], start: number): number {
  let bytes = runs[start]!.operations.length;
  let count = runs[start]!.count;
  let end = start + 1;
  if (bytes >= ALONE_BYTES) return end;
  for (; end < runs.length; end++) {
    const run = runs[end]!;
    bytes += run.operations.length;
    count += run.count;
    if (run.operations.length >= ALONE_BYTES || bytes > LINE_BYTES || count > LINE_OPERATIONS) break;
  }
  return end;
}

function merge(runs: readonly OperationRun[], start: number, end: number): { operations: Buffer; count: number } {
  const first = runs[start]!;
  if (end === start + 1) return { operations: first.operations, count: first.count };
  let bound = 0;
  let expected = 0;
  for (let index = start; index < end; index++) {
    const run = runs[index]!;
    bound += run.operations.length;
    expected += run.count;
  }
  // A key grows by at most as many digits as the count has.
  const target = Buffer.allocUnsafe(bound + expected * String(expected).length);
  let at = 0;
  let count = 0;
  for (let index = start; index < end; index++) {
    const appended = appendRekeyed(target, at, count, runs[index]!.operations);
    at = appended.end;
    count += appended.count;
  }
  return { operations: target.subarray(0, at), count };
}

/** How many operations of each kind a run holds, for the log of a session (S-681). */
export interface OperationCounts {
  put: number;
  remove: number;
  move: number;
  clear: number;
}

/** Adds the kinds of the operations in `bytes` to `counts`. Looks at one byte of each. */
export function countOperations(bytes: Buffer, counts: OperationCounts): void {
  let element = 0;
  while (element < bytes.length) {
    let document = element + 2;
    while (bytes[document - 1] !== 0) document++;
    // document length, then the field op_id: type, name, length, text; then type, name and length of the field op.
    const letter = bytes[document + 23 + bytes.readInt32LE(document + 11)];
    if (letter === 0x50) counts.put++;
    else if (letter === 0x52) counts.remove++;
    else if (letter === 0x4d) counts.move++;
    else counts.clear++;
    element = document + bytes.readInt32LE(document);
  }
}
