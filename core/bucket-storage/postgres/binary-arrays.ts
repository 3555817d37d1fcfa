/**
 * Arrays of one dimension in Postgres' binary form, as parameters of bulk statements: one buffer for a column of thousands of rows,
 * without text escaping. Format: dimensions, has-null flag, element type, length, lower bound, then length-prefixed elements.
 */

const OID = { bytea: 17, int8: 20, int4: 23, text: 25 } as const;

const HEADER = 20;

function header(target: Buffer, elementType: number, length: number, hasNull: boolean): void {
  target.writeInt32BE(1, 0);
  target.writeInt32BE(hasNull ? 1 : 0, 4);
  target.writeInt32BE(elementType, 8);
  target.writeInt32BE(length, 12);
  target.writeInt32BE(1, 16);
}

/** `int4[]` of `pick` over the items. */
export function int4Array<T>(items: readonly T[], pick: (item: T) => number): Buffer {
  const target = Buffer.allocUnsafe(HEADER + items.length * 8);
  header(target, OID.int4, items.length, false);
  let at = HEADER;
  for (const item of items) {
    target.writeInt32BE(4, at);
    target.writeInt32BE(pick(item), at + 4);
    at += 8;
  }
  return target;
}

/** `int8[]` of whole numbers below 2^53. */
export function int8Array<T>(items: readonly T[], pick: (item: T) => number): Buffer {
  const target = Buffer.allocUnsafe(HEADER + items.length * 12);
  header(target, OID.int8, items.length, false);
  let at = HEADER;
  for (const item of items) {
    const value = pick(item);
    target.writeInt32BE(8, at);
    target.writeInt32BE(Math.floor(value / 2 ** 32), at + 4);
    target.writeUInt32BE(value >>> 0, at + 8);
    at += 12;
  }
  return target;
}

/** `int8[]` of the whole range. */
export function bigintArray<T>(items: readonly T[], pick: (item: T) => bigint): Buffer {
  const target = Buffer.allocUnsafe(HEADER + items.length * 12);
  header(target, OID.int8, items.length, false);
  let at = HEADER;
  for (const item of items) {
    target.writeInt32BE(8, at);
    target.writeBigInt64BE(pick(item), at + 4);
    at += 12;
  }
  return target;
}

/** `text[]`; nulls stay nulls. Texts must not hold a NUL. */
export function textArray<T>(items: readonly T[], pick: (item: T) => string | null): Buffer {
  let size = HEADER + items.length * 4;
  let hasNull = false;
  for (const item of items) {
    const text = pick(item);
    if (text === null) hasNull = true;
    else size += Buffer.byteLength(text);
  }
  const target = Buffer.allocUnsafe(size);
  header(target, OID.text, items.length, hasNull);
  let at = HEADER;
  for (const item of items) {
    const text = pick(item);
    const length = text === null ? -1 : target.write(text, at + 4, 'utf8');
    target.writeInt32BE(length, at);
    at += 4 + Math.max(length, 0);
  }
  return target;
}

/** `bytea[]`. */
export function byteaArray<T>(items: readonly T[], pick: (item: T) => Uint8Array): Buffer {
  let size = HEADER + items.length * 4;
  for (const item of items) size += pick(item).length;
  const target = Buffer.allocUnsafe(size);
  header(target, OID.bytea, items.length, false);
  let at = HEADER;
  for (const item of items) {
    const bytes = pick(item);
    target.writeInt32BE(bytes.length, at);
    target.set(bytes, at + 4);
    at += 4 + bytes.length;
  }
  return target;
}
