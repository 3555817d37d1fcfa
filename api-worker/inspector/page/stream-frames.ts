/** Cuts the body of a sync stream into its lines, whichever way its chunks fall. */
import { deserialize } from 'bson';

/** A line as the protocol writes it, with one member that says what it is. `data` lines are counted, not read. */
export type WireLine = Readonly<Record<string, unknown>>;

export interface FrameReader {
  /** The lines that end in this chunk. Throws when it is no such stream. */
  push(chunk: Uint8Array): WireLine[];
}

/** Much more than a service sends in one line. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024;
const NEWLINE = 10;

export function createFrameReader(contentType: string): FrameReader {
  const isBson = contentType.includes('bson');
  let pending: Uint8Array = new Uint8Array(0);
  return {
    push(chunk) {
      pending = pending.length === 0 ? chunk : joined(pending, chunk);
      const lines: WireLine[] = [];
      let start = 0;
      for (;;) {
        const length = isBson ? bsonLength(pending, start) : lineLength(pending, start);
        if (length === null || start + length > pending.length) break;
        const frame = pending.subarray(start, start + length);
        const line = isBson ? readBson(frame) : readJson(frame);
        if (line !== null) lines.push(line);
        start += length;
      }
      pending = pending.slice(start);
      if (pending.length > MAX_FRAME_BYTES) throw new Error('A line of the stream is too long to be looked at');
      return lines;
    },
  };
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

function bsonLength(bytes: Uint8Array, start: number): number | null {
  if (start + 4 > bytes.length) return null;
  const length = new DataView(bytes.buffer, bytes.byteOffset + start).getInt32(0, true);
  if (length < 5 || length > MAX_FRAME_BYTES) throw new Error('The stream is not BSON');
  return length;
}

function lineLength(bytes: Uint8Array, start: number): number | null {
  const end = bytes.indexOf(NEWLINE, start);
  return end < 0 ? null : end - start + 1;
}

/** Type, then the name of the first member: enough to pass over the operations of data lines. */
function readBson(frame: Uint8Array): WireLine {
  const nameEnd = frame.indexOf(0, 5);
  const name = new TextDecoder().decode(frame.subarray(5, nameEnd));
  return name === 'data' ? { data: null } : deserialize(frame);
}

function readJson(frame: Uint8Array): WireLine | null {
  const text = new TextDecoder().decode(frame).trim();
  if (text === '') return null;
  return text.startsWith('{"data"') ? { data: null } : (JSON.parse(text) as WireLine);
}
