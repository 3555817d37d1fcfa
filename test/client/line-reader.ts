/** Cuts a response body into lines. */
import { deserialize } from 'bson';

/** A decoded line: an object with one member (S-540). */
export type WireLine = Readonly<Record<string, unknown>>;

export interface LineReader {
  /** Feeds bytes; answers the lines that are complete now. */
  push(bytes: Buffer): WireLine[];
  /** Bytes of an unfinished line. */
  readonly pending: number;
}

export function createLineReader(encoding: 'bson' | 'ndjson'): LineReader {
  return encoding === 'bson' ? createFrames((frame) => deserialize(frame)) : createTextLines();
}

function createTextLines(): LineReader {
  let rest: Buffer = Buffer.alloc(0);
  return {
    push(bytes) {
      rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      const lines: WireLine[] = [];
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        lines.push(JSON.parse(rest.subarray(0, end).toString('utf8')) as WireLine);
        rest = rest.subarray(end + 1);
      }
      return lines;
    },
    get pending() {
      return rest.length;
    },
  };
}

function createFrames(decode: (frame: Buffer) => WireLine): LineReader {
  let parts: Buffer[] = [];
  let length = 0;
  return {
    push(bytes) {
      parts.push(bytes);
      length += bytes.length;
      const lines: WireLine[] = [];
      while (length >= 4) {
        if (parts[0]!.length < 4) parts = [Buffer.concat(parts)];
        const size = parts[0]!.readInt32LE(0);
        if (length < size) break;
        if (parts[0]!.length < size) parts = [Buffer.concat(parts)];
        const first = parts[0]!;
        lines.push(decode(first.subarray(0, size)));
        parts[0] = first.subarray(size);
        if (parts[0].length === 0) parts.shift();
        length -= size;
      }
      return lines;
    },
    get pending() {
      return length;
    },
  };
}

/** What a counting client wants to know of a BSON stream; nothing is decoded but the small lines. */
export interface LineCounts {
  lines: number;
  operations: number;
  checkpoints: number;
  completes: number;
  bytes: number;
}

/**
 * Counts a BSON stream with as little work as possible, for benchmarks in which the client must not be what is measured. Only checkpoint
 * lines are decoded; `operations` is what they announce, taken over at each `checkpoint_complete`, for which `onComplete` is called.
 */
export function createLineCounter(counts: LineCounts, onComplete: () => void): (bytes: Buffer) => void {
  const announced = new Map<string, number>();
  let frameLeft = 0;
  let head: Buffer = Buffer.alloc(0);
  let kept: Buffer[] | null = null;

  const track = (frame: Buffer): void => {
    const { checkpoint, checkpoint_diff: diff } = deserialize(frame) as Record<string, Record<string, never>>;
    counts.checkpoints++;
    if (checkpoint) announced.clear();
    for (const name of (diff?.['removed_buckets'] ?? []) as string[]) announced.delete(name);
    for (const { bucket, count } of (checkpoint?.['buckets'] ?? diff?.['updated_buckets'] ?? []) as {
      bucket: string;
      count: number;
    }[]) {
      announced.set(bucket, count);
    }
  };
  const begin = (): void => {
    counts.lines++;
    const kind = head.toString('latin1', 5, head.indexOf(0, 5));
    kept = kind === 'checkpoint' || kind === 'checkpoint_diff' ? [head] : null;
    if (kind !== 'checkpoint_complete') return;
    counts.completes++;
    counts.operations = [...announced.values()].reduce((sum, count) => sum + count, 0);
    onComplete();
  };

  return (bytes) => {
    counts.bytes += bytes.length;
    let at = 0;
    while (at < bytes.length) {
      if (frameLeft > 0) {
        const skip = Math.min(frameLeft, bytes.length - at);
        kept?.push(bytes.subarray(at, at + skip));
        frameLeft -= skip;
        at += skip;
        if (frameLeft === 0 && kept !== null) track(Buffer.concat(kept));
        continue;
      }
      const take = Math.min(HEAD_BYTES - head.length, bytes.length - at);
      const piece = bytes.subarray(at, at + take);
      head = head.length === 0 ? piece : Buffer.concat([head, piece]);
      if (head.length < HEAD_BYTES) return;
      frameLeft = head.readInt32LE(0) - HEAD_BYTES;
      at += take;
      begin();
      head = Buffer.alloc(0);
    }
  };
}

/** The shortest line, `token_expires_in`, has as many; enough for the name of any kind. */
const HEAD_BYTES = 27;
