/**
 * Documents of MongoDB as rows (S-303…S-323, S-43, R-250): one column for each top-level field, in the order of the document. They are read
 * from BSON as the driver hands it out with `raw: true`; no object is built on the way.
 *
 * What the table of types leaves open: a document that follows the convention of DBRef (`$ref`, `$id`) is a document like any other. A name
 * that occurs twice counts with its last value. Text that is not UTF-8 gets U+FFFD for what cannot be read.
 */
import { MAX_ROW_BYTES } from '#core/platform/limits.ts';
import type { SourceRow, SqliteValue } from '#core/sync-config/values.ts';
import type { ValueOptions } from '../contract.ts';
import { createInstantFormatter, fractionDigits, mongodbPrecision } from '../values/date-times.ts';
import type { RowFault } from '../values/row-fault.ts';
import { bsonType, corruptBson, documentStop, valueEnd } from './bson-bytes.ts';
import { decimal128Text } from './decimal128.ts';
import { createNestedJson, lastOfEachName, tooDeep } from './nested-json.ts';
import {
  binaryAt,
  dateAt,
  int64At,
  isNullType,
  isUuid,
  smallInt64At,
  stringAt,
  timestampAt,
  uuidAt,
} from './scalars.ts';
import { createShapes } from './shapes.ts';

export interface DocumentRow {
  /** Names of the top-level fields. Documents with the same names in the same order mostly share this very list. */
  readonly columns: readonly string[];
  /** Values in the same order. */
  readonly values: SourceRow;
}

export interface DocumentReader {
  /**
   * The document `bytes[from…to)`. A fault when it may not be replicated; PSYNC_S1346 when it is no BSON. The row holds
   * nothing of `bytes`.
   */
  read(bytes: Buffer, from?: number, to?: number): DocumentRow | RowFault;
}

/** `isRead` false: nobody reads columns of this name, their values are null. It must not change. */
export function createDocumentReader(
  options: ValueOptions,
  isRead: (column: string) => boolean = () => true,
): DocumentReader {
  const separator = options.timestampsIso8601 ? 'T' : ' ';
  const formatDate = createInstantFormatter(separator, fractionDigits(options, mongodbPrecision));
  const nestedJson = createNestedJson(formatDate);
  const shapes = createShapes();
  const readFlags = new WeakMap<readonly string[], readonly boolean[]>();
  const readsOf = (columns: readonly string[]): readonly boolean[] => {
    let reads = readFlags.get(columns);
    if (reads === undefined) {
      reads = columns.map((name) => isRead(name));
      readFlags.set(columns, reads);
    }
    return reads;
  };

  const value = (bytes: Buffer, type: number, at: number, end: number): SqliteValue => {
    switch (type) {
      case bsonType.string:
      case bsonType.symbol:
        return stringAt(bytes, at);
      case bsonType.int32:
        return integer(bytes.readInt32LE(at));
      case bsonType.double:
        return bytes.readDoubleLE(at);
      case bsonType.boolean:
        return bytes[at] === 0 ? 0n : 1n;
      case bsonType.objectId:
        return bytes.toString('hex', at, end);
      case bsonType.date:
        return dateAt(bytes, at, formatDate);
      case bsonType.int64: {
        const small = smallInt64At(bytes, at);
        return small === null ? int64At(bytes, at) : integer(small);
      }
      case bsonType.decimal128:
        return decimal128Text(bytes, at);
      case bsonType.timestamp:
        return timestampAt(bytes, at);
      case bsonType.binary:
        return isUuid(bytes, at) ? uuidAt(bytes, at) : binaryAt(bytes, at, end);
      default:
        return isNullType(type) ? null : nestedJson(bytes, type, at, end);
    }
  };

  /** The field that is being read, for faults. */
  let column = '';
  const readRow = (bytes: Buffer, from: number, stop: number): DocumentRow => {
    const shape = shapes.of(bytes, from, stop);
    if (shape === null) return readAnyRow(bytes, from, stop);
    const { columns, fields } = shape;
    const reads = readsOf(columns);
    const count = fields.length;
    const values = new Array<SqliteValue>(count);
    let at = from;
    for (let index = 0; index < count; index += 1) {
      const type = bytes[at]!;
      const valueAt = at + 1 + fields[index]!.bytes.length;
      at = valueEnd(bytes, type, valueAt, stop);
      column = columns[index]!;
      values[index] = reads[index] === true ? value(bytes, type, valueAt, at) : null;
    }
    return { columns, values };
  };
  const readAnyRow = (bytes: Buffer, from: number, stop: number): DocumentRow => {
    const columns: string[] = [];
    const values: SqliteValue[] = [];
    for (const [name, { type, at, end }] of lastOfEachName(bytes, from, stop)) {
      column = name;
      columns.push(name);
      values.push(isRead(name) ? value(bytes, type, at, end) : null);
    }
    return { columns, values };
  };

  return {
    read(bytes, from = 0, to = bytes.length) {
      const stop = documentStop(bytes, from, to);
      if (stop + 1 !== to) throw corruptBson(from);
      if (to - from > MAX_ROW_BYTES) return { code: 'PSYNC_S1002', bytes: to - from };
      try {
        return readRow(bytes, from + 4, stop);
      } catch (error) {
        if (error === tooDeep) return { code: 'PSYNC_S1004', column };
        throw error;
      }
    },
  };
}

/** Small whole numbers are so frequent that they are made once. */
const smallIntegers = Array.from({ length: 1_024 }, (_, value) => BigInt(value));

function integer(value: number): bigint {
  return value >= 0 && value < 1_024 ? smallIntegers[value]! : BigInt(value);
}
