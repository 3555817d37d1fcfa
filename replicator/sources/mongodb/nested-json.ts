/**
 * Documents and arrays inside a document as JSON text, straight from their bytes (S-307, S-308, S-322): what is inside has the form it has
 * as a column, as JSON. Booleans are 1 and 0, as in JSON of Postgres; reals keep their fraction (S-276); dates, ids and decimals are strings.
 * Binary is left out (S-323); in an array null keeps its place.
 */
import { MAX_JSON_DEPTH } from '#core/platform/limits.ts';
import { renderValue } from '#core/sync-config/evaluate/output.ts';
import type { InstantFormatter } from '../values/date-times.ts';
import { createJsonBytes, type JsonBytes } from '../values/json-bytes.ts';
import { bsonType, corruptBson, cstringStop, documentStop, valueEnd } from './bson-bytes.ts';
import { decimal128Text } from './decimal128.ts';
import { dateAt, dbPointerAt, int64At, isUuid, smallInt64At, timestampAt, uuidAt } from './scalars.ts';
import { createShapes } from './shapes.ts';

/** Thrown for JSON nested deeper than the limit (S-273); no stack, because it is no surprise. */
export const tooDeep: unique symbol = Symbol('JSON nested too deeply');

/** JSON text of a value of any type but binary; `bytes[at…end)` is its frame. Throws `tooDeep`, or an error for damaged BSON. */
export type NestedJson = (bytes: Buffer, type: number, at: number, end: number) => string;

const comma = 0x2c;
const leftOut = (bytes: Buffer, type: number, at: number): boolean => type === bsonType.binary && !isUuid(bytes, at);

/** Values of the fields of a document by name: of equal names the last one counts, at the place of the first (as drivers read it). */
export function lastOfEachName(
  bytes: Buffer,
  from: number,
  stop: number,
): Map<string, { readonly type: number; readonly at: number; readonly end: number }> {
  const found = new Map<string, { type: number; at: number; end: number }>();
  let at = from;
  while (at < stop) {
    const type = bytes[at]!;
    const nameStop = cstringStop(bytes, at + 1, stop);
    const end = valueEnd(bytes, type, nameStop + 1, stop);
    found.set(bytes.toString('utf8', at + 1, nameStop), { type, at: nameStop + 1, end });
    at = end;
  }
  if (at !== stop) throw corruptBson(at);
  return found;
}

export function createNestedJson(formatDate: InstantFormatter): NestedJson {
  const out = createJsonBytes();
  const shapes = createShapes();
  let bytes: Buffer = Buffer.alloc(0);

  const deeper = (depth: number, levels: number): number => {
    if (depth + levels > MAX_JSON_DEPTH) throw tooDeep;
    return depth + levels;
  };

  const object = (from: number, stop: number, depth: number): void => {
    const inside = deeper(depth, 1);
    const shape = shapes.of(bytes, from, stop);
    if (shape === null) {
      anyObject(from, stop, inside);
      return;
    }
    out.byte(0x7b);
    let at = from;
    let first = true;
    for (const { bytes: name, key } of shape.fields) {
      const type = bytes[at]!;
      const valueAt = at + 1 + name.length;
      at = valueEnd(bytes, type, valueAt, stop);
      if (leftOut(bytes, type, valueAt)) continue;
      if (!first) out.byte(comma);
      first = false;
      out.raw(key);
      value(type, valueAt, at, inside);
    }
    out.byte(0x7d);
  };
  const anyObject = (from: number, stop: number, inside: number): void => {
    let separator = '{';
    for (const [name, { type, at, end }] of lastOfEachName(bytes, from, stop)) {
      if (leftOut(bytes, type, at)) continue;
      out.ascii(separator);
      separator = ',';
      out.text(name);
      out.byte(0x3a);
      value(type, at, end, inside);
    }
    out.ascii(separator === '{' ? '{}' : '}');
  };
  /** Names in an array are its indexes, whatever they say. */
  const array = (from: number, stop: number, depth: number): void => {
    const inside = deeper(depth, 1);
    out.byte(0x5b);
    let at = from;
    while (at < stop) {
      const type = bytes[at]!;
      const valueAt = cstringStop(bytes, at + 1, stop) + 1;
      if (at > from) out.byte(comma);
      at = valueEnd(bytes, type, valueAt, stop);
      if (leftOut(bytes, type, valueAt)) out.ascii('null');
      else value(type, valueAt, at, inside);
    }
    if (at !== stop) throw corruptBson(at);
    out.byte(0x5d);
  };

  const value = (type: number, at: number, end: number, depth: number): void => {
    if (type === bsonType.object) object(at + 4, documentStop(bytes, at, end), depth);
    else if (type === bsonType.array) array(at + 4, documentStop(bytes, at, end), depth);
    else if (type === bsonType.code || type === bsonType.codeWithScope) code(type, at, end, deeper(depth, 1));
    else if (type === bsonType.regex) {
      deeper(depth, 1);
      writeRegex(out, bytes, at, end);
    } else if (type === bsonType.dbPointer) {
      deeper(depth, 2);
      writeDbPointer(out, bytes, at, end);
    } else writeScalar(out, bytes, type, at, end, formatDate);
  };
  const code = (type: number, at: number, end: number, inside: number): void => {
    const stringStart = type === bsonType.code ? at : at + 4;
    const stringStop = stringStart + 4 + bytes.readInt32LE(stringStart);
    out.ascii('{"code":');
    out.string(bytes, stringStart + 4, stringStop - 1);
    out.ascii(',"scope":');
    if (type === bsonType.code) out.ascii('null');
    else object(stringStop + 4, documentStop(bytes, stringStop, end), inside);
    out.byte(0x7d);
  };

  return (source, type, at, end) => {
    bytes = source;
    out.cut(0);
    value(type, at, end, 0);
    return out.take();
  };
}

/** What has no parts; binary only as UUID. */
function writeScalar(
  out: JsonBytes,
  bytes: Buffer,
  type: number,
  at: number,
  end: number,
  formatDate: InstantFormatter,
): void {
  switch (type) {
    case bsonType.string:
    case bsonType.symbol:
      out.string(bytes, at + 4, end - 1);
      return;
    case bsonType.int32:
      out.integer(bytes.readInt32LE(at));
      return;
    case bsonType.double:
      out.real(bytes.readDoubleLE(at));
      return;
    case bsonType.boolean:
      out.byte(bytes[at] === 0 ? 0x30 : 0x31);
      return;
    case bsonType.objectId:
      out.quoted(bytes.toString('hex', at, end));
      return;
    case bsonType.date:
      out.quoted(dateAt(bytes, at, formatDate));
      return;
    case bsonType.int64: {
      const small = smallInt64At(bytes, at);
      if (small === null) out.ascii(int64At(bytes, at).toString());
      else out.integer(small);
      return;
    }
    case bsonType.decimal128:
      out.quoted(decimal128Text(bytes, at));
      return;
    case bsonType.binary:
      out.quoted(uuidAt(bytes, at));
      return;
    case bsonType.timestamp:
      out.ascii(renderValue(timestampAt(bytes, at)));
      return;
    default:
      // Null, undefined, the smallest and the largest key; other types have no frame and do not come here.
      out.ascii('null');
  }
}

function writeRegex(out: JsonBytes, bytes: Buffer, at: number, end: number): void {
  const stop = cstringStop(bytes, at, end);
  out.ascii('{"pattern":');
  out.string(bytes, at, stop);
  out.ascii(',"options":');
  out.string(bytes, stop + 1, end - 1);
  out.byte(0x7d);
}

function writeDbPointer(out: JsonBytes, bytes: Buffer, at: number, end: number): void {
  const { collection, oid, db } = dbPointerAt(bytes, at, end);
  out.ascii('{"collection":');
  out.text(collection);
  out.ascii(`,"oid":"${oid}","db":`);
  if (db === null) out.ascii('null');
  else out.text(db);
  out.ascii(',"fields":{}}');
}
