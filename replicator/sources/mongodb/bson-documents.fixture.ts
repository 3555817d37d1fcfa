/** BSON made byte by byte, for what the library does not write: types no longer used, names that occur twice, damaged text. */
import { Decimal128 } from 'bson';
import fc from 'fast-check';
import { bsonType } from './bson-bytes.ts';

export interface Element {
  readonly name: Buffer;
  readonly type: number;
  readonly payload: Buffer;
}

export const element = (name: string | Buffer, type: number, payload: Buffer): Element => ({
  name: Buffer.from(name as string),
  type,
  payload,
});

export function bsonDocument(elements: readonly Element[]): Buffer {
  const body = Buffer.concat(
    elements.flatMap(({ name, type, payload }) => [Buffer.from([type]), name, Buffer.from([0]), payload]),
  );
  return Buffer.concat([int32Bytes(body.length + 5), body, Buffer.from([0])]);
}

export const int32Bytes = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};
export const int64Bytes = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
};
export const doubleBytes = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
};
export const stringBytes = (text: string | Buffer): Buffer => {
  const bytes = Buffer.from(text as string);
  return Buffer.concat([int32Bytes(bytes.length + 1), bytes, Buffer.from([0])]);
};
export const cstringBytes = (text: string): Buffer => Buffer.from(`${text}\0`);
export const binaryBytes = (subtype: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([int32Bytes(bytes.length), Buffer.from([subtype]), bytes]);
export const decimalBytes = (text: string): Buffer => Buffer.from(Decimal128.fromString(text).bytes);
export const codeWithScopeBytes = (code: string, scope: Buffer): Buffer => {
  const body = Buffer.concat([stringBytes(code), scope]);
  return Buffer.concat([int32Bytes(body.length + 4), body]);
};

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }).map((value) => Buffer.from(value)),
  fc
    .string({ unit: fc.constantFrom('"', '\\', '\n', '\0', '\u001f', '\u2028', 'é', '😀', 'a'), maxLength: 6 })
    .map((value) => Buffer.from(value)),
  // Seldom UTF-8.
  fc.uint8Array({ maxLength: 8 }).map((value) => Buffer.from(value)),
);
const words = fc.constantFrom(
  '',
  'a',
  'b',
  'name',
  'created_at',
  '__proto__',
  'constructor',
  'toString',
  'ü"\\',
  'ключ',
  '€',
  '-1',
  '1.5',
);
const name = fc.oneof({ weight: 5, arbitrary: words.map((value) => Buffer.from(value)) }, text.map(fieldName));
const pattern = fc.string({ unit: 'binary', maxLength: 5 }).map((value) => withoutZero(Buffer.from(value)));
const wholeMs = fc.oneof(
  fc.bigInt({ min: -8_640_000_000_000_000n, max: 8_640_000_000_000_000n }),
  fc.bigInt({ min: 0n, max: 2_000_000_000_000n }),
);
const decimal = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
  fc
    .tuple(fc.bigInt({ min: 0n, max: 2n ** 60n }), fc.integer({ min: -30, max: 3 }), fc.boolean())
    .map(([coefficient, exponent, negative]) => decimalBytes(`${negative ? '-' : ''}${coefficient}E${exponent}`)),
);
const subtype = fc.oneof(fc.constantFrom(0, 2, 3, 4, 5), fc.integer({ min: 0, max: 255 }));
const binary = fc
  .tuple(subtype, fc.uint8Array({ maxLength: 20 }))
  .map(([kind, bytes]) => binaryBytes(kind, kind === 2 ? Buffer.concat([int32Bytes(bytes.length), bytes]) : bytes));
const uuid = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => binaryBytes(4, bytes));
const nothing = fc.constant(Buffer.alloc(0));
const objectId = fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => Buffer.from(bytes));
const code = fc.string({ unit: 'binary', maxLength: 5 });

const scalars: readonly [number, fc.Arbitrary<Buffer>][] = [
  [bsonType.string, text.map(stringBytes)],
  [bsonType.int32, fc.integer().map(int32Bytes)],
  [
    bsonType.int64,
    fc
      .oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -100n, max: 100n }))
      .map(int64Bytes),
  ],
  [
    bsonType.double,
    fc.oneof(fc.double(), fc.integer().map(Number), fc.constantFrom(-0, NaN, 1e21, 1e300, 5e-324)).map(doubleBytes),
  ],
  [bsonType.decimal128, decimal],
  [bsonType.objectId, objectId],
  [bsonType.boolean, fc.boolean().map((value) => Buffer.from([value ? 1 : 0]))],
  [bsonType.date, wholeMs.map(int64Bytes)],
  [bsonType.timestamp, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(int64Bytes)],
  [bsonType.binary, binary],
  [bsonType.binary, uuid],
  [
    bsonType.regex,
    fc
      .tuple(pattern, fc.subarray(['i', 'l', 'm', 's', 'u', 'x']))
      .map(([source, flags]) => Buffer.concat([source, cstringBytes(`\0${flags.join('')}`)])),
  ],
  [bsonType.symbol, text.map(stringBytes)],
  [bsonType.code, code.map(stringBytes)],
  [
    bsonType.dbPointer,
    fc
      .tuple(fc.constantFrom('users', 'shop.users', 'shop.users.old'), objectId)
      .map(([namespace, id]) => Buffer.concat([stringBytes(namespace), id])),
  ],
  [bsonType.null, nothing],
  [bsonType.undefined, nothing],
  [bsonType.minKey, nothing],
  [bsonType.maxKey, nothing],
];

/** Documents of all types, names twice now and then, documents and arrays up to a few levels. */
export const { document: documents } = fc.letrec<{ document: Buffer; elements: Element[] }>((tie) => ({
  elements: fc.array(
    fc
      .oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.tuple(name, fc.oneof(...scalars.map(([type, payload]) => fc.tuple(fc.constant(type), payload)))),
        fc.tuple(
          name,
          fc.oneof(
            tie('document').map((bytes): [number, Buffer] => [bsonType.object, bytes]),
            tie('elements').map((inside): [number, Buffer] => [bsonType.array, asArray(inside)]),
            fc
              .tuple(code, tie('document'))
              .map(([source, scope]): [number, Buffer] => [bsonType.codeWithScope, codeWithScopeBytes(source, scope)]),
          ),
        ),
      )
      .map(([key, [type, payload]]): Element => ({ name: key, type, payload })),
    { maxLength: 6 },
  ),
  document: tie('elements').map((inside) => bsonDocument(inside)),
}));

export const asArray = (elements: readonly Element[]): Buffer =>
  bsonDocument(elements.map((each, index) => ({ ...each, name: Buffer.from(String(index)) })));

/** No whole numbers: objects of JavaScript, and so the plain mapping, would order them. */
function fieldName(bytes: Buffer): Buffer {
  const name = withoutZero(bytes);
  return /^\d+$/.test(name.toString()) ? Buffer.concat([Buffer.from('_'), name]) : name;
}

function withoutZero(bytes: Buffer): Buffer {
  return Buffer.from(bytes.filter((byte) => byte !== 0));
}
