import { codedError, type CodedError } from '#core/platform/errors/coded-error.ts';
import { isNull, isUnchanged, type RowBytes } from './rows.ts';
import type { PublishedColumn, PublishedTable, ReplicaIdentity } from './tables.ts';

/**
 * Readers of the messages of pgoutput, protocol version 1 (https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html).
 * They work on the received buffer in place and check every length: bytes that are no such message give PSYNC_S1101.
 */
export const messageBytes = {
  begin: 0x42,
  commit: 0x43,
  origin: 0x4f,
  relation: 0x52,
  type: 0x59,
  insert: 0x49,
  update: 0x55,
  delete: 0x44,
  truncate: 0x54,
  message: 0x4d,
} as const;

/** Microseconds between 1970 and 2000, the epoch of Postgres. */
const epochShiftMs = Date.UTC(2000, 0, 1);

export function malformed(what: string): CodedError {
  return codedError(
    'PSYNC_S1101',
    `The replication stream holds a ${what} that cannot be read. Report this with the server's version.`,
  );
}

function need(at: number, bytes: number, end: number, what: string): void {
  if (at + bytes > end) throw malformed(`${what} message that ends too early`);
}

/** Where the commit record of the transaction lies; transactions before the start position are skipped by it. */
export interface BeginMessage {
  readonly high: number;
  readonly low: number;
}
export function readBegin(bytes: Buffer, at: number, end: number): BeginMessage {
  need(at, 20, end, 'begin');
  return { high: bytes.readUInt32BE(at), low: bytes.readUInt32BE(at + 4) };
}

export interface CommitMessage {
  /** The end of the transaction: everything up to here was received. */
  readonly high: number;
  readonly low: number;
  /** Commit time, milliseconds since 1970. */
  readonly timeMs: number;
}
export function readCommit(bytes: Buffer, at: number, end: number): CommitMessage {
  need(at, 25, end, 'commit');
  return { high: bytes.readUInt32BE(at + 9), low: bytes.readUInt32BE(at + 13), timeMs: readTimeMs(bytes, at + 17) };
}

/** Microseconds since 2000 as milliseconds since 1970. */
export function readTimeMs(bytes: Buffer, at: number): number {
  return Math.floor(Number(bytes.readBigInt64BE(at)) / 1_000) + epochShiftMs;
}

export function readOid(bytes: Buffer, at: number, end: number): number {
  need(at, 4, end, 'relation id');
  return bytes.readUInt32BE(at);
}

export function readRelation(bytes: Buffer, from: number, end: number): PublishedTable {
  let at = from;
  const text = (): string => {
    const zero = bytes.indexOf(0, at);
    if (zero === -1 || zero >= end) throw malformed('relation message without end of a name');
    const found = bytes.toString('utf8', at, zero);
    at = zero + 1;
    return found;
  };
  need(at, 4, end, 'relation');
  const oid = bytes.readUInt32BE(at);
  at += 4;
  // pg_catalog is sent as an empty name.
  const schema = text() || 'pg_catalog';
  const name = text();
  need(at, 3, end, 'relation');
  const replicaIdentity = String.fromCharCode(bytes[at]!);
  if (!isReplicaIdentity(replicaIdentity)) throw malformed('relation message with an unknown replica identity');
  const count = bytes.readUInt16BE(at + 1);
  at += 3;
  const columns: PublishedColumn[] = [];
  for (let index = 0; index < count; index += 1) {
    need(at, 1, end, 'relation');
    const inIdentity = (bytes[at]! & 1) === 1;
    at += 1;
    const column = text();
    need(at, 8, end, 'relation');
    columns.push({ name: column, type: bytes.readUInt32BE(at), inIdentity });
    at += 8;
  }
  return { oid, schema, name, replicaIdentity, columns };
}

function isReplicaIdentity(letter: string): letter is ReplicaIdentity {
  return letter === 'd' || letter === 'i' || letter === 'f' || letter === 'n';
}

/** Fills `row` with the columns of a tuple and returns the offset behind it. */
export function readTuple(bytes: Buffer, from: number, end: number, row: RowBytes): number {
  need(from, 2, end, 'tuple');
  const count = (bytes[from]! << 8) | bytes[from + 1]!;
  if (count > row.start.length) throw malformed('row with too many columns');
  const { start, end: ends } = row;
  row.bytes = bytes;
  row.count = count;
  let at = from + 2;
  for (let index = 0; index < count; index += 1) {
    if (at >= end) throw malformed('row that ends too early');
    const kind = bytes[at]!;
    at += 1;
    if (kind === 0x74 /* t: text */) {
      if (at + 4 > end) throw malformed('row that ends too early');
      const length = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
      at += 4;
      start[index] = at;
      at += length;
      if (length < 0 || at > end) throw malformed('value that ends too early');
      ends[index] = at;
    } else if (kind === 0x6e /* n: null */) ends[index] = isNull;
    else if (kind === 0x75 /* u: unchanged */) ends[index] = isUnchanged;
    else throw malformed('value of an unknown kind');
  }
  return at;
}

/** Object ids of the truncated tables. */
export function readTruncate(bytes: Buffer, at: number, end: number): number[] {
  need(at, 5, end, 'truncate');
  const count = bytes.readUInt32BE(at);
  need(at + 5, count * 4, end, 'truncate');
  return Array.from({ length: count }, (_, index) => bytes.readUInt32BE(at + 5 + index * 4));
}
