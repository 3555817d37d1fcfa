/**
 * Blocks of row states: what a first copy writes, many rows to a document. An insert and an index entry on four bytes instead of a document
 * and an index entry on the whole key make a row several times cheaper for the server and for us. Blocks never change: a newer state of
 * one of their rows is a document of its own.
 *
 * The text of a block is `row, state, row, state, …`; before it stand, per row, hash of the key, end of the row's name and end of its
 * state in the text. So a row is found by comparing numbers, and only rows with the right hash are decoded.
 */
import { crc32 } from 'node:zlib';
import { opText } from './ids.ts';

/** Of 16, 32 and 64: the more, the cheaper to write; but the whole block is read for one row. */
export const ROWS_PER_BLOCK = 32;
/** Characters of a block; in UTF-8 at most three times as many bytes, which 16 bits can count. */
const BLOCK_LENGTH = 8192;
/** Larger rows would make blocks of a few rows. */
const LARGEST_ROW = 1024;
const HEAD_BYTES = 1;
const ENTRY_BYTES = 8;
const NUMBER_DIGITS = 6;
/** Length of what follows the prefix of the keys in a block's id. */
const NAME_LENGTH = 16 + NUMBER_DIGITS + 1;

export type KeyHash = (key: string) => number;
/** As int32: the smallest number that BSON has. */
export const hashOfKey: KeyHash = (key) => crc32(key) | 0;

export interface StoredRow {
  readonly key: string;
  readonly state: string;
}

export interface RowStateBlock {
  /** Hashes of the keys. */
  readonly hashes: number[];
  readonly bytes: Buffer;
}

/** Definition group, table and generation of a key: what all keys of a block begin with. Empty when it is no such key. */
export function blockPrefixOf(key: string): string {
  let end = 0;
  for (let parts = 0; parts < 3; parts++) {
    end = key.indexOf('/', end) + 1;
    if (end === 0) return '';
  }
  return key.slice(0, end);
}

/** `at`: of the change that writes it, unique in the instance and greater than those before. */
export const blockId = (prefix: string, at: number, number: number): string =>
  `${prefix}${opText(at)}.${number.toString(16).padStart(NUMBER_DIGITS, '0')}`;

export const fitsBlock = ({ key, state }: StoredRow): boolean => key.length + state.length <= LARGEST_ROW;

/** The rows, in order, in as few blocks as the limits allow. All keys begin with the same prefix. */
export function encodeBlocks(
  rows: readonly StoredRow[],
  prefixLength: number,
  hashOf: KeyHash = hashOfKey,
  rowsPerBlock = ROWS_PER_BLOCK,
): RowStateBlock[] {
  const blocks: RowStateBlock[] = [];
  for (let from = 0; from < rows.length;) {
    let to = from;
    let length = 0;
    do {
      const { key, state } = rows[to++]!;
      length += key.length - prefixLength + state.length;
    } while (to < rows.length && to - from < rowsPerBlock && length < BLOCK_LENGTH - LARGEST_ROW);
    blocks.push(encodeBlock(rows, from, to, prefixLength, hashOf));
    from = to;
  }
  return blocks;
}

/** Written as one text: a call per row and state would cost several times as much. */
function encodeBlock(
  rows: readonly StoredRow[],
  from: number,
  to: number,
  prefixLength: number,
  hashOf: KeyHash,
): RowStateBlock {
  const hashes: number[] = [];
  let text = '';
  for (let at = from; at < to; at++) {
    const { key, state } = rows[at]!;
    hashes.push(hashOf(key));
    text += key.slice(prefixLength) + state;
  }
  const textStart = HEAD_BYTES + hashes.length * ENTRY_BYTES;
  const size = Buffer.byteLength(text);
  // Without a character of more than one byte, lengths in characters are those in bytes.
  const lengthOf = size === text.length ? (part: string): number => part.length : Buffer.byteLength;
  const bytes = Buffer.allocUnsafe(textStart + size);
  bytes.write(text, textStart, size === text.length ? 'latin1' : 'utf8');
  bytes.writeUInt8(hashes.length, 0);
  let end = 0;
  for (let at = from; at < to; at++) {
    const { key, state } = rows[at]!;
    const entry = HEAD_BYTES + (at - from) * ENTRY_BYTES;
    const keyEnd = end + (size === text.length ? key.length - prefixLength : lengthOf(key.slice(prefixLength)));
    end = keyEnd + lengthOf(state);
    bytes.writeInt32LE(hashes[at - from]!, entry);
    bytes.writeUInt16LE(keyEnd, entry + 4);
    bytes.writeUInt16LE(end, entry + 6);
  }
  return { hashes, bytes };
}

/** Keys that are looked for, by hash. */
export function byHash(keys: Iterable<string>, hashOf: KeyHash = hashOfKey): ReadonlyMap<number, readonly string[]> {
  const wanted = new Map<number, string[]>();
  for (const key of keys) {
    const hash = hashOf(key);
    const others = wanted.get(hash);
    if (others === undefined) wanted.set(hash, [key]);
    else others.push(key);
  }
  return wanted;
}

/** Calls `found` for each wanted key in the block with this id. Equal hashes are not enough: keys are compared. */
export function findInBlock(
  id: string,
  bytes: Buffer,
  wanted: ReadonlyMap<number, readonly string[]>,
  found: (key: string, state: string) => void,
): void {
  const prefix = id.slice(0, -NAME_LENGTH);
  const count = bytes.readUInt8(0);
  const textStart = HEAD_BYTES + count * ENTRY_BYTES;
  for (let at = 0; at < count; at++) {
    const entry = HEAD_BYTES + at * ENTRY_BYTES;
    const keys = wanted.get(bytes.readInt32LE(entry));
    if (keys === undefined) continue;
    const start = textStart + (at === 0 ? 0 : bytes.readUInt16LE(entry - 2));
    const keyEnd = textStart + bytes.readUInt16LE(entry + 4);
    const key = prefix + bytes.toString('utf8', start, keyEnd);
    if (keys.includes(key)) found(key, bytes.toString('utf8', keyEnd, textStart + bytes.readUInt16LE(entry + 6)));
  }
}
