/** How values of results become JS values: `int8` as number (op ids are below 2^53), `bytea` as a buffer of its own, JSON as text. */
import { types } from 'pg';
import { OID } from './binary-arrays.ts';

type Parser = (value: never) => unknown;

const BINARY = new Map<number, Parser>([
  [OID.bool, (value: Buffer) => value[0] === 1],
  [OID.int4, (value: Buffer) => value.readInt32BE(0)],
  [OID.int8, (value: Buffer) => value.readInt32BE(0) * 2 ** 32 + value.readUInt32BE(4)],
  [OID.text, (value: Buffer) => value.toString('utf8')],
  // The driver's buffer is used again for what arrives next, so this one must not point into it.
  [OID.bytea, (value: Buffer) => Buffer.from(value)],
]);
const TEXT = new Map<number, Parser>([[OID.int8, (value: string) => Number(value)]]);
const raw: Parser = (value: Buffer) => Buffer.from(value);

/** For the `types` option of `pg`. Binary arrays stay bytes, for `readTextArray` and `readInt8Array`. */
export const resultTypes = {
  getTypeParser(oid: number, format?: 'text' | 'binary'): Parser {
    if (format === 'binary') return BINARY.get(oid) ?? raw;
    return TEXT.get(oid) ?? (types.getTypeParser(oid, 'text') as Parser);
  },
};
