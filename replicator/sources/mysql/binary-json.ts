/**
 * JSON as MySQL stores it and writes it to the binlog, as the very text that MySQL prints (S-272, S-336, R-256): members in their stored
 * order, `, ` and `: ` between them, whole reals with `.0`.
 */
import { createJsonBytes, type JsonBytes } from '../values/json-bytes.ts';
import { damagedEvent } from './damaged-event.ts';
import { dateTimeText, decimalBytes, decimalText, timeText } from './packed-values.ts';

const jsonType = {
  smallObject: 0,
  largeObject: 1,
  smallArray: 2,
  largeArray: 3,
  literal: 4,
  int16: 5,
  uint16: 6,
  int32: 7,
  uint32: 8,
  int64: 9,
  uint64: 10,
  double: 11,
  string: 12,
  opaque: 15,
} as const;
const literals = ['null', 'true', 'false'] as const;
/** MySQL stores at most 100 levels. */
const deepest = 100;

/** Types of columns whose values stand in JSON as such. */
const columnType = { date: 10, time: 11, dateTime: 12, timestamp: 7, decimal: 246 } as const;

export function createBinaryJsonReader(): (value: Buffer) => string {
  const out = createJsonBytes();
  /** The whole value; reading behind its end is a RangeError. */
  let bytes: Buffer = Buffer.alloc(0);
  /** Values that may still come: each takes bytes of its own, so that damaged offsets cannot lead round and round. */
  let left = 0;

  const container = (at: number, type: number, depth: number): void => {
    if (depth > deepest) throw damagedEvent('JSON nested too deeply');
    const large = type === jsonType.largeObject || type === jsonType.largeArray;
    const object = type === jsonType.smallObject || type === jsonType.largeObject;
    const width = large ? 4 : 2;
    const word = (offset: number): number => (large ? bytes.readUInt32LE(offset) : bytes.readUInt16LE(offset));
    const count = word(at);
    const keys = at + 2 * width;
    const values = keys + (object ? count * (width + 2) : 0);
    if (values + count * (width + 1) > bytes.length) throw damagedEvent('JSON that is cut off');
    out.byte(object ? 0x7b : 0x5b);
    for (let index = 0; index < count; index += 1) {
      if (index > 0) out.ascii(', ');
      if (object) {
        const key = keys + index * (width + 2);
        const start = at + word(key);
        writeString(out, bytes, start, bytes.readUInt16LE(key + width));
        out.ascii(': ');
      }
      const entry = values + index * (width + 1);
      const entryType = bytes.readUInt8(entry);
      const inline =
        entryType === jsonType.literal ||
        entryType === jsonType.int16 ||
        entryType === jsonType.uint16 ||
        (large && (entryType === jsonType.int32 || entryType === jsonType.uint32));
      value(inline ? entry + 1 : at + word(entry + 1), entryType, depth);
    }
    out.byte(object ? 0x7d : 0x5d);
  };
  const value = (at: number, type: number, depth: number): void => {
    left -= 1;
    if (left < 0) throw damagedEvent('JSON that is larger than its bytes');
    if (type <= jsonType.largeArray) container(at, type, depth + 1);
    else writeScalar(out, bytes, at, type);
  };

  return (source) => {
    bytes = source;
    left = source.length;
    out.cut(0);
    // A value of no bytes at all: what MySQL makes of NULL that came in where none may be.
    if (source.length === 0) return 'null';
    try {
      value(1, source.readUInt8(0), 0);
    } catch (error) {
      if (error instanceof RangeError) throw damagedEvent('JSON that is cut off');
      throw error;
    }
    return out.take();
  };
}

function writeScalar(out: JsonBytes, bytes: Buffer, at: number, type: number): void {
  switch (type) {
    case jsonType.literal: {
      const literal = literals[bytes.readUInt8(at)];
      if (literal === undefined) throw damagedEvent('a JSON literal that does not exist');
      out.ascii(literal);
      return;
    }
    case jsonType.int16:
      out.integer(bytes.readInt16LE(at));
      return;
    case jsonType.uint16:
      out.integer(bytes.readUInt16LE(at));
      return;
    case jsonType.int32:
      out.integer(bytes.readInt32LE(at));
      return;
    case jsonType.uint32:
      out.integer(bytes.readUInt32LE(at));
      return;
    case jsonType.int64:
      out.ascii(bytes.readBigInt64LE(at).toString());
      return;
    case jsonType.uint64:
      out.ascii(bytes.readBigUInt64LE(at).toString());
      return;
    case jsonType.double:
      out.ascii(jsonDouble(bytes.readDoubleLE(at)));
      return;
    case jsonType.string: {
      const { length, start } = variableLength(bytes, at);
      writeString(out, bytes, start, length);
      return;
    }
    case jsonType.opaque:
      writeOpaque(out, bytes, at);
      return;
    default:
      throw damagedEvent('a JSON type that does not exist');
  }
}

function writeString(out: JsonBytes, bytes: Buffer, start: number, length: number): void {
  if (start + length > bytes.length) throw damagedEvent('JSON that is cut off');
  out.string(bytes, start, start + length);
}

/** Seven bits in each byte, the lowest first; the highest bit says that there is more. */
function variableLength(bytes: Buffer, at: number): { readonly length: number; readonly start: number } {
  let length = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = bytes.readUInt8(at + index);
    length += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { length, start: at + index + 1 };
  }
  throw damagedEvent('a JSON length without end');
}

/** A value of a column type: decimals, dates and times have a text, others are base64. */
function writeOpaque(out: JsonBytes, bytes: Buffer, at: number): void {
  const type = bytes.readUInt8(at);
  const { length, start } = variableLength(bytes, at + 1);
  if (start + length > bytes.length) throw damagedEvent('JSON that is cut off');
  switch (type) {
    case columnType.decimal: {
      const precision = bytes.readUInt8(start);
      const scale = bytes.readUInt8(start + 1);
      if (precision > 65 || scale > precision || decimalBytes(precision, scale) + 2 > length) {
        throw damagedEvent('a decimal in JSON that cannot be');
      }
      out.ascii(decimalText(bytes, start + 2, precision, scale));
      return;
    }
    case columnType.date:
    case columnType.dateTime:
    case columnType.timestamp:
    case columnType.time:
      out.quoted(temporalText(type, bytes.readBigInt64LE(start)));
      return;
    default:
      out.text(`base64:type${type}:${base64Lines(bytes.toString('base64', start, start + length))}`);
  }
}

/** Microseconds in the lower 24 bits. */
function temporalText(type: number, packed: bigint): string {
  const magnitude = packed < 0n ? -packed : packed;
  const whole = Number(magnitude >> 24n);
  const microseconds = Number(magnitude & 0xff_ffffn);
  if (type === columnType.time) return timeText(packed < 0n, whole, microseconds, 6);
  const text = dateTimeText(whole, microseconds, 6);
  return type === columnType.date ? text.slice(0, 10) : text;
}

/** MySQL breaks base64 into lines of 76 characters. */
function base64Lines(text: string): string {
  return text.replace(/.{76}(?=.)/g, '$&\n');
}

/** As MySQL prints a real: without exponent from 1e-15 up to 1e15, and above while there is a fraction. */
export function jsonDouble(value: number): string {
  const text = mysqlDouble(value);
  return Number.isInteger(value) && !text.includes('e') ? `${text}.0` : text;
}

function mysqlDouble(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa, exponentText] = value.toExponential().split('e') as [string, string];
  const exponent = Number(exponentText);
  const digits = mantissa.replace(/[-.]/g, '');
  const hasFraction = exponent < digits.length - 1;
  if (exponent < -15 || (exponent > 14 && !hasFraction)) return `${mantissa}e${exponent}`;
  const sign = value < 0 ? '-' : '';
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const fraction = digits.slice(exponent + 1);
  return sign + whole + (fraction === '' ? '' : `.${fraction}`);
}
