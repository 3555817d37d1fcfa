/**
 * The ids of clustered documents. A bucket's chunks stand side by side in the order of their op ids: `12["u1"] 00000000000000ff` is the
 * chunk of definition 12 and key `["u1"]` that ends with op 255. No JSON array is the beginning of another one, so no bucket's range
 * reaches into another's.
 */
import type { BucketRef, LookupEntry, LookupKey } from '../contract.ts';

const OP_DIGITS = 16;
const AFTER_SPACE = '!';
/** Rows are followed by a character below all that they can hold, so that ids sort by row, then by op. */
const ROW_END = '\u0000';

export const opText = (op: number): string => op.toString(16).padStart(OP_DIGITS, '0');
/** The op at the end of an id. */
export const opOf = (id: string): number => Number.parseInt(id.slice(-OP_DIGITS), 16);

/** Ids strictly between `after` and `before`. */
export interface IdRange {
  readonly after: string;
  readonly before: string;
}

export const bucketPrefix = ({ definition, key }: BucketRef): string => `${definition}${key} `;
export const bucketEnd = ({ definition, key }: BucketRef): string => `${definition}${key}${AFTER_SPACE}`;
export const chunkId = (definition: number, key: string, lastOp: number): string =>
  `${definition}${key} ${opText(lastOp)}`;

/** Definition and key of a chunk's id. */
export function bucketOf(id: string): BucketRef {
  const bracket = id.indexOf('[');
  return { definition: Number(id.slice(0, bracket)), key: id.slice(bracket, -OP_DIGITS - 1) };
}

/** Everything of one definition or lookup: their keys begin with a bracket. */
export const definitionRange = (id: number): IdRange => ({ after: `${id}[`, before: `${id}\\` });

export const lookupPrefix = ({ lookup, key }: LookupKey): string => `${lookup}${key} `;
export const lookupEnd = ({ lookup, key }: LookupKey): string => `${lookup}${key}${AFTER_SPACE}`;
export const lookupId = ({ lookup, key, row, op }: Omit<LookupEntry, 'values'>): string =>
  `${lookup}${key} ${row}${ROW_END}${opText(op)}`;
/** The row in a lookup entry's id, when the length of its prefix is known. */
export const rowOf = (id: string, prefixLength: number): string => id.slice(prefixLength, -OP_DIGITS - ROW_END.length);

/** All strings that begin with `prefix`, which is not empty and does not end with the last character there is. */
export function prefixRange(prefix: string): IdRange {
  const last = prefix.charCodeAt(prefix.length - 1);
  return { after: prefix, before: prefix.slice(0, -1) + String.fromCharCode(last + 1) };
}

/** Source tags as field names. */
export const fieldOf = (tag: string): string => encodeURIComponent(tag).replaceAll('.', '%2E');
