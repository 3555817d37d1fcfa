import { createHash, type Hash } from 'node:crypto';
import { MAX_ROW_BYTES } from '#core/platform/limits.ts';
import type { SourceRow, SqliteValue } from '#core/sync-config/values.ts';
import type { ReplicatedTable, RetainedValues } from '../contract.ts';
import type { PublishedTable } from './tables.ts';
import type { ColumnDecoder, DecoderOf } from './types/column-decoders.ts';

/**
 * Where the texts of one row's columns lie in a buffer. Filled by the readers of both paths (copy-text.ts, pgoutput.ts), used up at
 * once by the builders below, so that a value is the same whichever way it came.
 */
export interface RowBytes {
  bytes: Buffer;
  /** Offset of each column's text; without meaning when `end` is negative. */
  start: Int32Array;
  /** Offset behind it, or `isNull`, or `isUnchanged`. */
  end: Int32Array;
  /** Columns filled. */
  count: number;
}
export const isNull = -1;
/** The source left the value out because it did not change. */
export const isUnchanged = -2;

/** Postgres allows 1,664 columns in a query and 1,600 in a table. */
const mostColumns = 1_664;
const noBytes = Buffer.alloc(0);

export function createRowBytes(): RowBytes {
  return { bytes: noBytes, start: new Int32Array(mostColumns), end: new Int32Array(mostColumns), count: 0 };
}

/** A row that was read by a query, as text. */
export function rowOfTexts(values: readonly (string | null)[]): RowBytes {
  const row = createRowBytes();
  const texts = values.map((text) => (text === null ? null : Buffer.from(text)));
  row.bytes = Buffer.concat(texts.filter((text) => text !== null));
  let at = 0;
  for (const [index, text] of texts.entries()) {
    row.start[index] = at;
    at += text?.length ?? 0;
    row.end[index] = text === null ? isNull : at;
  }
  row.count = values.length;
  return row;
}

/** Everything needed to turn rows of one table into values. */
export interface RowLayout {
  readonly published: PublishedTable;
  readonly table: ReplicatedTable;
  readonly decoders: readonly ColumnDecoder[];
  /** `forms` as numbers, 0 for columns that nobody reads. */
  readonly forms: Uint8Array;
  /** Columns of JSON that somebody reads: their depth is limited. */
  readonly json: readonly number[];
  /** Columns whose value may be stored outside the row and then be left out of updates. */
  readonly variable: readonly number[];
  /** Rows that take more bytes than this may have such values. */
  readonly toastThreshold: number;
}

const unread = 0;
const textForm = 1;
const integerForm = 2;
const booleanForm = 3;
const otherForm = 4;
const formNumbers = { text: textForm, integer: integerForm, boolean: booleanForm, other: otherForm } as const;

/** Rows up to this size are decoded as one string whose parts the values are; larger ones value by value. */
const wholeRowBytes = 4_096;

/** `read[i]` false: nobody uses the column; its values are null. The identity is always read. */
export function createRowLayout(options: {
  readonly published: PublishedTable;
  readonly table: ReplicatedTable;
  readonly decoderOf: DecoderOf;
  readonly read: readonly boolean[] | null;
  /** Size of a page of the server. */
  readonly blockBytes: number;
}): RowLayout {
  const { published, table, read } = options;
  const decoders = published.columns.map(({ type }) => options.decoderOf(type));
  const identity = new Set(table.identityColumns);
  const isRead = (index: number): boolean => read === null || read[index] !== false || identity.has(index);
  return {
    published,
    table,
    decoders,
    forms: Uint8Array.from(decoders, ({ form }, index) => (isRead(index) ? formNumbers[form] : unread)),
    variable: decoders.flatMap(({ storage }, index) => (storage !== 'fixed' && isRead(index) ? [index] : [])),
    json: decoders.flatMap(({ isJson }, index) => (isJson === true && isRead(index) ? [index] : [])),
    // TOAST_TUPLE_THRESHOLD: four rows must fit a page.
    toastThreshold: options.blockBytes / 4 - 16,
  };
}

/** Of a row that is too large, only values below this are decoded: there may be no string as long as the others. */
const longestText = 2 * MAX_ROW_BYTES + 2;

/** Small whole numbers are so frequent that they are made once. */
const smallIntegers = Array.from({ length: 1_024 }, (_, value) => BigInt(value));

/** The values of a row. Unread, null and unchanged columns are null. */
export function buildRow(layout: RowLayout, row: RowBytes): SourceRow {
  const { bytes, start, end } = row;
  const { forms } = layout;
  const count = forms.length;
  const values = new Array<SqliteValue>(count);
  const whole = wholeText(row, count);
  const base = whole === null ? 0 : firstByte(row, count);
  for (let index = 0; index < count; index += 1) {
    const to = end[index]!;
    const form = forms[index]!;
    if (to < 0 || form === unread) {
      values[index] = null;
      continue;
    }
    const from = start[index]!;
    if (to - from > longestText) values[index] = null;
    else if (form === integerForm) values[index] = readInteger(bytes, from, to);
    else if (form === booleanForm) values[index] = bytes[from] === 116 /* t */ ? 1n : 0n;
    else {
      const text = whole === null ? bytes.toString('utf8', from, to) : whole.substring(from - base, to - base);
      values[index] = form === textForm ? text : layout.decoders[index]!.fromText(text);
    }
  }
  return values;
}

function firstByte({ start, end }: RowBytes, count: number): number {
  for (let index = 0; index < count; index += 1) if (end[index]! >= 0) return start[index]!;
  return 0;
}

/** The row's bytes as one string when all its columns are ASCII and in order, so that offsets are the same; else null. */
function wholeText({ bytes, start, end }: RowBytes, count: number): string | null {
  let first = -1;
  let last = -1;
  let seen = 0;
  for (let index = 0; index < count; index += 1) {
    const to = end[index]!;
    if (to < 0) continue;
    const from = start[index]!;
    if (first === -1) first = from;
    // Taken from the old row: out of order.
    if (from < last) return null;
    last = to;
    if (last - first > wholeRowBytes) return null;
    for (let at = from; at < to; at += 1) seen |= bytes[at]!;
  }
  return first === -1 || seen > 127 ? null : bytes.toString('latin1', first, last);
}

function readInteger(bytes: Buffer, from: number, to: number): bigint {
  if (to - from > 15) return BigInt(bytes.toString('latin1', from, to));
  let at = from;
  const negative = bytes[at] === 45;
  if (negative) at += 1;
  let value = 0;
  for (; at < to; at += 1) value = value * 10 + (bytes[at]! - 48);
  if (negative) return BigInt(-value);
  return value >= 0 && value < 1_024 ? smallIntegers[value]! : BigInt(value);
}

/** Canonical text of the row's identity: one column its text, several a JSON array of texts, FULL a hash of everything. */
export function rowKey(layout: RowLayout, row: RowBytes): string {
  const { identity, identityColumns } = layout.table;
  if (identity === 'full') return fullKey(row, layout.forms.length);
  if (identityColumns.length === 1) return columnText(row, identityColumns[0]!) ?? '';
  const texts: (string | null)[] = [];
  for (const index of identityColumns) texts.push(columnText(row, index));
  return JSON.stringify(texts);
}

/** The texts a key of `rowKey` was made of; for tables with identity columns. */
export function keyTexts(table: ReplicatedTable, key: string): readonly (string | null)[] {
  return table.identityColumns.length === 1 ? [key] : (JSON.parse(key) as (string | null)[]);
}

/** Texts as the server sent them, each with its length, so that no two rows give the same bytes. */
function fullKey({ bytes, start, end }: RowBytes, count: number): string {
  const hash: Hash = createHash('sha1');
  const length = Buffer.allocUnsafe(4);
  for (let index = 0; index < count; index += 1) {
    const to = end[index]!;
    length.writeInt32BE(to < 0 ? -1 : to - start[index]!);
    hash.update(length);
    if (to > 0) hash.update(bytes.subarray(start[index], to));
  }
  return hash.digest('hex');
}

function columnText({ bytes, start, end }: RowBytes, index: number): string | null {
  const to = end[index]!;
  return to < 0 ? null : bytes.toString('utf8', start[index], to);
}

/** Indexes of columns that were left out, or null. */
export function omittedColumns(row: RowBytes): number[] | null {
  let omitted: number[] | null = null;
  for (let index = 0; index < row.count; index += 1) {
    if (row.end[index] === isUnchanged) (omitted ??= []).push(index);
  }
  return omitted;
}

/** Stored bytes besides the values: header, null bitmap, alignment. */
const rowOverhead = 64;
const columnOverhead = 16;
/** A stored jsonb, array or other value is at most this many times as long as its text. */
const variableFactor = 8;

/**
 * Texts of all columns that later changes may leave out, when the row may be large enough for that; else null. An update that left
 * something out itself shows that values are stored outside the row.
 */
export function retainedValues(layout: RowLayout, row: RowBytes, omitted: boolean): RetainedValues | null {
  const { variable, toastThreshold } = layout;
  if (variable.length === 0) return null;
  if (!omitted && storedBytesAtMost(layout, row, toastThreshold) <= toastThreshold) return null;
  const retained: Record<string, string> = {};
  for (const index of variable) {
    const text = columnText(row, index);
    if (text !== null) retained[layout.published.columns[index]!.name] = text;
  }
  return retained;
}

/** An upper bound of the size of the stored row, exact enough to tell that it is below `enough`. */
function storedBytesAtMost({ decoders, published }: RowLayout, { start, end }: RowBytes, enough: number): number {
  const count = published.columns.length;
  let total = rowOverhead + count * columnOverhead;
  for (let index = 0; index < count && total <= enough; index += 1) {
    const to = end[index]!;
    if (to < 0) continue;
    const { storage } = decoders[index]!;
    if (storage === 'text') total += to - start[index]!;
    else if (storage === 'variable') total += variableFactor * (to - start[index]!);
  }
  return total;
}

/** Values of the columns in `omitted` from retained texts; the others as they are. A text that is missing gives null. */
export function fillRow(
  layout: RowLayout,
  row: SourceRow,
  omitted: readonly number[],
  retained: RetainedValues,
): SourceRow {
  const filled = [...row];
  for (const index of omitted) {
    if (layout.forms[index] === unread) continue;
    const text = retained[layout.published.columns[index]!.name];
    filled[index] = text === undefined ? null : layout.decoders[index]!.fromText(text);
  }
  return filled;
}
