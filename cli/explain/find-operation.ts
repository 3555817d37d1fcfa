/** The newest operation of a row in a bucket, looked for from the newest operations on. */
import { operationBytes } from '#core/bucket-storage/chunk-operations.ts';
import type { BucketReader, BucketRef, Chunk } from '#core/bucket-storage/contract.ts';
import { decodeOperations, operationSpans, type Operation } from '#core/protocol/operations.ts';

export interface WantedRow {
  /** The operation's bytes hold one of these in any case. */
  readonly texts: readonly string[];
  matches(operation: Operation): boolean;
}

/** What all searches of one question may read together. */
export interface SearchBudget {
  bytes: number;
}

export type FoundOperation =
  | { readonly state: 'found'; readonly operation: Operation }
  /** `clearedUpTo`: the bucket begins with an operation that stands for all up to this one (S-420). */
  | { readonly state: 'absent'; readonly clearedUpTo: number | null }
  /** The budget is used up. */
  | { readonly state: 'unfinished' };

const PAGE_BYTES = 1024 * 1024;
/** Op ids of the newest part that is read first; each one further back is larger. */
const FIRST_WINDOW = 4096;
const GROWTH = 8;

export async function findOperation(
  reader: BucketReader,
  bucket: BucketRef,
  upTo: number,
  wanted: WantedRow,
  budget: SearchBudget,
  firstWindow = FIRST_WINDOW,
): Promise<FoundOperation> {
  const [totals] = await reader.totals([bucket], upTo);
  let end = totals?.lastOp ?? 0;
  let first: Chunk | null = null;
  for (let size = firstWindow; end > 0; size *= GROWTH) {
    const start = Math.max(0, end - size);
    let newest: Operation | null = null;
    let after = start;
    for (let more = true; more;) {
      if (budget.bytes <= 0) return { state: 'unfinished' };
      const page = await reader.chunks(bucket, after, end, PAGE_BYTES);
      for (const chunk of page.chunks) {
        budget.bytes -= chunk.operations.length;
        newest = newestIn(chunk, end, wanted) ?? newest;
        if (start === 0) first ??= chunk;
      }
      const last = page.chunks.at(-1);
      after = last?.lastOp ?? end;
      more = page.more && last !== undefined && after < end;
    }
    if (newest !== null) return { state: 'found', operation: newest };
    end = start;
  }
  return { state: 'absent', clearedUpTo: first === null ? null : clearedBy(first) };
}

/** The first chunk may begin before what is asked for, and the last one end after it. */
function newestIn(chunk: Chunk, upTo: number, { texts, matches }: WantedRow): Operation | null {
  const bytes = operationBytes(chunk);
  const holdsOne = (part: Buffer): boolean => texts.some((text) => part.includes(text));
  if (!holdsOne(bytes)) return null;
  let newest: Operation | null = null;
  for (const { element, end, opId } of operationSpans(bytes)) {
    const part = bytes.subarray(element, end);
    if (opId > upTo || !holdsOne(part)) continue;
    const [operation] = decodeOperations(part);
    if (operation !== undefined && matches(operation)) newest = operation;
  }
  return newest;
}

function clearedBy(chunk: Chunk): number | null {
  const bytes = operationBytes(chunk);
  for (const { element, end } of operationSpans(bytes)) {
    const [operation] = decodeOperations(bytes.subarray(element, end));
    return operation?.op === 'CLEAR' ? operation.opId : null;
  }
  return null;
}
