/**
 * Row states near at hand: those of the flush being prepared or in flight (pinned: storage does not have them yet) and a bounded
 * number of recent ones. Valid because there is one writer per source (G6); thrown away with the writer.
 */
import type { RowStateWrite, SourceWriter } from '#core/bucket-storage/contract.ts';

const CACHE_BYTES = 48 * 1024 * 1024;
/** Rough cost of an entry besides its characters. */
const ENTRY_BYTES = 120;
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

export function createRowStateCache(writer: Pick<SourceWriter, 'readRowStates'>): RowStateCache {
  const recent = new Map<string, string | null>();
  let bytes = 0;
  /** Not yet in storage: state and how many flushes in preparation or flight hold it. */
  const pinned = new Map<string, { state: string | null; holds: number }>();
  let changed = new Map<string, string | null>();
  let inserted: RowStateWrite[] = [];
  /** Committed state of rows changed by the present, not yet committed source transaction. */
  let committedStates = new Map<string, string | null>();

  const cost = (key: string, state: string | null): number => ENTRY_BYTES + key.length + (state?.length ?? 0);
  const remember = (key: string, state: string | null): void => {
    const known = recent.get(key);
    if (known !== undefined) {
      bytes -= cost(key, known);
      recent.delete(key);
    }
    recent.set(key, state);
    bytes += cost(key, state);
    if (bytes <= CACHE_BYTES) return;
    for (const [oldest, value] of recent) {
      recent.delete(oldest);
      bytes -= cost(oldest, value);
      if (bytes <= CACHE_BYTES * 0.9) break;
    }
  };
  const lookUp = (key: string): string | null | undefined => {
    const pin = pinned.get(key);
    return pin ? pin.state : recent.get(key);
  };

  return {
    async load(keys) {
      const missing = [...new Set(keys.filter((key) => lookUp(key) === undefined))];
      for (let at = 0; at < missing.length; at += READ_KEYS) {
        const page = missing.slice(at, at + READ_KEYS);
        const states = await writer.readRowStates(page);
        // Pinned until the batch that asked for them is taken: eviction must not lose them.
        page.forEach((key, index) => {
          pinned.set(key, { state: states[index] ?? null, holds: 0 });
        });
      }
    },
    get: (key) => lookUp(key) ?? null,
    set(key, state) {
      const before = lookUp(key) ?? null;
      if (before === state) return;
      if (!committedStates.has(key)) committedStates.set(key, before);
      changed.set(key, state);
      const pin = pinned.get(key);
      if (pin) pin.state = state;
      else pinned.set(key, { state, holds: 0 });
    },
    insert(key, state) {
      inserted.push({ key, state, previous: null, isNew: true });
    },
    get changes() {
      return changed.size + inserted.length;
    },
    take() {
      const batch = inserted;
      inserted = [];
      for (const [key, state] of changed) {
        pinned.get(key)!.holds++;
        batch.push({ key, state, previous: committedStates.get(key) ?? null });
      }
      changed = new Map();
      for (const [key, pin] of pinned) {
        if (pin.holds > 0) continue;
        pinned.delete(key);
        remember(key, pin.state);
      }
      return batch;
    },
    release(batch) {
      for (const { key } of batch) {
        const pin = pinned.get(key);
        if (!pin || --pin.holds > 0) continue;
        // Changed again since: still ahead of storage.
        if (changed.has(key)) continue;
        pinned.delete(key);
        remember(key, pin.state);
      }
    },
    committed() {
      committedStates = new Map();
    },
  };
}
