/** What takes a chunk's place: the same operations with some replaced by MOVE, or with its beginning replaced by one CLEAR. */
import { operationBytes } from '#core/bucket-storage/chunk-operations.ts';
import type { Chunk } from '#core/bucket-storage/contract.ts';
import { addChecksums } from '#core/protocol/checksum.ts';
import { appendRekeyed, encodeOperations, operationSpans, type Operation } from '#core/protocol/operations.ts';

/** Digits that an array key may gain when its operation gets another place. */
const KEY_ROOM = 8;

/** S-418, S-422: the operations for which `isReplaced` holds become MOVE with their id and checksum. */
export function withMoves(
  chunk: Chunk,
  operations: readonly Operation[],
  isReplaced: (index: number) => boolean,
  needs: number,
): Chunk {
  const bytes = operationBytes(chunk);
  const parts = [...operationSpans(bytes)].map(({ element, end }, index) =>
    isReplaced(index) ? encodeOperations([moveOf(operations[index]!)]) : bytes.subarray(element, end),
  );
  return { ...chunk, operations: joined(parts), needs: Math.max(needs, chunk.needs ?? 0) };
}

const moveOf = ({ opId, checksum }: Operation): Operation => ({
  ...{ opId, op: 'MOVE', checksum },
  ...{ objectType: null, objectId: null, subkey: null, data: null },
});

/**
 * S-420, S-422: the chunk's first `swallowed` operations, and everything before the chunk, as one CLEAR. Its checksum is what the bucket's
 * totals say of them, however they are stored at present. `firstOp`: the bucket's first operation, so that readers of a checkpoint in
 * between find the chunk, and what it needs.
 */
export function withClear(
  chunk: Chunk,
  operations: readonly Operation[],
  swallowed: number,
  firstOp: number,
  needs: number,
): Chunk {
  const rest = operations.slice(swallowed);
  const restSum = rest.reduce((sum, { checksum }) => addChecksums(sum, checksum), 0);
  const clear: Operation = {
    ...{ opId: operations[swallowed - 1]!.opId, op: 'CLEAR', checksum: (chunk.totals.checksum - restSum) >>> 0 },
    ...{ objectType: null, objectId: null, subkey: null, data: null },
  };
  const bytes = operationBytes(chunk);
  const kept = [...operationSpans(bytes)].slice(swallowed).map(({ element, end }) => bytes.subarray(element, end));
  return {
    ...chunk,
    firstOp,
    count: rest.length + 1,
    checksum: chunk.totals.checksum,
    operations: joined([encodeOperations([clear]), ...kept]),
    needs: Math.max(needs, chunk.needs ?? 0),
  };
}

/** Elements with keys from 0 on. */
function joined(elements: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(elements);
  const target = Buffer.alloc(bytes.length + elements.length * KEY_ROOM);
  return Buffer.from(target.subarray(0, appendRekeyed(target, 0, 0, bytes).end));
}
