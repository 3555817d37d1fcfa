/** Appends BSON fields to one growing buffer: no objects are built, and nothing is measured twice. */

const INT32_MAX = 2_147_483_647;
/** Above this the scratch space is given back after use, so that one huge line does not stay in memory. */
const KEEP_BYTES = 4 * 1024 * 1024;

export interface BsonWriter {
  /** Starts a document or array field; `end()` closes it. */
  document(name: string): void;
  array(name: string): void;
  end(): void;
  string(name: string, value: string): void;
  null(name: string): void;
  boolean(name: string, value: boolean): void;
  /** Whole numbers of 32 bit stay int32 (S-588, S-589); what does not fit becomes int64, never a double. */
  integer(name: string, value: number): void;
  /** A whole number in a double: how checksums travel (S-590). */
  double(name: string, value: number): void;
  /** Bytes of elements that are already encoded. */
  raw(bytes: Uint8Array): void;
  /** Where the next byte goes, counted from the start of the outermost document. */
  readonly position: number;
  /** Reserves `bytes` inside the open documents for content that is sent from elsewhere. */
  account(bytes: number): void;
  /** Copies out what was written, the outermost document closed. */
  finish(): Buffer;
}

const ARRAY_KEYS = Array.from({ length: 1000 }, (_, index) => String(index));
/** Key of array element `index`. */
export function arrayKey(index: number): string {
  return ARRAY_KEYS[index] ?? String(index);
}

/** A writer for one document at a time. Reusable after `finish`, not re-entrant. */
export function createBsonWriter(initialBytes = 64 * 1024): BsonWriter {
  let buffer = Buffer.allocUnsafe(initialBytes);
  let at = 4;
  /** Starts of the open documents, and the bytes accounted for inside each. */
  const starts: number[] = [0];
  const accounted: number[] = [0];

  function reserve(bytes: number): void {
    if (at + bytes <= buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at + bytes));
    buffer.copy(larger, 0, 0, at);
    buffer = larger;
  }

  /** Field names are ASCII and short. */
  function name(type: number, text: string): void {
    reserve(text.length + 16);
    buffer[at++] = type;
    for (let index = 0; index < text.length; index++) buffer[at++] = text.charCodeAt(index);
    buffer[at++] = 0;
  }

  function open(type: number, text: string): void {
    name(type, text);
    starts.push(at);
    accounted.push(0);
    at += 4;
  }

  function close(): void {
    reserve(1);
    buffer[at++] = 0;
    const start = starts.pop() ?? 0;
    const extra = accounted.pop() ?? 0;
    buffer.writeInt32LE(at - start + extra, start);
    const outer = accounted.length - 1;
    if (outer >= 0) accounted[outer] = (accounted[outer] ?? 0) + extra;
  }

  return {
    document: (text) => open(0x03, text),
    array: (text) => open(0x04, text),
    end: close,
    string(text, value) {
      name(0x02, text);
      reserve(value.length * 3 + 5);
      const bytes = buffer.write(value, at + 4, 'utf8');
      buffer.writeInt32LE(bytes + 1, at);
      at += 4 + bytes;
      buffer[at++] = 0;
    },
    null: (text) => name(0x0a, text),
    boolean(text, value) {
      name(0x08, text);
      buffer[at++] = value ? 1 : 0;
    },
    integer(text, value) {
      if (value >= -INT32_MAX - 1 && value <= INT32_MAX) {
        name(0x10, text);
        at = buffer.writeInt32LE(value, at);
      } else {
        name(0x12, text);
        at = buffer.writeBigInt64LE(BigInt(value), at);
      }
    },
    double(text, value) {
      name(0x01, text);
      at = buffer.writeDoubleLE(value, at);
    },
    raw(bytes) {
      reserve(bytes.length);
      buffer.set(bytes, at);
      at += bytes.length;
    },
    get position() {
      return at;
    },
    account(bytes) {
      const inner = accounted.length - 1;
      accounted[inner] = (accounted[inner] ?? 0) + bytes;
    },
    finish() {
      while (starts.length > 0) close();
      const result = Buffer.allocUnsafe(at);
      buffer.copy(result, 0, 0, at);
      if (buffer.length > KEEP_BYTES) buffer = Buffer.allocUnsafe(initialBytes);
      at = 4;
      starts.push(0);
      accounted.push(0);
      return result;
    },
  };
}
