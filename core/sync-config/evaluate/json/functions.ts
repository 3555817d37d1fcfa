/** The JSON functions and operators of the dialect (S-171, S-172, S-187…S-191). Malformed JSON gives null, never an error. */
import type { SqliteValue } from '../../values.ts';
import { integerOrReal, realToText } from '../numbers.ts';
import { compact, eachChild, rootOf, stringEnd, stringValue, valueEnd } from './scan.ts';
import { locate, type JsonPath } from './path.ts';

/** The JSON text a value stands for: text as it is, numbers as JSON numbers; blobs, null and infinities are none. */
function jsonText(value: SqliteValue): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return Number.isFinite(value) ? realToText(value) : null;
  return null;
}

/** SQL value of the JSON value at `start` (S-83): text, integer, real, 1/0, null; arrays and objects as compact JSON text. */
export function sqlValue(text: string, start: number): SqliteValue {
  const end = valueEnd(text, start, 0);
  switch (text.charCodeAt(start)) {
    case 34:
      return stringValue(text, start, end);
    case 116:
      return 1n;
    case 102:
      return 0n;
    case 110:
      return null;
    case 123:
    case 91:
      return compact(text, start, end);
    default:
      return numberValue(text.slice(start, end));
  }
}

function numberValue(raw: string): SqliteValue {
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at);
    if (code === 46 || code === 101 || code === 69) return Number(raw);
  }
  return integerOrReal(BigInt(raw));
}

/** `json -> path`: JSON text. */
export function extractJson(json: SqliteValue, path: JsonPath | null): SqliteValue {
  const text = jsonText(json);
  if (text === null || path === null) return null;
  const root = rootOf(text);
  const at = root < 0 ? -1 : locate(text, root, path);
  return at < 0 ? null : compact(text, at, valueEnd(text, at, 0));
}

/** `json ->> path` and `json_extract(json, path)`: SQL value. */
export function extractValue(json: SqliteValue, path: JsonPath | null): SqliteValue {
  const text = jsonText(json);
  if (text === null || path === null) return null;
  const root = rootOf(text);
  const at = root < 0 ? -1 : locate(text, root, path);
  return at < 0 ? null : sqlValue(text, at);
}

/** Number of elements; 0 for anything that is no JSON array; null for null (S-189). */
export function arrayLength(json: SqliteValue): SqliteValue {
  if (json === null) return null;
  const text = jsonText(json);
  const root = text === null ? -1 : rootOf(text);
  let length = 0n;
  if (text === null || root < 0) return length;
  if (text.charCodeAt(root) === 91) eachChild(text, root, () => (length++, false));
  return length;
}

/** 1 or 0; null for null (S-190). */
export function isValid(json: SqliteValue): SqliteValue {
  if (json === null) return null;
  const text = jsonText(json);
  return text !== null && rootOf(text) >= 0 ? 1n : 0n;
}

/** JSON array of the keys of an object, null for anything else (S-191). */
export function objectKeys(json: SqliteValue): SqliteValue {
  const text = jsonText(json);
  const root = text === null ? -1 : rootOf(text);
  if (text === null || root < 0 || text.charCodeAt(root) !== 123) return null;
  const keys: string[] = [];
  eachChild(text, root, (keyStart, keyEnd) => {
    keys.push(text.slice(keyStart, keyEnd));
    return false;
  });
  return `[${keys.join(',')}]`;
}

/** One row of json_each (S-187). */
export interface JsonElement {
  readonly key: SqliteValue;
  readonly value: SqliteValue;
  readonly type: string;
  readonly atom: SqliteValue;
}

/**
 * Elements of a JSON value. `array`: of arrays only (IN, &&). `each`: as json_each, members of objects too, and a
 * scalar is its own only element. Null and malformed JSON have none.
 */
export function elementsOf(json: SqliteValue, mode: 'array' | 'each'): JsonElement[] {
  const text = jsonText(json);
  const root = text === null ? -1 : rootOf(text);
  if (text === null || root < 0) return [];
  const code = text.charCodeAt(root);
  if (mode === 'array' && code !== 91) return [];
  if (code !== 91 && code !== 123) return [element(text, root, null)];
  const elements: JsonElement[] = [];
  eachChild(text, root, (keyStart, keyEnd, valueStart, _stop, index) => {
    elements.push(element(text, valueStart, code === 91 ? BigInt(index) : stringValue(text, keyStart, keyEnd)));
    return false;
  });
  return elements;
}

/** Values of a JSON array; null for anything else. */
export function arrayValues(json: SqliteValue): SqliteValue[] | null {
  const text = jsonText(json);
  const root = text === null ? -1 : rootOf(text);
  if (text === null || root < 0 || text.charCodeAt(root) !== 91) return null;
  const values: SqliteValue[] = [];
  eachChild(text, root, (_keyStart, _keyEnd, valueStart) => {
    values.push(sqlValue(text, valueStart));
    return false;
  });
  return values;
}

function element(text: string, start: number, key: SqliteValue): JsonElement {
  const value = sqlValue(text, start);
  const type = jsonType(text, start, value);
  return { key, value, type, atom: type === 'array' || type === 'object' ? null : value };
}
function jsonType(text: string, start: number, value: SqliteValue): string {
  switch (text.charCodeAt(start)) {
    case 34:
      return 'text';
    case 116:
      return 'true';
    case 102:
      return 'false';
    case 110:
      return 'null';
    case 123:
      return 'object';
    case 91:
      return 'array';
    default:
      return typeof value === 'bigint' || !/[.eE]/.test(text.slice(start, stringOrNumberEnd(text, start)))
        ? 'integer'
        : 'real';
  }
}
function stringOrNumberEnd(text: string, start: number): number {
  return text.charCodeAt(start) === 34 ? stringEnd(text, start) : valueEnd(text, start, 0);
}

/** JSON text of a parameter object or claim, as `auth.parameters()` shows it. */
export function stringifyParameters(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? rawInteger(item) : item)) ?? 'null';
}
/** JSON.rawJSON keeps integers beyond 2^53 exact. */
function rawInteger(value: bigint): unknown {
  const raw = (JSON as unknown as { rawJSON?: (text: string) => unknown }).rawJSON;
  return raw === undefined ? Number(value) : raw(value.toString());
}

/** SQL value of a parameter or claim (S-82, S-83). */
export function parameterValue(value: unknown): SqliteValue {
  switch (typeof value) {
    case 'string':
      return value;
    case 'boolean':
      return value ? 1n : 0n;
    case 'bigint':
      return integerOrReal(value);
    case 'number':
      if (Number.isNaN(value)) return null;
      return Number.isSafeInteger(value) ? BigInt(value) : value;
    case 'object':
      return value === null ? null : stringifyParameters(value);
    default:
      return null;
  }
}
