/**
 * Operations of one flush, gathered by bucket. A row's JSON is written once into an arena, however many buckets it goes to;
 * op ids are not known yet (storage gives them inside its transaction), so chunks are encoded in `build`.
 */
import type { BucketRef, BucketTotals, Chunk } from '#core/bucket-storage/contract.ts';
import { addChecksums, hashData, operationChecksum } from '#core/protocol/checksum.ts';
import { encodedSizeBound, writeOperation } from '#core/protocol/operations.ts';

/** A chunk is sent as one line (S-575): at most this many operations and about this many bytes. */
const CHUNK_OPERATIONS = 500;
const CHUNK_BYTES = 256 * 1024;

interface Slot extends BucketRef {
  first: number;
  last: number;
}

export interface OperationBuffer {
  /** Adds a PUT (`data` is the row's JSON) or a REMOVE (`data` null). */
  add(definition: number, key: string, objectType: string, objectId: string, subkey: string, data: string | null): void;
  readonly count: number;
  /** Bytes of the arena in use plus an estimate of the rest: what a limit is compared with. */
  readonly bytes: number;
  buckets(): readonly BucketRef[];
  /**
   * Encodes all operations with ids from `firstOp` on, in the order of `add`. `totals` are those of `buckets()` before this flush.
   * The chunks point into a buffer that is overwritten by the next `build`.
   */
  build(firstOp: number, totals: readonly BucketTotals[]): Chunk[];
  clear(): void;
}

export function createOperationBuffer(): OperationBuffer {
  let arena = Buffer.allocUnsafe(64 * 1024);
  let used = 0;
  let names = 0;
  let output = Buffer.allocUnsafe(0);
  let lastData: string | null = null;
  let lastStart = 0;
  let lastHash = 0;

  /** By definition id, then by key. */
  let slots = new Map<number, Map<string, Slot>>();
  let list: Slot[] = [];
  // One entry per operation, in order of arrival; `next` chains those of the same bucket.
  let next: number[] = [];
  let starts: number[] = [];
  let ends: number[] = [];
  let checksums: number[] = [];
  let types: string[] = [];
  let ids: string[] = [];
  let subkeys: string[] = [];

  const store = (data: string): void => {
    const bound = data.length * 3;
    if (used + bound > arena.length) {
      const larger = Buffer.allocUnsafe(Math.max(arena.length * 2, used + bound));
      arena.copy(larger, 0, 0, used);
      arena = larger;
    }
    lastStart = used;
    used += arena.write(data, used, 'utf8');
    lastData = data;
    lastHash = hashData(arena.subarray(lastStart, used));
  };

  const slotOf = (definition: number, key: string): Slot => {
    let ofDefinition = slots.get(definition);
    if (!ofDefinition) slots.set(definition, (ofDefinition = new Map()));
    const known = ofDefinition.get(key);
    if (known) return known;
    const slot: Slot = { definition, key, first: -1, last: -1 };
    ofDefinition.set(key, slot);
    list.push(slot);
    return slot;
  };

  /** A row that goes to several buckets has the same hash in each. */
  const checksumOf = (objectType: string, objectId: string, subkey: string, data: string | null): number => {
    const last = checksums.length - 1;
    const same =
      last >= 0 &&
      data !== null &&
      starts[last] === lastStart &&
      ends[last] === used &&
      types[last] === objectType &&
      ids[last] === objectId &&
      subkeys[last] === subkey;
    if (same) return checksums[last]!;
    return operationChecksum(data === null, objectType, objectId, subkey, data === null ? 0 : lastHash);
  };

  const add: OperationBuffer['add'] = (definition, key, objectType, objectId, subkey, data) => {
    const index = next.length;
    if (data === null) {
      starts.push(-1);
      ends.push(-1);
    } else {
      if (data !== lastData) store(data);
      starts.push(lastStart);
      ends.push(used);
    }
    checksums.push(checksumOf(objectType, objectId, subkey, data));
    types.push(objectType);
    ids.push(objectId);
    subkeys.push(subkey);
    next.push(-1);
    names += objectType.length + objectId.length + subkey.length;
    const slot = slotOf(definition, key);
    if (slot.last < 0) slot.first = index;
    else next[slot.last] = index;
    slot.last = index;
  };

  /** Upper bound of the encoded size of everything. Data shared by several operations counts for each. */
  const encodedBound = (): number => {
    let data = 0;
    for (let index = 0; index < starts.length; index++) data += ends[index]! - starts[index]!;
    return encodedSizeBound(0, 0) * next.length + names * 3 + data;
  };

  const encodeSlot = (slot: Slot, firstOp: number, before: BucketTotals, start: number, chunks: Chunk[]): number => {
    let at = start;
    let totals = before;
    let index = slot.first;
    while (index >= 0) {
      const chunkStart = at;
      const firstIndex = index;
      let lastIndex = index;
      let count = 0;
      let checksum = 0;
      while (index >= 0 && count < CHUNK_OPERATIONS && at - chunkStart < CHUNK_BYTES) {
        const data = starts[index]! < 0 ? null : arena.subarray(starts[index], ends[index]);
        const op = data === null ? 'REMOVE' : 'PUT';
        at = writeOperation(
          output,
          at,
          count,
          firstOp + index,
          op,
          types[index]!,
          ids[index]!,
          subkeys[index]!,
          checksums[index]!,
          data,
        );
        checksum = addChecksums(checksum, checksums[index]!);
        count++;
        lastIndex = index;
        index = next[index]!;
        // A large row must not be joined to others: the line would pass its bound.
        if (index >= 0 && ends[index]! - starts[index]! > CHUNK_BYTES) break;
      }
      const lastOp = firstOp + lastIndex;
      totals = { lastOp, count: totals.count + count, checksum: addChecksums(totals.checksum, checksum) };
      const operations = output.subarray(chunkStart, at);
      chunks.push({
        definition: slot.definition,
        key: slot.key,
        firstOp: firstOp + firstIndex,
        lastOp,
        count,
        checksum,
        totals,
        operations,
      });
    }
    return at;
  };

  return {
    add,
    get count() {
      return next.length;
    },
    get bytes() {
      return used + names + next.length * encodedSizeBound(0, 0);
    },
    buckets: () => list,
    build(firstOp, totals) {
      const bound = encodedBound();
      if (output.length < bound) output = Buffer.allocUnsafe(bound);
      const chunks: Chunk[] = [];
      let at = 0;
      list.forEach((slot, index) => {
        at = encodeSlot(slot, firstOp, totals[index]!, at, chunks);
      });
      return chunks;
    },
    clear() {
      used = 0;
      names = 0;
      lastData = null;
      slots = new Map();
      list = [];
      next = [];
      starts = [];
      ends = [];
      checksums = [];
      types = [];
      ids = [];
      subkeys = [];
      // A rare huge row must not pin its memory for ever.
      if (arena.length > 64 * 1024 * 1024) arena = Buffer.allocUnsafe(64 * 1024);
      if (output.length > 128 * 1024 * 1024) output = Buffer.allocUnsafe(0);
    },
  };
}
