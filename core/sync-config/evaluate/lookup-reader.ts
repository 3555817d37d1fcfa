/** Reads lookups for many queriers at once: what all of them wait for becomes one call (one per nesting level). */
import type { ReadLookups, UsedLookup } from '../contract.ts';
import { eachChild, rootOf } from './json/scan.ts';

/** Output tuples of one lookup key, each a list of canonical value texts. */
export type Tuples = readonly (readonly string[])[];

export interface LookupReader {
  /** Tuples for each key of one lookup, in order. */
  read(identity: string, keys: readonly string[]): Promise<Tuples[]>;
  /** Runs tasks side by side; reads wait until no task can go on without one. */
  run(tasks: readonly (() => Promise<void>)[]): Promise<void>;
  /** Every key that was asked. */
  used(): UsedLookup[];
}

/** `onTuples` is told how many tuples each answer has, and may throw to stop. */
export function createLookupReader(readLookups: ReadLookups, onTuples: (count: number) => void): LookupReader {
  const answers = new Map<string, Map<string, Tuples>>();
  const used: UsedLookup[] = [];
  let wanted: UsedLookup[] = [];
  let waiting: { resume: () => void; fail: (error: unknown) => void }[] = [];
  let running = 0;

  const flush = async (): Promise<void> => {
    const keys = wanted;
    const tasks = waiting;
    wanted = [];
    waiting = [];
    try {
      const results = keys.length === 0 ? [] : await readLookups(keys);
      for (const [at, { identity, key }] of keys.entries()) {
        const tuples = parseTuples(results[at] ?? []);
        answers.get(identity)?.set(key, tuples);
        onTuples(tuples.length);
      }
      running += tasks.length;
      for (const task of tasks) task.resume();
    } catch (error) {
      running += tasks.length;
      for (const task of tasks) task.fail(error);
    }
  };
  const settle = (): void => {
    if (--running === 0 && waiting.length > 0) void flush();
  };

  return {
    used: () => used,
    read: async (identity, keys) => {
      let known = answers.get(identity);
      if (known === undefined) answers.set(identity, (known = new Map()));
      let missing = false;
      for (const key of keys) {
        const answer = known.get(key);
        if (answer !== undefined && answer !== PENDING) continue;
        missing = true;
        if (answer === PENDING) continue;
        known.set(key, PENDING);
        const lookup = { identity, key };
        wanted.push(lookup);
        used.push(lookup);
      }
      if (missing) {
        await new Promise<void>((resume, fail) => {
          waiting.push({ resume, fail });
          settle();
        });
      }
      return keys.map((key) => known.get(key) ?? []);
    },
    run: async (tasks) => {
      running += tasks.length;
      const results = tasks.map(async (task) => {
        try {
          await task();
        } finally {
          settle();
        }
      });
      const settled = await Promise.allSettled(results);
      const failed = settled.find((result) => result.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
  };
}
const PENDING: Tuples = [];

/** Texts like `[["a",1],["b",2]]` as lists of value texts, without duplicates. The values stay texts: 64-bit exact. */
function parseTuples(texts: readonly string[]): Tuples {
  const byText = new Map<string, string[]>();
  for (const text of texts) {
    const root = rootOf(text);
    if (root < 0) throw new Error('stored lookup values are not JSON');
    eachChild(text, root, (_keyStart, _keyEnd, start, stop) => {
      const tuple = text.slice(start, stop);
      if (!byText.has(tuple)) byText.set(tuple, parseTuple(tuple));
      return false;
    });
  }
  return [...byText.values()];
}
function parseTuple(text: string): string[] {
  const values: string[] = [];
  eachChild(text, 0, (_keyStart, _keyEnd, start, stop) => {
    values.push(text.slice(start, stop));
    return false;
  });
  return values;
}
