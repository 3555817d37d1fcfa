/** The functions of the dialect (S-179…S-202, S-687): names, arities, and what they compute. */
import type { PlanExpr } from '../plan.ts';
import type { SqliteValue } from '../values.ts';
import { isTrue } from './comparison.ts';
import { checkDateArguments, datetime, unixepoch } from './date-functions.ts';
import { asGeoJson, asText, pointX, pointY } from './geometry.ts';
import { arrayLength, isValid, objectKeys } from './json/functions.ts';
import { substring, instr, textLength, upper, lower } from './text-functions.ts';
import { encodeUtf8, valueToText } from './numbers.ts';

export interface FunctionDefinition {
  readonly minimum: number;
  readonly maximum: number;
  /** How to call it, for messages. */
  readonly usage: string;
  /** Absent arguments are undefined. Never throws. */
  apply(a: SqliteValue, b?: SqliteValue, c?: SqliteValue): SqliteValue;
  /** What is wrong with the arguments as written; null when nothing. */
  check?(args: readonly PlanExpr[]): FunctionProblem | null;
}
export interface FunctionProblem {
  readonly code: 'PSYNC_R2204' | 'PSYNC_R2214';
  readonly message: string;
}

/** Bytes of a value: blobs as they are, anything else as UTF-8 of its text. */
function bytesOf(value: Exclude<SqliteValue, null>): Uint8Array {
  return typeof value === 'object' ? value : encodeUtf8(valueToText(value));
}
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
function typeName(value: SqliteValue): string {
  if (value === null) return 'null';
  if (typeof value === 'bigint') return 'integer';
  if (typeof value === 'number') return 'real';
  return typeof value === 'string' ? 'text' : 'blob';
}
/** 16 bytes of a UUID; null when it is none (S-196). */
function uuidBlob(value: SqliteValue): SqliteValue {
  if (value === null) return null;
  if (typeof value === 'object') return value.byteLength === 16 ? value : null;
  const digits = valueToText(value).replace(/[-{}]/g, '');
  return /^[0-9a-fA-F]{32}$/.test(digits) ? new Uint8Array(Buffer.from(digits, 'hex')) : null;
}

const FUNCTIONS: Readonly<Record<string, FunctionDefinition>> = {
  upper: { minimum: 1, maximum: 1, usage: 'upper(text)', apply: upper },
  lower: { minimum: 1, maximum: 1, usage: 'lower(text)', apply: lower },
  substring: { minimum: 2, maximum: 3, usage: 'substring(text, start [, length])', apply: substring },
  substr: { minimum: 2, maximum: 3, usage: 'substr(text, start [, length])', apply: substring },
  instr: { minimum: 2, maximum: 2, usage: 'instr(text, part)', apply: (text, part) => instr(text, part ?? null) },
  length: { minimum: 1, maximum: 1, usage: 'length(data)', apply: textLength },
  hex: {
    minimum: 1,
    maximum: 1,
    usage: 'hex(data)',
    apply: (data) => (data === null ? '' : asBuffer(bytesOf(data)).toString('hex').toUpperCase()),
  },
  base64: {
    minimum: 1,
    maximum: 1,
    usage: 'base64(data)',
    apply: (data) => (data === null ? null : asBuffer(bytesOf(data)).toString('base64')),
  },
  typeof: { minimum: 1, maximum: 1, usage: 'typeof(data)', apply: typeName },
  ifnull: { minimum: 2, maximum: 2, usage: 'ifnull(x, y)', apply: (x, y) => (x === null ? (y ?? null) : x) },
  iif: { minimum: 3, maximum: 3, usage: 'iif(x, y, z)', apply: (x, y, z) => (isTrue(x) ? (y ?? null) : (z ?? null)) },
  json_array_length: { minimum: 1, maximum: 1, usage: 'json_array_length(data)', apply: arrayLength },
  json_valid: { minimum: 1, maximum: 1, usage: 'json_valid(data)', apply: isValid },
  json_keys: { minimum: 1, maximum: 1, usage: 'json_keys(data)', apply: objectKeys },
  unixepoch: {
    minimum: 1,
    maximum: 3,
    usage: "unixepoch(time [, 'subsec'])",
    apply: unixepoch,
    check: checkDateArguments,
  },
  datetime: {
    minimum: 1,
    maximum: 3,
    usage: "datetime(time [, 'unixepoch'] [, 'subsec'])",
    apply: datetime,
    check: checkDateArguments,
  },
  st_x: { minimum: 1, maximum: 1, usage: 'ST_X(point)', apply: pointX },
  st_y: { minimum: 1, maximum: 1, usage: 'ST_Y(point)', apply: pointY },
  st_astext: { minimum: 1, maximum: 1, usage: 'ST_AsText(geometry)', apply: asText },
  st_asgeojson: { minimum: 1, maximum: 1, usage: 'ST_AsGeoJSON(geometry)', apply: asGeoJson },
  uuid_blob: { minimum: 1, maximum: 1, usage: 'uuid_blob(id)', apply: uuidBlob },
};

/** The definition of a function by its folded name; null when there is none. */
export function functionDefinition(name: string): FunctionDefinition | null {
  return Object.hasOwn(FUNCTIONS, name) ? (FUNCTIONS[name] ?? null) : null;
}
export const FUNCTION_NAMES: readonly string[] = [...Object.keys(FUNCTIONS), 'json_extract'];
