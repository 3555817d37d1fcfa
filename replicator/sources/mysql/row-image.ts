/**
 * Rows of the binlog as SQLite values (S-324…S-343, R-256): what the text protocol sends for the same row, byte for byte. A row event holds
 * row images; how they are packed follows from the table map event before it, what the columns are called and mean from the description of
 * the table at that time. Own code, because the libraries decode spatial values and JSON into objects, of which neither can be had back.
 */
import type { SourceRow, SqliteValue } from '#core/sync-config/values.ts';
import type { ValueOptions } from '../contract.ts';
import { faultOfValues, type RowFault } from '../values/row-fault.ts';
import { createBinaryJsonReader } from './binary-json.ts';
import { charsetDecoder } from './charsets.ts';
import { damagedEvent } from './damaged-event.ts';
import { dateText, dateTimeText, decimalBytes, decimalText, timestampText, timeText } from './packed-values.ts';
import {
  blobValue,
  dateTimeFormatter,
  floatValue,
  integerValue,
  jsonColumns,
  type MysqlColumn,
  setValue,
  timeFormatter,
} from './values.ts';

const wireType = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  longlong: 8,
  int24: 9,
  date: 10,
  year: 13,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  vector: 242,
  json: 245,
  newDecimal: 246,
  enum: 247,
  set: 248,
  blob: 252,
  string: 254,
  geometry: 255,
} as const;

/** A column as the table map event has it; `size` and `scale` mean what they mean for the type. */
export interface WireColumn {
  readonly type: number;
  /** Length of a length, longest value, digits of a fraction, precision, bytes. */
  readonly size: number;
  readonly scale: number;
}

/** The columns of a table map event, from its list of types and its block of metadata. */
export function wireColumns(types: Uint8Array, metadata: Buffer): WireColumn[] {
  let at = 0;
  const next = (): number => {
    const byte = metadata[at];
    if (byte === undefined) throw damagedEvent('a table map that is cut off');
    at += 1;
    return byte;
  };
  return Array.from(types, (type): WireColumn => {
    switch (type) {
      case wireType.varchar:
        return { type, size: next() + 256 * next(), scale: 0 };
      case wireType.bit: {
        const bits = next();
        return { type, size: next() + (bits > 0 ? 1 : 0), scale: 0 };
      }
      case wireType.newDecimal:
        return { type, size: next(), scale: next() };
      case wireType.string: {
        const first = next();
        const length = next();
        // Enum and set come as strings; of long strings two bits of the length hide in the type.
        if (first === wireType.enum || first === wireType.set) return { type: first, size: length, scale: 0 };
        return { type, size: length + ((~first & 0x30) << 4), scale: 0 };
      }
      case wireType.float:
      case wireType.double:
      case wireType.blob:
      case wireType.json:
      case wireType.vector:
      case wireType.geometry:
      case wireType.timestamp2:
      case wireType.datetime2:
      case wireType.time2:
        return { type, size: next(), scale: 0 };
      default:
        return { type, size: 0, scale: 0 };
    }
  });
}

export interface RowImageReader {
  /**
   * The row image at `from`; `present`: the bitmap of the columns that the event holds, values of others are null. An error when the
   * bytes before `to` do not suffice. The row holds nothing of `bytes`.
   */
  read(
    bytes: Buffer,
    from: number,
    to: number,
    present: Uint8Array,
  ): { readonly row: SourceRow | RowFault; readonly end: number };
}

/** `columns` and `wire` describe the same columns in the same order. */
export function createRowImageReader(
  columns: readonly MysqlColumn[],
  wire: readonly WireColumn[],
  options: ValueOptions,
): RowImageReader {
  if (columns.length !== wire.length) throw damagedEvent('another number of columns than the table has');
  const names = columns.map(({ name }) => name);
  const json = jsonColumns(columns);
  const cursor = createCursor();
  const readers = columns.map((column, index) => valueReader(column, wire[index]!, options, cursor));
  return {
    read(bytes, from, to, present) {
      cursor.reset(bytes, from, to);
      const isPresent = readers.map((_, index) => bit(present, index));
      const nulls = cursor.take((isPresent.filter(Boolean).length + 7) >> 3);
      let position = 0;
      const row = readers.map((read, index): SqliteValue => {
        if (isPresent[index] !== true) return null;
        const isNull = bit(bytes, position, nulls);
        position += 1;
        return isNull ? null : read();
      });
      return { row: faultOfValues(names, json, row) ?? row, end: cursor.at() };
    },
  };
}

function bit(bytes: Uint8Array, index: number, from = 0): boolean {
  return ((bytes[from + (index >> 3)]! >> (index & 7)) & 1) === 1;
}

interface Cursor {
  reset(bytes: Buffer, from: number, to: number): void;
  at(): number;
  bytes(): Buffer;
  /** Offset of the next `count` bytes, and goes behind them. */
  take(count: number): number;
  /** An unsigned integer of up to 6 bytes. */
  littleEndian(count: number): number;
  bigEndian(count: number): number;
}

function createCursor(): Cursor {
  let bytes: Buffer = Buffer.alloc(0);
  let at = 0;
  let end = 0;
  const take = (count: number): number => {
    const from = at;
    if (count > end - at) throw damagedEvent('a row that is cut off');
    at += count;
    return from;
  };
  return {
    reset(source, from, to) {
      bytes = source;
      at = from;
      end = to;
    },
    at: () => at,
    bytes: () => bytes,
    take,
    littleEndian: (count) => bytes.readUIntLE(take(count), count),
    bigEndian: (count) => bytes.readUIntBE(take(count), count),
  };
}

type Read = () => SqliteValue;

function valueReader(column: MysqlColumn, wire: WireColumn, options: ValueOptions, cursor: Cursor): Read {
  const { size, scale } = wire;
  switch (wire.type) {
    case wireType.tiny:
      return integerReader(column, 1, cursor);
    case wireType.short:
      return integerReader(column, 2, cursor);
    case wireType.int24:
      return integerReader(column, 3, cursor);
    case wireType.long:
      return integerReader(column, 4, cursor);
    case wireType.longlong:
      return integerReader(column, 8, cursor);
    case wireType.float:
      return () => floatValue(cursor.bytes().readFloatLE(cursor.take(4)));
    case wireType.double:
      return () => cursor.bytes().readDoubleLE(cursor.take(8));
    case wireType.newDecimal: {
      const length = decimalBytes(size, scale);
      return () => decimalText(cursor.bytes(), cursor.take(length), size, scale);
    }
    case wireType.year:
      return () => {
        const year = cursor.littleEndian(1);
        return year === 0 ? '0000' : String(1_900 + year);
      };
    case wireType.bit:
      return () => copy(cursor, size);
    case wireType.enum:
    case wireType.set:
      return memberReader(column, wire, cursor);
    case wireType.varchar:
    case wireType.string:
      return stringReader(column, size > 255 ? 2 : 1, cursor);
    case wireType.blob:
      return stringReader(column, size, cursor);
    case wireType.geometry:
    case wireType.vector:
      return () => copy(cursor, cursor.littleEndian(size));
    case wireType.json: {
      const readJson = createBinaryJsonReader();
      return () => {
        const length = cursor.littleEndian(size);
        const from = cursor.take(length);
        return readJson(cursor.bytes().subarray(from, from + length));
      };
    }
    default:
      return temporalReader(column, wire, options, cursor);
  }
}

function copy(cursor: Cursor, length: number): Uint8Array {
  const from = cursor.take(length);
  return blobValue(cursor.bytes().subarray(from, from + length));
}

function integerReader({ fullType }: MysqlColumn, size: number, cursor: Cursor): Read {
  const unsigned = fullType.includes('unsigned');
  if (size === 8) {
    return unsigned
      ? () => integerValue(cursor.bytes().readBigUInt64LE(cursor.take(8)))
      : () => cursor.bytes().readBigInt64LE(cursor.take(8));
  }
  return unsigned
    ? () => BigInt(cursor.littleEndian(size))
    : () => BigInt(cursor.bytes().readIntLE(cursor.take(size), size));
}

function temporalReader(
  column: MysqlColumn,
  { type, size: digits }: WireColumn,
  options: ValueOptions,
  cursor: Cursor,
): Read {
  const fractionBytes = (digits + 1) >> 1;
  const microseconds = (): number =>
    fractionBytes === 0 ? 0 : cursor.bigEndian(fractionBytes) * 10 ** (6 - 2 * fractionBytes);
  switch (type) {
    case wireType.date:
      return () => {
        const packed = cursor.littleEndian(3);
        return dateText(packed >> 9, (packed >> 5) & 15, packed & 31);
      };
    case wireType.datetime2: {
      const format = dateTimeFormatter(options);
      // Above the middle of 40 bits: below it would be negative, which no date is.
      return () => format(dateTimeText(cursor.bigEndian(5) - 0x80_0000_0000, microseconds(), digits));
    }
    case wireType.timestamp2: {
      const format = dateTimeFormatter(options);
      return () => format(timestampText(cursor.bigEndian(4), microseconds(), digits));
    }
    case wireType.time2: {
      const format = timeFormatter(options);
      return () => format(spanText(cursor, digits, fractionBytes));
    }
    default:
      throw damagedEvent(`a column of type ${type} (${column.fullType}), which is not known`);
  }
}

/** Whole and fraction are one number, moved so that zero is in the middle of its range. */
function spanText(cursor: Cursor, digits: number, fractionBytes: number): string {
  const unit = 256 ** fractionBytes;
  const packed = cursor.bigEndian(3 + fractionBytes) - 0x80_0000 * unit;
  const magnitude = Math.abs(packed);
  const fraction = (magnitude % unit) * 10 ** (6 - 2 * fractionBytes);
  return timeText(packed < 0, Math.floor(magnitude / unit), fraction, digits);
}

function stringReader(column: MysqlColumn, lengthBytes: number, cursor: Cursor): Read {
  const { type } = column;
  if (type === 'binary') {
    // The zeros at its end are left out on the way.
    const width = Number(/\((\d+)\)/.exec(column.fullType)?.[1] ?? 1);
    return () => {
      const length = cursor.littleEndian(lengthBytes);
      const padded = new Uint8Array(Math.max(width, length));
      const from = cursor.take(length);
      padded.set(cursor.bytes().subarray(from, from + length));
      return padded;
    };
  }
  if (type === 'varbinary' || type.endsWith('blob')) return () => copy(cursor, cursor.littleEndian(lengthBytes));
  const decode = charsetDecoder(column.charset);
  if (decode === null) throw damagedEvent(`text in the character set ${column.charset}, which is not supported`);
  return () => {
    const length = cursor.littleEndian(lengthBytes);
    const from = cursor.take(length);
    return decode(cursor.bytes(), from, from + length);
  };
}

function memberReader(column: MysqlColumn, { type, size }: WireColumn, cursor: Cursor): Read {
  const members = membersOf(column.fullType);
  // 0 is what MySQL stores for a value that is no member.
  if (type === wireType.enum) return () => members[cursor.littleEndian(size) - 1] ?? '';
  return () => {
    const from = cursor.take(size);
    const bytes = cursor.bytes();
    return setValue(members.filter((_, index) => index < 8 * size && bit(bytes, index, from)).join(','));
  };
}

/** The members of `enum('a','it''s')` and `set(…)`, as `information_schema` writes them: with escapes. */
export function membersOf(fullType: string): string[] {
  return Array.from(fullType.matchAll(/'((?:[^'\\]|''|\\.)*)'/gs), ([, member]) =>
    member!.replace(/''|\\(.)/gs, (_, escaped: string | undefined) => unescaped(escaped)),
  );
}

function unescaped(escaped: string | undefined): string {
  switch (escaped) {
    case undefined:
      return "'";
    case '0':
      return '\0';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    default:
      return escaped;
  }
}
