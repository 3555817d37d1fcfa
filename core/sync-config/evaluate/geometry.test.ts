import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expressionOf } from '../testing/support.ts';
import type { SqliteValue } from '../values.ts';

type Position = readonly number[];
type Shape =
  | { readonly code: 1; readonly at: Position }
  | { readonly code: 2; readonly at: readonly Position[] }
  | { readonly code: 3; readonly at: readonly (readonly Position[])[] }
  | { readonly code: 4 | 5 | 6 | 7; readonly parts: readonly Shape[] };

const NAMES = [
  '',
  'Point',
  'LineString',
  'Polygon',
  'MultiPoint',
  'MultiLineString',
  'MultiPolygon',
  'GeometryCollection',
];

/** How the binary is written: PostGIS flags or ISO codes, byte order, a spatial reference. */
interface Style {
  readonly little: boolean;
  readonly iso: boolean;
  readonly srid: number | null;
  readonly dimensions: '' | 'Z' | 'M' | 'ZM';
}

function encode(shape: Shape, style: Style): Buffer {
  const { little, iso, srid, dimensions } = style;
  const uint32 = (value: number): Buffer => {
    const buffer = Buffer.alloc(4);
    if (little) buffer.writeUInt32LE(value);
    else buffer.writeUInt32BE(value);
    return buffer;
  };
  const position = (item: Position): Buffer =>
    Buffer.concat(
      item.map((value) => {
        const buffer = Buffer.alloc(8);
        if (little) buffer.writeDoubleLE(value);
        else buffer.writeDoubleBE(value);
        return buffer;
      }),
    );
  const list = <T>(items: readonly T[], each: (item: T) => Buffer): Buffer =>
    Buffer.concat([uint32(items.length), ...items.map(each)]);
  const z = dimensions.includes('Z');
  const m = dimensions.includes('M');
  const flags = iso ? 0 : (z ? 0x80000000 : 0) + (m ? 0x40000000 : 0) + (srid === null ? 0 : 0x20000000);
  const header = [
    Buffer.from([little ? 1 : 0]),
    uint32(shape.code + flags + (iso ? (z ? 1000 : 0) + (m ? 2000 : 0) : 0)),
  ];
  if (!iso && srid !== null) header.push(uint32(srid));
  const body = (): Buffer => {
    if (shape.code === 1) return position(shape.at);
    if (shape.code === 2) return list(shape.at, position);
    if (shape.code === 3) return list(shape.at, (ring) => list(ring, position));
    return list(shape.parts, (part) => encode(part, { ...style, srid: null }));
  };
  return Buffer.concat([...header, body()]);
}

const bodyOf = (shape: Shape): string => {
  const line = (items: readonly Position[]): string => `(${items.map((item) => item.join(' ')).join(',')})`;
  if (shape.code === 1) return line([shape.at]);
  if (shape.code === 2) return shape.at.length === 0 ? 'EMPTY' : line(shape.at);
  if (shape.code === 3) return shape.at.length === 0 ? 'EMPTY' : `(${shape.at.map(line).join(',')})`;
  return shape.parts.length === 0 ? 'EMPTY' : '';
};
function wktOf(shape: Shape, dimensions: Style['dimensions']): string {
  const name = `${NAMES[shape.code]?.toUpperCase()}${dimensions === '' ? '' : ` ${dimensions}`}`;
  let body = bodyOf(shape);
  if (body === '' && 'parts' in shape) {
    const parts = shape.parts.map((part) => (shape.code === 7 ? wktOf(part, dimensions) : bodyOf(part)));
    body = `(${parts.join(',')})`;
  }
  return `${name}${dimensions !== '' || body === 'EMPTY' ? ' ' : ''}${body}`;
}
function geoJsonOf(shape: Shape, size: number): Record<string, unknown> {
  const type = NAMES[shape.code];
  const cut = (item: Position): Position => item.slice(0, size);
  if (shape.code === 1) return { type, coordinates: cut(shape.at) };
  if (shape.code === 2) return { type, coordinates: shape.at.map(cut) };
  if (shape.code === 3) return { type, coordinates: shape.at.map((ring) => ring.map(cut)) };
  const parts = shape.parts.map((part) => geoJsonOf(part, size));
  return shape.code === 7
    ? { type, geometries: parts }
    : { type, coordinates: parts.map((part) => part['coordinates']) };
}

const style: fc.Arbitrary<Style> = fc.record({
  little: fc.boolean(),
  iso: fc.boolean(),
  srid: fc.option(fc.integer({ min: 1, max: 900_000 })),
  dimensions: fc.constantFrom('' as const, 'Z' as const, 'M' as const, 'ZM' as const),
});
const shapeFor = (dimensions: string): fc.Arbitrary<Shape> => {
  const size = 2 + dimensions.length;
  const position = fc.array(
    fc.integer({ min: -1800, max: 1800 }).map((value) => value / 8),
    { minLength: size, maxLength: size },
  );
  const point = position.map((at): Shape => ({ code: 1, at }));
  const line = fc.array(position, { maxLength: 3 }).map((at): Shape => ({ code: 2, at }));
  const polygon = fc
    .array(fc.array(position, { minLength: 1, maxLength: 4 }), { maxLength: 2 })
    .map((at): Shape => ({ code: 3, at }));
  const many = (code: 4 | 5 | 6 | 7, part: fc.Arbitrary<Shape>): fc.Arbitrary<Shape> =>
    fc.array(part, { maxLength: 3 }).map((parts): Shape => ({ code, parts }));
  const simple = fc.oneof(point, line, polygon, many(4, point), many(5, line), many(6, polygon));
  return fc.oneof(simple, many(7, simple), many(7, many(7, simple)));
};
const geometry = style.chain((how) => shapeFor(how.dimensions).map((shape) => ({ how, shape })));

const evaluate = (name: string, value: SqliteValue): SqliteValue => expressionOf(`${name}(a)`, ['a'])([value]);

describe('PostGIS geometries (S-197…S-201)', () => {
  test('every geometry in every binary form, as hex text or bytes', () => {
    fc.assert(
      fc.property(geometry, fc.boolean(), ({ how, shape }, asHex) => {
        const binary = encode(shape, how);
        const value = asHex ? binary.toString('hex').toUpperCase() : new Uint8Array(binary);
        expect(evaluate('ST_AsText', value)).toBe(wktOf(shape, how.dimensions));
        const json = JSON.parse(String(evaluate('ST_AsGeoJSON', value))) as unknown;
        expect(json).toEqual(geoJsonOf(shape, how.dimensions.startsWith('Z') ? 3 : 2));
        expect(evaluate('ST_X', value)).toBe(shape.code === 1 ? shape.at[0] : null);
        expect(evaluate('ST_Y', value)).toBe(shape.code === 1 ? shape.at[1] : null);
      }),
    );
  });

  test('what is no geometry gives null and never fails', () => {
    const names = ['ST_X', 'ST_Y', 'ST_AsText', 'ST_AsGeoJSON'];
    const cut = fc.tuple(geometry, fc.double({ min: 0, max: 0.999, noNaN: true })).map(([{ how, shape }, part]) => {
      const binary = encode(shape, how);
      return binary.subarray(0, Math.floor(binary.length * part)).toString('hex');
    });
    fc.assert(
      fc.property(cut, fc.constantFrom(...names), (hex, name) => {
        expect(evaluate(name, hex)).toBeNull();
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(...names), (junk, name) => {
        // a few of them are geometries
        evaluate(name, junk);
      }),
      { numRuns: 500 },
    );
    for (const name of names) {
      for (const value of [null, '', 'POINT(1 2)', '01', 1n, 1.5]) expect(evaluate(name, value)).toBeNull();
    }
  });

  test('an example of PostGIS itself', () => {
    const point = '0101000020E6100000000000000000F03F0000000000000040';
    expect(evaluate('ST_AsText', point)).toBe('POINT(1 2)');
    expect(expressionOf("ST_AsGeoJSON(a) -> 'coordinates' ->> 1", ['a'])([point])).toBe(2n);
    // POINT EMPTY is a point of NaN
    const empty = '0101000000000000000000F87F000000000000F87F';
    expect([evaluate('ST_AsText', empty), evaluate('ST_X', empty), evaluate('ST_AsGeoJSON', empty)]).toEqual([
      'POINT EMPTY',
      null,
      '{"type":"Point","coordinates":[]}',
    ]);
  });
});
