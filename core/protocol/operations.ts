/**
 * Bucket operations in wire form (S chapter 10.1, S-586…S-591): consecutive elements of a BSON array, keys "0", "1", …
 *
 * They are written once, when a row is replicated, stored as they are, and sent as they are. Each element is
 * `0x03, key, 0x00, document`; each document has the fields op_id, op, object_type, object_id, checksum, subkey, data in this order.
 * `checksum` is a BSON double holding an unsigned 32-bit integer (S-590).
 */
import { crc32 } from 'node:zlib';
import { codedError } from '../platform/errors/coded-error.ts';

export type OperationKind = 'PUT' | 'REMOVE' | 'MOVE' | 'CLEAR';

/** An operation taken apart, for what cannot forward bytes: NDJSON, compaction, tests. `data` is JSON text (S-395). */
export interface Operation {
  readonly opId: number;
  readonly op: OperationKind;
  readonly objectType: string | null;
  readonly objectId: string | null;
  readonly subkey: string | null;
  readonly checksum: number;
  readonly data: string | null;
}

const STRING = 0x02;
const DOCUMENT = 0x03;
const DOUBLE = 0x01;
const NULL = 0x0a;

const name = (text: string): Buffer => Buffer.from(`${text}\0`, 'latin1');
const field = (type: number, text: string): Buffer => Buffer.concat([Buffer.of(type), name(text)]);
const OP_ID = field(STRING, 'op_id');
const OBJECT_TYPE = field(STRING, 'object_type');
const OBJECT_ID = field(STRING, 'object_id');
const CHECKSUM = field(DOUBLE, 'checksum');
const SUBKEY = field(STRING, 'subkey');
const DATA = field(STRING, 'data');
const DATA_NULL = field(NULL, 'data');
const OPS: Record<OperationKind, Buffer> = {
  PUT: opField('PUT'),
  REMOVE: opField('REMOVE'),
  MOVE: opField('MOVE'),
  CLEAR: opField('CLEAR'),
};
function opField(kind: OperationKind): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32LE(kind.length + 1);
  return Buffer.concat([field(STRING, 'op'), length, name(kind)]);
}

/** Bytes of an element in front of its body, at the most: type, array key, lengths, op id. */
export const HEAD_BYTES = 48;
/** Bytes of a body besides its strings. */
const BODY_BYTES = 112;

/** Upper bound of the encoded size of a body, given the UTF-16 lengths of all its strings together. */
export function bodySizeBound(textLength: number): number {
  return BODY_BYTES + textLength * 3;
}

/** The array key of element `index`, without the terminating zero. */
function writeKey(target: Buffer, at: number, index: number): number {
  if (index < 10) {
    target[at] = 48 + index;
    return at + 1;
  }
  return writeAscii(target, at, String(index));
}

function writeAscii(target: Buffer, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) target[at + index] = text.charCodeAt(index);
  return at + text.length;
}

/** Up to this length a loop is faster than a call into the runtime. */
const SHORT = 40;

function writeString(target: Buffer, at: number, text: string): number {
  const start = at + 4;
  const length = (text.length <= SHORT && writeIfAscii(target, start, text)) || target.write(text, start, 'utf8');
  writeLength(target, at, length + 1);
  target[start + length] = 0;
  return start + length + 1;
}

/** The length, or 0 when there is something that is not ASCII. */
function writeIfAscii(target: Buffer, at: number, text: string): number {
  const { length } = text;
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code > 127) return 0;
    target[at + index] = code;
  }
  return length;
}

function writeLength(target: Buffer, at: number, length: number): void {
  target[at] = length;
  target[at + 1] = length >>> 8;
  target[at + 2] = length >>> 16;
  target[at + 3] = length >>> 24;
}

/** For short constants: a loop is faster than `set`. */
function writeBytes(target: Buffer, at: number, bytes: Buffer): number {
  for (let index = 0; index < bytes.length; index++) target[at + index] = bytes[index]!;
  return at + bytes.length;
}

/** Where a body ended, and the checksum that stands in it. */
export interface WrittenBody {
  end: number;
  checksum: number;
}

/**
 * Writes everything of an operation that does not depend on its op id, and so is the same in every bucket of a row: the end of the
 * document after `op_id`. `data` is the row's JSON; null makes a REMOVE (S-396). The checksum is the CRC-32 of these bytes with 0 in
 * its own place (S-411, S-412). The target must have room (`bodySizeBound`).
 */
export function writeBody(
  target: Buffer,
  at: number,
  objectType: string,
  objectId: string,
  subkey: string,
  data: string | null,
  written: WrittenBody,
): void {
  let end = writeBytes(target, at, data === null ? OPS.REMOVE : OPS.PUT);
  end = writeBytes(target, end, OBJECT_TYPE);
  end = writeString(target, end, objectType);
  end = writeBytes(target, end, OBJECT_ID);
  end = writeString(target, end, objectId);
  end = writeBytes(target, end, CHECKSUM);
  const checksumAt = end;
  for (; end < checksumAt + 8; end++) target[end] = 0;
  end = writeBytes(target, end, SUBKEY);
  end = writeString(target, end, subkey);
  if (data === null) {
    end = writeBytes(target, end, DATA_NULL);
  } else {
    end = writeBytes(target, end, DATA);
    const length = target.write(data, end + 4, 'utf8');
    writeLength(target, end, length + 1);
    end += 4 + length;
    target[end++] = 0;
  }
  target[end++] = 0;
  written.checksum = crc32(target.subarray(at, end));
  written.end = end;
  target.writeDoubleLE(written.checksum, checksumAt);
}

/** The checksum that `writeBody` gives an operation. */
export function operationChecksum(objectType: string, objectId: string, subkey: string, data: string | null): number {
  const written: WrittenBody = { end: 0, checksum: 0 };
  const texts = objectType.length + objectId.length + subkey.length + (data ?? '').length;
  writeBody(Buffer.alloc(bodySizeBound(texts)), 0, objectType, objectId, subkey, data, written);
  return written.checksum;
}

/** Writes element `index` of an operations array, with a body that `writeBody` made. Returns the position after it. */
export function writeOperation(
  target: Buffer,
  at: number,
  index: number,
  opId: number,
  body: Buffer,
  bodyStart: number,
  bodyEnd: number,
): number {
  target[at] = DOCUMENT;
  let end = writeKey(target, at + 1, index);
  target[end++] = 0;
  const start = end;
  end = writeBytes(target, end + 4, OP_ID);
  const idEnd = writeAscii(target, end + 4, String(opId));
  target[idEnd] = 0;
  writeLength(target, end, idEnd - end - 3);
  end = idEnd + 1;
  end += body.copy(target, end, bodyStart, bodyEnd);
  writeLength(target, start, end - start);
  return end;
}

/** Encodes operations from their parts; for compaction and tests, the hot path uses `writeOperation`. */
export function encodeOperations(operations: readonly Operation[]): Buffer {
  const parts = operations.map((operation, index) => encodeOne(operation, index));
  return Buffer.concat(parts);
}

function encodeOne(operation: Operation, index: number): Buffer {
  const { op, objectType, objectId, subkey, data } = operation;
  const body = Buffer.alloc(
    bodySizeBound((objectType ?? '').length + (objectId ?? '').length + (subkey ?? '').length + (data ?? '').length),
  );
  let end = writeBytes(body, 0, OPS[op]);
  if (objectType !== null) end = writeString(body, writeBytes(body, end, OBJECT_TYPE), objectType);
  if (objectId !== null) end = writeString(body, writeBytes(body, end, OBJECT_ID), objectId);
  end = body.writeDoubleLE(operation.checksum, writeBytes(body, end, CHECKSUM));
  if (subkey !== null) end = writeString(body, writeBytes(body, end, SUBKEY), subkey);
  end = data === null ? writeBytes(body, end, DATA_NULL) : writeString(body, writeBytes(body, end, DATA), data);
  body[end++] = 0;
  const target = Buffer.alloc(HEAD_BYTES + end);
  return target.subarray(0, writeOperation(target, 0, index, operation.opId, body, 0, end));
}

/** Where an operation stands: `element` is its first byte (the type), `document` that of its document, `end` the byte after it. */
export interface OperationSpan {
  readonly element: number;
  readonly document: number;
  readonly end: number;
  readonly opId: number;
}

/** Walks the elements without decoding more than op ids. Throws PSYNC_S0001 when the bytes are not a well-formed operations array. */
export function* operationSpans(bytes: Buffer): Generator<OperationSpan> {
  let element = 0;
  while (element < bytes.length) {
    const keyEnd = bytes.indexOf(0, element + 1);
    const document = keyEnd + 1;
    if (bytes[element] !== DOCUMENT || keyEnd < 0 || document + 4 > bytes.length) throw malformed();
    const end = document + bytes.readInt32LE(document);
    const idLength = end > bytes.length || end < document + 16 ? 0 : bytes.readInt32LE(document + 4 + OP_ID.length);
    if (idLength < 2 || idLength > 20) throw malformed();
    const idStart = document + 8 + OP_ID.length;
    const opId = Number(bytes.toString('latin1', idStart, idStart + idLength - 1));
    yield { element, document, end, opId };
    element = end;
  }
}

/** Re-keys elements so that several chunks form one array: copies the documents of `bytes` to `target` with keys from `firstIndex` on. */
export function appendRekeyed(
  target: Buffer,
  at: number,
  firstIndex: number,
  bytes: Buffer,
): { end: number; count: number } {
  let source = 0;
  let end = at;
  let index = firstIndex;
  while (source < bytes.length) {
    let document = source + 2;
    while (bytes[document - 1] !== 0) document++;
    const length = bytes.readInt32LE(document);
    target[end++] = DOCUMENT;
    end = writeKey(target, end, index++);
    target[end++] = 0;
    end += bytes.copy(target, end, document, document + length);
    source = document + length;
  }
  return { end, count: index - firstIndex };
}

/** Keeps only operations with after < op id <= upTo, re-keyed from 0. For the rare chunk that a position cuts. */
export function cutOperations(
  bytes: Buffer,
  after: number,
  upTo: number,
): { bytes: Buffer; count: number; lastOp: number } {
  const parts: Buffer[] = [];
  let lastOp = after;
  for (const span of operationSpans(bytes)) {
    if (span.opId <= after || span.opId > upTo) continue;
    const key = Buffer.from(String(parts.length), 'latin1');
    parts.push(Buffer.concat([Buffer.of(DOCUMENT), key, Buffer.of(0), bytes.subarray(span.document, span.end)]));
    lastOp = span.opId;
  }
  return { bytes: Buffer.concat(parts), count: parts.length, lastOp };
}

/** Decodes all operations of an array. Throws PSYNC_S0001 on anything that `writeOperation` does not produce. */
export function decodeOperations(bytes: Buffer): Operation[] {
  const result: Operation[] = [];
  for (const span of operationSpans(bytes)) result.push(decodeDocument(bytes, span));
  return result;
}

function decodeDocument(bytes: Buffer, span: OperationSpan): Operation {
  let at = span.document + 4;
  const fields: Record<string, string | number | null> = {};
  while (at < span.end - 1) {
    const type = bytes[at];
    const keyEnd = bytes.indexOf(0, at + 1);
    const key = bytes.toString('latin1', at + 1, keyEnd);
    at = keyEnd + 1;
    if (type === STRING) {
      const length = bytes.readInt32LE(at);
      fields[key] = bytes.toString('utf8', at + 4, at + 3 + length);
      at += 4 + length;
    } else if (type === DOUBLE) {
      fields[key] = bytes.readDoubleLE(at);
      at += 8;
    } else if (type === NULL) {
      fields[key] = null;
    } else {
      throw malformed();
    }
  }
  const text = (key: string): string | null => (typeof fields[key] === 'string' ? fields[key] : null);
  const op = text('op');
  const checksum = fields['checksum'];
  if (op === null || !(op in OPS) || typeof checksum !== 'number') throw malformed();
  return {
    opId: span.opId,
    op: op as OperationKind,
    objectType: text('object_type'),
    objectId: text('object_id'),
    subkey: text('subkey'),
    checksum,
    data: text('data'),
  };
}

/** PSYNC_S0001, for stored bytes that are no operations. */
export function malformed(): Error {
  return codedError(
    'PSYNC_S0001',
    'A stored chunk of operations is malformed. Bucket storage was changed by something else, or this is a bug.',
  );
}
