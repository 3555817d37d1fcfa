/** The row images of a binlog file, found by hand: no part of a source, which gets its events from a connection. */
import { wireColumns, type WireColumn } from './row-image.ts';

export interface RowImages {
  readonly table: string;
  readonly wire: readonly WireColumn[];
  readonly present: Buffer;
  /** All rows of one insert event. */
  readonly bytes: Buffer;
}

const headerBytes = 19;
const checksumBytes = 4;
const tableMapEvent = 19;
const insertEvent = 30;

/** Inserted rows in order, event by event. */
export function insertedRows(file: Buffer): RowImages[] {
  const found: RowImages[] = [];
  const maps = new Map<number, { table: string; wire: WireColumn[] }>();
  // Behind the four bytes that every binlog begins with.
  for (let at = 4; at < file.length; at += file.readUInt32LE(at + 9)) {
    const event = file.subarray(at + headerBytes, at + file.readUInt32LE(at + 9) - checksumBytes);
    const type = file[at + 4];
    if (type === tableMapEvent) maps.set(event.readUIntLE(0, 6), tableMap(event));
    if (type !== insertEvent) continue;
    const map = maps.get(event.readUIntLE(0, 6))!;
    const bitmap = 8 + event.readUInt16LE(8) + 1;
    const bitmapBytes = (map.wire.length + 7) >> 3;
    const present = event.subarray(bitmap, bitmap + bitmapBytes);
    found.push({ ...map, present, bytes: event.subarray(bitmap + bitmapBytes) });
  }
  return found;
}

/** Tables of fewer than 251 columns, whose metadata takes fewer than 251 bytes. */
function tableMap(event: Buffer): { table: string; wire: WireColumn[] } {
  const schemaBytes = event[8]!;
  const tableAt = 9 + schemaBytes + 1;
  const tableBytes = event[tableAt]!;
  const countAt = tableAt + 1 + tableBytes + 1;
  const count = event[countAt]!;
  const types = event.subarray(countAt + 1, countAt + 1 + count);
  const metadataAt = countAt + 1 + count;
  const metadata = event.subarray(metadataAt + 1, metadataAt + 1 + event[metadataAt]!);
  return { table: event.toString('utf8', tableAt + 1, tableAt + 1 + tableBytes), wire: wireColumns(types, metadata) };
}
