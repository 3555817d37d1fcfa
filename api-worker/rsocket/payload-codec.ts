/** Metadata and requests of clients, by the MIME type that they announce (S-594…S-596). */
import { deserialize } from 'bson';
import { codedError } from '#core/platform/errors/coded-error.ts';
import { assertModestJson } from '../http/json-bounds.ts';

/** Reads one document; throws PSYNC_S2001 (400) when the bytes are none, or more than any request is, PSYNC_S2020 (413) for too much BSON. */
export type ReadDocument = (bytes: Buffer) => Record<string, unknown>;

/** Null for other MIME types. */
export function documentReader(mime: string): ReadDocument | null {
  switch (mime.toLowerCase().split(';')[0]?.trim()) {
    case 'application/json':
      return readJson;
    case 'application/bson':
      return readBson;
    default:
      return null;
  }
}

function readJson(bytes: Buffer): Record<string, unknown> {
  // Older clients announce JSON and send BSON (wire/11); its first byte is a length, which JSON never begins with.
  if (bytes.length >= 5 && bytes.readUInt32LE(0) === bytes.length) return readBson(bytes);
  const text = bytes.toString('utf8');
  assertModestJson(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('JSON');
  return value as Record<string, unknown>;
}

/** Only older clients send it. Its values take as little as three bytes, and time and memory as those of JSON do. */
const MAX_BSON_BYTES = 2 * 1024 * 1024;

function readBson(bytes: Buffer): Record<string, unknown> {
  if (bytes.length > MAX_BSON_BYTES) throw codedError('PSYNC_S2020', 'The request body is too large');
  try {
    const document = deserialize(bytes, { useBigInt64: true, allowObjectSmallerThanBufferSize: false });
    return asJson(document) as Record<string, unknown>;
  } catch {
    throw invalid('BSON');
  }
}

/** What JSON would have said: parameters are evaluated, compared and logged as JSON values. Changes objects and lists in place. */
function asJson(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value !== 'object' || value === null) return value;
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
  // dates, ids and the like know it themselves
  if (!isPlain) return JSON.parse(JSON.stringify(value));
  const members = value as Record<string, unknown>;
  for (const key of Object.keys(members)) members[key] = asJson(members[key]);
  return value;
}

function invalid(format: string): Error {
  return codedError('PSYNC_S2001', `The payload is no valid ${format} document`, { status: 400 });
}
