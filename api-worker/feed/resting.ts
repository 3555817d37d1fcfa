/**
 * What no session holds at the moment and is kept up to date all the same, because clients that lose their connection come back to it:
 * then nothing has to be read. Bounded; what rests longest goes first.
 */
export interface Resting<Entry extends object> {
  readonly size: number;
  /** From now on the entry may be dropped. */
  add(entry: Entry, bytes: number): void;
  /** The entry is held again. */
  remove(entry: Entry): void;
  /** Drops all of them. */
  clear(): void;
}

export interface RestingOptions<Entry> {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly drop: (entry: Entry) => void;
}

export function createResting<Entry extends object>(options: RestingOptions<Entry>): Resting<Entry> {
  const { maxEntries, maxBytes, drop } = options;
  // A Map keeps insertion order: the first entry rests longest.
  const entries = new Map<Entry, number>();
  let bytes = 0;

  const remove = (entry: Entry): void => {
    bytes -= entries.get(entry) ?? 0;
    entries.delete(entry);
  };
  const dropUntil = (isEnough: () => boolean): void => {
    for (const oldest of entries.keys()) {
      if (isEnough()) return;
      remove(oldest);
      drop(oldest);
    }
  };

  return {
    get size() {
      return entries.size;
    },
    add(entry, size) {
      remove(entry);
      entries.set(entry, size);
      bytes += size;
      dropUntil(() => entries.size <= maxEntries && bytes <= maxBytes);
    },
    remove,
    clear: () => dropUntil(() => entries.size === 0),
  };
}
