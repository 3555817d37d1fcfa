/** What the source has delivered and the pipeline has not applied yet, transaction by transaction, within a bound. */
import type { Change, Position, StreamEvent } from '../sources/contract.ts';

/** Full at either: the source is held back (its socket stops being read) until half of it is applied. */
const MAX_BYTES = 24 * 1024 * 1024;
const MAX_ITEMS = 50_000;
/** What a change costs besides the bytes the source sent. */
const ITEM_BYTES = 200;

export type QueueItem = Change | Extract<StreamEvent, { kind: 'table' | 'commit' | 'keepalive' }>;

export interface ChangeQueue {
  /** Adds an event; a promise when the queue is full, to be awaited before the next one. */
  push(event: StreamEvent): void | Promise<void>;
  /**
   * The next items to apply: everything up to the last commit or keep-alive at or before `gate`; when the queue is full of one
   * unfinished transaction, a part of that. Empty when there is nothing to do.
   */
  take(withinGate: (position: Position) => boolean): QueueItem[];
  /** Nothing that ends at or before a position within `gate` waits to be taken. */
  nothingWithin(withinGate: (position: Position) => boolean): boolean;
  /** Position of the newest commit or keep-alive received, applied or not. */
  readonly seen: Position | null;
  readonly empty: boolean;
}

export function createChangeQueue(arrived: () => void): ChangeQueue {
  let items: QueueItem[] = [];
  let bytes = 0;
  let seen: Position | null = null;
  /** Index after the last item that ends a transaction. */
  let complete = 0;
  let room: { promise: Promise<void>; resolve: () => void } | null = null;

  const size = (item: QueueItem): number => ITEM_BYTES + ('bytes' in item ? item.bytes : 0);
  const full = (): boolean => bytes > MAX_BYTES || items.length > MAX_ITEMS;

  const cut = (count: number): QueueItem[] => {
    const taken = count === items.length ? items : items.slice(0, count);
    items = count === items.length ? [] : items.slice(count);
    for (const item of taken) bytes -= size(item);
    complete = Math.max(0, complete - count);
    if (room && bytes < MAX_BYTES / 2 && items.length < MAX_ITEMS / 2) {
      room.resolve();
      room = null;
    }
    return taken;
  };

  return {
    push(event) {
      if (event.kind === 'begin') return undefined;
      if (event.kind === 'keepalive') {
        seen = event.position;
        const last = items.at(-1);
        // Only the newest of a run of keep-alives says anything.
        if (last?.kind === 'keepalive') items[items.length - 1] = event;
        else {
          items.push(event);
          bytes += ITEM_BYTES;
        }
        complete = items.length;
        arrived();
        return undefined;
      }
      items.push(event);
      bytes += size(event);
      if (event.kind === 'commit') {
        seen = event.position;
        complete = items.length;
        arrived();
      }
      if (!full()) return undefined;
      arrived();
      if (!room) {
        let resolve = (): void => undefined;
        const promise = new Promise<void>((done) => {
          resolve = done;
        });
        room = { promise, resolve };
      }
      return room.promise;
    },
    take(withinGate) {
      let count = complete;
      while (count > 0) {
        const last = items[count - 1]!;
        if ((last.kind === 'commit' || last.kind === 'keepalive') && withinGate(last.position)) break;
        count--;
      }
      if (count > 0) return cut(count);
      // One transaction larger than the queue: take what is there. Never when a gate holds complete ones back.
      if (complete === 0 && items.length > 0 && full()) return cut(items.length);
      return [];
    },
    nothingWithin(withinGate) {
      const first = items.find((item) => item.kind === 'commit' || item.kind === 'keepalive');
      return first === undefined || !withinGate((first as { position: Position }).position);
    },
    get seen() {
      return seen;
    },
    get empty() {
      return items.length === 0;
    },
  };
}
