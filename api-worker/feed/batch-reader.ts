/**
 * Joins single reads of many sessions into few storage calls: everything asked for in one turn of the event loop becomes one call, and
 * while storage is busy with earlier calls, everything asked for meanwhile. So a storm of clients makes calls larger, not more.
 */

export interface BatchReader<Key, Value> {
  /** Answers as of `op`. Rejects with the error of the call that it was part of. */
  read(key: Key, op: number): Promise<Value>;
  readMany(keys: readonly Key[], op: number): Promise<Value[]>;
}

/** Calls under way at the same time: one that is slow must not hold up all others. */
const CONCURRENT_CALLS = 2;

interface Waiting<Key, Value> {
  readonly keys: readonly Key[];
  readonly resolve: (values: Value[]) => void;
  readonly reject: (error: unknown) => void;
}

/** `load` answers in the order of the keys; it never gets more than `limit` of them. */
export function createBatchReader<Key, Value>(
  load: (keys: readonly Key[], op: number) => Promise<readonly Value[]>,
  limit: number,
): BatchReader<Key, Value> {
  /** By op, because a call reads as of one op; sessions that start together ask for the same. */
  let waiting = new Map<number, Waiting<Key, Value>[]>();

  let underWay = 0;

  const run = (): void => {
    if (underWay >= CONCURRENT_CALLS) return;
    const due = waiting;
    waiting = new Map();
    for (const [op, list] of due) {
      underWay++;
      void answer(list, op).finally(() => {
        underWay--;
        if (waiting.size > 0) run();
      });
    }
  };

  const answer = async (list: readonly Waiting<Key, Value>[], op: number): Promise<void> => {
    try {
      const values = await loadAll(list.length === 1 ? list[0]!.keys : list.flatMap((item) => item.keys), op);
      let at = 0;
      for (const item of list) item.resolve(values.slice(at, (at += item.keys.length)));
    } catch (error) {
      for (const item of list) item.reject(error);
    }
  };

  const loadAll = async (keys: readonly Key[], op: number): Promise<Value[]> => {
    const parts: Promise<readonly Value[]>[] = [];
    for (let at = 0; at < keys.length; at += limit) parts.push(load(keys.slice(at, at + limit), op));
    return parts.length === 1 ? [...(await parts[0]!)] : (await Promise.all(parts)).flat();
  };

  const readMany: BatchReader<Key, Value>['readMany'] = (keys, op) =>
    new Promise((resolve, reject) => {
      if (keys.length === 0) return resolve([]);
      if (waiting.size === 0) setImmediate(run);
      const list = waiting.get(op);
      const item = { keys, resolve, reject };
      if (list) list.push(item);
      else waiting.set(op, [item]);
    });

  return { readMany, read: async (key, op) => (await readMany([key], op))[0]! };
}
