/** PostGIS geometries as they arrive: hex (or bytes) of WKB or EWKB (S-197…S-201, S-293). */
import type { SqliteValue } from '../values.ts';

type Position = readonly number[];
interface Geometry {
  readonly type: keyof typeof NAMES;
  /** `Z`, `M`, `ZM` or nothing. */
  readonly dimensions: string;
  /** Of points, line strings and polygons. */
  readonly coordinates: Position | readonly Position[] | readonly (readonly Position[])[];
  /** Of multi geometries and collections. */
  readonly parts: readonly Geometry[];
}

const NAMES = {
  1: 'Point',
  2: 'LineString',
  3: 'Polygon',
  4: 'MultiPoint',
  5: 'MultiLineString',
  6: 'MultiPolygon',
  7: 'GeometryCollection',
} as const;
const MAX_DEPTH = 20;

/** Reads numbers in the byte order of the geometry at hand. Throws RangeError at the end of the bytes. */
interface WkbReader {
  byte(): number;
  uint32(): number;
  double(): number;
  setOrder(littleEndian: boolean): void;
  readonly remaining: () => number;
}
function createReader(bytes: Uint8Array): WkbReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  let little = true;
  const advance = (size: number): number => (at += size) - size;
  return {
    byte: () => view.getUint8(advance(1)),
    uint32: () => view.getUint32(advance(4), little),
    double: () => view.getFloat64(advance(8), little),
    setOrder: (littleEndian) => {
      little = littleEndian;
    },
    remaining: () => view.byteLength - at,
  };
}

function readGeometry(reader: WkbReader, depth: number): Geometry {
  if (depth > MAX_DEPTH) throw new RangeError('too deep');
  const order = reader.byte();
  if (order > 1) throw new RangeError('no byte order');
  reader.setOrder(order === 1);
  const code = reader.uint32();
  if ((code & 0x20000000) !== 0) reader.uint32();
  const iso = Math.trunc((code & 0x1fffffff) / 1000);
  const z = (code & 0x80000000) !== 0 || iso === 1 || iso === 3;
  const m = (code & 0x40000000) !== 0 || iso === 2 || iso === 3;
  const type = ((code & 0x1fffffff) % 1000) as Geometry['type'];
  if (!(type in NAMES)) throw new RangeError('unknown type');
  const size = 2 + (z ? 1 : 0) + (m ? 1 : 0);
  const position = (): number[] => Array.from({ length: size }, reader.double);
  const count = (bytesEach: number): number => {
    const value = reader.uint32();
    if (value * bytesEach > reader.remaining()) throw new RangeError('count beyond the data');
    return value;
  };
  const positions = (): number[][] => Array.from({ length: count(8 * size) }, position);
  const dimensions = `${z ? 'Z' : ''}${m ? 'M' : ''}`;
  if (type === 1) return { type, dimensions, coordinates: position(), parts: [] };
  if (type === 2) return { type, dimensions, coordinates: positions(), parts: [] };
  if (type === 3) return { type, dimensions, coordinates: Array.from({ length: count(4) }, positions), parts: [] };
  return {
    type,
    dimensions,
    coordinates: [],
    parts: Array.from({ length: count(5) }, () => readGeometry(reader, depth + 1)),
  };
}

/** Null when the value is no geometry that is understood. */
function parseGeometry(value: SqliteValue): Geometry | null {
  let bytes: Uint8Array;
  if (typeof value === 'string' && value.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(value))
    bytes = Buffer.from(value, 'hex');
  else if (typeof value === 'object' && value !== null) bytes = value;
  else return null;
  try {
    return readGeometry(createReader(bytes), 0);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

const isEmptyPoint = (geometry: Geometry): boolean =>
  geometry.type === 1 && (geometry.coordinates as Position).every(Number.isNaN);

/** X or Y of a point; null for anything else. */
function coordinate(value: SqliteValue, index: 0 | 1): SqliteValue {
  const geometry = parseGeometry(value);
  if (geometry?.type !== 1 || isEmptyPoint(geometry)) return null;
  return (geometry.coordinates as Position)[index] ?? null;
}
export const pointX = (value: SqliteValue): SqliteValue => coordinate(value, 0);
export const pointY = (value: SqliteValue): SqliteValue => coordinate(value, 1);

/** GeoJSON text; measures (M) have no place in it. */
export function asGeoJson(value: SqliteValue): SqliteValue {
  const geometry = parseGeometry(value);
  return geometry === null ? null : JSON.stringify(geoJson(geometry));
}
function geoJson(geometry: Geometry): unknown {
  const type = NAMES[geometry.type];
  if (geometry.type === 7) return { type, geometries: geometry.parts.map(geoJson) };
  return { type, coordinates: geoCoordinates(geometry) };
}
function geoCoordinates(geometry: Geometry): unknown {
  if (geometry.type > 3) return geometry.parts.map(geoCoordinates);
  if (isEmptyPoint(geometry)) return [];
  const size = geometry.dimensions.startsWith('Z') ? 3 : 2;
  const cut = (item: unknown): unknown => {
    const list = item as readonly unknown[];
    return typeof list[0] === 'number' ? list.slice(0, size) : list.map(cut);
  };
  return cut(geometry.coordinates);
}

/** WKT as PostGIS writes it: `POINT(1 2)`, `LINESTRING Z (0 0 1,1 1 2)`, `POLYGON EMPTY`. */
export function asText(value: SqliteValue): SqliteValue {
  const geometry = parseGeometry(value);
  return geometry === null ? null : wkt(geometry);
}
function wkt(geometry: Geometry): string {
  const name = NAMES[geometry.type].toUpperCase() + (geometry.dimensions === '' ? '' : ` ${geometry.dimensions} `);
  const body = wktBody(geometry);
  return body === null ? `${name.trimEnd()} EMPTY` : `${name}${body}`;
}
function wktBody(geometry: Geometry): string | null {
  const position = (item: Position): string => item.map(String).join(' ');
  const line = (items: readonly Position[]): string => `(${items.map(position).join(',')})`;
  switch (geometry.type) {
    case 1:
      return isEmptyPoint(geometry) ? null : `(${position(geometry.coordinates as Position)})`;
    case 2:
      return geometry.coordinates.length === 0 ? null : line(geometry.coordinates as Position[]);
    case 3:
      return geometry.coordinates.length === 0
        ? null
        : `(${(geometry.coordinates as Position[][]).map(line).join(',')})`;
    case 7:
      return geometry.parts.length === 0 ? null : `(${geometry.parts.map(wkt).join(',')})`;
    default:
      return geometry.parts.length === 0
        ? null
        : `(${geometry.parts.map((part) => wktBody(part) ?? 'EMPTY').join(',')})`;
  }
}
