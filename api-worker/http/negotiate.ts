/** Content negotiation (S-517…S-520, wire/09): what the client named decides, nothing else. */
import { BSON_CONTENT_TYPE, bsonEncoding } from '#core/protocol/encoding/bson.ts';
import { NDJSON_CONTENT_TYPE, ndjsonEncoding, ndjsonObjectsEncoding } from '#core/protocol/encoding/ndjson.ts';
import type { LineEncoding } from '#core/protocol/lines.ts';

export type Compression = 'gzip' | 'zstd' | 'identity';

/** Longer headers are not looked at: they name nothing that we have. */
const MAX_HEADER_LENGTH = 1000;

/** Items of a header like `a;q=0.5, b` with their weights (1 when none is given, 0 when it is no number). */
function weights(header: string | undefined): Map<string, number> {
  const items = new Map<string, number>();
  if (header === undefined || header.length > MAX_HEADER_LENGTH) return items;
  for (const item of header.split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    if (name !== '') items.set(name, weight >= 0 && weight <= 1 ? weight : 0);
  }
  return items;
}

/**
 * BSON only for clients that name it and do not prefer NDJSON; NDJSON for everybody else, whatever they accept (S-520).
 * `rawData` false: rows as nested objects (S-527); BSON always carries text (S-591).
 */
export function negotiateEncoding(accept: string | undefined, rawData: boolean): LineEncoding {
  const items = weights(accept);
  const bson = items.get(BSON_CONTENT_TYPE) ?? 0;
  if (bson > 0 && bson >= (items.get(NDJSON_CONTENT_TYPE) ?? 0)) return bsonEncoding;
  return rawData ? ndjsonEncoding : ndjsonObjectsEncoding;
}

/**
 * Compression only for clients that name one; gzip where both are as welcome, because it is shared between clients (compression.ts), and for
 * whoever takes it when there is no room for another client with zstd. Why not brotli: ADR 0009.
 */
export function negotiateCompression(acceptEncoding: string | undefined, hasZstdRoom = true): Compression {
  const items = weights(acceptEncoding);
  const zstd = hasZstdRoom ? (items.get('zstd') ?? 0) : 0;
  const gzip = Math.max(items.get('gzip') ?? 0, items.get('x-gzip') ?? 0);
  if (zstd > gzip) return 'zstd';
  return gzip > 0 ? 'gzip' : 'identity';
}
