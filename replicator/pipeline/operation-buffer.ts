/**
 * Operations of one flush, gathered by bucket. Everything of an operation but its op id is written once into an arena, however many
 * buckets a row goes to, and no text is kept; op ids are not known yet (storage gives them inside its transaction), so chunks are put
 * together in `build`.
 */
import type { BucketRef, BucketTotals, Chunk } from '#core/bucket-storage/contract.ts';
import { addChecksums } from '#core/protocol/checksum.ts';
import { bodySizeBound, HEAD_BYTES, writeBody, writeOperation } from '#core/protocol/operations.ts';

/** A chunk is sent as one line (S-575): at most this many operations and about this many bytes. */
const CHUNK_OPERATIONS = 500;
const CHUNK_BYTES = 256 * 1024;
/** A rare huge row must not pin its memory for ever. */
const KEPT_ARENA_BYTES = 32 * 1024 * 1024;
const KEPT_OUTPUT_BYTES = 64 * 1024 * 1024;

interface Slot extends BucketRef {
  first: number;
  last: number;
}

export interface OperationBuffer {
  /** Adds a PUT (`data` is the row's JSON) or a REMOVE (`data` null). */
  add(definition: number, key: string, objectType: string, objectId: string, subkey: string, data: string | null): void;
  readonly count: number;
  /** Bytes in use: what a limit is compared with. */
  readonly bytes: number;
  buckets(): readonly BucketRef[];
  /**
   * Encodes all operations with ids from `firstOp` on, in the order of `add`. `totals` are those of `buckets()` before this flush.
   * The chunks point into a buffer that is overwritten by the next `build`.
   */
  build(firstOp: number, totals: readonly BucketTotals[]): Chunk[];
  clear(): void;
}

/** One entry per operation, in order of arrival. Typed, so that the garbage collector has nothing to look at. */
interface Entries {
  /** Chains the operations of a bucket; -1 ends. */
  readonly next: Int32Array;
  /** The body in the arena. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly checksums: Uint32Array;
}

function createEntries(size: number, from?: Entries): Entries {
  const entries = {
    next: new Int32Array(size),
    starts: new Uint32Array(size),
    ends: new Uint32Array(size),
    checksums: new Uint32Array(size),
  };
  if (from) for (const name of ['next', 'starts', 'ends', 'checksums'] as const) entries[name].set(from[name]);
  return entries;
}

export function createOperationBuffer(): OperationBuffer {
  let arena = Buffer.allocUnsafe(64 * 1024);
  let used = 0;
  let output = Buffer.allocUnsafe(0);
  /** Size of all operations together, encoded. */
  let encoded = 0;
  let entries = createEntries(1024);
  let count = 0;
  /** By definition id, then by key. */
  let slots = new Map<number, Map<string, Slot>>();
  let list: Slot[] = [];
  /** The body written last: a row that goes to several buckets has the same in each. */
  const last = { objectType: '', objectId: '', subkey: '', data: null as string | null, start: 0 };
  const written = { end: 0, checksum: 0 };

  const write = (objectType: string, objectId: string, subkey: string, data: string | null): void => {
    const texts = objectType.length + objectId.length + subkey.length + (data === null ? 0 : data.length);
    const bound = bodySizeBound(texts);
    if (used + bound > arena.length) {
      const larger = Buffer.allocUnsafe(Math.max(arena.length * 2, used + bound));
      arena.copy(larger, 0, 0, used);
      arena = larger;
    }
    last.objectType = objectType;
    last.objectId = objectId;
    last.subkey = subkey;
    last.data = data;
    last.start = used;
    writeBody(arena, used, objectType, objectId, subkey, data, written);
    used = written.end;
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

  const add: OperationBuffer['add'] = (definition, key, objectType, objectId, subkey, data) => {
    const same =
      used > 0 &&
      last.data === data &&
      last.objectId === objectId &&
      last.subkey === subkey &&
      last.objectType === objectType;
    if (!same) write(objectType, objectId, subkey, data);
    if (count === entries.next.length) entries = createEntries(count * 2, entries);
    const index = count++;
    entries.next[index] = -1;
    entries.starts[index] = last.start;
    entries.ends[index] = used;
    entries.checksums[index] = written.checksum;
    encoded += HEAD_BYTES + used - last.start;
    const slot = slotOf(definition, key);
    if (slot.last < 0) slot.first = index;
    else entries.next[slot.last] = index;
    slot.last = index;
  };

  const encodeSlot = (slot: Slot, firstOp: number, before: BucketTotals, start: number, chunks: Chunk[]): number => {
    const { next, starts, ends, checksums } = entries;
    let at = start;
    let totals = before;
    let index = slot.first;
    while (index >= 0) {
      const chunkStart = at;
      const firstIndex = index;
      let lastIndex = index;
      let size = 0;
      let checksum = 0;
      while (index >= 0 && size < CHUNK_OPERATIONS && at - chunkStart < CHUNK_BYTES) {
        at = writeOperation(output, at, size, firstOp + index, arena, starts[index]!, ends[index]!);
        checksum = addChecksums(checksum, checksums[index]!);
        size++;
        lastIndex = index;
        index = next[index]!;
        // A large row must not be joined to others: the line would pass its bound.
        if (index >= 0 && ends[index]! - starts[index]! > CHUNK_BYTES) break;
      }
      const lastOp = firstOp + lastIndex;
      totals = { lastOp, count: totals.count + size, checksum: addChecksums(totals.checksum, checksum) };
      chunks.push({
        definition: slot.definition,
        key: slot.key,
        firstOp: firstOp + firstIndex,
        lastOp,
        count: size,
        checksum,
        totals,
        operations: output.subarray(chunkStart, at),
      });
    }
    return at;
  };

  return {
    add,
    get count() {
      return count;
    },
    get bytes() {
      return used + count * HEAD_BYTES;
    },
    buckets: () => list,
    build(firstOp, totals) {
      if (output.length < encoded) output = Buffer.allocUnsafe(encoded);
      const chunks: Chunk[] = [];
      let at = 0;
      list.forEach((slot, index) => {
        at = encodeSlot(slot, firstOp, totals[index]!, at, chunks);
      });
      return chunks;
    },
    clear() {
      used = 0;
      encoded = 0;
      count = 0;
      last.data = null;
      slots = new Map();
      list = [];
      if (arena.length > KEPT_ARENA_BYTES) arena = Buffer.allocUnsafe(64 * 1024);
      if (output.length > KEPT_OUTPUT_BYTES) output = Buffer.allocUnsafe(0);
    },
  };
}
