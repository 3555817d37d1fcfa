/** The frame of BSON (bsonspec.org, version 1.1): where values begin and end. Nothing outside of what is given is ever read. */
import { codedError, type CodedError } from '#core/platform/errors/coded-error.ts';

export const bsonType = {
  double: 0x01,
  string: 0x02,
  object: 0x03,
  array: 0x04,
  binary: 0x05,
  undefined: 0x06,
  objectId: 0x07,
  boolean: 0x08,
  date: 0x09,
  null: 0x0a,
  regex: 0x0b,
  dbPointer: 0x0c,
  code: 0x0d,
  symbol: 0x0e,
  codeWithScope: 0x0f,
  int32: 0x10,
  timestamp: 0x11,
  int64: 0x12,
  decimal128: 0x13,
  maxKey: 0x7f,
  minKey: 0xff,
} as const;

/** The bytes are no BSON: the connection or the driver is at fault, not a row. */
export function corruptBson(offset: number): CodedError {
  return codedError(
    'PSYNC_S1346',
    `A document from MongoDB is damaged at byte ${offset}. It is read again; if that does not help, check it on the server with validate.`,
  );
}

/** Offset of the zero that ends the document at `at`; the document ends before `end`. */
export function documentStop(bytes: Buffer, at: number, end: number): number {
  if (end - at < 5) throw corruptBson(at);
  const stop = at + bytes.readInt32LE(at) - 1;
  if (stop < at + 4 || stop >= end || bytes[stop] !== 0) throw corruptBson(at);
  return stop;
}

/** Offset of the zero that ends the name or pattern at `at`. */
export function cstringStop(bytes: Uint8Array, at: number, end: number): number {
  let stop = at;
  while (stop < end && bytes[stop] !== 0) stop += 1;
  if (stop >= end) throw corruptBson(at);
  return stop;
}

/** Bytes of values by type; negative: what their length follows from. */
const variesWithString = -1;
const variesWithDocument = -2;
const varies = -3;
const unknownType = -4;
const lengths = new Int8Array(256).fill(unknownType);
for (const [type, length] of [
  [bsonType.null, 0],
  [bsonType.undefined, 0],
  [bsonType.minKey, 0],
  [bsonType.maxKey, 0],
  [bsonType.boolean, 1],
  [bsonType.int32, 4],
  [bsonType.double, 8],
  [bsonType.date, 8],
  [bsonType.timestamp, 8],
  [bsonType.int64, 8],
  [bsonType.objectId, 12],
  [bsonType.decimal128, 16],
  [bsonType.string, variesWithString],
  [bsonType.code, variesWithString],
  [bsonType.symbol, variesWithString],
  [bsonType.object, variesWithDocument],
  [bsonType.array, variesWithDocument],
  [bsonType.binary, varies],
  [bsonType.regex, varies],
  [bsonType.dbPointer, varies],
  [bsonType.codeWithScope, varies],
] as const)
  lengths[type] = length;

/** Offset behind the value of this type at `at`, all of which lies before `end`; of documents only the frame is looked at. */
export function valueEnd(bytes: Buffer, type: number, at: number, end: number): number {
  const length = lengths[type]!;
  if (length >= 0) return within(at, length, end);
  if (length === variesWithString) return stringEnd(bytes, at, end);
  if (length === variesWithDocument) return documentStop(bytes, at, end) + 1;
  if (length === varies) return rareValueEnd(bytes, type, at, end);
  throw corruptBson(at);
}

function rareValueEnd(bytes: Buffer, type: number, at: number, end: number): number {
  if (type === bsonType.binary) {
    if (end - at < 5) throw corruptBson(at);
    return within(at, lengthAt(bytes, at, 0) + 5, end);
  }
  if (type === bsonType.regex) return cstringStop(bytes, cstringStop(bytes, at, end) + 1, end) + 1;
  if (type === bsonType.dbPointer) return within(stringEnd(bytes, at, end), 12, end);
  // Code with scope.
  if (end - at < 4) throw corruptBson(at);
  const stop = within(at, lengthAt(bytes, at, 14), end);
  if (documentStop(bytes, stringEnd(bytes, at + 4, stop), stop) + 1 !== stop) throw corruptBson(at);
  return stop;
}

/** Of a string: its length, its bytes, a zero. */
function stringEnd(bytes: Buffer, at: number, end: number): number {
  if (end - at < 5) throw corruptBson(at);
  const stop = within(at, lengthAt(bytes, at, 1) + 4, end);
  if (bytes[stop - 1] !== 0) throw corruptBson(at);
  return stop;
}

function lengthAt(bytes: Buffer, at: number, least: number): number {
  const length = bytes.readInt32LE(at);
  if (length < least) throw corruptBson(at);
  return length;
}

function within(at: number, length: number, end: number): number {
  if (length > end - at) throw corruptBson(at);
  return at + length;
}
