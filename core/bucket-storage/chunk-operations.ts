/** The operations of a chunk, for what cannot forward its bytes. */
import { decodeOperations, type Operation } from '../protocol/operations.ts';
import type { Chunk } from './contract.ts';

/** Their bytes, as a view: nothing is copied. */
export function operationBytes({ operations }: Pick<Chunk, 'operations'>): Buffer {
  return Buffer.from(operations.buffer, operations.byteOffset, operations.byteLength);
}

/** All of them, taken apart. Throws PSYNC_S0001 when the bytes are malformed. */
export function operationsOf(chunk: Pick<Chunk, 'operations'>): Operation[] {
  return decodeOperations(operationBytes(chunk));
}
