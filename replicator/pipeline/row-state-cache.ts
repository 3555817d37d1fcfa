/**
 * Row states near at hand: those of the flush being prepared or in flight (storage does not have them yet) and a bounded number of others,
 * those asked for lately. Valid because there is one writer per source (G6); thrown away with the writer.
 */
import type { RowStateWrite, SourceWriter } from '#core/bucket-storage/contract.ts';

const CACHE_BYTES = 48 * 1024 * 1024;
const READ_KEYS = 5000;

export interface RowStateCache {
  /** Loads the states of keys that are not at hand. */
  load(keys: readonly string[]): Promise<void>;
  /** The state of a key that was loaded, or is known to be new. */
  get(key: string): string | null;
  /** Notes a new state. A no-op when nothing changed. */
  set(key: string, state: string | null): void;
  /** Notes the state of a row that is certainly new (a first copy): not looked up, not remembered. */
  insert(key: string, state: string): void;
  /** How many changes the next `take` answers. */
  readonly changes: number;
  /** The changes since the last `take`, as one flush writes them; they stay pinned until `release` of the same batch. */
  take(): RowStateWrite[];
  release(batch: readonly RowStateWrite[]): void;
  /** A commit was part of the flush: what is known now is the committed state. */
  committed(): void;
}

interface Entry {
  readonly key: string;
  state: string | null;
  /** Committed state of a row changed by the present, not yet committed source transaction; undefined: not changed by it. */
  committed: string | null | undefined;
  /** Since the last `take`. */
  isChanged: boolean;
  /** Batches in flight that have it: storage does not. */
  holds: number;
  /** Number of the batch that asked for it last: eviction must not lose it before it is applied. */
  needed: number;
  /** Asked for since eviction came past it. */
  isUsed: boolean;
}

export function createRowStateCache(
  writer: Pick<SourceWriter, 'readRowStates'>,
  cacheBytes: number = CACHE_BYTES,
): RowStateCache {
  const entries = new Map<string, Entry>();
  let bytes = 0;
  let batches = 1;
  let changed: Entry[] = [];
  let inserted: RowStateWrite[] = [];
  /** Those with a `committed`. */
  let touched: Entry[] = [];
  const flights = new Map<readonly RowStateWrite[], readonly Entry[]>();

  const evict = (): void => {
    for (const [key, entry] of entries) {
      if (bytes <= cacheBytes * 0.9) return;
      if (entry.holds > 0 || entry.isChanged || entry.needed >= batches - 1) continue;
      entries.delete(key);
      if (entry.isUsed) {
        entry.isUsed = false;
        entries.set(key, entry);
      } else bytes -= cost(entry);
    }
  };
  const add = (key: string, state: string | null): Entry => {
    const entry = { key, state, committed: undefined, isChanged: false, holds: 0, needed: batches, isUsed: false };
    entries.set(key, entry);
    bytes += cost(entry);
    if (bytes > cacheBytes) evict();
    return entry;
  };

  return {
    async load(keys) {
      const missing = new Set<string>();
      for (const key of keys) {
        const entry = entries.get(key);
        if (entry === undefined) missing.add(key);
        else entry.needed = batches;
      }
      const all = [...missing];
      for (let at = 0; at < all.length; at += READ_KEYS) {
        const page = all.slice(at, at + READ_KEYS);
        const states = await writer.readRowStates(page);
        for (const [index, key] of page.entries()) add(key, states[index] ?? null);
      }
    },
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return null;
      entry.isUsed = true;
      return entry.state;
    },
    set(key, state) {
      const entry = entries.get(key) ?? (state === null ? null : add(key, null));
      if (entry === null || entry.state === state) return;
      if (entry.committed === undefined) {
        entry.committed = entry.state;
        touched.push(entry);
      }
      bytes += (state?.length ?? 0) - (entry.state?.length ?? 0);
      entry.state = state;
      if (entry.isChanged) return;
      entry.isChanged = true;
      changed.push(entry);
    },
    insert(key, state) {
      inserted.push({ key, state, previous: null, isNew: true });
    },
    get changes() {
      return changed.length + inserted.length;
    },
    take() {
      const batch = inserted;
      inserted = [];
      for (const entry of changed) {
        entry.holds++;
        entry.isChanged = false;
        batch.push({ key: entry.key, state: entry.state, previous: entry.committed ?? null });
      }
      if (changed.length > 0) flights.set(batch, changed);
      changed = [];
      batches++;
      return batch;
    },
    release(batch) {
      for (const entry of flights.get(batch) ?? []) entry.holds--;
      flights.delete(batch);
    },
    committed() {
      for (const entry of touched) entry.committed = undefined;
      touched = [];
    },
  };
}

/** Rough cost of an entry besides its characters. */
const ENTRY_BYTES = 170;
const cost = ({ key, state }: Entry): number => ENTRY_BYTES + key.length + (state?.length ?? 0);
